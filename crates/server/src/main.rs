//! `bittrickle-server`: see [`bittrickle_server::cli`].

fn main() -> std::process::ExitCode {
    bittrickle_server::cli::run(std::env::args_os())
}
