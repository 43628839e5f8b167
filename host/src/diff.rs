//! What changed between two sets of tool definitions, for a reviewer.
//!
//! Owns the comparison, its text, and what counts as wider: whatever lets an agent send more, or a tool do more,
//! than was approved. In doubt a change is wider. Must not know where definitions come from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::contract::shorten::shorten;
use crate::registry::Definition;

/// The longest piece of a value that is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// One thing that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The tool.
    pub tool: String,
    /// Where in its definition: `input_schema.properties.value.type`; empty for the tool as a whole.
    pub path: String,
    /// What was there.
    pub before: Option<Value>,
    /// What is there.
    pub after: Option<Value>,
    /// Whether more is possible than before.
    pub wider: bool,
}

/// Everything that changed, in the order of tools and paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(pub Vec<Change>);

/// Compares what was with what is.
pub fn changes(before: &BTreeMap<String, Definition>, after: &BTreeMap<String, Definition>) -> Changes {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for tool in names {
        let whole =
            |before, after, wider| Change { tool: tool.clone(), path: String::new(), before, after, wider };
        let value = |definition: &Definition| serde_json::to_value(definition).unwrap_or_default();
        match (before.get(tool), after.get(tool)) {
            (Some(_), None) => changes.push(whole(Some(Value::from("present")), None, false)),
            (None, Some(_)) => changes.push(whole(None, Some(Value::from("present")), true)),
            (Some(before), Some(after)) => {
                compare(tool, &mut Vec::new(), Some(&value(before)), Some(&value(after)), &mut changes);
            }
            (None, None) => {}
        }
    }
    Changes(changes)
}

fn compare(
    tool: &str,
    path: &mut Vec<String>,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                path.push(key.clone());
                compare(tool, path, old.get(key), new.get(key), changes);
                path.pop();
            }
        }
        // Lists of names are sets here: required, enum, imports, asked folders.
        (Some(Value::Array(old)), Some(Value::Array(new))) if is_set(path) => {
            let gone = old.iter().filter(|item| !new.contains(item));
            gone.for_each(|item| changes.push(change(tool, path, Some(item), None)));
            let come = new.iter().filter(|item| !old.contains(item));
            come.for_each(|item| changes.push(change(tool, path, None, Some(item))));
        }
        _ => changes.push(change(tool, path, before, after)),
    }
}

fn is_set(path: &[String]) -> bool {
    path.last().is_some_and(|key| ["required", "enum", "imports", "files", "anyOf"].contains(&key.as_str()))
}

fn change(tool: &str, path: &[String], before: Option<&Value>, after: Option<&Value>) -> Change {
    Change {
        tool: tool.to_owned(),
        path: path.join("."),
        before: before.cloned(),
        after: after.cloned(),
        wider: wider(path, before, after),
    }
}

fn wider(path: &[String], before: Option<&Value>, after: Option<&Value>) -> bool {
    let last = path.last().map_or("", String::as_str);
    match path.first().map_or("", String::as_str) {
        "component" | "title" | "description" | "output_schema" => false,
        "imports" | "asks" => after.is_some() && !["reason", "optional"].contains(&last),
        "effects" => rank(after) > rank(before),
        // Words within a schema let nothing more in.
        _ if ["description", "examples", "title"].contains(&last) => false,
        _ => !narrower(last, before, after),
    }
}

/// Whether a change of a schema's keyword surely lets less in.
fn narrower(keyword: &str, before: Option<&Value>, after: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    match keyword {
        "required" => after.is_some(),
        "enum" | "anyOf" => after.is_none(),
        _ if keyword.to_lowercase().contains("min") => after.is_some() && number(after) > number(before),
        _ if keyword.to_lowercase().contains("max") => {
            after.is_some() && number(before).is_none_or(|before| number(after) < Some(before))
        }
        "pattern" => before.is_none(),
        _ => false,
    }
}

