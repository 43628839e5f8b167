//! The tables of places, `tool.FN.args."path"` and `tool.FN.result."path"`: keywords, and how the place is published.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;

use super::Manifest;
use super::bound::Problems;
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
}

/// Reads the tables of places. `root` is what they are places of: none for a function without a result.
pub(super) fn places(
    manifest: &Manifest,
    written: &BTreeMap<Spanned<String>, Map<String, Value>>,
    root: Option<Root<'_>>,
    problems: &mut Problems,
) -> Places {
    let (mut keywords, mut forms, mut spans) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (text, table) in written {
        if problems.is_full() {
            break;
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
    Places { keywords, form: built.form }
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
