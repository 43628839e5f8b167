//! The events of one call: appended by its stages, observed as they come, folded when the call ends.
//!
//! Owns that nothing is answered without a record: events that are dropped before they were sealed seal themselves as
//! those of a cancelled call. Must not know what any stage decides.

use std::sync::Arc;
use std::time::Duration;

use super::details::Details;
use super::observe::Observers;
use super::reply::Failed;
use super::{fold, report};
use crate::capability::report::Listener;
use crate::generation::Generation;
use airlock_journal::Durability;
use airlock_types::call::{Call, Note, Observer};
use airlock_types::code::Code;
use airlock_types::environment::{ms, us};
use airlock_types::event::Event;
use airlock_types::json::Json;
use airlock_types::plan::Progress;
use airlock_types::principal::Principal;
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use airlock_types::shorten::clean;
use airlock_types::usage::{Traces, charge_of_work};

/// Of a name that no tool may have, as many bytes go on record.
const NAME_BYTES_MAX: usize = 128;

/// Room for the events of a call of one attempt, so that most lists never grow.
const EVENTS: usize = 10;

/// What is known of a call before its first stage.
pub(super) struct Head<'c> {
    pub(super) id: String,
    /// The tool's name as it was asked for, cut and cleaned.
    pub(super) tool: String,
    pub(super) call: &'c Call,
    pub(super) started_unix_ms: u64,
    /// By the monotonic clock.
    pub(super) started: Duration,
}

pub(super) struct Events<'c> {
    pub(super) host: &'c Generation,
    pub(super) head: Head<'c>,
    pub(super) list: Vec<Event>,
    observers: Observers<'c>,
    observer: Option<Arc<dyn Observer>>,
    /// What the attempt that runs leaves behind, however it ends.
    running: Option<Traces>,
    /// Whether the record was made.
    pub(super) sealed: bool,
}

impl<'c> Events<'c> {
    pub(super) fn open(
        host: &'c Generation,
        call: &'c Call,
        observer: Option<Arc<dyn Observer>>,
    ) -> Events<'c> {
        let environment = host.environment();
        let started_unix_ms = ms(environment.wall());
        let head = Head {
            id: id(started_unix_ms, &environment.seed()),
            tool: clean(&call.tool[..call.tool.floor_char_boundary(NAME_BYTES_MAX)]),
            call,
            started_unix_ms,
            started: environment.monotonic(),
        };
        Events {
            host,
            head,
            list: Vec::with_capacity(EVENTS),
            observers: Observers::new(host, call, observer.clone()),
            observer,
            running: None,
            sealed: false,
        }
    }

    /// Appends an event; observers hear of it first.
    pub(super) fn push(&mut self, event: Event) {
        self.observers.observe(&event);
        self.list.push(event);
    }

    /// The tool that was asked for.
    pub(super) fn tool(&self) -> &str {
        &self.head.tool
    }

    /// Who calls.
    pub(super) fn caller(&self) -> &'c Principal {
        &self.head.call.caller
    }

    /// Time since the call came, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        ms(self.elapsed())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.host.environment().monotonic().saturating_sub(self.head.started)
    }

    /// The span of the call.
    pub(super) fn span(&self) -> tracing::Span {
        self.observers.spans.call()
    }

    /// The span of the attempt that the last step begins.
    pub(super) fn attempt_span(&self) -> tracing::Span {
        self.observers.spans.attempt()
    }

    /// Appends the steps that the plan took since the last time.
    pub(super) fn follow(&mut self, progress: &mut Progress) {
        for step in progress.take_path() {
            self.push(Event::Stepped { step });
        }
    }

    /// Where the reports of the tool that runs go, if anything listens.
    pub(super) fn listener(&self) -> Option<Listener> {
        let observer = self.observer.clone()?;
        Some(Box::new(move |report| observer.note(Note::Report(report))))
    }

    /// An attempt begins: where it leaves its traces. If the call is dropped before it ends, it goes on record as
    /// cancelled.
    pub(super) fn start(&mut self, started: Event) -> &mut Traces {
        self.push(started);
        self.running.insert(Traces::default())
    }

    /// The traces of the attempt that just ended.
    pub(super) fn take_traces(&mut self) -> Traces {
        self.running.take().unwrap_or_default()
    }

    /// Charges for the host's own work on the call since then, by the monotonic clock.
    pub(super) fn worked_since(&mut self, then: Duration) {
        let charge = charge_of_work(us(self.host.environment().monotonic().saturating_sub(then)));
        if charge > 0 {
            self.push(Event::Worked { charge });
        }
    }

    /// Puts a call that can have effects on record before it starts, or it does not start.
    pub(super) async fn intend(&mut self) -> Result<(), Failed> {
        if fold::effect(&self.list).repeatable() {
            return Ok(());
        }
        // Before it is committed: a call that is dropped meanwhile may leave an intent, which has to end.
        self.push(Event::Intended);
        let record =
            fold::record(&self.head, self.list.clone(), self.head.started_unix_ms, Code::Cancelled, None);
        self.host.journal().intend(*record).await.map_err(|err| {
            self.push(Event::Withdrawn);
            tracing::debug!("a call was refused: {err}");
            report::failed(&self.head.tool, Code::HostJournal, &Details::default())
        })
    }

    /// A call that never began has nothing that a crash could leave open, whatever it could have done.
    pub(super) fn durability(&self) -> Durability {
        let has = |what: fn(&Event) -> bool| self.list.iter().any(what);
        let is_open =
            has(|event| matches!(event, Event::Intended)) && !has(|event| matches!(event, Event::Withdrawn));
        if is_open { Durability::Committed } else { Durability::Queued }
    }

    /// The record, made of the events, which are of no more use here.
    pub(super) fn take_record(&mut self, code: Code, reply: Option<Json>) -> Box<Record<Json>> {
        let ended_unix_ms = self.head.started_unix_ms + self.elapsed_ms();
        fold::record(&self.head, std::mem::take(&mut self.list), ended_unix_ms, code, reply)
    }

    /// What the call came to, onto its span.
    pub(super) fn finish(&self, reply: &Reply) {
        self.observers.spans.finish(reply);
    }

    /// When a call that may take this long ends, by the monotonic clock.
    pub(super) fn ends(&self, deadline_ms: u64) -> Duration {
        self.head.started.saturating_add(Duration::from_millis(deadline_ms))
    }

    /// Charges the caller for what the call used.
    pub(super) fn charge(&self) {
        if let Some(used) = fold::amounts(&self.list, &self.head.call.arguments) {
            let now_ms = ms(self.host.environment().wall());
            self.host.accounts().charge(&self.head.call.caller, used, now_ms);
        }
    }
}

impl Drop for Events<'_> {
    /// The call was cancelled: nobody waits for its answer any more.
    fn drop(&mut self) {
        if self.sealed {
            return;
        }
        if let Some(traces) = self.running.take() {
            let findings = Vec::new();
            self.push(Event::AttemptEnded { code: Code::Cancelled, traces, trap: None, findings });
        }
        self.charge();
        fold::counted(self).count(self, Code::Cancelled, &[]);
        let durability = self.durability();
        let record = self.take_record(Code::Cancelled, None);
        self.host.journal().seal_now(record, durability);
    }
}

/// Ids begin with their time, so that a journal's rows lie in order.
fn id(unix_ms: u64, seed: &[u8; 32]) -> String {
    let mut random = [0; 10];
    random.copy_from_slice(&seed[..10]);
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid().to_string()
}
