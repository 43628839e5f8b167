//! The record of a call while it is being made, and the reply that comes of it.
//!
//! Owns what is known so far. Nothing is answered without a record: a draft that is dropped before it was sealed
//! seals itself as cancelled.

mod envelope;
mod seal;
mod usage;

use std::sync::Arc;

use super::report::{self, Cause};
use super::stage::{End, ResolvedCall, ValidCall};
use crate::caller::account::Account;
use crate::caller::session::{LOOP_FROM, Session};
use crate::capability::report::Listener;
use crate::generation::Generation;
use airlock_types::call::{Arguments, Call, Note, Observer};
use airlock_types::code::Code;
use airlock_types::digest::sha256;
use airlock_types::effect::Effect;
use airlock_types::environment::ms;
use airlock_types::plan::{BreakerView, Decision, Plan, Progress, Step};
use airlock_types::record::{CallRecord, Json};
use airlock_types::reply::{ErrorReport, Reply, TotalUsage};
use airlock_types::session::SessionId;
use airlock_types::shorten::clean;
use usage::{LastAttempt, RunningAttempt};

/// Of a name that no tool may have, so much goes on record.
const NAME_BYTES_MAX: usize = 128;

/// Of arguments that were not valid, so much goes on record.
const INVALID_ARGS_BYTES_MAX: usize = 4 << 10;

pub(super) struct Draft<'h> {
    host: &'h Generation,
    record: Box<CallRecord<Json>>,
    started: std::time::Duration,
    usage: TotalUsage,
    /// Fuel to charge, which may be more than the engine counted.
    charge: u64,
    effect: Effect,
    /// Whether an intent of the call may be on record: it began, and its outcome is committed before the answer.
    intended: bool,
    running: Option<RunningAttempt>,
    last: Option<LastAttempt>,
    fallback_because: Option<Code>,
    /// Who pays, from when the call was admitted until it was charged.
    account: Option<Arc<Account>>,
    session: Option<Arc<Session>>,
    handle: Option<SessionId>,
    /// Arguments and result, as JSON; of arguments that are not valid, as they came.
    bytes: u64,
    observer: Option<Arc<dyn Observer>>,
    sealed: bool,
}

impl<'h> Draft<'h> {
    pub(super) fn open(host: &'h Generation, raw: &Call, observer: Option<Arc<dyn Observer>>) -> Draft<'h> {
        let environment = host.environment();
        let started_unix_ms = ms(environment.wall());
        let (args, bytes) = as_they_came(&raw.arguments);
        let record = Box::new(CallRecord {
            id: id(started_unix_ms, &environment.seed()),
            tool: clean(&raw.tool[..raw.tool.floor_char_boundary(NAME_BYTES_MAX)]),
            caller: raw.caller.to_string(),
            args,
            ..CallRecord::begun(started_unix_ms)
        });
        Draft {
            host,
            record,
            started: environment.monotonic(),
            usage: TotalUsage::default(),
            charge: 0,
            effect: Effect::Pure,
            intended: false,
            running: None,
            last: None,
            fallback_because: None,
            account: None,
            session: None,
            handle: None,
            bytes,
            observer,
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
        self.record.component = Some(call.tool().component.digest.clone());
        self.effect = call.tool().effect;
        call
    }

    pub(super) fn valid(&mut self, call: ValidCall) -> ValidCall {
        self.record.args = Json::text(call.canonical());
        self.bytes = call.canonical().len() as u64;
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
    pub(super) fn announce(&self, tool: impl FnOnce() -> Arc<str>, route: usize, number: u32) {
        if (route, number) == (0, 1) {
            return;
        }
        if let Some(observer) = &self.observer {
            observer.note(Note::Attempt { tool: tool(), number });
        }
    }

    /// Who hears the reports of the tool that runs, if anybody does.
    pub(super) fn listener(&self) -> Option<Listener> {
        let observer = self.observer.clone()?;
        Some(Box::new(move |report| observer.note(Note::Report(report))))
    }

    /// Takes over what was decided since.
    pub(super) fn follow(&mut self, progress: &mut Progress) {
        self.record.path.append(&mut progress.path);
    }

    /// The last step of the plan: its outcome becomes the end.
    pub(super) fn finished(&mut self, plan: &Plan, step: &Step, progress: &mut Progress) -> End {
        self.follow(progress);
        match step {
            Step::Accept { route, code } => {
                if *route > 0 {
                    self.fallback_because = progress.primary_ended.or(Some(Code::Overloaded));
                }
                End { code: *code, report: None }
            }
            Step::Attempt { .. } => self.failed(plan, Code::HostInternal),
            Step::GiveUp { code } => self.failed(plan, *code),
        }
    }

    fn failed(&mut self, plan: &Plan, code: Code) -> End {
        let tool = &self.record.tool;
        let paused = plan.routes.first().map_or(BreakerView::Closed, |route| route.input.breaker);
        let Some(LastAttempt { judged, .. }) = &mut self.last else {
            let report = match paused {
                BreakerView::Open { remaining_ms, scope } => {
                    report::paused(tool, scope, remaining_ms, self.record.started_unix_ms)
                }
                BreakerView::Closed | BreakerView::Probing => self.not_run(code),
            };
            return End { code, report: Some(Box::new(report)) };
        };
        judged.cause.attempts = self.usage.attempts;
        let mut report = match (&judged.refusal, &judged.clarify) {
            (Some(refusal), _) => report::refusal(tool, refusal),
            (None, Some(clarify)) => report::clarify(tool, clarify),
            (None, None) => report::report(tool, code, &judged.cause),
        };
        if let BreakerView::Open { remaining_ms, scope } = paused {
            let pause = report::pause(tool, scope, remaining_ms, self.record.started_unix_ms);
            report.message = format!("{pause} A fallback was tried.\n{}", report.message);
        }
        End { code, report: Some(Box::new(report)) }
    }

    /// The report of a call for which no attempt was worth starting.
    fn not_run(&self, code: Code) -> ErrorReport {
        let tool = &self.record.tool;
        let why = self.record.path.iter().find_map(|decision| match decision {
            Decision::Skipped { why, .. } => Some(why),
            Decision::Attempt { .. } | Decision::Ended { .. } | Decision::Stopped { .. } => None,
        });
        let mut report = report::report(tool, code, &Cause::default());
        if let Some(why) = why {
            report.message = format!("`{tool}` was not run: {why}.\n{}", report.message);
        }
        report
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
            self.put_on_record(Code::Cancelled, None, Vec::new());
            self.settle_account();
            self.count_cancelled();
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

/// The beginning of arguments as they came, and the bytes of all of them.
fn as_they_came(arguments: &Arguments) -> (Option<Json>, u64) {
    let (text, bytes) = match arguments {
        Arguments::Text(text) => {
            let shown = &text[..text.len().min(INVALID_ARGS_BYTES_MAX)];
            (String::from_utf8_lossy(shown), text.len())
        }
        Arguments::Parsed(args) => {
            let text = serde_json::to_string(args).unwrap_or_default();
            let bytes = text.len();
            (text.into(), bytes)
        }
    };
    (Json::of(&&text[..text.floor_char_boundary(INVALID_ARGS_BYTES_MAX)]), bytes as u64)
}
