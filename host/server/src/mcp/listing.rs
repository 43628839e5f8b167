//! `tools/list`: tool definitions in a fixed order, in pages.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CacheScope, JsonObject, ListToolsResult, Tool, ToolAnnotations};
use serde_json::Value;

use crate::output::output_schema;
use airlock::host::Visible;
use airlock::registry::Tool as Registered;
use airlock_types::digest::sha256;
use airlock_types::effect::Effect;

/// Number of tools on one page. A page is built in memory and counted as 1 MiB in the request budget over stdio.
const PAGE: usize = 100;

/// Time in milliseconds for which a client may cache the list. A change is also announced by a notification.
const TTL_MS: u64 = 60_000;

/// Hex digits of a cursor's digest. It finds mistakes and is no secret: a cursor names a place in a list, and nothing else.
const CURSOR_DIGITS: usize = 16;

/// The page after `cursor`.
pub(super) fn page(visible: &Visible, cursor: Option<&str>) -> Result<ListToolsResult, ErrorData> {
    let no_cursor = || {
        ErrorData::invalid_params(
            "the cursor is not one that this server gave; ask without one for the first page",
            None,
        )
    };
    let after = cursor.map(|cursor| name_in(cursor).ok_or_else(no_cursor)).transpose()?.unwrap_or_default();
    let rest: Vec<&Arc<Registered>> =
        visible.offered().filter(|tool| &*tool.name > after).take(PAGE + 1).collect();
    let mut list =
        ListToolsResult::with_all_items(rest.iter().take(PAGE).map(|tool| self::tool(tool)).collect());
    list.next_cursor = (rest.len() > PAGE).then(|| self::cursor(&rest[PAGE - 1].name));
    list.ttl_ms = Some(TTL_MS);
    // The list depends on the caller, so shared caches must not store it.
    list.cache_scope = Some(CacheScope::Private);
    Ok(list)
}

/// The cursor after a page whose last tool has this name. It holds in every process and after a reload: if the tool was removed
/// or revoked meanwhile, the list goes on at its place in the order of names.
fn cursor(name: &str) -> String {
    let mut digest = sha256(format!("tools/list\n{name}").as_bytes());
    digest.truncate(CURSOR_DIGITS);
    format!("{digest}.{name}")
}

/// The name in a cursor. `None` for a text that was not made by [`cursor`].
fn name_in(text: &str) -> Option<&str> {
    let (_, name) = text.split_once('.')?;
    (cursor(name) == text).then_some(name)
}

/// Converts a tool to its MCP definition.
pub(super) fn tool(tool: &Registered) -> Tool {
    let contract = &tool.contract;
    let mut listed = Tool::new_with_raw(
        tool.name.to_string(),
        Some(tool.description().into_owned().into()),
        Arc::new(object(contract.input_schema())),
    )
    .with_raw_output_schema(Arc::new(object(output_schema(contract))))
    .with_annotations(annotations(tool));
    listed.title.clone_from(&contract.title);
    listed
}

fn object(schema: Value) -> JsonObject {
    if let Value::Object(object) = schema { object } else { JsonObject::new() }
}

/// Hints derived from the effect class and the grants. The author's claim alone never produces a hint.
fn annotations(tool: &Registered) -> ToolAnnotations {
    let mut annotations = ToolAnnotations::new();
    annotations.title.clone_from(&tool.contract.title);
    annotations.read_only_hint = Some(tool.effect <= Effect::Read);
    annotations.destructive_hint = Some(tool.effect >= Effect::Write);
    annotations.idempotent_hint = Some(tool.effect <= Effect::Idempotent);
    annotations.open_world_hint = Some(tool.is_open_world);
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_one_that_was_given() {
        for name in ["convert_099", "a.b", ""] {
            assert_eq!(name_in(&cursor(name)), Some(name));
        }
        let given = cursor("convert_099");
        let (digest, _) = given.split_once('.').unwrap();
        for text in ["", "%", "eyJ", "\0", "9999999999", "convert_099", ".convert_099", digest] {
            assert_eq!(name_in(text), None, "{text}");
        }
        assert_eq!(name_in(&format!("{digest}.convert_098")), None);
    }
}
