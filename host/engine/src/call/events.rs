//! The events of one call: appended by its stages, observed as they come, folded when the call ends.
//!
//! Owns the guarantee that every answer has a record: events that are dropped before they are sealed seal themselves as
//! a cancelled call. Must not know what any stage decides. To add a kind of event: a variant of `Event`, and an arm in
//! every fold and observer that matches on events.

use std::sync::Arc;
use std::time::Duration;

use super::cache::Keeping;
use super::confidential;
use super::details::Details;
use super::facts::FactsOfCall;
use super::hold::Resume;
use super::ledger::Pending;
use super::observe::Observers;
use super::reply::Failed;
use super::{fold, report};
use crate::capability::report::Listener;
use crate::generation::{Generation, RunningKey};
use airlock_journal::{Durability, JournalError};
use airlock_types::call::{Call, Note, Observer};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::environment::{ms, us};
use airlock_types::event::Event;
use airlock_types::json::Json;
use airlock_types::plan::Progress;
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use airlock_types::text::visible_name;
use airlock_types::usage::{Traces, charge_of_work};

/// Bytes of the requested name that go on record. Well above the longest public name, and a bound on made-up ones.
const NAME_BYTES_MAX: usize = 128;

/// Initial capacity of the list. It holds the events of a call with one attempt, so that most lists never grow.
const EVENTS: usize = 16;

/// The facts of a call that are known before its first stage.
pub(super) struct Head<'c> {
    /// Id of the record. It begins with the time, see [`id`].
    pub(super) id: String,
    /// The requested name, cut to [`NAME_BYTES_MAX`]. Hidden characters are escapes: without them it could be the name of a tool.
    pub(super) tool: String,
    pub(super) call: &'c Call,
    pub(super) started_unix_ms: u64,
    /// Start on the monotonic clock, for durations and deadlines.
    pub(super) started: Duration,
}

/// The open event list of one call.
pub(super) struct Events<'c> {
    pub(super) host: &'c Generation,
    pub(super) head: Head<'c>,
    pub(super) list: Vec<Event>,
    /// What the call does to the facts of its session. None for a tool without facts.
    pub(super) facts: Option<Box<FactsOfCall>>,
    /// The call in the ledger of its session. None for a tool that only reads, and without a session.
    pub(super) pending: Option<Box<Pending>>,
    /// The hold that the call ends. None for one that an agent makes.
    pub(super) resumed: Option<Box<Resume>>,
    /// Where its answer is kept for its repeats. None for a tool without `cache`.
    pub(super) keeping: Option<Box<Keeping>>,
    /// The idempotency key of the call, while it runs.
    pub(super) key: Option<Box<RunningKey>>,
    observers: Observers<'c>,
    observer: Option<Arc<dyn Observer>>,
    /// Traces of the running attempt. They are here, not in the attempt, so that a dropped call still records them.
    running: Option<Traces>,
    /// Whether the record was made; the drop then does nothing.
    pub(super) sealed: bool,
}

