//! Answers requests without rmcp's loop. Most requests are calls.
//!
//! rmcp's loop passes each request through three tasks and two queues. That costs more than a call itself, and it
//! bounds neither. The meaning of a request stays in `mcp`. This module owns which requests run, so that they can be
//! cancelled and drained, and on which thread they run: a call starts on the thread that read it, because most calls
//! end before another thread would have woken up. A call that has to wait continues in the runtime. Must not know how
//! messages are read.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt as _;
use rmcp::model::{ClientRequest, ErrorData, GetExtensions as _, GetMeta as _, RequestId};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::out::Out;
use super::request_budget::Place;
use crate::mcp::message::Refusal;
use crate::mcp::response::Response;
use crate::mcp::{Answer, Server};
use crate::transport;
use airlock::host::Host;

/// Most calls that one thread starts one after the other before it writes their responses together. A larger group
/// saves writes, but the first response waits for the whole group.
const GROUP_MAX: usize = 16;

/// Most calls of a batch that run on the reading thread without help: waking other threads would take longer.
const ALONE_MAX: usize = 8;

/// Duration of one call from which the calls behind it move to another thread. About ten times that of an ordinary
/// call, so that only a slow one pays for waking a thread.
const LONG: Duration = Duration::from_micros(200);

/// Most calls that the runtime has been handed and has not started. Above it the reading thread runs calls itself, and
/// so reads no further lines.
const SCHEDULED_MAX: usize = 256;

/// The calls of one client.
pub(super) struct Calls {
    server: Server,
    out: Arc<Out>,
    /// The client. Set once, at the end of the handshake.
    peer: OnceLock<Peer<RoleServer>>,
    /// The requests that can be cancelled. A request that the reading thread is running is not in it: that thread reads
    /// the cancellations too, so none can arrive meanwhile.
    running: Mutex<BTreeMap<Key, CancellationToken>>,
    /// Number of requests so far.
    count: AtomicU64,
    tasks: TaskTracker,
    threads: usize,
    /// Number of calls that the runtime has been handed and has not started.
    scheduled: AtomicUsize,
    /// Parent of the tokens of all subscriptions. A subscription has no end of its own, so a drain cancels it first.
    subscriptions: CancellationToken,
    host: Arc<Host>,
}

/// A parsed request, and its share of the request budget.
pub(super) struct PendingRequest {
    pub(super) id: RequestId,
    pub(super) request: ClientRequest,
    pub(super) place: Place,
}

/// A request that has not started. Its future is made when it starts: futures of queued calls would hold kilobytes
/// each.
struct Call {
    key: Key,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
    place: Place,
}

/// Identifies an open request: its id in its JSON form, and its number. The form keeps the number `1` and the string
/// `"1"` apart, which JSON-RPC treats as different ids. The request's number keeps requests apart that a client sent
/// under one id, against the protocol: each is answered, and a cancellation ends all of them.
type Key = (String, u64);

/// A started request. Resolves to `None` if the client cancelled it, because a cancelled request gets no response.
/// Boxed, so that moving it to the runtime copies a pointer and not the state of the call.
type Answering = Pin<Box<dyn Future<Output = Option<Response<Answer>>> + Send>>;

