//! Arguments that clients also send as headers: where the keyword is allowed, and its names (SEP-2243).

use serde_json::Value;

use super::{HEADER, OverlayError, name};
use crate::path::{Path, Segment};

/// Whether a text can be part of a header name: a `token` of RFC 9110.
pub(super) fn is_name(text: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(token)
}

/// Checks that an argument can have a header. Clients refuse a tool whose header belongs to a list item or an
/// optional value, and a tool that uses a header name twice.
pub(super) fn reachable(schema: &Value, path: &Path, header: &Value) -> Result<(), OverlayError> {
    let mut node = schema;
    for step in path.steps() {
        // Options and references have no `properties` of their own, so a path through one ends here.
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

/// Whether any argument of a schema has a header.
pub(crate) fn any(schema: &Value) -> bool {
    let inside = || schema.get("properties").and_then(Value::as_object);
    schema.get(HEADER).is_some() || inside().is_some_and(|all| all.values().any(any))
}

/// Whether a schema already has this header name. Header names ignore case.
fn names(schema: &Value, header: &str) -> bool {
    let here = schema.get(HEADER).and_then(Value::as_str);
    here.is_some_and(|here| here.eq_ignore_ascii_case(header))
        || schema
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(|all| all.values().any(|it| names(it, header)))
}
