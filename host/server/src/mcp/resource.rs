//! Resources: the whole result of a call, read from its record. Only the caller that made the call can read it.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate,
};
use serde_json::json;

use airlock::host::Host;
use airlock_types::caller::Caller;
use airlock_types::reply::Reply;
use airlock_types::shorten::{clean, shorten, visible_json};

const SCHEME: &str = "airlock://records/";
const RESULT: &str = "/result";
const JSON: &str = "application/json";

/// The list of resource templates: only the results of records.
pub(super) fn templates() -> ListResourceTemplatesResult {
    let mut template = ResourceTemplate::new(format!("{SCHEME}{{record}}{RESULT}"), "result");
    template.description = Some("The result of a call, by its record's id".into());
    template.mime_type = Some(JSON.into());
    ListResourceTemplatesResult::with_all_items(vec![template])
}

/// The resource link to a reply's result.
pub(super) fn link(reply: &Reply) -> Resource {
    let mut link =
        Resource::new(format!("{SCHEME}{}{RESULT}", reply.record), format!("{}-result", reply.tool));
    link.mime_type = Some(JSON.into());
    link
}

/// The result of a call that this caller made. Records of other callers are reported as missing, so that ids cannot be
/// probed.
pub(super) async fn read(
    host: Arc<Host>,
    who: Caller,
    uri: String,
) -> Result<ReadResourceResponse, ErrorData> {
    let missing = || {
        let uri = shorten(&clean(&uri), 120);
        ErrorData::resource_not_found(format!("there is no resource `{uri}`"), Some(json!({"uri": uri})))
    };
    let id = uri.strip_prefix(SCHEME).and_then(|rest| rest.strip_suffix(RESULT)).ok_or_else(missing)?;
    // Requires a whole id. Prefixes would allow finding records by guessing.
    let id = uuid::Uuid::parse_str(id).map_err(|_| missing())?.to_string();
    let found = tokio::task::spawn_blocking(move || host.journal().find(&id)).await;
    let record = match found {
        // The caller's whole name is compared: subjects of one OAuth entry cannot read each other's records.
        Ok(Ok(Some(record))) if record.caller == who.to_string() => record,
        Ok(Ok(_)) => return Err(missing()),
        Ok(Err(err)) => return Err(broken(&err)),
        Err(err) => return Err(broken(&err)),
    };
    let result = record.reply.as_ref().and_then(|reply| reply.get("result")).ok_or_else(missing)?;
    let contents =
        ResourceContents::text(visible_json(&result.to_string()), uri.clone()).with_mime_type(JSON);
    Ok(ReadResourceResponse::Complete(ReadResourceResult::new(vec![contents])))
}

fn broken(err: &dyn std::error::Error) -> ErrorData {
    tracing::error!("a record cannot be read: {err}");
    ErrorData::internal_error("the host cannot read its journal", None)
}
