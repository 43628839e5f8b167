//! Results that first ask the client for input, in one or more rounds.

use rmcp::ErrorData;
use rmcp::model::{InputRequest, InputRequests, InputRequiredResult, InputResponses, RequestStateCodec};
use serde_json::{Value, json};

use super::model;

/// A request for a form with one field.
pub(super) fn form(message: &str, field: &str, ty: &str) -> Value {
    let schema = json!({"type": "object", "properties": {field: {"type": ty}}, "required": [field]});
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}})
}

/// A request to the client's model.
pub(super) fn sampling(text: &str) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": text}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 100}})
}

/// A request for the client's roots.
pub(super) fn roots() -> Value {
    json!({"method": "roots/list"})
}

/// The requests of one round, with their keys.
pub(super) type Round = Vec<(&'static str, Value)>;

/// A conversation: its rounds, and whether its state is sealed against changes by the client.
pub(super) struct Conversation {
    pub(super) rounds: Vec<Round>,
    pub(super) sealed: bool,
}

/// The state of a conversation.
pub(super) enum Standing {
    /// The client must answer first.
    Asks(InputRequiredResult),
    /// The client answered everything. Holds the answers of the last round.
    Done(InputResponses),
}

impl Conversation {
    /// A conversation of one round without state.
    pub(super) fn once(round: Round) -> Conversation {
        Conversation { rounds: vec![round], sealed: false }
    }

    /// Continues with the client's answers.
    ///
    /// # Errors
    /// When the state is missing or was changed.
    pub(super) fn go_on(
        &self,
        codec: &RequestStateCodec,
        responses: Option<&InputResponses>,
        state: Option<&str>,
    ) -> Result<Standing, ErrorData> {
        let Some(responses) = responses else { return self.ask(codec, 0) };
        let round = if self.sealed { opened(codec, state)? } else { 0 };
        let asked = self.rounds.get(round).ok_or_else(|| invalid("there is no such round"))?;
        if !asked.iter().all(|(key, request)| responses.get(*key).is_some_and(|it| answers(request, it))) {
            return self.ask(codec, round);
        }
        if round + 1 < self.rounds.len() {
            return self.ask(codec, round + 1);
        }
        Ok(Standing::Done(responses.clone()))
    }

    fn ask(&self, codec: &RequestStateCodec, round: usize) -> Result<Standing, ErrorData> {
        let mut requests = InputRequests::new();
        for (key, request) in &self.rounds[round] {
            requests.insert((*key).to_owned(), model::<InputRequest>(request.clone())?);
        }
        let state = self.sealed.then(|| codec.seal(round.to_string().as_bytes()));
        Ok(Standing::Asks(InputRequiredResult::new(Some(requests), state)))
    }
}

/// The round that a sealed state holds.
fn opened(codec: &RequestStateCodec, state: Option<&str>) -> Result<usize, ErrorData> {
    let state = state.ok_or_else(|| invalid("the state of the request is missing"))?;
    let round = codec.open(state).map_err(|err| invalid(&format!("the state of the request: {err}")))?;
    String::from_utf8_lossy(&round).parse().map_err(|_| invalid("the state of the request names no round"))
}

fn invalid(message: &str) -> ErrorData {
    ErrorData::invalid_params(message.to_owned(), None)
}

/// Whether a response has the form that its request asks for.
fn answers(request: &Value, response: &Value) -> bool {
    match request["method"].as_str() {
        Some("elicitation/create") => response["action"].is_string(),
        Some("sampling/createMessage") => response["content"].is_object() || response["content"].is_array(),
        _ => response["roots"].is_array(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec() -> RequestStateCodec {
        RequestStateCodec::new(*b"a key of the tests, long enough to be one")
    }

    fn two_rounds() -> Conversation {
        let rounds = vec![vec![("one", form("?", "a", "string"))], vec![("two", form("?", "b", "string"))]];
        Conversation { rounds, sealed: true }
    }

    fn accepted(key: &str) -> InputResponses {
        InputResponses::from([(key.to_owned(), json!({"action": "accept", "content": {}}))])
    }

    fn state(standing: Standing) -> String {
        match standing {
            Standing::Asks(asks) => asks.request_state.unwrap(),
            Standing::Done(_) => panic!("it asks no more"),
        }
    }

    #[test]
    fn a_conversation_ends_after_its_last_round() {
        let (codec, talk) = (codec(), two_rounds());
        let first = state(talk.go_on(&codec, None, None).unwrap());
        let second = state(talk.go_on(&codec, Some(&accepted("one")), Some(&first)).unwrap());
        let end = talk.go_on(&codec, Some(&accepted("two")), Some(&second)).unwrap();
        assert!(matches!(end, Standing::Done(_)));
    }

    #[test]
    fn a_state_that_was_changed_is_refused() {
        let (codec, talk) = (codec(), two_rounds());
        let first = state(talk.go_on(&codec, None, None).unwrap()) + "x";
        assert!(talk.go_on(&codec, Some(&accepted("one")), Some(&first)).is_err());
    }
}