impl<'c> Events<'c> {
    /// Opens the list when a call comes in, before any stage runs.
    pub(super) fn open(
        host: &'c Generation,
        call: &'c Call,
        observer: Option<Arc<dyn Observer>>,
    ) -> Events<'c> {
        let environment = host.environment();
        let started_unix_ms = ms(environment.wall());
        let head = Head {
            id: id(started_unix_ms, &environment.seed()),
            // Cut first, so that a name of any length costs the same.
            tool: visible_name(&call.tool[..call.tool.floor_char_boundary(NAME_BYTES_MAX)]).into_owned(),
            call,
            started_unix_ms,
            started: environment.monotonic(),
        };
        Events {
            host,
            head,
            list: Vec::with_capacity(EVENTS),
            facts: None,
            pending: None,
            resumed: None,
            keeping: None,
            key: None,
            // A second handle: notices and the guest's progress reports both reach the observer.
            observers: Observers::new(host, call, observer.clone()),
            observer,
            running: None,
            sealed: false,
        }
    }

    /// Appends an event. Observers see it before it is in the list.
    pub(super) fn push(&mut self, event: Event) {
        // Observers first, because the list takes the event over.
        self.observers.observe(&event);
        self.list.push(event);
    }

    /// The time at which the call came in.
    pub(super) fn started_unix_ms(&self) -> u64 {
        self.head.started_unix_ms
    }

    /// The requested name, as it is shown and recorded.
    pub(super) fn tool(&self) -> &str {
        &self.head.tool
    }

    /// SHA-256 of the component of the called tool, hex. None for an unknown tool.
    pub(super) fn component(&self) -> Option<&str> {
        self.list.iter().find_map(|event| {
            if let Event::Resolved { component, .. } = event { Some(&**component) } else { None }
        })
    }

    /// The arguments, canonical. None for those that are not valid.
    pub(super) fn args(&self) -> Option<&str> {
        self.list
            .iter()
            .find_map(|event| if let Event::Validated { args } = event { Some(args.as_str()) } else { None })
    }

    /// The digest of the policy that the called tool was decided by.
    pub(super) fn policy(&self) -> Option<&str> {
        self.list.iter().find_map(|event| {
            if let Event::Decided { policy, .. } = event { policy.as_deref() } else { None }
        })
    }

    /// The caller whose budgets, slots and breakers the call uses.
    pub(super) fn caller(&self) -> &'c Caller {
        &self.head.call.caller
    }

    /// Time since the call came in, in milliseconds, as plans count it.
    pub(super) fn elapsed_ms(&self) -> u64 {
        ms(self.elapsed())
    }

    /// Time since the call came in, on the monotonic clock.
    pub(super) fn elapsed(&self) -> Duration {
        self.host.environment().monotonic().saturating_sub(self.head.started)
    }

    /// The span of the call.
    pub(super) fn span(&self) -> tracing::Span {
        self.observers.spans.call()
    }

    /// The span of the attempt that the latest step begins; a disabled span between attempts.
    pub(super) fn attempt_span(&self) -> tracing::Span {
        self.observers.spans.attempt()
    }

    /// Appends the steps that the plan took since the last call of this function.
    pub(super) fn follow(&mut self, progress: &mut Progress) {
        for step in progress.take_path() {
            self.push(Event::Stepped { step });
        }
    }

    /// A callback for the progress reports of the running tool; none when the call has no observer.
    pub(super) fn listener(&self) -> Option<Listener> {
        // The callback lives in the attempt's store, which cannot borrow from the call.
        let observer = self.observer.clone()?;
        Some(Box::new(move |report| observer.note(Note::Report(report))))
    }

    /// Begins an attempt and returns the place for its traces. A call that is dropped before the attempt ends records
    /// the attempt as cancelled.
    pub(super) fn start(&mut self, started: Event) -> &mut Traces {
        self.push(started);
        self.running.insert(Traces::default())
    }

    /// Takes the traces of the attempt that just ended.
    pub(super) fn take_traces(&mut self) -> Traces {
        self.running.take().unwrap_or_default()
    }

    /// Charges the host's own work on the call since `then`, a time of the monotonic clock. Short work is free.
    pub(super) fn worked_since(&mut self, then: Duration) {
        let charge = charge_of_work(us(self.host.environment().monotonic().saturating_sub(then)));
        // Most work stays within the free time. An event for each would only make the list longer.
        if charge > 0 {
            self.push(Event::Worked { charge });
        }
    }

    /// Records a call with effects before it starts. A call without effects needs no such record.
    ///
    /// # Errors
    /// When the journal cannot commit the record: the call then does not start.
    pub(super) async fn intend(&mut self) -> Result<(), Failed> {
        if fold::effect(&self.list).repeatable() {
            return Ok(());
        }
        // Appended before the commit: a call that is dropped during the commit may leave an intent in the journal, and
        // the drop must then end it.
        self.push(Event::Intended);
        // After a crash this is what the journal says of the call. The events are copied, because the call goes on and its
        // final record needs them, too.
        let code = Code::OutcomeUnknown;
        let record = self.record_of(self.list.clone(), self.head.started_unix_ms, code, None);
        self.host.journal().intend(*record).await.map_err(|err| {
            // The call does not start, so its final record need not be committed before the reply.
            self.push(Event::Withdrawn);
            tracing::debug!("a call was refused: {err}");
            // A full journal stays full until the operator acts, so the agent is told that repeating is useless.
            if matches!(err, JournalError::Full) {
                report::journal_full(&self.head.tool)
            } else {
                report::failed(&self.head.tool, Code::HostJournal, &Details::default())
            }
        })
    }

    /// How durable the sealed record must be. Only a call whose intent is open in the journal has to wait for the
    /// commit. A call that never began leaves nothing open after a crash.
    pub(super) fn durability(&self) -> Durability {
        if self.is_intended() { Durability::Committed } else { Durability::Queued }
    }

    /// Whether the journal holds an intent of the call.
    pub(super) fn is_intended(&self) -> bool {
        // Derived from the list and not stored, so that the drop and the stages cannot disagree.
        let has = |what: fn(&Event) -> bool| self.list.iter().any(what);
        has(|event| matches!(event, Event::Intended)) && !has(|event| matches!(event, Event::Withdrawn))
    }

    /// Makes the record and takes the events with it. No fold may run after this.
    pub(super) fn take_record(&mut self, code: Code, reply: Option<Json>) -> Box<Record<Json>> {
        // Start plus elapsed, not the wall clock again: a clock that is set back would end a call before it began.
        let ended_unix_ms = self.head.started_unix_ms + self.elapsed_ms();
        let list = std::mem::take(&mut self.list);
        self.record_of(list, ended_unix_ms, code, reply)
    }

    /// The record that these events make. Every record of the call comes from here, without its confidential fields.
    fn record_of(
        &self,
        list: Vec<Event>,
        ended_unix_ms: u64,
        code: Code,
        reply: Option<Json>,
    ) -> Box<Record<Json>> {
        // Before the fold, which takes the events.
        let confidential = confidential::of(self.host, &self.head.tool, &list);
        let record = fold::record(&self.head, list, ended_unix_ms, code, reply);
        match confidential {
            Some(confidential) => confidential.masked(record, self.host.environment().seed()),
            None => record,
        }
    }

    /// Writes the outcome to the span of the call.
    pub(super) fn finish(&self, reply: &Reply) {
        self.observers.spans.finish(reply);
    }

    /// The end, on the monotonic clock, of a call that may take `deadline_ms`.
    pub(super) fn ends(&self, deadline_ms: u64) -> Duration {
        self.head.started.saturating_add(Duration::from_millis(deadline_ms))
    }

    /// Charges the caller's budgets for what the call used. Must run exactly once, before the events are taken.
    pub(super) fn charge(&self) {
        // None when a budget was already exhausted: such a call was never counted and costs nothing.
        if let Some(used) = fold::amounts(&self.list, &self.head.call.arguments) {
            let now_ms = ms(self.host.environment().wall());
            self.host.accounts().charge(&self.head.call.caller, used, now_ms);
        }
    }
}

