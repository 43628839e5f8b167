//! `compare` of a function: how two of its answers are compared, where they need not be equal.

use serde::Deserialize;
use toml::Spanned;

use super::Manifest;
use super::bound::Problems;
use crate::compare::{Comparator, Comparators, Rule};
use crate::component::Function;

/// A comparator as a contract writes it: as in a suite, without the tool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCompare {
    at: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    #[serde(deserialize_with = "airlock_types::tables::table")]
    with: Comparator,
}

/// The comparators of a function. One that cannot be used is added to `problems`.
pub(super) fn rules(
    manifest: &Manifest,
    function: &Function,
    written: &[Spanned<WrittenCompare>],
    problems: &mut Problems,
) -> Vec<Rule> {
    let ty = function.ty.result.as_ref();
    let mut rules: Vec<Rule> = Vec::new();
    for one in written {
        let WrittenCompare { at, ty: named, with } = one.get_ref().clone();
        rules.push(Rule { tool: function.name.clone(), at, ty: named, with });
        // With those before it, so that a second one for its place, and one too many, have their place in the file.
        if let Err(err) = Comparators::of(ty, &rules) {
            problems.add(|| manifest.plain(one.span(), err.to_string(), "this comparator"));
            rules.pop();
        }
    }
    rules
}
