//! `bittrickle`: see [`bittrickle_peer::cli`].

fn main() -> std::process::ExitCode {
    bittrickle_peer::cli::run(std::env::args_os())
}
