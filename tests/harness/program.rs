//! `bittrickle-program server …` and `bittrickle-program peer …`: the two programs, as the scenarios start them.

use std::process::ExitCode;

fn main() -> ExitCode {
    bittrickle_tests::process::run_as_program(std::env::args_os().skip(1)).unwrap_or_else(|| {
        eprintln!("usage: bittrickle-program server|peer ARGUMENTS");
        ExitCode::from(2)
    })
}
