//! The messages that go through rmcp: those of the handshake, and what a client sends before it has ended.
//!
//! rmcp keeps open requests by their ids, and drops the answer of the second one with an id. A client that sends two under
//! one id, against the protocol, still waits for both. Owns the ids that rmcp sees: an id that is open gets another one,
//! and the answer goes out under the client's own. Must not know what requests mean.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rmcp::model::{
    ClientNotification, ClientRequest, GetMeta as _, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest,
    ProtocolVersion, RequestId,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::out::Out;
use crate::mcp::ordered::Ordered;

/// The transport that rmcp uses. It shares stdout with `calls`, and receives only what the reader forwards.
pub(super) struct Handshake {
    messages: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
    out: Arc<Out>,
    /// rmcp has received a request that ends its wait for one, so it also takes other messages.
    is_begun: bool,
    open: Open,
    /// Cancellations that follow the last one: one for each request with its id.
    cancellations: VecDeque<RxJsonRpcMessage<RoleServer>>,
}

/// The open requests, by the JSON form of the id that rmcp knows them by.
#[derive(Default)]
struct Open {
    requests: BTreeMap<String, Asked>,
    /// Number of ids that were given so far.
    given: u64,
}

struct Asked {
    /// The client's id.
    id: RequestId,
    /// The id that rmcp knows.
    known_as: RequestId,
    /// The structured content of a call's answer. rmcp itself answers the first call of a client without a handshake.
    ordered: Option<Ordered>,
}

impl Open {
    /// Notes a request, and gives it another id if its own is open.
    fn ask<T>(&mut self, request: &mut JsonRpcRequest<T>, ordered: Option<Ordered>) {
        let id = request.id.clone();
        while self.requests.contains_key(&as_json(&request.id)) {
            self.given += 1;
            request.id = RequestId::String(format!("{}#{}", as_json(&id), self.given).into());
        }
        let known_as = request.id.clone();
        self.requests.insert(as_json(&known_as), Asked { id, known_as, ordered });
    }

    /// Takes the request that a message answers, and gives the message the client's id.
    fn answered(&mut self, message: &mut TxJsonRpcMessage<RoleServer>) -> Option<Asked> {
        let id = match message {
            JsonRpcMessage::Response(response) => &mut response.id,
            JsonRpcMessage::Error(error) => error.id.as_mut()?,
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => return None,
        };
        let asked = self.requests.remove(&as_json(id))?;
        *id = asked.id.clone();
        Some(asked)
    }

    /// Takes all requests of the client's with this id, which get no answer. Returns the ids that rmcp knows.
    fn cancelled(&mut self, id: &RequestId) -> Vec<RequestId> {
        let (cancelled, left) =
            std::mem::take(&mut self.requests).into_iter().partition(|(_, asked)| asked.id == *id);
        self.requests = left;
        cancelled.into_values().map(|asked| asked.known_as).collect()
    }
}

impl Handshake {
    pub(super) fn new(messages: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>, out: Arc<Out>) -> Handshake {
        Handshake { messages, out, is_begun: false, open: Open::default(), cancellations: VecDeque::new() }
    }

    /// Prepares a message for rmcp. `None` for one that is not for it.
    fn prepared(
        &mut self,
        mut message: RxJsonRpcMessage<RoleServer>,
    ) -> Option<RxJsonRpcMessage<RoleServer>> {
        match &mut message {
            JsonRpcMessage::Request(request) => {
                self.is_begun |= begins(&request.request);
                let ordered = ordered(&mut request.request);
                self.open.ask(request, ordered);
            }
            // rmcp ends the service if anything but a request comes first.
            _ if !self.is_begun => {
                tracing::warn!("a message before the first request is ignored");
                return None;
            }
            JsonRpcMessage::Notification(JsonRpcNotification {
                notification: ClientNotification::CancelledNotification(cancelled),
                ..
            }) => {
                let id = cancelled.params.request_id.as_ref()?;
                let each = self.open.cancelled(id).into_iter().map(|id| {
                    let mut one = cancelled.clone();
                    one.params.request_id = Some(id);
                    JsonRpcMessage::notification(ClientNotification::CancelledNotification(one))
                });
                self.cancellations.extend(each);
                return self.cancellations.pop_front();
            }
            _ => {}
        }
        Some(message)
    }
}

