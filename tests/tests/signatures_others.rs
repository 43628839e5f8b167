//! Signatures against verifiers and signers that others wrote; `cargo xtask interop` runs them.

use std::path::Path;
use std::process::Command;

use airlock_tests::{program, root};

/// What of the other side is installed from PyPI.
const PACKAGE: &str = "securesystemslib[crypto]==1.6.0";

#[track_caller]
fn agrees(python: &Path, other: &str) {
    let mut script = Command::new(python);
    script.arg(root().join("tests/interop/signatures.py")).arg(program());
    script.arg(root().join("example-tools/build/unit-convert.wasm")).arg(other);
    let output = script.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
#[ignore = "needs python3 and openssl"]
fn openssl() {
    agrees(Path::new("python3"), "openssl");
}

#[test]
#[ignore = "needs python3 and minisign"]
fn minisign() {
    agrees(Path::new("python3"), "minisign");
}

#[test]
#[ignore = "needs python3 and PyPI"]
fn securesystemslib() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("python3").args(["-m", "venv"]).arg(folder.path()).status().unwrap();
    assert!(made.success());
    let pip = folder.path().join("bin/pip");
    assert!(Command::new(pip).args(["install", "--quiet", PACKAGE]).status().unwrap().success());
    agrees(&folder.path().join("bin/python"), "securesystemslib");
}
