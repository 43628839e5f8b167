//! One generation of a host: everything that a registry's file stated when it was read.
//!
//! Owns what a reload exchanges as a whole: tools, callers, limits of arguments, and the state of each tool. A call
//! keeps the generation that it began with. Callers are also exchanged on their own, so that revoking access does not
//! wait for tools to load. Must not know the order of the stages. To add a part that survives reloads: a field of
//! `Parts`.

mod access;
mod admit;
mod answers;
mod aside;
mod health;
mod holds;
mod keys;
mod parts;
mod visible;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::admission::{Bulkhead, BulkheadSlot, Gate, Rejected, Slot};
use crate::caller::Rules;
use crate::caller::account::Accounts;
use crate::caller::facts::FactLimits;
use crate::caller::ledger::LedgerLimits;
use crate::caller::repeats::CallersRepeats;
use crate::caller::session::Sessions;
use crate::config::{CheckpointConfig, ConfigFile, Retention, SessionConfig, Unavailable};
use crate::execute::Execute;
use crate::policy::HoldRules;
use crate::registry::{Registry, Tool};
use crate::telemetry::metrics::{AdmissionView, CallView, StandingView, ToolMetrics};
pub(crate) use access::{Access, Accesses};
pub(crate) use admit::{Admitted, NotAdmitted};
use airlock_contract::arguments::ArgumentLimits;
use airlock_journal::{Journal, JournalError, OpenCall};
use airlock_types::caller::Caller;
use airlock_types::environment::{SharedEnvironment, ms};
use airlock_types::hold::Hold;
use airlock_types::plan::{Breakers, Quota};
use airlock_types::record::Record;
pub(crate) use answers::Answers;
pub(crate) use aside::Unusable;
use health::Health;
pub(crate) use health::Probe;
pub(crate) use holds::{Apart, Holds};
pub(crate) use keys::{Keys, RunningKey};
pub(crate) use parts::Parts;
pub use visible::Visible;
pub(crate) use visible::{Candidate, Resolved};

/// The context of a call. Cheap to make for other callers: all large parts are shared.
pub(crate) struct Generation {
    parts: Arc<Parts>,
    registry: Arc<Registry>,
    argument_limits: ArgumentLimits,
    call_deadline_ms: u64,
    fact_limits: FactLimits,
    ledger_limits: LedgerLimits,
    unavailable_tools: Unavailable,
    /// Rules over tools that hold calls.
    hold_rules: Arc<HoldRules>,
    hold_expires_ms: u64,
    retention: Arc<Retention>,
    checkpoint: Arc<CheckpointConfig>,
    /// The gate of the host, for guests of all tools.
    admission: Arc<Gate>,
    /// By public name. Each tool has its own locks, so calls of different tools do not contend.
    tools: Arc<BTreeMap<Arc<str>, Standing>>,
    access: Arc<Access>,
    /// Whether a tool has confidential fields. Without one, no call looks for any.
    has_confidential: bool,
}

/// The changing state of one tool.
struct Standing {
    bulkhead: Arc<Bulkhead>,
    health: Mutex<Health>,
    /// Made on the tool's first call.
    metrics: OnceLock<ToolMetrics>,
}

/// The slots of one attempt: one of its tool and one of the host.
#[expect(dead_code, reason = "held for its drop")]
pub(crate) struct Slots(BulkheadSlot, Slot);

