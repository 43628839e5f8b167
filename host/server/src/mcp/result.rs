//! Converts a reply to the result of `tools/call`.
//!
//! A good or degraded answer is structured content, with the same content as text. Any other reply is an error result
//! with a text that a model can act on. Its facts are in `_meta` and not in structured content: clients validate that
//! against the output schema, and would throw instead of showing the error.

use std::borrow::Cow;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, Resource, ResourceContents, ResultType};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::meta_key;
use airlock_types::answer::{Body, Content};
use airlock_types::code::Code;
use airlock_types::fields;
use airlock_types::reply::{Failure, Reply};
use airlock_types::shorten::{clip, visible_json};

/// Size in bytes above which the text holds only the start of a result and a link: the whole text would fill a model's
/// context. The structured content stays whole.
const LARGE_BYTES: usize = 64 << 10;

/// Number of bytes of a large result that are shown as text.
const HEAD_BYTES: usize = 4 << 10;

/// A reply that serializes as the result of a call. It needs no intermediate tree, because every call is written this
/// way.
#[derive(Debug)]
pub(super) struct ToolResult<'r>(pub(super) &'r Reply);

impl Serialize for ToolResult<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reply = self.0;
        // Serialized once: the text block and the structured content are the same bytes.
        let answer = structured(reply).map_err(serde::ser::Error::custom)?;
        // The notice is the first line of the text, since models and people read the beginning, and stands there only.
        let beside = reply.notice.is_some().then(|| serde_json::to_string(&reply.compact_beside_notice()));
        let beside = beside.transpose().map_err(serde::ser::Error::custom)?;
        let content = match &answer {
            Some(answer) => blocks(reply, beside.as_deref().unwrap_or(answer.get())),
            None => vec![Block::text(message(reply))],
        };
        let (structured_content, is_error) = (answer.as_deref(), answer.is_none());
        Form { content, structured_content, is_error, meta: Meta(reply) }.serialize(serializer)
    }
}

/// The structured content. `None` for a reply that is not an answer.
pub(super) fn structured(reply: &Reply) -> serde_json::Result<Option<Box<RawValue>>> {
    reply.code.has_result().then(|| to_raw_value(&reply.compact())).transpose()
}

/// The same result as rmcp's type, for rmcp's own handler interface.
pub(super) fn tree(reply: &Reply) -> serde_json::Result<CallToolResult> {
    let mut result: CallToolResult = serde_json::from_value(serde_json::to_value(ToolResult(reply))?)?;
    result.result_type = Some(ResultType::COMPLETE);
    Ok(result)
}

/// The same in the stateless era, whose results say whether they are complete.
#[derive(Debug)]
pub(crate) struct Complete(pub(super) Box<Reply>);

impl Serialize for Complete {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Whole<'r> {
            result_type: ResultType,
            #[serde(flatten)]
            result: ToolResult<'r>,
        }
        Whole { result_type: ResultType::COMPLETE, result: ToolResult(&self.0) }.serialize(serializer)
    }
}

/// The reply, or the error of the protocol that MCP requires for an unknown tool. All other failures are results, which
/// models can read.
pub(super) fn reply_of(reply: Reply) -> Result<Reply, ErrorData> {
    if reply.code == Code::Unknown {
        let data = serde_json::to_value(Meta(&reply)).ok();
        return Err(ErrorData::invalid_params(message(&reply), data));
    }
    Ok(reply)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Form<'r> {
    content: Vec<Block<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'r RawValue>,
    is_error: bool,
    #[serde(rename = "_meta")]
    meta: Meta<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Block<'r> {
    Text { r#type: &'static str, text: Cow<'r, str> },
    Other(Box<ContentBlock>),
}

impl<'r> Block<'r> {
    fn text(text: impl Into<Cow<'r, str>>) -> Block<'r> {
        Block::Text { r#type: "text", text: text.into() }
    }

    fn other(block: ContentBlock) -> Block<'r> {
        Block::Other(Box::new(block))
    }
}

/// The content blocks of an answer, which clients show to the model. `answer` is its JSON, without the notice.
fn blocks<'r>(reply: &'r Reply, answer: &'r str) -> Vec<Block<'r>> {
    let mut blocks: Vec<Block<'r>> =
        reply.content.iter().map(|content| Block::other(block(content))).collect();
    // Some clients show only content blocks, and an empty list would look like a lost answer.
    if reply.result.is_none() && reply.content.is_empty() {
        blocks.push(Block::text("Done. The tool returned no value."));
    }
    let first_line = || reply.notice.as_ref().map_or_else(String::new, |notice| format!("{notice}\n"));
    if answer.len() <= LARGE_BYTES {
        let answer = visible_json(answer);
        let text = if reply.notice.is_some() { (first_line() + &answer).into() } else { answer };
        blocks.push(Block::text(text));
        return blocks;
    }
    // Clipped twice: escaping hidden characters makes the text longer.
    let begins = clip(&visible_json(clip(answer, HEAD_BYTES).as_str()), HEAD_BYTES);
    blocks.push(Block::text(format!(
        "{}The result has {} bytes; it is whole in the structured content and in the linked resource. It \
         begins: {begins}",
        first_line(),
        answer.len()
    )));
    blocks.push(Block::other(ContentBlock::resource_link(super::resource::link(reply))));
    blocks
}

/// The text of a reply that is not an answer.
///
/// It ends with the id of the record: an agent can give it to its user, who finds the call by it.
pub(super) fn message(reply: &Reply) -> String {
    // A failure without a text shows its code, so that a model never gets an empty error.
    let what = reply.error.as_ref().map_or(reply.code.as_str(), |error| &error.message);
    format!("{what}\nRecord: {}", reply.record)
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

/// The `_meta` entries of an answer.
pub(super) struct Meta<'r>(pub(super) &'r Reply);

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reply = self.0;
        let mut meta = serializer.serialize_map(None)?;
        meta.serialize_entry(meta_key::RECORD, &reply.record)?;
        meta.serialize_entry(meta_key::CODE, &reply.code)?;
        meta.serialize_entry(meta_key::USAGE, &reply.usage)?;
        if let Some(provenance) = &reply.provenance {
            meta.serialize_entry(meta_key::PROVENANCE, provenance)?;
        }
        if let Some(session) = &reply.session {
            meta.serialize_entry(meta_key::SESSION, session)?;
        }
        if let Some(error) = Facts::of(reply) {
            meta.serialize_entry(meta_key::ERROR, &error)?;
        }
        meta.end()
    }
}

