//! Runs other programs, and knows where cargo puts what it builds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// Runs cargo in a folder.
pub(crate) fn cargo(folder: &Path, args: &[&str]) -> Result<()> {
    run_command(command(folder, "cargo").args(args))
}

/// The variable that moves the folder of what cargo builds.
const TARGET_DIR: &str = "CARGO_TARGET_DIR";

/// The folder of what cargo builds, where everything else that is made and not committed is, too.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    moved_to(std::env::var_os(TARGET_DIR)).unwrap_or_else(|| root.join("target"))
}

/// A program of the debug build.
pub(crate) fn program(root: &Path, name: &str) -> PathBuf {
    target_dir(root).join("debug").join(name)
}

/// The folder that the variable names: absolute, as cargo takes it from the folder that it was called in.
fn moved_to(variable: Option<OsString>) -> Option<PathBuf> {
    std::path::absolute(variable.filter(|folder| !folder.is_empty())?).ok()
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
    // It runs in another folder than this process.
    if let Some(folder) = moved_to(std::env::var_os(TARGET_DIR)) {
        command.env(TARGET_DIR, folder);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_where_cargo_puts_it() {
        let of = |variable: &str| moved_to(Some(variable.into()));
        assert_eq!((moved_to(None), of("")), (None, None));
        assert_eq!(of("/elsewhere"), Some("/elsewhere".into()));
        assert_eq!(of("near"), Some(std::env::current_dir().unwrap().join("near")));
    }
}
