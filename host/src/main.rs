//! The `airlock` program: arguments → exit code.

use std::process::ExitCode;

/// Records are freed by another thread than the one that made them, which the system's allocator has them wait for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    airlock::cli::main()
}
