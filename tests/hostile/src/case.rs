//! Hostile components as data: the files under `cases`.
//!
//! Owns how a case becomes a component and an entry of a registry, and how it must end. A file holds the cases of one
//! category. To add a case: a `[[case]]` in its file.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use toml::Table;

use crate::template::{expand, expand_text};

/// The end of a case whose component is not loaded.
pub const REFUSED: &str = "refused";

/// What stands around the `module` of a case unless its file says otherwise.
const AROUND: &str = r#"(component
    (core module $m @module@)
    (core instance $i (instantiate $m))
    (func (export "run") (canon lift (core func $i "run"))))"#;

/// A category of cases: one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Category {
    /// What the cases have in common.
    about: String,
    /// The component around each `module`, which takes the place of `@module@`. By default, one that exports `run`.
    around: Option<String>,
    /// Settings of every entry.
    #[serde(default)]
    settings: Table,
    case: Vec<Case>,
}

/// One hostile component, and how it must end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, and the key of its entry.
    pub name: String,
    /// The harm that it tries, as a sentence.
    pub what: String,
    /// Fields of a core module in the text format, which `around` makes a component.
    module: Option<String>,
    /// A component in the text format.
    component: Option<String>,
    /// A whole file.
    bytes: Option<String>,
    /// A guest of `tests/guests`.
    guest: Option<String>,
    /// The function of the guest.
    function: Option<String>,
    /// Arguments of the call: a template of JSON, in which `@url@` is the upstream.
    #[serde(default = "no_arguments")]
    pub args: String,
    /// Settings of its entry.
    #[serde(default)]
    settings: Table,
    /// What the upstream sends, for guests that send requests.
    pub upstream: Option<Upstream>,
    /// The ends that are right: codes of outcomes, or `refused`.
    pub ends: Vec<String>,
    /// Texts that the reply or the log must contain.
    #[serde(default)]
    pub says: Vec<String>,
}

/// What an upstream does after it has read the head of a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// What it sends first.
    pub sends: String,
    /// What it then sends again and again until the connection ends.
    pub floods: Option<String>,
    /// Whether it then keeps the connection open in silence.
    #[serde(default)]
    pub stalls: bool,
}

fn no_arguments() -> String {
    "{}".into()
}

/// All cases, in the order of their files.
///
/// # Errors
/// When a file is not what it should be, or two cases have one name.
pub fn all() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, text) in crate::files("cases")? {
        let category: Category = toml::from_str(&text).with_context(|| name.clone())?;
        ensure!(!category.about.is_empty(), "{name}: `about` is empty");
        cases.extend(category.case.into_iter().map(|case| Case {
            settings: merged(category.settings.clone(), case.settings),
            component: case.component.or_else(|| around(category.around.as_deref(), case.module.as_deref())),
            module: None,
            ..case
        }));
    }
    let names: BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
    ensure!(names.len() == cases.len(), "two cases have one name");
    Ok(cases)
}

fn around(around: Option<&str>, module: Option<&str>) -> Option<String> {
    module.map(|module| around.unwrap_or(AROUND).replace("@module@", module))
}

