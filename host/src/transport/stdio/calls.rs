//! Calls, which are answered past rmcp's loop.
//!
//! The loop hands each request through three tasks and two queues, which costs more than the call itself. What a
//! request means stays with `mcp`. Owns which calls run, so that they can be cancelled and waited for, and where they
//! run: a call is begun on the spot, since most are over before another thread would have woken up, and goes to the
//! runtime if it has to wait. Must not know how messages are read.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt as _;
use rmcp::model::{
    ClientRequest, ErrorData, GetExtensions as _, GetMeta as _, JsonRpcMessage, JsonRpcVersion2_0, RequestId,
};
use rmcp::service::{Peer, RequestContext, RoleServer, TxJsonRpcMessage};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::out::Out;
use crate::mcp::{Answer, Server};

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

/// A call that has not begun.
struct Call {
    key: String,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
}

/// A call that has begun. There is no answer for who has cancelled.
type Answering = Pin<Box<dyn Future<Output = Option<Response>> + Send>>;

/// The answer to a request.
#[derive(Serialize)]
#[serde(untagged)]
enum Response {
    Result { jsonrpc: JsonRpcVersion2_0, id: RequestId, result: Answer },
    Error(Box<TxJsonRpcMessage<RoleServer>>),
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
            requests.into_iter().map(|(request, id)| Call::new(request, id, peer)).collect();
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
        running.extend(group.iter().map(|call| (call.key.clone(), call.context.ct.clone())));
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
        for Call { key, request, context } in group.by_ref() {
            let cancelled = context.ct.clone();
            let mut answering: Answering = Box::pin(answer(self.server.clone(), request, context));
            match answering.as_mut().poll(&mut nobody) {
                Poll::Ready(answer) => self.end(&key, answer),
                Poll::Pending => {
                    self.wait_for(key, cancelled, answering);
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

    fn wait_for(self: &Arc<Calls>, key: String, cancelled: CancellationToken, answering: Answering) {
        self.running().insert(key.clone(), cancelled);
        let calls = self.clone();
        self.tasks.spawn(async move {
            let answer = answering.await;
            calls.end(&key, answer);
            calls.write().await;
        });
    }

    fn end(&self, key: &str, answer: Option<Response>) {
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

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    fn new(mut request: ClientRequest, id: RequestId, peer: &Peer<RoleServer>) -> Call {
        let mut context = RequestContext::new(id, peer.clone());
        context.meta = std::mem::take(request.get_meta_mut());
        context.extensions = std::mem::take(request.extensions_mut());
        Call { key: key(&context.id), request, context }
    }
}

async fn answer(
    server: Server,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
) -> Option<Response> {
    let (id, cancelled) = (context.id.clone(), context.ct.clone());
    let call = pin!(server.call(request, context));
    let handled = AssertUnwindSafe(call).catch_unwind().await;
    if cancelled.is_cancelled() {
        return None;
    }
    let error = |error, id| Response::Error(Box::new(JsonRpcMessage::error(error, Some(id))));
    Some(match handled {
        Ok(Ok(result)) => Response::Result { jsonrpc: JsonRpcVersion2_0, id, result },
        Ok(Err(failed)) => error(failed, id),
        Err(_) => error(ErrorData::internal_error("the call was lost", None), id),
    })
}

/// An id as it is written, by which `1` and `"1"` are two.
fn key(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_default()
}
