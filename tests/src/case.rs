//! End-to-end cases: one TOML file each under `tests/cases`.
//!
//! A case names a registry, a tool and arguments, and states the expected outcome. It runs through every door and must
//! have the same outcome at each. To add one: a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// One case, as its file states it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows, as a sentence.
    pub what: String,
    /// The registry: `example` or `hostile`.
    pub registry: String,
    /// The tool's public name.
    pub tool: String,
    /// The arguments: a JSON object, as text.
    pub args: String,
    /// Whether the result differs from call to call, as for a clock or a random number.
    #[serde(default)]
    pub varies: bool,
    /// The expected outcome.
    pub expect: Expect,
}

/// The expected outcome of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The outcome code.
    pub code: String,
    /// Texts that the error message must contain.
    #[serde(default)]
    pub message: Vec<String>,
    /// Values of the reply, by JSON pointer, as JSON text.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Kinds of findings that the reply must have.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Texts that the record must contain.
    #[serde(default)]
    pub record: Vec<String>,
    /// Texts that the reply must not contain anywhere.
    #[serde(default)]
    pub unsaid: Vec<String>,
}

/// All cases, sorted by file name.
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
    /// The differences between a reply and the expectation; empty if there are none. `reply` is the whole envelope.
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

    /// The expected texts that a record does not contain.
    pub fn record_faults(&self, record: &Value) -> Vec<String> {
        let whole = record.to_string();
        let unsaid = self.record.iter().filter(|piece| !whole.contains(*piece));
        unsaid.map(|piece| format!("the record does not say {piece:?}: {whole}")).collect()
    }
}
