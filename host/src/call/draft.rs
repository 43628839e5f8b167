//! The record of a call while it is being made, and the reply that comes of it.
//!
//! Owns what is known so far. Nothing is answered without a record: a draft that is dropped before it was sealed
//! seals itself as cancelled.

mod envelope;
mod seal;

use std::sync::Arc;

use tokio::sync::mpsc;

use super::attempt::{AttemptRecord, Judged};
use super::code::Code;
use super::raw::{Arguments, Note, RawCall};
use super::reply::{Reply, TotalUsage};
use super::report::{self, Cause};
use super::stage::{End, ResolvedCall, ValidCall};
use crate::caller::account::Account;
use crate::caller::budget::Amounts;
use crate::caller::session::{LOOP_FROM, Session, SessionId};
use crate::contract::digest::sha256;
use crate::contract::effect::Effect;
use crate::environment::ms;
use crate::host::Generation;
use crate::journal::{CallRecord, Json};
use crate::plan::{Decision, Ended, Plan, Progress, Step};
use crate::registry::Tool;
use crate::sandbox::progress::Listener;
use crate::telemetry::field;
use crate::telemetry::metrics::CallView;

/// Of a name that no tool may have, so much goes on record.
const NAME_BYTES_MAX: usize = 128;

/// Of arguments that were not valid, so much goes on record.
const INVALID_ARGS_BYTES_MAX: usize = 4 << 10;

pub(super) struct Draft<'h> {
    host: &'h Generation,
    record: Box<CallRecord<Json>>,
    started: std::time::Duration,
    usage: TotalUsage,
    effect: Effect,
    /// Whether an intent of the call may be on record: it began, and its outcome is committed before the answer.
    intended: bool,
    /// What the last attempt came to, and the tool that made it.
    last: Option<(Arc<str>, Arc<str>, Judged)>,
    fallback_because: Option<Code>,
    /// Who pays, once the call was admitted.
    account: Option<Arc<Account>>,
    session: Option<Arc<Session>>,
    handle: Option<SessionId>,
    /// Arguments and result, as JSON.
    bytes: u64,
    watcher: Option<mpsc::Sender<Note>>,
    sealed: bool,
}

