//! The `airlock` program: arguments → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    airlock::cli::main()
}