impl Generation {
    /// The generation of a file. Gates of the last one are kept when their bounds are unchanged, so that old and new
    /// calls together stay within them. Quotas and breakers begin anew.
    pub(crate) fn new(
        parts: Arc<Parts>,
        file: &ConfigFile,
        registry: Arc<Registry>,
        access: Arc<Access>,
        last: Option<&Generation>,
    ) -> Generation {
        let config = &file.config;
        let now = ms(parts.environment.monotonic());
        // A gate with other bounds is new: calls that hold slots of the old one finish there.
        let keep = |gate: Option<&Arc<Gate>>, run, wait| match gate {
            Some(gate) if gate.is_of(run, wait) => gate.clone(),
            Some(_) | None => Arc::new(Gate::new(run, wait)),
        };
        let keep_bulkhead = |bulkhead: Option<&Arc<Bulkhead>>, run, wait| match bulkhead {
            Some(bulkhead) if bulkhead.is_of(run, wait) => bulkhead.clone(),
            Some(_) | None => Arc::new(Bulkhead::new(run, wait)),
        };
        let standing = |tool: &Tool| {
            let last = last.and_then(|last| last.tools.get(&*tool.name)).map(|standing| &standing.bulkhead);
            Standing {
                bulkhead: keep_bulkhead(last, tool.bulkhead_run, tool.bulkhead_wait),
                health: Mutex::new(Health { quota: Quota::full(now), breakers: Breakers::default() }),
                metrics: OnceLock::new(),
            }
        };
        let (fact_limits, ledger_limits) = session_limits(&config.session);
        let has_confidential = registry.tools().any(|tool| !tool.contract.confidential.is_empty());
        Generation {
            admission: keep(last.map(|last| &last.admission), config.host.calls_max, config.host.wait_max),
            // Before the next field, which takes the registry.
            tools: Arc::new(registry.tools().map(|tool| (tool.name.clone(), standing(tool))).collect()),
            has_confidential,
            registry,
            argument_limits: config.arguments.argument_limits(),
            call_deadline_ms: config.host.call_deadline_ms,
            fact_limits,
            ledger_limits,
            unavailable_tools: config.host.unavailable_tools,
            hold_rules: Arc::new(HoldRules::of(config)),
            hold_expires_ms: config.approval.expires.ms(),
            retention: Arc::new(config.retention()),
            checkpoint: Arc::new(config.journal.checkpoint.clone()),
            access,
            parts,
        }
    }

    /// The same tools with other callers. Gates, quotas and breakers are shared.
    pub(crate) fn with_access(&self, access: Arc<Access>) -> Generation {
        Generation {
            parts: self.parts.clone(),
            registry: self.registry.clone(),
            argument_limits: self.argument_limits,
            call_deadline_ms: self.call_deadline_ms,
            fact_limits: self.fact_limits,
            ledger_limits: self.ledger_limits,
            unavailable_tools: self.unavailable_tools,
            hold_rules: self.hold_rules.clone(),
            hold_expires_ms: self.hold_expires_ms,
            retention: self.retention.clone(),
            checkpoint: self.checkpoint.clone(),
            admission: self.admission.clone(),
            tools: self.tools.clone(),
            has_confidential: self.has_confidential,
            access,
        }
    }

