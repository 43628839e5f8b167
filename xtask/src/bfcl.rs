//! `cargo xtask bfcl`: imports every function document of the Berkeley Function Calling Leaderboard, and counts what is kept.
//!
//! Owns the pinned packages, and that the documents are not kept. The figures are counted by `tests/src/bin/bfcl.rs`; whether an
//! answer is valid by its own document is decided by another implementation of JSON Schema, in Python.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::python;
use crate::run::{cargo, command, program, run_command, target_dir};

/// The documents: a wheel of data and of programs, of which nothing is run.
const DOCUMENTS: &str = "bfcl-eval==2026.3.23";

/// What validates the answers.
const VALIDATOR: &str = "jsonschema==4.26.0";

/// Reads the documents and their answers, and writes a line for each document.
const READ: &str = include_str!("bfcl/read.py");

/// Installs, imports and counts. Fails if a figure is worse than `docs/import.md` says.
pub(crate) fn run(root: &Path) -> Result<()> {
    let bin = python::environment(root, "bfcl", &[VALIDATOR])?;
    // Below `target`, and removed in any case: the documents are not ours.
    let documents = target_dir(root).join("bfcl/documents");
    let counted = counted(root, &bin, &documents);
    std::fs::remove_dir_all(&documents).with_context(|| format!("cannot remove {}", documents.display()))?;
    counted
}

fn counted(root: &Path, bin: &Path, documents: &Path) -> Result<()> {
    std::fs::create_dir_all(documents)?;
    let tool = |name: &str| bin.join(name).to_string_lossy().into_owned();
    let target = documents.to_string_lossy().into_owned();
    let pip = ["install", "--quiet", "--no-deps", "--target", &target, "--upgrade", DOCUMENTS];
    let installed = command(root, &tool("pip")).args(pip).status()?;
    ensure!(installed.success(), "pip could not install {DOCUMENTS}");
    let lines = documents.join("lines.jsonl");
    let file = std::fs::File::create(&lines)?;
    let read = command(root, &tool("python")).args(["-c", READ, &target]).stdout(file).status()?;
    ensure!(read.success(), "the documents could not be read");
    // The selection of packages decides features: another one would compile the engine anew.
    cargo(root, &["build", "--quiet", "--workspace", "--bins"])?;
    run_command(command(root, &program(root, "bfcl").to_string_lossy()).arg(&lines))
}
