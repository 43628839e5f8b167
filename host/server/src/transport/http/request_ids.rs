//! Keeps requests of one session apart that a client sent under one id.
//!
//! rmcp finds the response stream of an answer by the id of the request, so of two open requests with one id the later
//! one would get the answer of the earlier one. This module gives each request an id of its own before rmcp sees it, and
//! gives the answer the client's id back. Owns which ids are open, so that a cancellation finds its requests. Must not
//! know what requests mean.

mod unread;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt as _};
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::session::{RestoreOutcome, SessionManager};
use unread::{Unread, Watched};

type Error = <LocalSessionManager as SessionManager>::Error;

/// The open requests of all sessions.
type Open = Arc<Mutex<BTreeSet<Key>>>;

/// Identifies an open request: its session, the JSON form of the client's id, and its number.
type Key = (SessionId, String, u64);

/// rmcp's sessions, in which each request has an id of its own.
#[derive(Default)]
pub(super) struct Sessions {
    pub(super) inner: LocalSessionManager,
    open: Open,
    unread: Unread,
    count: AtomicU64,
}

/// rmcp's end of a session. It sees each answer, even if nobody reads the response any more.
pub(super) struct SessionTransport {
    inner: <LocalSessionManager as SessionManager>::Transport,
    id: SessionId,
    open: Open,
    unread: Unread,
}

/// The id inside of rmcp. It contains the client's own, so that an answer needs no table, even when it is sent again.
fn own_id(number: u64, written: &str) -> RequestId {
    RequestId::String(format!("{number} {written}").into())
}

/// Number and client's id in its JSON form. `None` for an id that was not made here.
fn parts(id: &RequestId) -> Option<(u64, &str)> {
    let RequestId::String(id) = id else { return None };
    let (number, written) = id.split_once(' ')?;
    Some((number.parse().ok()?, written))
}

fn id_of(message: &ServerJsonRpcMessage) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Response(response) => Some(&response.id),
        JsonRpcMessage::Error(error) => error.id.as_ref(),
        JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
    }
}

/// Gives an answer the client's id back.
fn restored(mut event: ServerSseMessage) -> ServerSseMessage {
    let written = event.message.as_deref().and_then(id_of).and_then(parts).map(|(_, written)| written);
    let Some(id) = written.and_then(|written| serde_json::from_str::<RequestId>(written).ok()) else {
        return event;
    };
    // Copies the answer: rmcp keeps its own for a client that loses the connection and asks for it again.
    match event.message.as_mut().map(Arc::make_mut) {
        Some(JsonRpcMessage::Response(response)) => response.id = id,
        Some(JsonRpcMessage::Error(error)) => error.id = Some(id),
        _ => {}
    }
    event
}

impl Sessions {
    fn transport(
        &self,
        id: SessionId,
        inner: <LocalSessionManager as SessionManager>::Transport,
    ) -> SessionTransport {
        SessionTransport { inner, id, open: self.open.clone(), unread: self.unread.clone() }
    }

    /// Opens a request: replaces its id.
    fn opened(&self, session: &SessionId, mut message: ClientJsonRpcMessage) -> ClientJsonRpcMessage {
        if let JsonRpcMessage::Request(request) = &mut message
            && let Ok(written) = serde_json::to_string(&request.id)
        {
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            request.id = own_id(number, &written);
            lock(&self.open).insert((session.clone(), written, number));
        }
        message
    }

    /// Closes the open requests that a cancellation names. Returns the cancellation of each.
    fn cancelled(&self, session: &SessionId, message: ClientJsonRpcMessage) -> Vec<ClientJsonRpcMessage> {
        let JsonRpcMessage::Notification(notification) = &message else { return vec![message] };
        let ClientNotification::CancelledNotification(cancelled) = &notification.notification else {
            return vec![message];
        };
        let Ok(written) = serde_json::to_string(&cancelled.params.request_id) else { return Vec::new() };
        let mut open = lock(&self.open);
        let (first, last) = ((session.clone(), written.clone(), 0), (session.clone(), written, u64::MAX));
        let found: Vec<Key> = open.range(first..=last).cloned().collect();
        // A cancelled request gets no answer that would close it.
        for key in &found {
            open.remove(key);
        }
        let of = |(_, written, number): &Key| {
            let (mut notification, mut cancelled) = (notification.clone(), cancelled.clone());
            cancelled.params.request_id = Some(own_id(*number, written));
            notification.notification = ClientNotification::CancelledNotification(cancelled);
            JsonRpcMessage::Notification(notification)
        };
        found.iter().map(of).collect()
    }
}