impl<'h> Draft<'h> {
    pub(super) fn open(host: &'h Generation, raw: &RawCall) -> Draft<'h> {
        let environment = host.environment();
        let started_unix_ms = ms(environment.wall());
        let record = Box::new(CallRecord {
            id: id(started_unix_ms, &environment.seed()),
            tool: raw.tool[..raw.tool.floor_char_boundary(NAME_BYTES_MAX)].to_owned(),
            caller: raw.caller.to_string(),
            args: as_they_came(&raw.arguments),
            ..CallRecord::begun(started_unix_ms)
        });
        Draft {
            host,
            record,
            started: environment.monotonic(),
            usage: TotalUsage::default(),
            effect: Effect::Pure,
            intended: false,
            last: None,
            fallback_because: None,
            account: None,
            session: None,
            handle: None,
            bytes: 0,
            watcher: raw.progress.clone(),
            sealed: false,
        }
    }

    /// Time since the call came.
    pub(super) fn elapsed_ms(&self) -> u64 {
        ms(self.host.environment().monotonic().saturating_sub(self.started))
    }

    /// The tool that was asked for.
    pub(super) fn tool(&self) -> &str {
        &self.record.tool
    }

    pub(super) fn admitted(&mut self, account: Arc<Account>) {
        self.account = Some(account);
    }

    /// The session that the call belongs to, and whether the caller knows it by a handle.
    pub(super) fn in_session(&mut self, (id, session): (SessionId, Arc<Session>), has_handle: bool) {
        self.handle = has_handle.then_some(id);
        self.session = Some(session);
    }

    pub(super) fn resolved(&mut self, call: ResolvedCall) -> ResolvedCall {
        self.record.component = Some(call.tool.component.digest.clone());
        self.effect = call.tool.effect;
        call
    }

    pub(super) fn valid(&mut self, call: ValidCall) -> ValidCall {
        self.record.args = Json::text(call.canonical());
        self.bytes += call.canonical().len() as u64;
        call
    }

    pub(super) fn planned(&mut self, plan: Plan) -> Arc<Plan> {
        let plan = Arc::new(plan);
        self.record.plan = Some(plan.clone());
        plan
    }

    /// A call with effects is on record before it starts, or it does not start.
    pub(super) async fn intend(&mut self) -> Result<(), End> {
        if self.effect.repeatable() {
            return Ok(());
        }
        // Before it is committed: whoever goes away meanwhile leaves an intent that has to end.
        self.intended = true;
        self.host.journal().intend(CallRecord::clone(&self.record)).await.map_err(|err| {
            self.intended = false;
            tracing::debug!("a call was refused: {err}");
            let report = report::report(&self.record.tool, Code::HostJournal, &Cause::default());
            End { code: Code::HostJournal, report: Some(Box::new(report)) }
        })
    }

    /// Tells whoever watches that another attempt begins. The first one goes without saying.
    pub(super) fn announce(&self, plan: &Plan, route: usize, number: u32) {
        if (route, number) == (0, 1) {
            return;
        }
        if let Some(watcher) = &self.watcher {
            // Nobody is left to be told, or too much is being told already.
            let tool = plan.routes[route].input.tool.clone();
            let _ = watcher.try_send(Note::Attempt { tool, number });
        }
    }

    /// Who hears the reports of the tool that runs, if anybody does.
    pub(super) fn listener(&self) -> Option<Listener> {
        let watcher = self.watcher.clone()?;
        Some(Box::new(move |report| drop(watcher.try_send(Note::Report(report)))))
    }

    /// Takes in an attempt, and says of it what the plan needs.
    pub(super) fn attempted(
        &mut self,
        tool: &Tool,
        number: u32,
        ran: Option<(AttemptRecord, bool)>,
        judged: Judged,
    ) -> Ended {
        let mut effect_dispatched = false;
        if let Some((record, dispatched)) = ran {
            effect_dispatched = dispatched;
            self.usage.attempts += 1;
            self.usage.fuel += record.usage.fuel;
            self.usage.cpu_us += record.usage.cpu_us;
            self.usage.memory_bytes = self.usage.memory_bytes.max(record.usage.memory_bytes);
            // Most calls have one: what grows by itself would begin with room for four.
            self.record.attempts.reserve_exact(1);
            self.record.attempts.push(record);
        }
        tracing::debug!(tool = &*tool.name, number, code = judged.code.as_str(), "attempt");
        tracing::Span::current().record(field::OUTCOME, judged.code.as_str());
        let ended = Ended {
            code: judged.code,
            effect_dispatched,
            transient: judged.cause.transient,
            retry_after_ms: judged.cause.retry_after_ms,
        };
        self.last = Some((tool.name.clone(), tool.component.digest.clone(), judged));
        ended
    }

    /// Takes over what was decided since.
    pub(super) fn follow(&mut self, progress: &mut Progress) {
        self.record.path.append(&mut progress.path);
    }

    /// The last step of the plan: its health goes back to the tools, its outcome becomes the end.
    pub(super) fn finished(
        &mut self,
        host: &Generation,
        plan: &Plan,
        step: &Step,
        mut progress: Progress,
    ) -> End {
        for (route, settled) in plan.routes.iter().zip(progress.settled()) {
            host.settle(&route.input.tool, settled);
        }
        self.follow(&mut progress);
        match step {
            Step::Accept { route, code } => {
                if *route > 0 {
                    self.fallback_because = progress.primary_ended.or(Some(Code::Overloaded));
                }
                End { code: *code, report: None }
            }
            Step::Attempt { .. } => self.failed(Code::HostInternal),
            Step::GiveUp { code } => self.failed(*code),
        }
    }

    fn failed(&mut self, code: Code) -> End {
        let tool = &self.record.tool;
        let Some((_, _, judged)) = &mut self.last else {
            let paused = self.record.path.iter().find_map(|decision| match decision {
                Decision::Skipped { why, .. } => Some(why.clone()),
                Decision::Attempt { .. } | Decision::Ended { .. } | Decision::Stopped { .. } => None,
            });
            let mut report = report::report(tool, code, &Cause::default());
            if let Some(why) = paused {
                report.message = format!("`{tool}` was not run: it is {why}.\n{}", report.message);
            }
            return End { code, report: Some(Box::new(report)) };
        };
        judged.cause.attempts = self.usage.attempts;
        let report = match (&judged.refusal, &judged.clarify) {
            (Some(refusal), _) => report::refusal(tool, refusal),
            (None, Some(clarify)) => report::clarify(tool, clarify),
            (None, None) => report::report(tool, code, &judged.cause),
        };
        End { code, report: Some(Box::new(report)) }
    }

    /// The same call that fails the same way again and again: a model may not notice by itself.
    fn warn_of_loop(&self, reply: &mut Reply) {
        let Some(session) = &self.session else { return };
        let failed = reply.error.as_mut().filter(|error| !error.retryable);
        let call = || {
            let args = self.record.args.as_ref().map_or("", Json::as_str);
            sha256(format!("{}\n{args}", self.record.tool).as_bytes())
        };
        let times = session.note(call, failed.is_some());
        if let Some(error) = failed.filter(|_| times >= LOOP_FROM) {
            let warning = format!("You have sent this same call {times} times; its answer will not change.");
            error.message = format!("{warning}\n{}", error.message);
        }
    }

    /// What the call came to, onto its span, into its caller's account and the metrics.
    fn count(&self, reply: &Reply) {
        let span = tracing::Span::current();
        span.record(field::OUTCOME, reply.code.as_str());
        span.record(field::RECORD, reply.record.as_str());
        span.record(field::FUEL, self.usage.fuel);
        if reply.error.is_some() {
            span.record(field::ERROR, reply.code.as_str());
            span.record("otel.status_code", "ERROR");
        }
        let environment = self.host.environment();
        if let Some(account) = &self.account {
            let used = Amounts { calls: 0, fuel: self.usage.fuel, bytes: self.bytes };
            account.add(used, ms(environment.wall()));
        }
        self.host.count(&CallView {
            // A name that no tool has is no label: anybody can make up names.
            tool: if reply.code == Code::Unknown { "" } else { &reply.tool },
            outcome: reply.code.as_str(),
            seconds: environment.monotonic().saturating_sub(self.started).as_secs_f64(),
            fuel: self.usage.fuel,
            attempts: self.usage.attempts,
            findings: reply.findings.iter().map(|finding| finding.kind.as_str()).collect(),
        });
    }

    /// The record, which is of no more use here.
    fn take(&mut self, reply: &Reply) -> Box<CallRecord<Json>> {
        let ended_unix_ms = self.record.started_unix_ms + self.elapsed_ms();
        let mut record = self.leave();
        (record.code, record.ended_unix_ms) = (reply.code, ended_unix_ms);
        record.reply = Json::of(reply);
        record
    }

    fn leave(&mut self) -> Box<CallRecord<Json>> {
        std::mem::replace(&mut self.record, Box::new(CallRecord::begun(0)))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.sealed {
            self.record.ended_unix_ms = self.record.started_unix_ms + self.elapsed_ms();
            self.host.journal().seal_now(self.leave(), self.durability());
        }
    }
}

/// Ids begin with their time, so that a journal's rows lie in order.
fn id(unix_ms: u64, seed: &[u8; 32]) -> String {
    let mut random = [0; 10];
    random.copy_from_slice(&seed[..10]);
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid().to_string()
}

fn as_they_came(arguments: &Arguments) -> Option<Json> {
    let text = match arguments {
        Arguments::Text(text) => String::from_utf8_lossy(&text[..text.len().min(INVALID_ARGS_BYTES_MAX)]),
        Arguments::Parsed(args) => serde_json::to_string(args).unwrap_or_default().into(),
    };
    Json::of(&&text[..text.floor_char_boundary(INVALID_ARGS_BYTES_MAX)])
}
