//! End-to-end cases: one TOML file each under `tests/cases`.
//!
//! A case names a registry, a tool and arguments, and says what must come of it. It runs through every door
//! and must come to the same at each. To add one: a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, as a sentence.
    pub what: String,
    /// `example` or `hostile`.
    pub registry: String,
    /// The tool's public name.
    pub tool: String,
    /// The arguments: a JSON object, as text.
    pub args: String,
    /// Whether the result is another at each call: a clock's, a random number.
    #[serde(default)]
    pub varies: bool,
    /// What must come of it.
    pub expect: Expect,
}

/// What must come of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The outcome code.
    pub code: String,
    /// Pieces of the error's text.
    #[serde(default)]
    pub message: Vec<String>,
    /// Values of the reply, by JSON pointer, as JSON text.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Kinds of findings that must be there.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Pieces of the call's record.
    #[serde(default)]
    pub record: Vec<String>,
    /// What nothing of the reply may say.
    #[serde(default)]
    pub unsaid: Vec<String>,
}

/// All cases, in the order of their files.
///
/// # Errors
/// When a file is not a case.
pub fn all() -> anyhow::Result<Vec<(String, Case)>> {
    let folder = crate::root().join("tests/cases");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .map(|path| read(path))
        .collect()
}

fn read(path: &Path) -> anyhow::Result<(String, Case)> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let case = toml::from_str(&std::fs::read_to_string(path)?)
        .map_err(|err| anyhow::anyhow!("{}: {err}", path.display()))?;
    Ok((name, case))
}

impl Expect {
    /// What of a reply is not as it must be; empty where everything is. `reply` is the whole envelope.
    pub fn faults(&self, reply: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        if reply["code"] != Value::String(self.code.clone()) {
            faults.push(format!("code is {}, not {}", reply["code"], self.code));
        }
        let message = reply["error"]["message"].as_str().unwrap_or_default();
        for piece in &self.message {
            if !message.contains(piece) {
                faults.push(format!("the text does not say {piece:?}: {message}"));
            }
        }
        for (pointer, expected) in &self.values {
            let found = reply.pointer(pointer).cloned().unwrap_or_default();
            if serde_json::from_str::<Value>(expected).ok() != Some(found.clone()) {
                faults.push(format!("{pointer} is {found}, not {expected}"));
            }
        }
        let whole = reply.to_string();
        let said = self.unsaid.iter().filter(|piece| whole.contains(*piece));
        faults.extend(said.map(|piece| format!("the reply says {piece:?}: {whole}")));
        for kind in &self.findings {
            let found = reply["findings"].as_array().into_iter().flatten();
            if !found.clone().any(|finding| finding["kind"] == kind.as_str()) {
                faults.push(format!("no finding `{kind}` among {:?}", found.collect::<Vec<_>>()));
            }
        }
        faults
    }

    /// What of a record is not as it must be.
    pub fn record_faults(&self, record: &Value) -> Vec<String> {
        let whole = record.to_string();
        let unsaid = self.record.iter().filter(|piece| !whole.contains(*piece));
        unsaid.map(|piece| format!("the record does not say {piece:?}: {whole}")).collect()
    }
}