/// Lets a call's handler keep the order of its answer.
fn ordered(request: &mut ClientRequest) -> Option<Ordered> {
    let ClientRequest::CallToolRequest(call) = request else { return None };
    let ordered = Ordered::default();
    call.extensions.insert(ordered.clone());
    Some(ordered)
}

/// Whether rmcp's service begins with this request. A `ping` or `server/discover` leaves it waiting, and so does a
/// request that it rejects because its metadata is incomplete or names an unknown revision.
fn begins(request: &ClientRequest) -> bool {
    let meta = request.get_meta();
    let is_complete = || meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty();
    let is_known = || meta.protocol_version().is_some_and(|version| crate::mcp::serves(&version));
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        _ => is_complete() && is_known(),
    }
}

/// The message with its structured content in order. `None` if it has none.
fn in_order(message: &TxJsonRpcMessage<RoleServer>, ordered: &Ordered) -> Option<Box<RawValue>> {
    let sorted = ordered.is_filled().then(|| serde_json::to_string(message))?.ok()?;
    RawValue::from_string(ordered.in_message(&sorted)?).ok()
}

fn as_json(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_default()
}

impl Transport<RoleServer> for Handshake {
    type Error = std::io::Error;

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        let ordered = self.open.answered(&mut message).and_then(|asked| asked.ordered);
        let in_order = ordered.and_then(|ordered| in_order(&message, &ordered));
        let out = self.out.clone();
        async move {
            match in_order {
                Some(text) => out.send(&text).await,
                None => out.send(&message).await,
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(cancellation) = self.cancellations.pop_front() {
                return Some(cancellation);
            }
            let message = self.messages.recv().await?;
            if let Some(message) = self.prepared(message) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> std::io::Result<()> {
        self.out.close().await
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CancelledNotificationParam, Notification, PingRequest, ServerResult};

    use super::*;

    fn transport() -> Handshake {
        Handshake {
            is_begun: true,
            ..Handshake::new(mpsc::channel(1).1, Arc::new(Out::new(Box::new(tokio::io::sink()))))
        }
    }

    /// The id under which rmcp gets a ping.
    fn ping(transport: &mut Handshake, id: i64) -> RequestId {
        let request = ClientRequest::PingRequest(PingRequest::default());
        let message = transport.prepared(JsonRpcMessage::request(request, RequestId::Number(id)));
        let Some(JsonRpcMessage::Request(request)) = message else { panic!("not for rmcp") };
        request.id
    }

    /// The id under which the client gets the answer.
    fn answered(transport: &mut Handshake, id: RequestId) -> RequestId {
        let mut message = JsonRpcMessage::response(ServerResult::empty(()), id);
        assert!(transport.open.answered(&mut message).is_some());
        let JsonRpcMessage::Response(response) = message else { unreachable!("it was one") };
        response.id
    }

    #[test]
    fn rmcp_sees_each_id_once_and_the_client_sees_its_own() {
        let mut transport = transport();
        let ids = [1, 1, 2, 1].map(|id| ping(&mut transport, id));
        let different: std::collections::BTreeSet<String> = ids.iter().map(as_json).collect();
        assert_eq!((different.len(), &ids[0], &ids[2]), (4, &RequestId::Number(1), &RequestId::Number(2)));
        let answers = ids.map(|id| answered(&mut transport, id));
        assert_eq!(answers, [1, 1, 2, 1].map(RequestId::Number));
        assert!(transport.open.requests.is_empty());
    }

    #[test]
    fn a_cancellation_is_for_all_requests_with_its_id() {
        let mut transport = transport();
        let ids = [1, 2, 1].map(|id| ping(&mut transport, id));
        let params = CancelledNotificationParam::new(Some(RequestId::Number(1)), None);
        let cancelled = ClientNotification::CancelledNotification(Notification::new(params));
        let first = transport.prepared(JsonRpcMessage::notification(cancelled));
        let told: Vec<_> = first.into_iter().chain(transport.cancellations.drain(..)).collect();
        let told = told.into_iter().map(|message| match message {
            JsonRpcMessage::Notification(JsonRpcNotification {
                notification: ClientNotification::CancelledNotification(one),
                ..
            }) => one.params.request_id.unwrap(),
            other => panic!("{other:?}"),
        });
        let told: std::collections::BTreeSet<String> = told.map(|id| as_json(&id)).collect();
        assert_eq!(told, [&ids[0], &ids[2]].map(as_json).into());
        assert_eq!(transport.open.requests.len(), 1);
    }
}
