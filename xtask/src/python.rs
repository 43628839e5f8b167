//! Installs Python packages for the commands that need them, each set in its own environment under `target/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::run::{command, target_dir};

/// Installs these packages, pinned, unless they are installed already. Returns the `bin` folder of the environment.
///
/// Fails without Python, or without a registry to install from.
pub(crate) fn environment(root: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = target_dir(root).join(name);
    let bin = folder.join("bin");
    // The stamp names the exact packages, so a changed pin is installed again.
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
    // Last, so that an installation that failed half-way is repeated.
    std::fs::write(&stamp, wanted)?;
    Ok(bin)
}