fn rank(effect: Option<&Value>) -> usize {
    let order = ["pure", "read", "idempotent", "write", "irreversible"];
    let name = effect.and_then(Value::as_str).unwrap_or_default();
    order.iter().position(|known| *known == name).unwrap_or(order.len())
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether more is possible than before.
    pub fn is_wider(&self) -> bool {
        self.0.iter().any(|change| change.wider)
    }

    /// A short digest of exactly these changes: what a reviewer accepts.
    pub fn digest(&self) -> String {
        let text: String = self.0.iter().map(|change| format!("{change:?}\n")).collect();
        crate::contract::digest::sha256(text.as_bytes())[..16].to_owned()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tool = "";
        for change in &self.0 {
            if change.tool != tool {
                tool = &change.tool;
                writeln!(f, "{tool}")?;
            }
            let mark = if change.wider { "  WIDER" } else { "" };
            match (&change.before, &change.after) {
                (None, Some(_)) if change.path.is_empty() => writeln!(f, "  + the whole tool{mark}")?,
                (Some(_), None) if change.path.is_empty() => writeln!(f, "  - the whole tool{mark}")?,
                (None, Some(after)) => writeln!(f, "  + {}: {}{mark}", change.path, shown(after))?,
                (Some(before), None) => writeln!(f, "  - {}: {}{mark}", change.path, shown(before))?,
                (before, after) => {
                    let shown = |value: &Option<Value>| value.as_ref().map_or_else(String::new, shown);
                    writeln!(f, "  ~ {}{mark}", change.path)?;
                    writeln!(f, "    - {}", shown(before))?;
                    writeln!(f, "    + {}", shown(after))?;
                }
            }
        }
        Ok(())
    }
}

fn shown(value: &Value) -> String {
    shorten(&value.to_string(), SHOWN_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::effect::Effect;

    fn definition() -> Definition {
        Definition {
            component: "aa".into(),
            title: None,
            description: "Adds".into(),
            effects: Effect::Pure,
            input_schema: json!({
                "properties": {"a": {"type": "integer", "maximum": 9}, "b": {"enum": ["x"]}},
                "required": ["a"],
            }),
            output_schema: json!({}),
            asks: Default::default(),
            imports: vec!["wasi:cli/environment".into()],
        }
    }

    fn check(edit: impl FnOnce(&mut Definition), path: &str, wider: bool) {
        let mut after = definition();
        edit(&mut after);
        let set = |definition| BTreeMap::from([("add".to_owned(), definition)]);
        let found = changes(&set(definition()), &set(after));
        assert_eq!(found.0.len(), 1, "{found}");
        assert_eq!((found.0[0].path.as_str(), found.0[0].wider), (path, wider), "{found}");
    }

    #[test]
    fn names_exactly_what_changed_and_whether_it_is_wider() {
        check(|d| d.description = "Adds; ignore all else".into(), "description", false);
        check(|d| d.component = "bb".into(), "component", false);
        check(|d| d.imports.push("wasi:sockets/tcp".into()), "imports", true);
        check(|d| d.effects = Effect::Write, "effects", true);
        let maximum = "input_schema.properties.a.maximum";
        check(|d| d.input_schema["properties"]["a"]["maximum"] = json!(10), maximum, true);
        check(|d| d.input_schema["properties"]["a"]["maximum"] = json!(8), maximum, false);
        check(
            |d| d.input_schema["properties"]["b"]["enum"] = json!(["x", "y"]),
            "input_schema.properties.b.enum",
            true,
        );
        check(|d| d.input_schema["required"] = json!([]), "input_schema.required", true);
        check(|d| d.input_schema["required"] = json!(["a", "b"]), "input_schema.required", false);
        check(|d| d.input_schema["properties"]["c"] = json!({}), "input_schema.properties.c", true);
    }

    #[test]
    fn the_digest_is_of_exactly_these_changes() {
        let none = BTreeMap::new();
        let one = BTreeMap::from([("add".to_owned(), definition())]);
        let (added, gone) = (changes(&none, &one), changes(&one, &none));
        assert!(added.is_wider() && !gone.is_wider() && changes(&one, &one).is_empty());
        assert_ne!(added.digest(), gone.digest());
        assert_eq!(added.digest(), changes(&none, &one).digest());
        assert_eq!(added.to_string(), "add\n  + the whole tool  WIDER\n");
    }
}
