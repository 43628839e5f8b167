//! Builds the crates of `bench/rivals` that are tools of other servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Place, run};

/// Copies a crate to the folder where it is built, so that no build output lies beside the sources.
pub(super) fn copy(place: &Place<'_>, name: &str, files: &[&str], folder: &Path) -> Result<()> {
    let source = place.root.join("bench/rivals").join(name);
    for file in files {
        let to = folder.join(file);
        fs::create_dir_all(to.parent().context("no folder")?)?;
        fs::copy(source.join(file), to)?;
    }
    Ok(())
}

/// Builds a crate for a target and returns the folder of the output.
pub(super) fn build(folder: &Path, target: &str) -> Result<PathBuf> {
    // An error is ignored: without rustup the target may be installed by other means, and otherwise the build fails.
    let _ = run(Command::new("rustup").args(["target", "add", target]));
    run(Command::new("cargo")
        .args(["build", "--quiet", "--release", "--target-dir", "target", "--target", target])
        .current_dir(folder))?;
    Ok(folder.join("target").join(target).join("release"))
}
