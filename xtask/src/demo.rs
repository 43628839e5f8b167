//! `cargo xtask demo`: builds everything and plays an agent's session in the terminal.

use std::path::Path;

use anyhow::Result;

use crate::guests;
use crate::run::{cargo, command, program, run_command};

/// Builds the program and the guests, and runs the demo.
pub(crate) fn run(root: &Path) -> Result<()> {
    cargo(root, &["build", "--workspace", "--bins"])?;
    // After the program, which packs the guests.
    guests::run(root, &guests::Args::default())?;
    run_command(&mut command(root, &program(root, "demo").to_string_lossy()))
}
