//! act. Its components have their own ABI. The component is built from `bench/rivals/act`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{EXPECT, Place, guest, run, said};

const TARGET: &str = "wasm32-wasip2";

/// The entry of act, with a component of the same three tools.
pub(super) fn server(place: &Place<'_>) -> Result<Value> {
    let version = place.pip("act-cli")?;
    place.pip("act-build")?;
    let component = component(place).context("its component cannot be built")?;
    let act = place.venv("act")?;
    let arguments = json!({"value": 10.0, "from": "mile", "to": "km"});
    Ok(json!({
        "what": format!("act-cli {version} from PyPI, with a component of its own SDK; no limits are set"),
        "sandbox": true,
        "command": [act, "run", "--mcp", component],
        "call": {"tool": "unit_convert", "arguments": arguments, "expect": EXPECT},
        "sleep": {"tool": "sleep", "arguments": {"ms": 500}},
        "looping": {"tool": "looping", "arguments": {}},
    }))
}

fn component(place: &Place<'_>) -> Result<PathBuf> {
    let folder = place.folder.join("act");
    guest::copy(place, "act", &["Cargo.toml", "src/lib.rs", "wit/world.wit"], &folder)?;
    // The SDK's WIT is copied from the crate that cargo downloaded, so it fits the version that is built.
    let deps = wit(&folder)?;
    for package in fs::read_dir(deps)? {
        let package = package?;
        let to = folder.join("wit/deps").join(package.file_name());
        fs::create_dir_all(&to)?;
        fs::copy(package.path().join("package.wit"), to.join("package.wit"))?;
    }
    let component = guest::build(&folder, TARGET)?.join("units.wasm");
    run(Command::new(place.venv("act-build")?).arg("pack").arg(&component).current_dir(&folder))?;
    Ok(component)
}

/// The folder of the WIT that the SDK needs, inside the crate that carries it.
fn wit(folder: &Path) -> Result<PathBuf> {
    let metadata =
        said(Command::new("cargo").args(["metadata", "--format-version", "1"]).current_dir(folder))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let runtime =
        packages.iter().find(|package| package["name"] == "act-runtime").context("no act-runtime")?;
    let manifest = Path::new(runtime["manifest_path"].as_str().context("no manifest")?);
    Ok(manifest.with_file_name("wit").join("deps"))
}
