//! Keeps the order of structured content in messages that rmcp writes.
//!
//! rmcp holds structured content as a tree, whose keys are sorted by name. A model that reads `findings` or figures
//! before the `status` of a degraded answer takes them for good ones, so the text of the answer, which has the order of
//! the reply, takes the place of rmcp's. Owns how that text travels beside a request. Must not know transports.

use std::sync::{Arc, OnceLock};

use http::request::Parts;
use rmcp::model::Extensions;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The structured content of a request's answer, in order. A transport puts it into the extensions of a request, and
/// the handler fills it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ordered(Arc<OnceLock<Box<RawValue>>>);

impl Ordered {
    /// The one that the transport of a request put into its extensions.
    pub(super) fn of(extensions: &Extensions) -> Option<Ordered> {
        let of_request = || extensions.get::<Parts>()?.extensions.get::<Ordered>();
        extensions.get::<Ordered>().or_else(of_request).cloned()
    }

    pub(super) fn keep(&self, content: Box<RawValue>) {
        // A request has one answer, so the cell is empty.
        let _ = self.0.set(content);
    }

    /// Whether the handler has filled it.
    pub(crate) fn is_filled(&self) -> bool {
        self.0.get().is_some()
    }

    /// Puts the structured content into a result of `tools/call`. `None` if there is none.
    pub(crate) fn in_result(&self, result: &str) -> Option<String> {
        self.replaced(result, || serde_json::from_str::<CallResult<'_>>(result).ok())
    }

    /// Puts the structured content into a message with a result of `tools/call`. `None` if there is none.
    pub(crate) fn in_message(&self, message: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Message<'m> {
            #[serde(borrow)]
            result: CallResult<'m>,
        }
        self.replaced(message, || serde_json::from_str::<Message<'_>>(message).ok().map(|it| it.result))
    }

    fn replaced<'m>(&self, text: &'m str, find: impl FnOnce() -> Option<CallResult<'m>>) -> Option<String> {
        let content = self.0.get()?.get();
        let sorted = find()?.structured_content?.get();
        // By position and not by search: the same text can occur elsewhere in the message.
        let start = sorted.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        let (before, after) = (text.get(..start)?, text.get(start + sorted.len()..)?);
        Some([before, content, after].concat())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'m> {
    #[serde(borrow, default)]
    structured_content: Option<&'m RawValue>,
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    fn ordered(content: &str) -> Ordered {
        let mut extensions = Extensions::new();
        let ordered = Ordered::default();
        extensions.insert(ordered.clone());
        Ordered::of(&extensions).unwrap().keep(RawValue::from_string(content.to_owned()).unwrap());
        ordered
    }

    #[test]
    fn the_content_takes_the_place_of_the_sorted_one() {
        let ordered = ordered(r#"{"status":"ok","result":1}"#);
        let sorted = r#"{"result":1,"status":"ok"}"#;
        let result = |content: &str| {
            let twin = to_raw_value(sorted).unwrap();
            format!(
                r#"{{"content":[{{"type":"text","text":{twin}}}],"structuredContent":{content},"isError":false}}"#
            )
        };
        let expect = result(r#"{"status":"ok","result":1}"#);
        assert_eq!(ordered.in_result(&result(sorted)).as_deref(), Some(&*expect));
        let message = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        assert_eq!(ordered.in_message(&message(&result(sorted))), Some(message(&expect)));
    }

    #[test]
    fn what_has_no_structured_content_stays_as_it_is() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
        assert_eq!(ordered("{}").in_message(text), None);
        assert_eq!(ordered("{}").in_message(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#), None);
        let result = r#"{"structuredContent":{}}"#;
        assert_eq!(Ordered::default().in_result(result), None);
    }
}