    /// The same callers with fewer tools.
    pub(crate) fn with_fewer(&self, registry: Arc<Registry>) -> Generation {
        Generation { registry, ..self.with_access(self.access.clone()) }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// All tools, for code that serves no particular caller.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Whether a tool has confidential fields.
    pub(crate) fn has_confidential(&self) -> bool {
        self.has_confidential
    }

    pub(crate) fn argument_limits(&self) -> &ArgumentLimits {
        &self.argument_limits
    }

    pub(crate) fn call_deadline_ms(&self) -> u64 {
        self.call_deadline_ms
    }

    /// How many facts a session keeps.
    pub(crate) fn fact_limits(&self) -> FactLimits {
        self.fact_limits
    }

    /// How many calls a session remembers.
    pub(crate) fn ledger_limits(&self) -> LedgerLimits {
        self.ledger_limits
    }

    /// The rules over tools that hold calls.
    pub(crate) fn hold_rules(&self) -> &HoldRules {
        &self.hold_rules
    }

    /// For how long a call may wait for a person, in milliseconds.
    pub(crate) fn hold_expires_ms(&self) -> u64 {
        self.hold_expires_ms
    }

    /// Tells the webhook of the registry of a hold that was opened or has ended. Waits for nothing.
    pub(crate) fn tell_of(&self, hold: &Hold) {
        if let Some(webhook) = self.registry.webhook() {
            webhook.send(self.environment(), self.parts.metrics.webhook_failed(), hold);
        }
    }

    /// Waits until the webhook was told of everything, within half a minute. For a process that ends.
    pub(crate) async fn told(&self) {
        if let Some(webhook) = self.registry.webhook() {
            webhook.flush(self.environment()).await;
        }
    }

    /// What is kept of records.
    pub(crate) fn retention(&self) -> &Arc<Retention> {
        &self.retention
    }

    /// When checkpoints are made, and where they go.
    pub(crate) fn checkpoint(&self) -> &Arc<CheckpointConfig> {
        &self.checkpoint
    }

    pub(crate) fn execute(&self) -> &dyn Execute {
        &*self.parts.execute
    }

    pub(crate) fn environment(&self) -> &SharedEnvironment {
        &self.parts.environment
    }

    /// The gate for arguments that may take long to judge.
    pub(crate) fn heavy_arguments(&self) -> &Gate {
        &self.parts.heavy_arguments
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// The answers that are kept for when their tools cannot answer.
    pub(crate) fn answers(&self) -> &Answers {
        &self.parts.answers
    }

    /// The idempotency keys of callers.
    pub(crate) fn keys(&self) -> &Keys {
        &self.parts.keys
    }

    /// The calls that wait for a person.
    pub(crate) fn holds(&self) -> &Holds {
        &self.parts.holds
    }

    /// The record with this id, and the call if it has not ended, read aside.
    ///
    /// # Errors
    /// When the journal cannot be read, which is logged.
    pub(crate) async fn record(&self, id: String) -> Result<(Option<Record>, Option<OpenCall>), Unusable> {
        let parts = self.parts.clone();
        let find = move |(): &()| {
            // Before the record: a call that ends in between has one then.
            let open = parts.journal.find_open(&id)?;
            Ok::<_, JournalError>((parts.journal.find(&id)?, open))
        };
        self.parts.records.run(self.environment(), find).await
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.parts.accounts
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.parts.sessions
    }

    /// The failed calls of each caller.
    pub(crate) fn repeats(&self) -> &CallersRepeats {
        &self.parts.repeats
    }

    /// Adds a call to the metrics. Calls of different tools share no lock here.
    pub(crate) fn count(&self, call: &CallView<'_>) {
        let metrics = || self.parts.metrics.of(call.tool);
        match self.tools.get(call.tool) {
            // Known tools keep their counters; other names share the ones with an empty label.
            Some(standing) => standing.metrics.get_or_init(metrics).count(call),
            None => metrics().count(call),
        }
    }

    /// The rules of a caller; none when it has no entry and needs one.
    pub(crate) fn rules(&self, who: &Caller) -> Option<Arc<Rules>> {
        self.access.rules(who)
    }

    /// The tools that a caller may see; none at all for a caller without rules.
    pub(crate) fn visible(&self, who: &Caller) -> Visible {
        let now_unix_ms = ms(self.environment().wall());
        Visible::new(self.registry.clone(), self.rules(who), self.unavailable_tools, now_unix_ms)
    }

    /// The slots for one attempt of a tool. The tool's slot comes first: a tool that is busy must not hold slots of the
    /// host that other tools could use.
    ///
    /// # Errors
    /// `Rejected` when no slot comes free until `until` on the monotonic clock, or a queue is full.
    pub(crate) async fn enter(&self, tool: &str, who: &Caller, until: Duration) -> Result<Slots, Rejected> {
        // Plans come from this generation, so the tool is there. Rejecting is safe if it ever is not.
        let standing = self.tools.get(tool).ok_or(Rejected)?;
        let environment = &**self.environment();
        let tool =
            standing.bulkhead.enter(who, self.access.has_several_callers(), environment, until).await?;
        Ok(Slots(tool, self.admission.enter(environment, until).await?))
    }

    /// Waits before an attempt, through the environment so that tests and replay control the time.
    pub(crate) async fn wait(&self, ms: u64) {
        if ms > 0 {
            self.environment().pause(Duration::from_millis(ms)).await;
        }
    }

    /// The load of the host's gate, for metrics.
    pub(crate) fn load(&self) -> AdmissionView {
        AdmissionView { running: self.admission.running(), waiting: self.admission.waiting() }
    }

    /// The state of every tool, for metrics and the API.
    pub(crate) fn standings(&self) -> Vec<StandingView> {
        let now = ms(self.environment().monotonic());
        let view = |(name, standing): (&Arc<str>, &Standing)| {
            // One tool is locked at a time, so a scrape delays only calls of that tool.
            let health = standing.health();
            StandingView {
                tool: name.to_string(),
                admission: AdmissionView {
                    running: standing.bulkhead.running(),
                    waiting: standing.bulkhead.waiting(),
                },
                is_open: health.breakers.is_open_for_all(now),
                paused_callers: health.breakers.paused_callers(now),
            }
        };
        self.tools.iter().map(view).collect()
    }
}

/// What sessions remember.
fn session_limits(config: &SessionConfig) -> (FactLimits, LedgerLimits) {
    // Destructured without `..`, so that a new setting cannot parse without being enforced.
    let SessionConfig { facts_max, facts_bytes_max, calls_max, failed_ms_max } = *config;
    (FactLimits { facts_max, facts_bytes_max }, LedgerLimits { calls_max, failed_ms_max })
}
