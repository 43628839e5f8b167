//! `tools/list`: tool definitions in a fixed order, in pages.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CacheScope, JsonObject, ListToolsResult, Tool, ToolAnnotations};
use serde_json::Value;

use crate::output::output_schema;
use airlock::host::Visible;
use airlock::registry::Tool as Registered;
use airlock_types::effect::Effect;

/// Number of tools on one page. A page is built in memory and counted as 1 MiB in the request budget over stdio.
const PAGE: usize = 100;

/// Time in milliseconds for which a client may cache the list. A change is also announced by a notification.
const TTL_MS: u64 = 60_000;

/// The page after `cursor`. A cursor is the name of the last tool of the previous page. If that tool was removed or
/// revoked meanwhile, the page goes on at its place in the order of names.
pub(super) fn page(visible: &Visible, cursor: Option<&str>) -> Result<ListToolsResult, ErrorData> {
    let after = cursor.unwrap_or_default();
    let rest: Vec<&Arc<Registered>> =
        visible.offered().filter(|tool| &*tool.name > after).take(PAGE + 1).collect();
    // A cursor is given only if tools follow it. If these are gone as well, the client starts again.
    if rest.is_empty() && !after.is_empty() && visible.resolve(after).is_err() {
        return Err(ErrorData::invalid_params("the cursor is not one that this server gave", None));
    }
    let mut list =
        ListToolsResult::with_all_items(rest.iter().take(PAGE).map(|tool| self::tool(tool)).collect());
    list.next_cursor = (rest.len() > PAGE).then(|| rest[PAGE - 1].name.to_string());
    list.ttl_ms = Some(TTL_MS);
    // The list depends on the caller, so shared caches must not store it.
    list.cache_scope = Some(CacheScope::Private);
    Ok(list)
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
