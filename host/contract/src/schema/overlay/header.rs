//! Arguments that clients also send as headers: where that can be said, and by which names.

use serde_json::Value;

use super::{HEADER, OverlayError, name};
use crate::path::{Path, Segment};

/// Whether a text can be a part of a header's name (RFC 9110, `token`).
pub(super) fn is_name(text: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(token)
}

/// Clients refuse a tool whose header stands anywhere but on an argument, or on a field of one, that is always
/// there; and one that names a header twice.
pub(super) fn reachable(schema: &Value, path: &Path, header: &Value) -> Result<(), OverlayError> {
    let mut node = schema;
    for step in path.steps() {
        let next = if let Segment::Field(field) = step { property(node, field) } else { None };
        node = next.ok_or_else(|| unfit(node))?;
    }
    match header.as_str() {
        Some(header) if names(schema, header) => Err(OverlayError::Taken { keyword: HEADER.into() }),
        _ => Ok(()),
    }
}

fn property<'s>(node: &'s Value, field: &str) -> Option<&'s Value> {
    node.get("properties")?.get(field)
}

fn unfit(node: &Value) -> OverlayError {
    let place =
        node.as_object().map_or_else(String::new, |schema| format!("what is inside {}", name(schema)));
    OverlayError::Unfit { keyword: HEADER.into(), place }
}

/// Whether a schema names this header; case means nothing in them.
fn names(schema: &Value, header: &str) -> bool {
    let here = schema.get(HEADER).and_then(Value::as_str);
    here.is_some_and(|here| here.eq_ignore_ascii_case(header))
        || schema
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(|all| all.values().any(|it| names(it, header)))
}
