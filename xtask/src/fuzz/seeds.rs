//! The seeds of the fuzz targets, taken from what the repository has of each kind.
//!
//! To add a target: its line in [`seeds`].

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use toml::Value;

use crate::run::target_dir;

/// Folders with contracts and registries.
const FOLDERS: [&str; 4] = ["example-tools", "tests", "tests/conformance", "tests/guests"];

/// Size of the largest component that is a seed, in bytes: the fuzzer cuts longer inputs off, which breaks them.
const COMPONENT_BYTES_MAX: usize = 64 << 10;

/// Writes the seeds of a target into a folder and returns it.
pub(super) fn collect(root: &Path, target: &str) -> Result<PathBuf> {
    let folder = target_dir(root).join("fuzz/seeds").join(target);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let seeds = seeds(root, target)?;
    ensure!(!seeds.is_empty(), "there are none");
    for (i, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(i.to_string()), seed)?;
    }
    Ok(folder)
}

fn seeds(root: &Path, target: &str) -> Result<Vec<Vec<u8>>> {
    let texts = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
    Ok(match target {
        "arguments" => texts(calls(root)?.into_iter().map(|(_, args)| args).collect()),
        "component" => components(root)?,
        "contract" => texts(files(root, "contract.toml")?),
        "expression" => texts(expressions(root)?),
        "mcp_line" => texts(lines(root)?),
        "registry" => texts(files(root, "airlock.toml")?),
        "signature" => listed(&root.join("fuzz/corpus/signature"))?
            .into_iter()
            .map(fs::read)
            .collect::<Result<_, _>>()?,
        other => bail!("`{other}` has no seeds"),
    })
}

/// Tool and arguments of each case.
fn calls(root: &Path) -> Result<Vec<(String, String)>> {
    let cases = listed(&root.join("tests/cases"))?.into_iter().filter(|path| path.is_file());
    let calls = cases.map(|path| {
        let case = parse(&path)?;
        let text = |key: &str| case.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok((text("tool"), text("args")))
    });
    calls.collect()
}

/// Each case as a line of MCP, and a line for each other kind of message.
fn lines(root: &Path) -> Result<Vec<String>> {
    let call = |(tool, args): (String, String)| {
        format!(
            r#"{{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{{"name":{},"arguments":{args},"_meta":{{"progressToken":1}}}}}}"#,
            json!(tool)
        )
    };
    let info = json!({"name": "fuzz", "version": "1"});
    let others = [
        json!({"jsonrpc": "2.0", "id": "1", "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"cursor": "x"}}),
        json!({"jsonrpc": "2.0", "id": "2", "method": "resources/read", "params": {"uri": "airlock://calls/1"}}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "1"}}),
        json!({"jsonrpc": "2.0", "id": "3", "error": {"code": -32600, "message": "no"}}),
    ];
    Ok(calls(root)?.into_iter().map(call).chain(others.iter().map(ToString::to_string)).collect())
}

/// The texts of the files of this name, and of those beside them in the folders of guests.
fn files(root: &Path, name: &str) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for folder in FOLDERS {
        let below = listed(&root.join(folder))?;
        let paths = [root.join(folder)].into_iter().chain(below).map(|path| path.join(name));
        for path in paths.filter(|path| path.is_file()) {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(texts)
}

/// The relations of all contracts.
fn expressions(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for text in files(root, "contract.toml")? {
        relations(&text.parse::<toml::Table>()?.into(), &mut found);
    }
    Ok(found)
}

fn relations(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| relations(item, found)),
        Value::Table(table) => {
            found.extend(table.get("that").and_then(Value::as_str).map(str::to_owned));
            table.values().for_each(|value| relations(value, found));
        }
        _ => {}
    }
}

/// The built guests that are small enough.
fn components(root: &Path) -> Result<Vec<Vec<u8>>> {
    let mut components = Vec::new();
    for path in FOLDERS.iter().map(|folder| root.join(folder).join("build")).filter(|path| path.is_dir()) {
        for component in listed(&path)? {
            components.push(fs::read(component)?);
        }
    }
    components.retain(|component| component.len() <= COMPONENT_BYTES_MAX);
    Ok(components)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn parse(path: &Path) -> Result<toml::Table> {
    fs::read_to_string(path)?.parse().with_context(|| format!("`{}` is not TOML", path.display()))
}
