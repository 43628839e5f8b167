//! Requests, which are answered past rmcp's loop. Most of them are calls.
//!
//! The loop hands each request through three tasks and two queues, which costs more than a call itself, and bounds
//! none of them. What a request means stays with `mcp`. Owns which calls run, so that they can be cancelled and waited
//! for, and where they run: a call is begun on the spot, since most are over before another thread would have woken
//! up, and goes to the runtime if it has to wait. Must not know how messages are read.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
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
use super::request_budget::Place;
use crate::mcp::{Answer, Server};
use crate::transport;
use airlock::host::Host;

/// So many calls at most are begun one after the other by one thread, and their answers written together.
const GROUP_MAX: usize = 16;

/// So many calls that come together are made where they were read: to wake other threads would take longer.
const ALONE_MAX: usize = 8;

/// After a call that takes so long, those behind it are worth another thread.
const LONG: Duration = Duration::from_micros(200);

/// So many calls at most wait for the runtime to begin them.
const SCHEDULED_MAX: usize = 256;

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
    /// Calls that the runtime has been scheduled and has not begun.
    scheduled: AtomicUsize,
    /// Cancels the subscriptions, which would outlast any drain.
    subscriptions: CancellationToken,
    host: Arc<Host>,
}

/// A request as it was read, with its place among those that are not answered yet.
pub(super) struct PendingRequest {
    pub(super) id: RequestId,
    pub(super) request: ClientRequest,
    pub(super) place: Place,
}

/// A call that has not begun.
struct Call {
    key: String,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
    place: Place,
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
    pub(super) fn new(host: Arc<Host>, out: Arc<Out>) -> Arc<Calls> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (peer, running, tasks, scheduled, subscriptions) = Default::default();
        let server = Server::new(host.clone());
        Arc::new(Calls { server, out, peer, running, tasks, threads, scheduled, subscriptions, host })
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

    /// Waits for room for the records of more calls.
    pub(super) async fn wait_for_journal(&self) {
        if self.host.journal().is_full() {
            // A journal that is lost answers for itself, call by call.
            drop(self.host.journal().place().await);
        }
    }

    /// Answers requests that came together: where they are many, the last ones here, the others by the runtime's
    /// threads, unless those have enough to do.
    pub(super) fn answer_all(self: &Arc<Calls>, requests: Vec<PendingRequest>) {
        let Some(peer) = self.peer() else { return };
        let mut calls: Vec<Call> = requests.into_iter().map(|asked| self.call(asked, peer)).collect();
        let group = calls.len().div_ceil(2 * self.threads).min(GROUP_MAX);
        while calls.len() > group.max(ALONE_MAX) && self.can_schedule(group) {
            self.schedule(calls.drain(..group).collect());
        }
        while !calls.is_empty() {
            let rest = calls.split_off(calls.len().min(GROUP_MAX));
            self.run(std::mem::replace(&mut calls, rest));
        }
    }

    /// Cancels a call; false where none of these runs under that id.
    pub(super) fn cancel(&self, id: &RequestId) -> bool {
        let running = self.running().remove(&key(id));
        running.inspect(CancellationToken::cancel).is_some()
    }

    /// Waits until what runs is answered, for as long as it may take at the end.
    pub(super) async fn drain(&self) {
        self.subscriptions.cancel();
        self.tasks.close();
        transport::drain(&self.host, self.tasks.wait()).await;
    }

    fn call(&self, asked: PendingRequest, peer: &Peer<RoleServer>) -> Call {
        let PendingRequest { id, mut request, place } = asked;
        let mut context = RequestContext::new(id, peer.clone());
        context.meta = std::mem::take(request.get_meta_mut());
        context.extensions = std::mem::take(request.extensions_mut());
        if matches!(request, ClientRequest::SubscriptionsListenRequest(_)) {
            context.ct = self.subscriptions.child_token();
        }
        Call { key: key(&context.id), request, context, place }
    }

    /// Whether the runtime may be scheduled so many more calls.
    fn can_schedule(&self, calls: usize) -> bool {
        self.scheduled.load(Ordering::Acquire) + calls <= SCHEDULED_MAX
    }

    /// Leaves calls to the runtime.
    fn schedule(self: &Arc<Calls>, group: Vec<Call>) {
        if group.is_empty() {
            return;
        }
        let mut running = self.running();
        running.extend(group.iter().map(|call| (call.key.clone(), call.context.ct.clone())));
        drop(running);
        self.scheduled.fetch_add(group.len(), Ordering::AcqRel);
        let calls = self.clone();
        self.tasks.spawn(async move {
            calls.scheduled.fetch_sub(group.len(), Ordering::AcqRel);
            calls.run(group);
        });
    }

    /// Begins calls one after the other. Behind one that waits for something, or takes long, the others go on without
    /// this thread, if another one can be had.
    fn run(self: &Arc<Calls>, group: Vec<Call>) {
        // Whoever polls a call next leaves a waker that wakes.
        let mut nobody = Context::from_waker(Waker::noop());
        let mut group = group.into_iter();
        let mut begun = self.host.environment().monotonic();
        while let Some(Call { key, request, context, place }) = group.next() {
            let cancelled = context.ct.clone();
            let mut answering: Answering = Box::pin(answer(self.server.clone(), request, context));
            let waits = match answering.as_mut().poll(&mut nobody) {
                Poll::Ready(answer) => {
                    self.end(&key, answer);
                    false
                }
                Poll::Pending => {
                    self.wait_for(key, cancelled, answering, place);
                    true
                }
            };
            let now = self.host.environment().monotonic();
            if waits || now.saturating_sub(begun) >= LONG {
                self.flush();
                if self.can_schedule(group.len()) {
                    return self.schedule(group.collect());
                }
            }
            begun = now;
        }
        self.flush();
    }

    fn wait_for(
        self: &Arc<Calls>,
        key: String,
        cancelled: CancellationToken,
        answering: Answering,
        place: Place,
    ) {
        self.running().insert(key.clone(), cancelled);
        let calls = self.clone();
        self.tasks.spawn(async move {
            let answer = answering.await;
            calls.end(&key, answer);
            drop(place);
            calls.flush();
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

    /// Puts an answer that no request had to be made for. Somebody has to `flush` then.
    pub(super) fn refuse(&self, error: ErrorData, id: Option<RequestId>) {
        if let Err(err) = self.out.put(&TxJsonRpcMessage::<RoleServer>::error(error, id)) {
            tracing::error!("an error cannot be written as JSON: {err}");
        }
    }

    /// Writes what is answered, without waiting for the client to read it.
    pub(super) fn flush(self: &Arc<Calls>) {
        if !self.out.needs_writer() {
            return;
        }
        let mut written = Box::pin(self.clone().write());
        if written.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.tasks.spawn(written);
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

async fn answer(
    server: Server,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
) -> Option<Response> {
    let id = context.id.clone();
    let answered = pin!(server.answer(request, context));
    let answered = AssertUnwindSafe(answered).catch_unwind().await;
    let answered =
        answered.unwrap_or_else(|_| Some(Err(ErrorData::internal_error("the call was lost", None))));
    Some(match answered? {
        Ok(result) => Response::Result { jsonrpc: JsonRpcVersion2_0, id, result },
        Err(failed) => Response::Error(Box::new(JsonRpcMessage::error(failed, Some(id)))),
    })
}

/// An id as it is written, by which `1` and `"1"` are two.
fn key(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_default()
}