impl Drop for Events<'_> {
    /// A call that is dropped unsealed was cancelled. Its attempt, charge, metrics, session and record are settled here.
    fn drop(&mut self) {
        if self.sealed {
            return;
        }
        // Nobody gets an answer, but whoever reads the record must not take a change that may have been made for none.
        let is_open = self.running.as_ref().is_some_and(|traces| traces.effects.is_open());
        let code = if is_open { Code::OutcomeUnknown } else { Code::Cancelled };
        // First: the charge, the metrics and the record are folds that need the end of the attempt.
        if let Some(traces) = self.running.take() {
            let findings = Vec::new();
            self.push(Event::AttemptEnded { code, traces: Box::new(traces), trap: None, findings });
        }
        self.charge();
        fold::counted(self).count(self, code, &[]);
        // Nobody knows how it ended, and its session has to count with what it may have changed.
        self.tell_session(code, None);
        // Read before the events are taken: durability is a fold over them.
        let durability = self.durability();
        let record = self.take_record(code, None);
        // A drop cannot wait for a place in the queue, so the record takes one of those for dropped calls.
        self.host.journal().seal_now(record, durability);
    }
}

/// A UUID of version 7. Ids begin with their time, so that rows of the journal are in order.
pub(super) fn id(unix_ms: u64, seed: &[u8; 32]) -> String {
    // RFC 9562 leaves 74 bits of a version 7 UUID to chance, which ten bytes cover.
    let mut random = [0; 10];
    random.copy_from_slice(&seed[..10]);
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid().to_string()
}
