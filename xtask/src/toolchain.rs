//! Finds a compiler for `wasm32-unknown-unknown`.
//!
//! Owns how `wasm-toolchain.sh` is run and its output read. Must not know what is built.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The target of every guest. Its components import only what their WIT states.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A cargo that builds for [`TARGET`], with its environment.
#[derive(Debug, PartialEq)]
pub(crate) struct Toolchain {
    /// The origin: `rustup` or `debian`.
    pub(crate) kind: String,
    cargo: Vec<String>,
    env: Vec<(String, String)>,
}

/// Finds the target: installed already, added by rustup, or Debian's. `WASM_TOOLCHAIN=rustup|debian` forces one.
pub(crate) fn ensure_target(root: &Path) -> Result<Toolchain> {
    let script = root.join("xtask/wasm-toolchain.sh");
    let output = Command::new("bash")
        .arg(&script)
        // cargo sets this for the xtask; guests must not inherit it.
        .env_remove("RUSTUP_TOOLCHAIN")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}` with bash", script.display()))?;
    ensure!(output.status.success(), "no compiler for {TARGET}: {}", output.status);
    parse(&String::from_utf8(output.stdout).context("the toolchain script did not print UTF-8")?)
}

impl Toolchain {
    /// A `cargo` command with the environment set.
    pub(crate) fn cargo(&self) -> Command {
        let mut words = self.cargo.iter();
        let mut command = Command::new(words.next().map_or("cargo", String::as_str));
        command
            .args(words)
            .envs(self.env.iter().cloned())
            // Both are set for this workspace, and do not apply to another target or toolchain.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTFLAGS");
        command
    }
}

/// Reads the script's lines `export NAME=VALUE`. The value may be in single quotes.
fn parse(lines: &str) -> Result<Toolchain> {
    let mut toolchain = Toolchain { kind: String::new(), cargo: Vec::new(), env: Vec::new() };
    for line in lines.lines() {
        let (name, value) = line
            .strip_prefix("export ")
            .and_then(|rest| rest.split_once('='))
            .with_context(|| format!("the toolchain script printed `{line}`"))?;
        let value = value.trim_matches('\'');
        match name {
            "WASM_CARGO" => toolchain.cargo = value.split_whitespace().map(str::to_owned).collect(),
            "WASM_RUST_KIND" => value.clone_into(&mut toolchain.kind),
            other => toolchain.env.push((other.to_owned(), value.to_owned())),
        }
    }
    ensure!(!toolchain.cargo.is_empty(), "the toolchain script named no cargo");
    Ok(toolchain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_script_prints() {
        let toolchain = parse(
            "export WASM_RUST_KIND=debian\n\
             export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=/usr/bin/wasm-ld-22\n\
             export WASM_CARGO='env RUSTC=/usr/bin/rustc /usr/bin/cargo'\n",
        )
        .unwrap();
        assert_eq!(toolchain.kind, "debian");
        assert_eq!(toolchain.cargo, ["env", "RUSTC=/usr/bin/rustc", "/usr/bin/cargo"]);
        assert_eq!(toolchain.env.len(), 1);
    }

    #[test]
    fn refuses_a_line_that_is_not_an_export() {
        assert!(parse("hello\n").is_err());
    }
}
