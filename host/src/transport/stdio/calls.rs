//! Calls, which are answered past rmcp's loop.
//!
//! The loop hands each request through three tasks and two queues, which costs more than the call itself. What a
//! request means stays with rmcp and `mcp`: the handler is the same. Owns which calls run, so that they can be
//! cancelled and waited for, and where they run: a call is begun on the spot, since most are over before another
//! thread would have woken up, and goes to the runtime if it has to wait. Must not know how messages are read.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt as _;
use rmcp::model::{ClientRequest, ErrorData, GetExtensions as _, GetMeta as _, JsonRpcMessage, RequestId};
use rmcp::service::{Peer, RequestContext, RoleServer, Service as _, TxJsonRpcMessage};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::out::Out;
use crate::mcp::Server;

/// So many calls at most are begun one after the other by one thread, and their answers written together.
const GROUP_MAX: usize = 16;

/// The calls of one client.
pub(super) struct Calls {
    server: Server,
    out: Arc<Out>,
    /// Who calls, once the handshake is over.
    peer: OnceLock<Peer<RoleServer>>,
    /// What the reader does not hold in its own hands, by the request's id as it is written.
    running: Mutex<BTreeMap<String, CancellationToken>>,
    tasks: TaskTracker,
    threads: usize,
}

/// A call that has not come to its end.
struct Call {
    key: String,
    cancelled: CancellationToken,
    /// No answer for who has cancelled.
    answer: Pin<Box<dyn Future<Output = Option<TxJsonRpcMessage<RoleServer>>> + Send>>,
}

impl Calls {
    pub(super) fn new(server: Server, out: Arc<Out>) -> Arc<Calls> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (peer, running, tasks) = Default::default();
        Arc::new(Calls { server, out, peer, running, tasks, threads })
    }

    /// From now on calls can be taken.
    pub(super) fn begin(&self, peer: Peer<RoleServer>) {
        // There is one handshake.
        let _ = self.peer.set(peer);
    }

    /// Who calls, if calls can be taken by now.
    pub(super) fn peer(&self) -> Option<&Peer<RoleServer>> {
        self.peer.get()
    }

    /// Answers requests that came together: the last ones here, the others by the runtime's threads.
    pub(super) fn take(self: &Arc<Calls>, requests: Vec<(ClientRequest, RequestId)>) {
        let Some(peer) = self.peer() else { return };
        let group = requests.len().div_ceil(2 * self.threads).min(GROUP_MAX);
        let mut calls: Vec<Call> =
            requests.into_iter().map(|(request, id)| self.call(request, id, peer)).collect();
        let here = calls.split_off(calls.len() - group);
        while !calls.is_empty() {
            self.give(calls.split_off(calls.len().saturating_sub(group)));
        }
        self.run(here);
    }

    /// Cancels a call, if it is one of these and runs.
    pub(super) fn cancel(&self, id: &RequestId) {
        if let Some(running) = self.running().remove(&key(id)) {
            running.cancel();
        }
    }

    /// Waits until what runs is answered, for so long.
    pub(super) async fn drained(&self, within: Duration) {
        self.tasks.close();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            tracing::warn!("calls that still ran after {} ms are cancelled", within.as_millis());
        }
    }

    /// Leaves calls to the runtime.
    fn give(self: &Arc<Calls>, group: Vec<Call>) {
        let mut running = self.running();
        running.extend(group.iter().map(|call| (call.key.clone(), call.cancelled.clone())));
        drop(running);
        let calls = self.clone();
        self.tasks.spawn(async move { calls.run(group) });
    }

    /// Begins calls one after the other. One that waits for something, or takes long, lets the others go on
    /// without this thread.
    fn run(self: &Arc<Calls>, group: Vec<Call>) {
        // Whoever polls a call next leaves a waker that wakes.
        let mut nobody = Context::from_waker(Waker::noop());
        let mut group = group.into_iter();
        for mut call in group.by_ref() {
            match call.answer.as_mut().poll(&mut nobody) {
                Poll::Ready(answer) => self.end(&call.key, answer),
                Poll::Pending => {
                    self.wait_for(call);
                    break;
                }
            }
        }
        let mut written = Box::pin(self.clone().write());
        if written.as_mut().poll(&mut nobody).is_pending() {
            self.tasks.spawn(written);
        }
        if group.len() > 0 {
            self.give(group.collect());
        }
    }

    fn wait_for(self: &Arc<Calls>, call: Call) {
        self.running().insert(call.key.clone(), call.cancelled);
        let calls = self.clone();
        self.tasks.spawn(async move {
            let answer = call.answer.await;
            calls.end(&call.key, answer);
            calls.write().await;
        });
    }

    fn end(&self, key: &str, answer: Option<TxJsonRpcMessage<RoleServer>>) {
        self.running().remove(key);
        if let Some(answer) = answer
            && let Err(err) = self.out.put(&answer)
        {
            tracing::error!("an answer cannot be written as JSON: {err}");
        }
    }

    async fn write(self: Arc<Calls>) {
        if let Err(err) = self.out.write().await {
            tracing::debug!("nobody reads the answers: {err}");
        }
    }

    fn call(&self, mut request: ClientRequest, id: RequestId, peer: &Peer<RoleServer>) -> Call {
        let mut context = RequestContext::new(id.clone(), peer.clone());
        context.meta = std::mem::take(request.get_meta_mut());
        context.extensions = std::mem::take(request.extensions_mut());
        let (server, key, cancelled) = (self.server.clone(), key(&id), context.ct.clone());
        let ended = cancelled.clone();
        let answer = Box::pin(async move {
            let handled = AssertUnwindSafe(server.handle_request(request, context)).catch_unwind().await;
            if ended.is_cancelled() {
                return None;
            }
            Some(match handled {
                Ok(Ok(result)) => JsonRpcMessage::response(result, id),
                Ok(Err(error)) => JsonRpcMessage::error(error, Some(id)),
                Err(_) => {
                    JsonRpcMessage::error(ErrorData::internal_error("the call was lost", None), Some(id))
                }
            })
        });
        Call { key, cancelled, answer }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id as it is written, by which `1` and `"1"` are two.
fn key(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_default()
}