impl SessionManager for Sessions {
    type Error = Error;
    type Transport = SessionTransport;

    async fn create_session(&self) -> Result<(SessionId, SessionTransport), Error> {
        let (id, inner) = self.inner.create_session().await?;
        Ok((id.clone(), self.transport(id, inner)))
    }

    /// The first request keeps its id: no other one is open beside it.
    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Error> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Error> {
        self.inner.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Error> {
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        let events = self.inner.create_stream(id, self.opened(id, message)).await?;
        Ok(Watched::new(events.map(restored), id, &self.unread))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Error> {
        for message in self.cancelled(id, message) {
            self.inner.accept_message(id, message).await?;
        }
        Ok(())
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        Ok(self.inner.create_standalone_stream(id).await?.map(restored))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        match self.inner.resume(id, last_event_id.clone()).await {
            Ok(events) => {
                let events = Watched::new(events.map(restored), id, &self.unread).after(&last_event_id);
                Ok(events.left_stream())
            }
            // rmcp does not have the stream any more. The answer is kept on: this connection can break as well.
            Err(err) => {
                let answer = self.unread.after(id, &last_event_id).ok_or(err)?;
                Ok(futures::stream::iter([answer]).right_stream())
            }
        }
    }

    async fn restore_session(&self, id: SessionId) -> Result<RestoreOutcome<SessionTransport>, Error> {
        Ok(match self.inner.restore_session(id.clone()).await? {
            RestoreOutcome::Restored(inner) => RestoreOutcome::Restored(self.transport(id, inner)),
            RestoreOutcome::AlreadyPresent => RestoreOutcome::AlreadyPresent,
            _ => RestoreOutcome::NotSupported,
        })
    }
}

impl Transport<RoleServer> for SessionTransport {
    type Error = <<LocalSessionManager as SessionManager>::Transport as Transport<RoleServer>>::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // Before the answer can be read: then the client may use the id again, and cancel that request.
        if let Some((number, written)) = id_of(&message).and_then(parts) {
            lock(&self.open).remove(&(self.id.clone(), written.to_owned(), number));
        }
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.inner.receive().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

impl Drop for SessionTransport {
    fn drop(&mut self) {
        // Requests that were not answered end with their session.
        let mut open = lock(&self.open);
        let first = (self.id.clone(), String::new(), 0);
        let left: Vec<Key> = open.range(first..).take_while(|key| key.0 == self.id).cloned().collect();
        for key in &left {
            open.remove(key);
        }
        self.unread.forget(&self.id);
    }
}

fn lock(open: &Open) -> MutexGuard<'_, BTreeSet<Key>> {
    // Poisoning is ignored: each change of the set is one operation, which a panic leaves whole.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(value: serde_json::Value) -> ClientJsonRpcMessage {
        serde_json::from_value(value).unwrap()
    }

    fn ping(id: serde_json::Value) -> ClientJsonRpcMessage {
        message(json!({"jsonrpc": "2.0", "id": id, "method": "ping"}))
    }

    fn cancel(id: serde_json::Value) -> ClientJsonRpcMessage {
        let params = json!({"requestId": id});
        message(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
    }

    #[test]
    fn an_answer_gets_the_client_s_id_back() {
        for id in [json!(7), json!("7"), json!("1 2"), json!("")] {
            let own = own_id(5, &id.to_string());
            let answer = json!({"jsonrpc": "2.0", "id": own, "error": {"code": -32_600, "message": "no"}});
            let event = ServerSseMessage::new("0", serde_json::from_value(answer).unwrap());
            let restored = serde_json::to_value(restored(event).message.unwrap()).unwrap();
            assert_eq!(restored["id"], id);
        }
    }

    #[test]
    fn a_cancellation_names_all_open_requests_of_its_session_and_id() {
        let sessions = Sessions::default();
        let (one, other): (SessionId, SessionId) = ("one".into(), "other".into());
        for id in [json!(1), json!(1), json!("1"), json!(2)] {
            sessions.opened(&one, ping(id));
        }
        sessions.opened(&other, ping(json!(1)));
        let cancelled = sessions.cancelled(&one, cancel(json!(1)));
        assert_eq!(
            serde_json::to_value(cancelled).unwrap(),
            serde_json::to_value([cancel(json!("0 1")), cancel(json!("1 1"))]).unwrap()
        );
        assert_eq!(sessions.cancelled(&one, cancel(json!(1))).len(), 0);
        assert_eq!(lock(&sessions.open).len(), 3);
    }
}
