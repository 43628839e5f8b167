//! Runs other programs.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// Runs cargo in a folder.
pub(crate) fn cargo(folder: &Path, args: &[&str]) -> Result<()> {
    run_command(command(folder, "cargo").args(args))
}

/// A command without the variables that cargo sets for this process alone.
pub(crate) fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command and fails unless it succeeds.
pub(crate) fn run_command(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
