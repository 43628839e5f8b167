//! Compares two sets of tool definitions, for a reviewer.
//!
//! Owns the comparison, its text, and the meaning of "wider": a change that lets an agent send more, or a tool do or
//! answer more, than was approved. A change that cannot be shown to be narrower counts as wider. A change of text is
//! never wider, but it is shown in full. Must not know where definitions come from. To compare a new part: its line in
//! `definition::compare`.

mod definition;
mod keyword;
mod note;
mod schema;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::registry::Definition;
use airlock_types::difference::Difference;
pub use note::Note;
pub use shown::escaped_json;

/// One change of one tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The public name of the tool.
    pub tool: String,
    /// The place in its definition, as `input_schema.properties.value.type`. Empty for the tool as a whole.
    pub path: String,
    /// The old value; none when it was added.
    pub before: Option<Value>,
    /// The new value; none when it was removed.
    pub after: Option<Value>,
    /// Whether the change allows more than before.
    pub wider: bool,
    /// What a reviewer should know about a change of this kind.
    pub note: Option<Note>,
}

/// All changes, ordered by tool and path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(pub Vec<Change>);

/// Compares two sets of definitions. A new tool is wider, a removed one is not.
pub fn changes(before: &BTreeMap<String, Definition>, after: &BTreeMap<String, Definition>) -> Changes {
    // Sorted names of both sides, so that the digest of the same changes is always the same.
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for tool in names {
        let present = || Some(Value::from("present"));
        match (before.get(tool), after.get(tool)) {
            // A removed tool serves no calls. A new one offers something that was not approved.
            (Some(_), None) => changes.push(Change::whole(tool, present(), None, false)),
            (None, Some(_)) => changes.push(Change::whole(tool, None, present(), true)),
            (Some(before), Some(after)) => changes.extend(changes_of(tool, before, after)),
            (None, None) => {}
        }
    }
    Changes(changes)
}

/// Compares two definitions of one tool.
pub(crate) fn changes_of(tool: &str, before: &Definition, after: &Definition) -> Vec<Change> {
    let found = definition::compare(before, after).into_iter();
    let change = |found: Difference| {
        let note = note::of(&found, &before.input_schema);
        let Difference { path, before, after, wider } = found;
        Change { tool: tool.to_owned(), path: shown::path(&path), before, after, wider, note }
    };
    found.map(change).collect()
}

impl Change {
    /// The change of a tool that was added, removed or is known by its digest only.
    pub(crate) fn whole(tool: &str, before: Option<Value>, after: Option<Value>, wider: bool) -> Change {
        Change { tool: tool.to_owned(), path: String::new(), before, after, wider, note: None }
    }
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any change allows more than before.
    pub fn is_wider(&self) -> bool {
        self.0.iter().any(|change| change.wider)
    }

    /// Whether a text changed that models read.
    pub fn has_texts(&self) -> bool {
        self.0.iter().any(|change| change.note == Some(Note::Text))
    }

    /// Whether a signature is gone or older. No pin accepts that by itself.
    pub fn weakens_signatures(&self) -> bool {
        let weakens = |note| matches!(note, Note::SignatureGone | Note::SignatureOlder);
        self.0.iter().filter_map(|change| change.note).any(weakens)
    }

    /// A digest of exactly these changes. A reviewer accepts the changes by it.
    pub fn digest(&self) -> String {
        // Over the debug form, which has every field, `wider` included. Whole: the author of two versions could find two
        // that share the first digits, and have one accepted for the other.
        let text: String = self.0.iter().map(|change| format!("{change:?}\n")).collect();
        airlock_types::digest::sha256(text.as_bytes())
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tool = "";
        for change in &self.0 {
            if change.tool != tool {
                tool = &change.tool;
                writeln!(f, "{}", shown::visible(tool))?;
            }
            let mark = match change.note {
                _ if change.wider => "  WIDER",
                Some(Note::Text) => "  REVIEW",
                _ => "",
            };
            let path = if change.path.is_empty() { "the whole tool" } else { &change.path };
            match (&change.before, &change.after) {
                (None, None) => writeln!(f, "  ~ {path}{mark}")?,
                (None, Some(_)) if change.path.is_empty() => writeln!(f, "  + {path}{mark}")?,
                (Some(_), None) if change.path.is_empty() => writeln!(f, "  - {path}{mark}")?,
                (None, Some(after)) => writeln!(f, "  + {path}: {}{mark}", shown::value(after))?,
                (Some(before), None) => writeln!(f, "  - {path}: {}{mark}", shown::value(before))?,
                (Some(before), Some(after)) => {
                    // Long values that share most of their text are shown by their difference.
                    let (before, after) = shown::difference(before, after);
                    writeln!(f, "  ~ {path}{mark}\n    - {before}\n    + {after}")?;
                }
            }
            if let Some(note) = change.note {
                writeln!(f, "    {}", note.text())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
