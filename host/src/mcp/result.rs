//! A reply as the result of `tools/call`.
//!
//! A good or degraded answer is structured content with its text twin. Everything else is an error result
//! whose text a model can act on; its facts go into `_meta` and never into structured content, since clients
//! hold that against the output schema and would throw instead of showing the error.

use rmcp::model::{CallToolResult, ContentBlock, MetaObject, Resource, ResourceContents};
use serde_json::{Map, Value, json};

use super::META_PREFIX;
use super::context::SESSION;
use crate::call::reply::Reply;
use crate::contract::answer::{Body, Content};
use crate::contract::shorten::clip;

/// A result larger than this is linked; its text would fill a model's context.
const LARGE_BYTES: usize = 64 << 10;

/// So much of a large result is shown as text.
const HEAD_BYTES: usize = 4 << 10;

pub(super) fn result(reply: &Reply) -> CallToolResult {
    let mut result = if reply.code.has_result() { answer(reply) } else { error(reply) };
    result.meta = Some(meta(reply));
    result
}

fn answer(reply: &Reply) -> CallToolResult {
    let compact = reply.compact();
    let mut blocks: Vec<ContentBlock> = reply.content.iter().map(block).collect();
    if reply.result.is_none() && reply.content.is_empty() {
        blocks.push(ContentBlock::text("Done. The tool returned no value."));
    }
    let text = serde_json::to_string(&compact).unwrap_or_default();
    if text.len() > LARGE_BYTES {
        let begins = clip(&text, HEAD_BYTES);
        blocks.push(ContentBlock::text(format!(
            "The result has {} bytes; it is whole in the structured content and in the linked resource. It begins: \
             {begins}",
            text.len()
        )));
        blocks.push(ContentBlock::resource_link(super::resource::link(reply)));
    } else {
        blocks.push(ContentBlock::text(text));
    }
    let mut result = CallToolResult::success(blocks);
    result.structured_content = serde_json::to_value(&compact).ok();
    result
}

fn error(reply: &Reply) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(message(reply))])
}

/// The text of a reply that is no answer.
pub(super) fn message(reply: &Reply) -> String {
    reply.error.as_ref().map_or_else(|| reply.code.to_string(), |error| error.message.clone())
}

fn block(content: &Content) -> ContentBlock {
    match content.clone() {
        Content::Text { text } => ContentBlock::text(text),
        Content::Image { data, mime_type } => ContentBlock::image(data, mime_type),
        Content::Audio { data, mime_type } => ContentBlock::audio(data, mime_type),
        Content::ResourceLink { uri, name, description, mime_type } => {
            let mut resource = Resource::new(uri, name);
            resource.description = description;
            resource.mime_type = mime_type;
            ContentBlock::resource_link(resource)
        }
        Content::Resource { uri, mime_type, body } => ContentBlock::resource(embedded(uri, mime_type, body)),
    }
}

fn embedded(uri: String, mime_type: Option<String>, body: Body) -> ResourceContents {
    let contents = match body {
        Body::Text(text) => ResourceContents::text(text, uri),
        Body::Blob(blob) => ResourceContents::blob(blob, uri),
    };
    match mime_type {
        Some(mime_type) => contents.with_mime_type(mime_type),
        None => contents,
    }
}

/// The facts beside an answer.
pub(super) fn meta(reply: &Reply) -> MetaObject {
    let key = |name: &str| [META_PREFIX, "/", name].concat();
    let mut meta = Map::new();
    meta.insert(key("record"), json!(reply.record));
    meta.insert(key("code"), json!(reply.code));
    meta.insert(key("usage"), json!(reply.usage));
    if let Some(session) = &reply.session {
        meta.insert(key(SESSION), json!(session));
    }
    if let Some(error) = &reply.error {
        let mut facts = json!({
            "code": reply.code,
            "status": reply.status,
            "retryable": error.retryable,
            "caller_must_change_args": error.caller_must_change_args,
            "ran": error.ran,
            "attempts": reply.usage.attempts,
            "errors": error.violations,
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                facts[name] = value;
            }
        };
        add("retry_after_ms", error.retry_after_ms.map(|ms| json!(ms)));
        add("example", error.example.clone());
        add("detail", error.detail.clone());
        add("refusal", reply.refusal.as_ref().map(|refusal| json!(refusal)));
        add("clarify", reply.clarify.as_ref().map(|clarify| json!(clarify)));
        add("findings", (!reply.findings.is_empty()).then(|| json!(reply.findings)));
        meta.insert(key("error"), facts);
    }
    MetaObject(meta)
}
