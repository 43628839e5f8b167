//! Keywords that a contract states at places of the result: agents are shown them, so a result holds to them.
//!
//! Owns the check of one place. Must not know which keywords a place accepts: `schema::overlay` does.

use serde_json::{Map, Value};

use super::scalar::doubt;
use super::{Compiled, Doubts};
use crate::lift::lift_numbers;
use crate::path::Path;
use crate::schema;
use crate::ty::Ty;
use crate::validate::{SchemaError, Validator};
use airlock_types::finding::Verdict;

/// The kind of its findings.
pub(super) const KIND: &str = "schema";

/// The check of one place. `None` where the keywords only describe it, and for a path that leads nowhere. `is_known` says that
/// the keywords compiled before.
///
/// # Errors
/// When the validator does not take the keywords.
pub(super) fn compile(
    path: &Path,
    keywords: &Map<String, Value>,
    result: &Ty,
    is_known: bool,
) -> Result<Option<Compiled>, SchemaError> {
    let held = keywords.iter().filter(|(keyword, _)| !schema::is_note(keyword));
    let mut held: Map<String, Value> =
        held.map(|(keyword, value)| (keyword.clone(), value.clone())).collect();
    let Some(ty) = path.resolve(result).ok().map(crate::path::through).filter(|_| !held.is_empty()) else {
        return Ok(None);
    };
    if crate::phrase::bounds(ty).is_some() {
        held.insert("type".to_owned(), "integer".into());
    }
    let held = Value::Object(held);
    let mut validator = if is_known { Validator::known(&held) } else { Validator::new(&held)? };
    validator.rest();
    let (path, ty) = (path.clone(), ty.clone());
    let check = move |context: &super::Context<'_>| {
        let mut doubts = Doubts::default();
        for (at, val) in path.select(context.result) {
            // A value has the type of its place.
            let value = lift_numbers(&ty, val).unwrap_or_default();
            for broken in validator.violations(&value) {
                doubts.push(|| doubt(at.clone(), broken.expected, broken.got));
            }
        }
        doubts
    };
    Ok(Some(Compiled {
        kind: KIND,
        default: Verdict::Reject,
        declared: None,
        told: (&Value::Null).into(),
        when: None,
        check: Box::new(check),
    }))
}
