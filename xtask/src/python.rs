//! Python packages for the commands that need them, each in an environment of its own under `target/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::run::command;

/// Makes sure of an environment with these packages, pinned; its `bin` folder.
///
/// Fails where there is no Python, or no index to install from.
pub(crate) fn environment(root: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = root.join("target").join(name);
    let bin = folder.join("bin");
    let stamp = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    let made = command(root, "python3").args(["-m", "venv"]).arg(&folder).status();
    ensure!(made.context("there is no python3")?.success(), "python3 -m venv failed");
    let pip = bin.join("pip").to_string_lossy().into_owned();
    let installed = command(root, &pip).args(["install", "--quiet"]).args(packages).status()?;
    ensure!(installed.success(), "pip could not install {}", packages.join(", "));
    std::fs::write(&stamp, wanted)?;
    Ok(bin)
}
