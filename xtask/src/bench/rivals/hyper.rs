//! hyper-mcp. Its plugins are core modules for Extism. The plugin is built from `bench/rivals/hyper`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Place, convert, guest, run, said};

/// The target of plugins. A plugin needs WASI to sleep.
const TARGET: &str = "wasm32-wasip1";

/// The variable that moves its log, which is below the user's home by default.
const LOGS: &str = "HYPER_MCP_LOG_PATH";

/// The entry of hyper-mcp, with a plugin of the same three tools.
pub(super) fn server(place: &Place<'_>) -> Result<Value> {
    let folder = place.folder.join("hyper");
    let (program, logs) = (program(&folder)?, folder.join("logs"));
    let version = said(Command::new(&program).arg("--version").env(LOGS, &logs))?;
    let plugin = plugin(place, &folder).context("its plugin cannot be built")?;
    let config = folder.join("config.json");
    // The plugin's name becomes the prefix of its tools' names.
    let plugins = json!({"units": {"url": format!("file://{}", plugin.display())}});
    fs::write(&config, json!({"plugins": plugins}).to_string())?;
    let logs = format!("{LOGS}={}", logs.display());
    Ok(json!({
        "what": format!("{version}, built by cargo, with a plugin of the same three tools; no limits are set"),
        "sandbox": true,
        "command": ["env", logs, program, "--config-file", config],
        "call": convert("units-unit_convert", "from"),
        "sleep": {"tool": "units-sleep", "arguments": {"ms": 500}},
        "looping": {"tool": "units-looping", "arguments": {}},
    }))
}

/// The path of the program, which is built if it is missing.
fn program(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("bin/hyper-mcp");
    if !program.exists() {
        println!("hyper-mcp: is compiled once, which takes many minutes");
        run(Command::new("cargo")
            .args(["install", "--quiet", "--locked", "hyper-mcp", "--root"])
            .arg(folder)
            .env("CARGO_TARGET_DIR", folder.join("target")))
        .context("`hyper-mcp` cannot be installed")?;
    }
    Ok(program)
}

fn plugin(place: &Place<'_>, folder: &Path) -> Result<PathBuf> {
    let folder = folder.join("plugin");
    guest::copy(place, "hyper", &["Cargo.toml", "src/lib.rs"], &folder)?;
    Ok(guest::build(&folder, TARGET)?.join("units.wasm"))
}
