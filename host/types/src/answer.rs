//! What a tool may return besides its value: a refusal, a question, content blocks.
//!
//! Owns their form in replies and records. Must not know component values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// "I can't help with this. Here is what I would need, and here is a human who can."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// A short stable code.
    pub code: String,
    /// What cannot be done.
    pub cannot: String,
    /// What would make it possible.
    pub needed: Vec<String>,
    /// A human or an office that can help.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contact: Option<String>,
    /// What could be done instead.
    pub alternatives: Vec<String>,
    /// Whether asking again can help.
    pub retryable: RetryAdvice,
    /// The same for the same refused call.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub decision_id: String,
}

/// Whether the same request can succeed later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RetryAdvice {
    /// The same call will be refused again.
    Never,
    /// After this many milliseconds.
    AfterMs(u64),
    /// Once these have changed.
    AfterChange(Vec<String>),
}

/// A question instead of a guess.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clarify {
    /// What is unclear.
    pub question: String,
    /// The plausible readings of the request.
    pub options: Vec<Choice>,
}

/// One plausible reading of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Choice {
    /// A few words.
    pub label: String,
    /// What is meant.
    pub means: String,
    /// The arguments of this reading. Text where the tool did not give a JSON object.
    pub args: Value,
}

/// A piece of an answer that is not JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of MCP's content blocks")]
pub enum Content {
    Text { text: String },
    Image { data: String, mime_type: String },
    Audio { data: String, mime_type: String },
    ResourceLink { uri: String, name: String, description: Option<String>, mime_type: Option<String> },
    Resource { uri: String, mime_type: Option<String>, body: Body },
}

/// What is in an embedded resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Text.
    Text(String),
    /// Bytes, in base64.
    Blob(String),
}