/// The settings of both; those of the second win.
fn merged(mut first: Table, second: Table) -> Table {
    for (key, value) in second {
        let value = match (first.remove(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merged(below, above).into(),
            (_, value) => value,
        };
        first.insert(key, value);
    }
    first
}

impl Case {
    /// Whether the component must not be loaded.
    pub fn is_refused(&self) -> bool {
        self.ends.iter().all(|end| end == REFUSED)
    }

    /// The bytes of the component.
    ///
    /// # Errors
    /// When the case has no component, or its text is malformed.
    pub fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        match (&self.component, &self.bytes, &self.guest) {
            (Some(text), None, None) => Ok(wat::parse_bytes(&expand(text)?)?.into_owned()),
            (None, Some(bytes), None) => Ok(expand(bytes)?),
            (None, None, Some(guest)) => {
                let path = airlock_tests::root().join(format!("tests/guests/build/{guest}.wasm"));
                std::fs::read(&path)
                    .with_context(|| format!("`{}`: run `cargo xtask guests`", path.display()))
            }
            _ => anyhow::bail!("a case has one of `module`, `component`, `bytes` and `guest`"),
        }
        .with_context(|| self.name.clone())
    }

    /// Whether the text of the component is short, so that it is quickly made.
    pub fn is_small(&self) -> bool {
        let text = self.component.as_ref().or(self.bytes.as_ref());
        text.and_then(|text| expand(text).ok()).is_some_and(|text| text.len() < 1 << 16)
    }

    /// Whether the case builds its component itself, without the built guests.
    pub fn is_made_here(&self) -> bool {
        self.guest.is_none()
    }

    /// The entry in a registry. `@folder@` in it is replaced, and the upstream is granted.
    ///
    /// # Errors
    /// When the settings cannot be written.
    pub fn entry(&self, place: &Place<'_>) -> anyhow::Result<String> {
        let mut entry = crate::ground::entry(&self.name);
        if let Some(function) = &self.function {
            entry.insert("functions".into(), vec![function.clone()].into());
        }
        if self.upstream.is_some() {
            entry.insert("grants".into(), granted(place.port).into());
        }
        let tools = Table::from_iter([(self.name.clone(), merged(entry, self.settings.clone()).into())]);
        let text = toml::to_string(&Table::from_iter([("tools".into(), tools.into())]))?;
        Ok(place.fill(&text))
    }

    /// The deadline of an attempt, in milliseconds.
    pub fn deadline_ms(&self) -> u64 {
        let own = self.settings.get("limits").and_then(|limits| limits.get("deadline_ms")?.as_integer());
        own.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(crate::ground::DEADLINE_MS)
    }

    /// The arguments of the call.
    ///
    /// # Errors
    /// When they are not a template.
    pub fn arguments(&self, place: &Place<'_>) -> anyhow::Result<String> {
        Ok(place.fill(&expand_text(&self.args)?))
    }
}

/// Where a case runs.
pub struct Place<'a> {
    /// The folder that may be granted.
    pub folder: &'a Path,
    /// The port of its upstream.
    pub port: u16,
}

impl Place<'_> {
    fn fill(&self, text: &str) -> String {
        let url = format!("http://127.0.0.1:{}", self.port);
        text.replace("@folder@", &self.folder.to_string_lossy()).replace("@url@", &url)
    }
}

/// The grant of an upstream on loopback.
fn granted(port: u16) -> Table {
    let host = Table::from_iter([
        ("host".to_owned(), "127.0.0.1".into()),
        ("scheme".to_owned(), "http".into()),
        ("port".to_owned(), i64::from(port).into()),
        ("addresses".to_owned(), vec!["127.0.0.1"].into()),
    ]);
    Table::from_iter([("http".to_owned(), toml::Value::Array(vec![host.into()]))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_cases_and_each_is_whole() {
        let cases = all().unwrap();
        assert!(cases.len() >= 120, "{}", cases.len());
        let place = Place { folder: Path::new("/x"), port: 1 };
        for case in &cases {
            assert!(!case.what.is_empty() && !case.ends.is_empty(), "{}", case.name);
            assert!(case.name.len() <= 45, "{}", case.name);
            case.entry(&place).unwrap().parse::<Table>().unwrap();
            serde_json::from_str::<serde::de::IgnoredAny>(&case.arguments(&place).unwrap()).unwrap();
        }
    }

    #[test]
    fn settings_of_a_case_win_over_those_of_its_category() {
        let both = merged(toml::toml! { a = { b = 1, c = 2 } }, toml::toml! { a = { b = 3 } });
        assert_eq!(both, toml::toml! { a = { c = 2, b = 3 } });
    }
}
