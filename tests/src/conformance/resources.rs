//! Resources of the suite, besides those of the product, which are results of calls.

use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, ReadResourceResult, ResourceTemplate};
use serde_json::{Value, json};

use super::model;

/// A red PNG of one pixel.
pub(super) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

const WATCHED: &str = "test://watched-resource";

pub(super) fn list() -> Result<ListResourcesResult, ErrorData> {
    let resource = |uri: &str, mime_type: &str| {
        let name = uri.trim_start_matches("test://");
        json!({"uri": uri, "name": name, "description": format!("The suite's {name}"), "mimeType": mime_type})
    };
    model(json!({"resources": [
        resource("test://static-binary", "image/png"),
        resource("test://static-text", "text/plain"),
        resource(WATCHED, "text/plain"),
    ], "resultType": "complete"}))
}

pub(super) fn template() -> Result<ResourceTemplate, ErrorData> {
    model(json!({
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "The suite's template",
        "mimeType": "application/json",
    }))
}

/// The contents of a resource; none for a resource of the product.
pub(super) fn read(uri: &str) -> Result<Option<ReadResourceResult>, ErrorData> {
    let Some(mut contents) = contents(uri) else { return Ok(None) };
    contents["uri"] = json!(uri);
    model(json!({"contents": [contents], "resultType": "complete"})).map(Some)
}

fn contents(uri: &str) -> Option<Value> {
    let text = |text: &str| json!({"mimeType": "text/plain", "text": text});
    Some(match uri {
        "test://static-text" => text("This is the content of the static text resource."),
        "test://static-binary" => json!({"mimeType": "image/png", "blob": PIXEL}),
        WATCHED => text("This resource never changes."),
        other => {
            let id = other.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"mimeType": "application/json", "text": data.to_string()})
        }
    })
}

/// Checks that a resource exists, for subscriptions to it.
pub(super) fn known(uri: &str) -> Result<(), ErrorData> {
    match contents(uri) {
        Some(_) => Ok(()),
        None => Err(ErrorData::resource_not_found(format!("there is no resource `{uri}`"), None)),
    }
}