impl Calls {
    pub(super) fn new(host: Arc<Host>, out: Arc<Out>) -> Arc<Calls> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (peer, running, count, tasks, scheduled, subscriptions) = Default::default();
        let server = Server::new(host.clone());
        Arc::new(Calls { server, out, peer, running, count, tasks, threads, scheduled, subscriptions, host })
    }

    /// Opens the fast path: from now on requests can be answered here.
    pub(super) fn begin(&self, peer: Peer<RoleServer>) {
        // `begin` is called once, so the cell is empty.
        let _ = self.peer.set(peer);
    }

    /// The client. `None` before the end of the handshake.
    pub(super) fn peer(&self) -> Option<&Peer<RoleServer>> {
        self.peer.get()
    }

    /// Waits until the journal's queue has a free place. Called before requests start, so that a slow disk stops the
    /// reader instead of adding calls that each wait for a place.
    pub(super) async fn wait_for_journal(&self) {
        if self.host.journal().is_full() {
            // The place itself is not kept: each call takes its own. An error is ignored here, because each call
            // reports a failing journal in its own reply.
            drop(self.host.journal().place().await);
        }
    }

    /// Starts requests that were read together. If there are many, groups of the first ones go to the runtime's threads
    /// as far as `SCHEDULED_MAX` allows, and the rest run here.
    pub(super) fn answer_all(self: &Arc<Calls>, requests: Vec<PendingRequest>) {
        // The reader checks `peer` before it collects requests, so this return is never taken.
        let Some(peer) = self.peer() else { return };
        let mut calls: Vec<Call> = requests.into_iter().map(|asked| self.call(asked, peer)).collect();
        // Two groups for each thread: while a slow group holds one thread up, the others can take the rest.
        let group = calls.len().div_ceil(2 * self.threads).min(GROUP_MAX);
        // The first groups go out before this thread starts any call, so that the other threads wake up while this one
        // works.
        while calls.len() > group.max(ALONE_MAX) && self.can_schedule(group) {
            self.schedule(calls.drain(..group).collect());
        }
        while !calls.is_empty() {
            let rest = calls.split_off(calls.len().min(GROUP_MAX));
            self.run(std::mem::replace(&mut calls, rest));
        }
    }

    /// Cancels the requests with an id. False if no request with this id is running or scheduled here.
    pub(super) fn cancel(&self, id: &RequestId) -> bool {
        let id = as_json(id);
        let running = self.running();
        let same = running.range((id.clone(), 0)..=(id, u64::MAX));
        // An ended request is not in the map, so this counts open ones.
        same.inspect(|(_, cancelled)| cancelled.cancel()).count() > 0
    }

    /// Waits until running requests are answered, at most for the drain time.
    pub(super) async fn drain(&self) {
        // Subscriptions first: they never end by themselves, and would use up the whole drain time.
        self.subscriptions.cancel();
        // `wait` resolves only for a closed tracker. Closing it does not prevent running calls from spawning tasks.
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
        let key = (as_json(&context.id), self.count.fetch_add(1, Ordering::Relaxed));
        Call { key, request, context, place }
    }

    /// Whether the runtime can take this number of additional calls. Two threads can pass the check at once and exceed
    /// `SCHEDULED_MAX` by a group, which is harmless: the bound limits queueing and protects no data.
    fn can_schedule(&self, calls: usize) -> bool {
        self.scheduled.load(Ordering::Acquire) + calls <= SCHEDULED_MAX
    }

    /// Hands calls to the runtime, as one task that starts them in order.
    fn schedule(self: &Arc<Calls>, group: Vec<Call>) {
        if group.is_empty() {
            return;
        }
        let mut running = self.running();
        // Before the spawn: the reader can read a cancellation of these calls before a thread has started them.
        running.extend(group.iter().map(|call| (call.key.clone(), call.context.ct.clone())));
        drop(running);
        // Before the spawn as well: the task subtracts, and could run first.
        self.scheduled.fetch_add(group.len(), Ordering::AcqRel);
        let calls = self.clone();
        self.tasks.spawn(async move {
            calls.scheduled.fetch_sub(group.len(), Ordering::AcqRel);
            calls.run(group);
        });
    }

    /// Starts calls one after the other on this thread. If one must wait or takes longer than [`LONG`], the calls
    /// behind it move to the runtime, unless it has too many.
    fn run(self: &Arc<Calls>, group: Vec<Call>) {
        // The first poll needs no wake-up: a pending future is handed to a task, which polls it again with its own
        // waker.
        let mut no_wake = Context::from_waker(Waker::noop());
        let mut group = group.into_iter();
        let mut begun = self.host.environment().monotonic();
        while let Some(Call { key, request, context, place }) = group.next() {
            let cancelled = context.ct.clone();
            let mut answering: Answering = Box::pin(answer(self.server.clone(), request, context));
            let waits = match answering.as_mut().poll(&mut no_wake) {
                Poll::Ready(answer) => {
                    // The request's place is freed at the end of this iteration, after the response is queued, so that
                    // a request is always counted either in the request budget or in the unsent bytes of `out`.
                    self.end(&key, answer);
                    false
                }
                Poll::Pending => {
                    self.wait_for(key, cancelled, answering, place);
                    true
                }
            };
            let now = self.host.environment().monotonic();
            // Finished responses are written before the thread turns to slower work, not after it.
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
        key: Key,
        cancelled: CancellationToken,
        answering: Answering,
        place: Place,
    ) {
        // From here on this thread can read further lines, so the request must be open to cancellation. A scheduled
        // call is inserted a second time, with the same token.
        self.running().insert(key.clone(), cancelled);
        let calls = self.clone();
        self.tasks.spawn(async move {
            let answer = answering.await;
            calls.end(&key, answer);
            // After `end` has queued the response, and before the flush, which may wait for a client that does not
            // read.
            drop(place);
            calls.flush();
        });
    }

    fn end(&self, key: &Key, answer: Option<Response<Answer>>) {
        // Before the response is queued: once it can be read, the client may use the same id again.
        self.running().remove(key);
        if let Some(answer) = answer
            && let Err(err) = self.out.put(&answer)
        {
            tracing::error!("an answer cannot be written as JSON: {err}");
        }
    }

    /// Queues an error response for a line that did not become a request. The caller must `flush` afterwards.
    pub(super) fn refuse(&self, refused: &Refusal) {
        if let Err(err) = self.out.put(refused) {
            tracing::error!("an error cannot be written as JSON: {err}");
        }
    }

    /// Writes the queued responses without waiting for the client: what cannot be written at once is left to a task.
    pub(super) fn flush(self: &Arc<Calls>) {
        if !self.out.needs_writer() {
            return;
        }
        let mut written = Box::pin(self.clone().write());
        // Most writes fit into the pipe and complete in this poll, which saves a task. A spawned future is polled again
        // with the task's own waker, so the no-op waker loses no wake-up.
        if written.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.tasks.spawn(written);
        }
    }

    async fn write(self: Arc<Calls>) {
        // Not an error of the server: the client has closed its end of stdout.
        if let Err(err) = self.out.write().await {
            tracing::debug!("the client does not read the answers: {err}");
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Key, CancellationToken>> {
        // Poisoning is ignored: each critical section is one operation on the map, which a panic leaves usable.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    server: Server,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
) -> Option<Response<Answer>> {
    let id = context.id.clone();
    // Pinned here and not passed on: a future that is moved into another one is copied and stored twice.
    let answered = pin!(server.answer(request, context));
    // A panic in a call must not end the reading thread, which would end all calls of the client. The assertion holds
    // because the future is not polled again after a panic.
    let answered = AssertUnwindSafe(answered).catch_unwind().await;
    let answered =
        answered.unwrap_or_else(|_| Some(Err(ErrorData::internal_error("the call was lost", None))));
    answered.map(|answered| Response::to(id, answered))
}

fn as_json(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the future that a function returns.
    fn future_bytes<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_future_of_a_request_is_small() {
        // It is allocated and copied once for each call. Each function of the host that passes a future on by value makes
        // it larger by the size of that future, where one that is pinned in place is stored once.
        let bytes = future_bytes(answer);
        assert!(bytes <= 12 << 10, "the future has {bytes} bytes: which future is passed on by value?");
    }
}
