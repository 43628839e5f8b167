//! Answers that a client of a session lost with its connection.
//!
//! rmcp forgets the stream of a request with its answer, so that a client which resumes it later would get nothing. Owns how
//! long and how many such answers are kept. Must not know what is in them. What reached a connection that broke afterwards is
//! not kept.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use tokio::runtime::Handle;

use super::id_of;

/// Time for which an answer is kept. A client is told to come back after three seconds.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Most answers that are kept, of all sessions. Beyond them the oldest is dropped.
const ANSWERS_MAX: usize = 256;

/// Most bytes of JSON of the kept answers together.
const BYTES_MAX: usize = 32 << 20;

/// The kept answers of all sessions, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<Mutex<VecDeque<Answer>>>);

struct Answer {
    session: SessionId,
    event: ServerSseMessage,
    bytes: usize,
}

/// The number of a request's stream in the id of one of its events, which is `INDEX/STREAM`.
fn stream_of(event_id: &str) -> Option<&str> {
    event_id.split_once('/').map(|(_, stream)| stream)
}

impl Unread {
    /// The answer after this event. `None` if it is not kept, or is this event.
    pub(super) fn after(&self, session: &SessionId, event_id: &str) -> Option<ServerSseMessage> {
        let stream = stream_of(event_id)?;
        let is_it = |answer: &&Answer| {
            let own = answer.event.event_id.as_deref();
            answer.session == *session && own != Some(event_id) && own.and_then(stream_of) == Some(stream)
        };
        self.lock().iter().find(is_it).map(|answer| answer.event.clone())
    }

    /// Drops the answers of a session that has ended.
    pub(super) fn forget(&self, session: &SessionId) {
        self.lock().retain(|answer| answer.session != *session);
    }

    fn keep(&self, session: &SessionId, event: ServerSseMessage) {
        let bytes = serde_json::to_vec(&event.message.as_deref()).map_or(usize::MAX, |json| json.len());
        if bytes > BYTES_MAX {
            return;
        }
        let mut answers = self.lock();
        answers.push_back(Answer { session: session.clone(), event, bytes });
        while answers.len() > ANSWERS_MAX
            || answers.iter().map(|answer| answer.bytes).sum::<usize>() > BYTES_MAX
        {
            answers.pop_front();
        }
    }

    fn remove(&self, session: &SessionId, event_id: Option<&str>) {
        self.lock().retain(|it| it.session != *session || it.event.event_id.as_deref() != event_id);
    }

    /// Reads a stream to its end in place of its client, and keeps the answer for a while.
    async fn read(self, session: SessionId, mut events: Events) {
        while let Some(event) = events.next().await {
            if is_answer(&event) {
                let id = event.event_id.clone();
                self.keep(&session, event);
                tokio::time::sleep(KEPT_FOR).await;
                return self.remove(&session, id.as_deref());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Answer>> {
        // Poisoning is ignored: each change is whole at every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_answer(event: &ServerSseMessage) -> bool {
    event.message.as_deref().is_some_and(|message| id_of(message).is_some())
}

type Events = Pin<Box<dyn Stream<Item = ServerSseMessage> + Send + Sync>>;

/// The events of a request. If its connection ends before the answer, the answer is kept.
pub(super) struct Watched {
    events: Events,
    session: SessionId,
    unread: Unread,
    is_answered: bool,
}

impl Watched {
    /// The events of a new request.
    pub(super) fn new(
        events: impl Stream<Item = ServerSseMessage> + Send + Sync + 'static,
        session: &SessionId,
        unread: &Unread,
    ) -> Watched {
        let (session, unread) = (session.clone(), unread.clone());
        Watched { events: Box::pin(events), session, unread, is_answered: false }
    }

    /// The events after this one.
    pub(super) fn after(mut self, event_id: &str) -> Watched {
        // A stream of no request has no answer, and rmcp gives it to its next reader only once this one is gone.
        self.is_answered = stream_of(event_id).is_none();
        self
    }
}

impl Stream for Watched {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServerSseMessage>> {
        let event = self.events.as_mut().poll_next(cx);
        if let Poll::Ready(event) = &event {
            // A stream that ends without an answer was resumed elsewhere, or its request was cancelled.
            self.is_answered |= event.as_ref().is_none_or(is_answer);
        }
        event
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Without a runtime the server has ended.
        if let (false, Ok(runtime)) = (self.is_answered, Handle::try_current()) {
            let events = std::mem::replace(&mut self.events, Box::pin(futures::stream::empty()));
            runtime.spawn(self.unread.clone().read(self.session.clone(), events));
        }
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::ServerJsonRpcMessage;
    use serde_json::{Value, json};

    use super::*;

    fn answer(id: &str, result: Value) -> ServerSseMessage {
        let message =
            json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "m", "data": result}});
        let message: ServerJsonRpcMessage = serde_json::from_value(message).unwrap();
        ServerSseMessage::new(id, message)
    }

    #[tokio::test]
    async fn an_answer_is_kept_whose_reader_went_away() {
        let (unread, session): (Unread, SessionId) = (Unread::default(), "s".into());
        let events = || futures::stream::iter([answer("1/7", json!(null))]);
        let mut read = Watched::new(events(), &session, &unread);
        assert!(read.next().await.is_some());
        drop(read);
        tokio::task::yield_now().await;
        assert!(unread.after(&session, "0/7").is_none(), "it was read");
        drop(Watched::new(events(), &session, &unread));
        tokio::task::yield_now().await;
        assert!(unread.after(&session, "0/7").is_some());
        for (other, event_id) in [("s", "0/8"), ("s", "1/7"), ("s", "7"), ("t", "0/7")] {
            assert!(unread.after(&other.into(), event_id).is_none(), "{other} {event_id}");
        }
        unread.forget(&session);
        assert!(unread.after(&session, "0/7").is_none());
    }

    #[test]
    fn kept_answers_are_bounded() {
        let (unread, session): (Unread, SessionId) = (Unread::default(), "s".into());
        for stream in 0..=ANSWERS_MAX {
            unread.keep(&session, answer(&format!("1/{stream}"), json!(null)));
        }
        assert_eq!(unread.lock().len(), ANSWERS_MAX);
        assert!(unread.after(&session, "0/0").is_none() && unread.after(&session, "0/1").is_some());
        for stream in 300..305 {
            unread.keep(&session, answer(&format!("1/{stream}"), json!("x".repeat(BYTES_MAX / 4))));
        }
        assert_eq!(unread.lock().len(), 3);
        unread.keep(&session, answer("1/400", json!("x".repeat(BYTES_MAX))));
        assert_eq!(unread.lock().len(), 3, "one that is too long takes the place of none");
    }
}
