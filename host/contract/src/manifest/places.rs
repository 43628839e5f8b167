//! The tables of places, `tool.FN.args."path"` and `tool.FN.result."path"`: keywords, and how the place is published.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;

use super::Manifest;
use super::bound::{self, Problems};
use crate::path::{Path, PathError};
use crate::published::{Form, Root, Written, form};
use airlock_types::diagnostic::Diagnostic;
use airlock_types::words::did_you_mean;

/// What a contract says of the places of the arguments, or of the result.
#[derive(Default)]
pub(super) struct Places {
    /// Schema keywords.
    pub(super) keywords: BTreeMap<Path, Map<String, Value>>,
    /// How they are published, where that differs from their types.
    pub(super) form: Option<Form>,
    /// The units of numbers.
    pub(super) units: BTreeMap<Path, String>,
}

/// Reads the tables of places. `root` is what they are places of: none for a function without a result. `is_open` says
/// that unknown arguments are ignored.
pub(super) fn places(
    manifest: &Manifest,
    written: &BTreeMap<Spanned<String>, Map<String, Value>>,
    (root, is_open): (Option<Root<'_>>, bool),
    problems: &mut Problems,
) -> Places {
    let (mut keywords, mut forms, mut spans) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    if is_open {
        // The arguments as a whole have no table of their own.
        forms.insert(Path::default(), Written { is_open, ..Written::default() });
    }
    for (text, table) in written {
        if problems.is_full() {
            break;
        }
        if let Some((keyword, _)) = table.iter().find(|(_, value)| bound::has_null(value)) {
            problems.add(|| manifest.plain(text.span(), bound::not_finite(keyword), "this place"));
            continue;
        }
        let mut table = table.clone();
        let found = place(text.get_ref(), root);
        let keys = Written::take(&mut table);
        let (path, has_ty, keys) = match (found, keys) {
            (Ok((path, has_ty)), Ok(keys)) => (path, has_ty, keys),
            (Err(err), _) => {
                problems.add(|| unknown(manifest, text.span(), &err));
                continue;
            }
            (_, Err(why)) => {
                problems.add(|| manifest.plain(text.span(), why, "this place"));
                continue;
            }
        };
        if let (false, Some(keyword)) = (has_ty, table.keys().next()) {
            let message = format!("`{keyword}` is for values, and a case without a payload has none");
            problems.add(|| manifest.plain(text.span(), message, "this case"));
            continue;
        }
        let notes = ["description", "title", "examples"];
        if let (true, Some(keyword)) = (keys.is_json, table.keys().find(|key| !notes.contains(&key.as_str())))
        {
            let message = format!("`{keyword}` is for strings, and with `json` it is none: use `schema`");
            problems.add(|| manifest.plain(text.span(), message, "this place"));
            continue;
        }
        spans.insert(path.clone(), text.span());
        if keys != Written::default() {
            forms.insert(path.clone(), keys);
        }
        if has_ty {
            keywords.insert(path, table);
        }
    }
    let built = root.filter(|_| !forms.is_empty()).map(|root| form(root, &forms)).unwrap_or_default();
    for (path, why) in built.problems {
        let span = spans.get(&path).cloned().unwrap_or_default();
        problems.add(|| manifest.plain(span, format!("`{path}`: {why}"), "this place"));
    }
    let units = forms.into_iter().filter_map(|(path, keys)| Some((path, keys.unit?)));
    Places { keywords, form: built.form, units: units.collect() }
}

/// A place, and whether a value is there: a case without a payload has none.
fn place(text: &str, root: Option<Root<'_>>) -> Result<(Path, bool), PathError> {
    let path = Path::parse(text)?;
    let root = root.ok_or_else(|| PathError::Unknown { name: path.to_string(), known: vec![] })?;
    let ty = root.resolve(&path)?;
    Ok((path, ty.is_some()))
}

fn unknown(manifest: &Manifest, span: Range<usize>, err: &PathError) -> Diagnostic {
    let mut problem = manifest.plain(span, err.to_string(), "this path");
    if let PathError::Unknown { name, known } = err {
        problem.hint = did_you_mean(name, known.iter().map(String::as_str));
    }
    problem
}
