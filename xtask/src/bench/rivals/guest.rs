//! Crates of `bench/rivals` that become tools of other servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Place, run};

/// Copies a crate to where it is built: nothing is built beside the sources.
pub(super) fn copy(place: &Place<'_>, name: &str, files: &[&str], folder: &Path) -> Result<()> {
    let source = place.root.join("bench/rivals").join(name);
    for file in files {
        let to = folder.join(file);
        fs::create_dir_all(to.parent().context("no folder")?)?;
        fs::copy(source.join(file), to)?;
    }
    Ok(())
}

/// Builds a crate for a target; the folder of what comes of it.
pub(super) fn build(folder: &Path, target: &str) -> Result<PathBuf> {
    // Where rustup is not at home the target may be there all the same; the build tells.
    let _ = run(Command::new("rustup").args(["target", "add", target]));
    run(Command::new("cargo")
        .args(["build", "--quiet", "--release", "--target", target])
        .current_dir(folder))?;
    Ok(folder.join("target").join(target).join("release"))
}
