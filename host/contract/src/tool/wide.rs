//! Constraints on 64-bit integers. JSON Schema applies them to the number and ignores the decimal string.
//!
//! Owns the check of both forms after values are lowered, when they are one integer. Must not know schemas as a whole.

use std::ops::ControlFlow;

use serde_json::Value;

use super::Keywords;
use crate::path;
use crate::ty::{Field, Ty};
use crate::validate::VIOLATIONS_MAX;
use crate::{Val, schema};
use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::shorten;
use airlock_types::violation::Violation;

/// The constraints of places whose type is a 64-bit integer.
#[derive(Debug)]
pub(super) struct Wide(Keywords);

impl Wide {
    /// Selects them from all constraints of a tool.
    pub(super) fn of(mut constraints: Keywords, params: &[Field]) -> Wide {
        let is_wide = |ty: &Ty| matches!(ty, Ty::S64 | Ty::U64);
        // Only places of a 64-bit type: for all others the schema is exact, and every call would pay for a second
        // check.
        constraints.retain(|path, _| path.resolve_params(params).is_ok_and(|ty| is_wide(path::through(ty))));
        Wide(constraints)
    }

    /// The violations, at most [`VIOLATIONS_MAX`].
    pub(super) fn violations(&self, params: &[Field], values: &[Val]) -> Vec<Violation> {
        let mut found = Vec::new();
        for (path, keywords) in &self.0 {
            path.visit_params(params, values, &mut |at, val| {
                if let Some((keyword, bound)) = schema::broken(keywords, val) {
                    found.push(violation(at, val, keyword, bound));
                }
                // Stops the visit: a path over lists can lead to tens of thousands of values.
                if found.len() < VIOLATIONS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
        }
        found.truncate(VIOLATIONS_MAX);
        found
    }
}

fn violation(at: &Place<'_>, val: &Val, keyword: &str, bound: &Value) -> Violation {
    Violation {
        code: Code::ArgsConstraint,
        path: at.path(),
        pointer: at.pointer(),
        keyword: keyword.to_owned(),
        expected: format!("{keyword} {}", shorten::shorten(&bound.to_string(), 60)),
        got: match val {
            Val::U64(n) => n.to_string(),
            Val::S64(n) => n.to_string(),
            _ => "another value".to_owned(),
        },
        hint: None,
    }
}