/// The facts about a reply that is not an answer, for the program around a model: the fields of the reply and of its
/// failure that stand nowhere else in the result.
struct Facts<'r> {
    reply: &'r Reply,
    failure: &'r Failure,
}

impl Facts<'_> {
    fn of(reply: &Reply) -> Option<Facts<'_>> {
        reply.error.as_ref().map(|failure| Facts { reply, failure })
    }
}

impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut facts = serializer.serialize_map(None)?;
        // The failure follows, and the others stand beside the facts.
        let is_beside = |field: &str| matches!(field, "tool" | "error" | "usage" | "record" | "session");
        fields::write(&mut facts, self.reply, is_beside)?;
        // The message is the text, and the violations follow as `errors`.
        fields::write(&mut facts, self.failure, |field| matches!(field, "message" | "violations"))?;
        facts.serialize_entry("attempts", &self.reply.usage.attempts)?;
        facts.serialize_entry("errors", &self.failure.violations)?;
        facts.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reply(more: Value) -> Reply {
        let usage = json!({"attempts": 1, "fuel": 2, "wall_us": 3, "cpu_us": 4, "memory_bytes": 5});
        let mut reply = json!({"status": "ok", "code": "ok", "tool": "t", "usage": usage, "record": "r"});
        let Value::Object(more) = more else { panic!("{more}") };
        more.into_iter().for_each(|(key, value)| reply[&key] = value);
        serde_json::from_value(reply).unwrap()
    }

    /// Replies with everything that a result can be made of.
    fn replies() -> Vec<Reply> {
        let content = json!([
            {"type": "text", "text": "a \"b\""},
            {"type": "image", "data": "aGk=", "mime_type": "image/png"},
            {"type": "audio", "data": "aGk=", "mime_type": "audio/wav"},
            {"type": "resource_link", "uri": "u://x", "name": "x", "description": "d", "mime_type": null},
            {"type": "resource", "uri": "u://y", "mime_type": "text/plain", "body": {"text": "y"}},
            {"type": "resource", "uri": "u://z", "mime_type": null, "body": {"blob": "aGk="}},
        ]);
        let violation = json!({"code": "args.type", "path": "x", "pointer": "/x", "keyword": "type", "expected": "number", "got": "string"});
        let error = json!({"message": "no", "retryable": false, "caller_must_change_args": true, "ran": "no",
            "violations": [violation], "example": {"x": 1}, "detail": {"y": [1.5, null]}, "retry_after_ms": 7});
        vec![
            reply(json!({})),
            reply(json!({"result": {"value": 16.09344, "large": "é\n".repeat(40_000)}})),
            reply(json!({"result": 1e21, "content": content, "session": "s"})),
            reply(json!({"status": "invalid", "code": "args.type", "error": error})),
        ]
    }

    #[test]
    fn what_is_written_is_what_rmcp_would_write() {
        for reply in replies() {
            let mut rmcp = serde_json::to_value(tree(&reply).unwrap()).unwrap();
            assert_eq!(rmcp.as_object_mut().unwrap().remove("resultType"), Some(json!("complete")));
            let written: Value =
                serde_json::from_str(&serde_json::to_string(&ToolResult(&reply)).unwrap()).unwrap();
            assert_eq!(written, rmcp);
        }
    }

    #[test]
    fn a_notice_stands_once_in_the_text() {
        let degraded =
            json!({"status": "degraded", "code": "ok.degraded", "notice": "Not from `a`.", "result": 1});
        let written = serde_json::to_value(ToolResult(&reply(degraded))).unwrap();
        assert_eq!(
            written["content"][0]["text"],
            "Not from `a`.\n{\"status\":\"degraded\",\"result\":1,\"record\":\"r\"}"
        );
        assert_eq!(written["structuredContent"]["notice"], "Not from `a`.");
    }

    #[test]
    fn the_text_of_an_answer_is_its_structured_content() {
        let written = serde_json::to_value(ToolResult(&reply(json!({"result": {"unit": "km"}})))).unwrap();
        let text: Value = serde_json::from_str(written["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!((text["status"].as_str(), &text), (Some("ok"), &written["structuredContent"]));
    }
}
