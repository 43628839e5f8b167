//! What a call used, and who pays for it: attempts onto the record, fuel and bytes into the caller's account.
//!
//! A call that is dropped half-way has used as much as it has, so that none of this waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use super::Draft;
use crate::call::attempt::Judged;
use crate::caller::account::Account;
use crate::caller::budget::Amounts;
use crate::generation::Candidate;
use crate::registry::Tool;
use crate::sandbox::outcome::Traces;
use crate::telemetry::field;
use crate::telemetry::metrics::CallView;
use airlock_types::code::Code;
use airlock_types::environment::{SharedEnvironment, ms};
use airlock_types::finding::Finding;
use airlock_types::plan::Ended;
use airlock_types::record::AttemptRecord;
use airlock_types::reply::Reply;
use airlock_types::usage::TrapReport;
use airlock_types::usage::charge_of_work;

/// An attempt that runs.
pub(super) struct RunningAttempt {
    tool: Arc<Tool>,
    number: u32,
    traces: Traces,
}

/// The last attempt, and whose it was, as the caller may know it.
pub(super) struct LastAttempt {
    pub(super) route: Arc<str>,
    pub(super) component: Option<Arc<str>>,
    pub(super) judged: Judged,
}

/// The account of a call's caller, apart from the call.
pub(in crate::call) struct Payer {
    account: Option<Arc<Account>>,
    environment: SharedEnvironment,
}

impl Payer {
    /// Does some work and charges the caller for its time.
    pub(in crate::call) fn charged<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = self.environment.monotonic();
        let done = work();
        let us = self.environment.monotonic().saturating_sub(begun).as_micros();
        let fuel = charge_of_work(u64::try_from(us).unwrap_or(u64::MAX));
        if let Some(account) = &self.account {
            account.add(Amounts { calls: 0, fuel, bytes: 0 }, ms(self.environment.wall()));
        }
        done
    }
}

impl Draft<'_> {
    /// An attempt begins. If the call is dropped before it ends, it goes on record as cancelled.
    pub(in crate::call) fn begin_attempt(&mut self, tool: &Arc<Tool>, number: u32) -> &mut Traces {
        let running = RunningAttempt { tool: tool.clone(), number, traces: Traces::default() };
        &mut self.running.insert(running).traces
    }

    /// The attempt did not begin after all.
    pub(in crate::call) fn forget_attempt(&mut self) {
        self.running = None;
    }

    /// Capabilities that the attempt which just ended reached for without a grant.
    pub(in crate::call) fn denials(&self) -> &[String] {
        self.running.as_ref().map_or(&[], |running| &running.traces.denials)
    }

    /// Takes in an attempt, and says of it what the plan needs.
    pub(in crate::call) fn attempted(
        &mut self,
        candidate: &Candidate,
        number: u32,
        trap: Option<TrapReport>,
        judged: Judged,
    ) -> Ended {
        let findings = match &judged.accepted {
            Some(accepted) => &accepted.findings,
            None => &judged.cause.findings,
        };
        let effect_dispatched = self.put_on_record(judged.code, trap, findings.clone());
        tracing::debug!(tool = &*candidate.tool.name, number, code = judged.code.as_str(), "attempt");
        tracing::Span::current().record(field::OUTCOME, judged.code.as_str());
        let ended = Ended {
            code: judged.code,
            effect_dispatched,
            transient: judged.cause.transient,
            retry_after_ms: judged.cause.retry_after_ms,
        };
        let (route, component) = (candidate.shown_name(), candidate.shown_digest());
        self.last = Some(LastAttempt { route, component, judged });
        ended
    }

    /// Puts the attempt that ran on record, if one did: whether an effect of it had left the sandbox.
    pub(super) fn put_on_record(
        &mut self,
        code: Code,
        trap: Option<TrapReport>,
        findings: Vec<Finding>,
    ) -> bool {
        let Some(RunningAttempt { tool, number, traces }) = self.running.take() else { return false };
        let Traces { usage, charge, log, denials, effect_dispatched } = traces;
        self.charge = self.charge.saturating_add(charge);
        self.usage.attempts += 1;
        self.usage.fuel = self.usage.fuel.saturating_add(usage.fuel);
        self.usage.cpu_us += usage.cpu_us;
        self.usage.memory_bytes = self.usage.memory_bytes.max(usage.memory_bytes);
        // Most calls have one: what grows by itself would begin with room for four.
        self.record.attempts.reserve_exact(1);
        self.record.attempts.push(AttemptRecord {
            route: tool.name.clone(),
            component: tool.component.digest.clone(),
            number,
            code,
            usage,
            log,
            trap,
            denials,
            findings,
        });
        effect_dispatched
    }

    /// Time by the host's clock, from which [`Draft::worked_since`] counts.
    pub(in crate::call) fn now(&self) -> Duration {
        self.host.environment().monotonic()
    }

    /// The host has worked on the call itself since then: on arguments, or on an answer.
    pub(in crate::call) fn worked_since(&mut self, then: Duration) {
        let us = u64::try_from(self.now().saturating_sub(then).as_micros()).unwrap_or(u64::MAX);
        self.charge = self.charge.saturating_add(charge_of_work(us));
    }

    /// Who is charged for work of this call on another thread, which goes on when the call is dropped.
    pub(in crate::call) fn payer(&self) -> Payer {
        Payer { account: self.account.clone(), environment: self.host.environment().clone() }
    }

    /// Charges the caller, once.
    pub(super) fn settle_account(&mut self) {
        if let Some(account) = self.account.take() {
            let used = Amounts { calls: 0, fuel: self.charge, bytes: self.bytes };
            account.add(used, ms(self.host.environment().wall()));
        }
    }

    /// What the call came to, onto its span and into the metrics.
    pub(super) fn count(&self, reply: &Reply) {
        let span = tracing::Span::current();
        span.record(field::OUTCOME, reply.code.as_str());
        span.record(field::RECORD, reply.record.as_str());
        span.record(field::FUEL, self.usage.fuel);
        if reply.error.is_some() {
            span.record(field::ERROR, reply.code.as_str());
            span.record("otel.status_code", "ERROR");
        }
        // A name that no tool has is no label: anybody can make up names.
        let tool = if reply.code == Code::Unknown { "" } else { &reply.tool };
        self.count_as(tool, reply.code, &reply.findings);
    }

    /// Counts a call that was dropped before it had an answer.
    pub(super) fn count_cancelled(&self) {
        let tool = if self.record.component.is_some() { self.record.tool.as_str() } else { "" };
        self.count_as(tool, Code::Cancelled, &[]);
    }

    fn count_as(&self, tool: &str, code: Code, findings: &[Finding]) {
        self.host.count(&CallView {
            tool,
            outcome: code.as_str(),
            seconds: self.now().saturating_sub(self.started).as_secs_f64(),
            fuel: self.usage.fuel,
            attempts: self.usage.attempts,
            findings: findings.iter().map(|finding| finding.kind.as_str()).collect(),
        });
    }
}
