//! Backtest: what recorded calls would have met under another registry.
//!
//! Owns the comparison of what a call came to with what it would come to now. The call goes through every stage of a real
//! call, with the new contracts, rules, limits, plans and checks; only its attempts are not new: a guest runs again with its
//! recorded imports, or ends as it is on record. So nothing leaves, and a new kind of rule needs no line here. Must not know
//! where records are kept, or how a backtest is shown.

mod answering;
mod clock;
mod recorded;
mod tested;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::caller::session::Session;
use crate::config::ConfigFile;
use crate::execute::{Outcome, Sandbox};
use crate::host::{Host, HostBuilder, OpenError};
use crate::policy::{CaseOf, HoldRules, Verdict, verdict};
use crate::registry::Tool;
use crate::replay::Recorded;
use airlock_contract::lower::lower_value;
use airlock_contract::ty::Ty;
use airlock_journal::Journal;
use airlock_journal::holds::Kept;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::environment::Environment as _;
use airlock_types::grant::{Asked, FilesGrant, HttpGrant};
use airlock_types::hold::{Hold, Standing};
use airlock_types::record::{Record, v3};
use airlock_types::reply::Reply;
use airlock_types::session::SessionKey;
use airlock_types::usage::TrapReport;
use answering::{Answering, Attempts, FromRecord, Known, Source};
use clock::Clock;
use recorded::{arguments, stopped};
pub use tested::{Change, Tested};

/// The key of the session in which recorded calls are tested.
const SESSION: &str = "backtest";

/// A host with the registry that is tried. One call at a time is tested on it.
pub struct Backtest {
    host: Host,
    file: ConfigFile,
    answering: Arc<Answering>,
    clock: Arc<Clock>,
}

impl Backtest {
    /// Opens the registry that is tried. `builder` has what a host needs beside it; its journal, clocks and executor are the
    /// backtest's own.
    ///
    /// # Errors
    /// As for [`HostBuilder::open`].
    pub async fn open(builder: HostBuilder<'_>, file: ConfigFile) -> Result<Backtest, OpenError> {
        let (answering, clock) = (Arc::new(Answering::default()), Arc::new(Clock::default()));
        let (answers, time) = (answering.clone(), clock.clone());
        let from_record = move |sandbox: Sandbox| {
            Arc::new(FromRecord { answering: answers, clock: time, sandbox }) as Arc<_>
        };
        let mut tried = file.clone();
        // Nobody is told of a hold that is none.
        tried.config.approval.webhook = None;
        tried.config.idle_unused_secrets();
        let builder = builder.registry(tried).journal(Journal::memory()).without_lock();
        let host = builder.environment(clock.clone()).execute(from_record).open().await?;
        Ok(Backtest { host, file, answering, clock })
    }

    /// The host, for what is wrong with its entries.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Tests one recorded call. Calls are given in the order in which they came: budgets and breakers go on from one to the
    /// next. `unseal` decrypts cassettes that are encrypted to the operator's key.
    pub async fn test(
        &self,
        record: &Record,
        unseal: &(dyn Fn(&str) -> Result<String, String> + Sync),
    ) -> Tested {
        // What is confidential in it is needed to make the call again.
        let opened = record.confidential.as_ref().map(|_| record.opened(unseal));
        let record = match &opened {
            Some(Ok(opened)) => opened,
            Some(Err(why)) => return self.skipped(record, why.to_string()),
            None => record,
        };
        let args = match arguments(record) {
            Ok(args) => args,
            Err(why) => return self.skipped(record, why),
        };
        let caller = Caller::recorded(&record.caller);
        if caller.is_anonymous() && !self.file.config.http.allow_anonymous {
            let why = "callers without credentials are not let in: `http.allow_anonymous`".to_owned();
            return Tested::stopped(record, Change::Denied, Code::PolicyDenied, why);
        }
        if self.is_gone(&caller) {
            let why = format!("the registry has no caller `{}`", caller.entry());
            return Tested::stopped(record, Change::Denied, Code::PolicyDenied, why);
        }
        self.clock.go_to(Duration::from_millis(record.started_unix_ms));
        self.answering.begin(self.attempts(record, unseal));
        let session = self.session(record, &caller);
        let key = session.as_ref().map_or(SessionKey::None, |_| SessionKey::Transport(SESSION.to_owned()));
        let call = Call { caller, session: key, ..Call::new(&record.tool, self.published(record, args)) };
        // Its log would name records that there are not.
        let reply = self.host.call(call).with_subscriber(NoSubscriber::default()).await;
        self.forget_hold(record, &reply).await;
        let unknown = self.answering.end();
        let unseen = session.and_then(|session| session.facts().lacks());
        self.by_uses(record).unwrap_or_else(|| match (unseen, unknown) {
            // Whether it would be stopped depends on it.
            (Some(why), _) => Tested::unknown(record, why),
            (None, Some(why)) => Tested::unanswered(record, why),
            (None, None) => Tested::compared(record, &reply),
        })
    }

    /// What became of a call whose record is not the one that was written.
    pub fn altered(&self, record: &Record, what: &str) -> Tested {
        self.skipped(record, format!("its record does not match the log: {what}"))
    }

    /// A call that is not made again. It was made then, so that the budgets of its caller have less left for those behind it.
    fn skipped(&self, record: &Record, why: String) -> Tested {
        let (caller, now_unix_ms) = (Caller::recorded(&record.caller), record.started_unix_ms);
        let generation = self.host.generation();
        if let Some(rules) = generation.rules(&caller).filter(|_| recorded::is_charged(record))
            && let Ok(account) = generation.accounts().open(&caller, &rules, now_unix_ms)
        {
            account.add(recorded::amounts(record), now_unix_ms);
        }
        Tested::unknown(record, why)
    }

    /// Each recorded call is held for itself: the next one like it must not wait in the same hold.
    async fn forget_hold(&self, record: &Record, reply: &Reply) {
        let Some(hold) = &reply.hold else { return };
        let host = self.host.generation();
        let end = |kept: &mut Kept, _: &str| {
            (kept.hold.standing, kept.is_fetched) = (Standing::Expired, true);
            Ok::<_, Infallible>(())
        };
        // In memory, where a change is made or there is no hold.
        let ended = host.holds().change(host.environment(), hold.id.clone(), end).await;
        host.holds().forget(&hold.id);
        if let Ok(Some(Ok(((), kept)))) = ended {
            self.know_approved(record, &kept.hold).await;
        }
    }

    /// A component of which an approved call ran is known from then on to the rules that held it, as on the host that recorded it.
    async fn know_approved(&self, record: &Record, hold: &Hold) {
        let was_approved = record.hold.as_ref().and_then(|hold| hold.standing.as_deref()) == Some("approved");
        let has_run = record.attempts.iter().any(|attempt| *attempt.route == *record.tool);
        if !was_approved || !has_run {
            return;
        }
        let host = self.host.generation();
        for rule in hold.rules.iter().filter(|rule| rule.is_first_use) {
            let known = rule.known_as(&hold.component);
            host.holds().know(host.environment(), known, record.started_unix_ms).await;
        }
    }

    /// Recorded arguments in the form that the tool publishes now. Those that were valid are on record in plain JSON.
    fn published(&self, record: &Record, args: Arguments) -> Arguments {
        let generation = self.host.generation();
        match (args, generation.registry().resolve(&record.tool)) {
            (Arguments::Parsed(args), Ok(tool)) => Arguments::Parsed(tool.contract.published_args(args)),
            (args, _) => args,
        }
    }

    /// A session that has seen what the session of a recorded call had. None for a call without one.
    fn session(&self, record: &Record, caller: &Caller) -> Option<Arc<Session>> {
        record.session.as_ref()?;
        let (key, now_ms) = (SessionKey::Transport(SESSION.to_owned()), record.started_unix_ms);
        let opened = self.host.generation().sessions().enter(caller, key, [0; 32], now_ms);
        let (_, session) = opened.ok().flatten()?;
        session.facts().recall(record.facts.as_deref().cloned().unwrap_or_default());
        session.ledger().recall(stopped(record));
        Some(session)
    }

    /// Whether a caller has no entry any more. Those of the program itself and without credentials never had one.
    fn is_gone(&self, caller: &Caller) -> bool {
        let has_entry = self.file.config.callers.keys().any(|name| name.get_ref() == caller.entry());
        !has_entry && !caller.is_anonymous() && *caller != Caller::local()
    }

    fn attempts(
        &self,
        record: &Record,
        unseal: &(dyn Fn(&str) -> Result<String, String> + Sync),
    ) -> Attempts {
        let generation = self.host.generation();
        let known = record.attempts.iter().enumerate().map(|(index, attempt)| {
            let tool = generation.registry().resolve(&attempt.route).ok();
            let is_same = tool.is_some_and(|tool| *tool.component.digest == *attempt.component);
            let policy = record.policy.clone().filter(|_| is_same && *attempt.route == *record.tool);
            let source = match Recorded::of(record, index + 1, unseal) {
                Ok(recorded) => Source::Again(Box::new(recorded.cassette)),
                Err(why) if is_same => ended(record, index, tool).unwrap_or(Source::Nothing(why.to_string())),
                Err(why) => Source::Nothing(format!("its component is another one, and {why}")),
            };
            ((attempt.route.to_string(), attempt.number), Known::of(attempt, source, policy))
        });
        known.collect()
    }

    /// What follows from the uses on record alone, whatever the attempts come to: one that is denied now, or one that was.
    fn by_uses(&self, record: &Record) -> Option<Tested> {
        let had = record.code.starts_with("ok");
        if had && let Some((tool, (capability, what))) = self.denied_now(record) {
            let why = format!("`{tool}` may not do {capability} {what}");
            return Some(Tested::stopped(record, Change::Denied, Code::PolicyDenied, why));
        }
        if had && let Some(why) = self.beyond_bounds(record) {
            return Some(Tested::stopped(record, Change::Denied, Code::PolicyDenied, why));
        }
        let why = self.admitted_now(record)?;
        Some(Tested { change: Change::Passes, was: record.code.to_string(), now: None, why })
    }

    /// The first use of a recorded call that the new rules deny, with the rule.
    fn denied_now(&self, record: &Record) -> Option<(String, (String, String))> {
        let generation = self.host.generation();
        record.attempts.iter().find_map(|attempt| {
            let tool = generation.registry().resolve(&attempt.route).ok()?;
            // Another component may use something else: what it does is known only where it runs again.
            if *tool.component.digest != *attempt.component {
                return None;
            }
            attempt.uses.iter().find_map(|used| {
                let said = self.verdict(tool, record, &Asked::read(&used.capability, &used.what).ok()?);
                let what = format!("`{}`, by {} ({})", used.what, said.rule, said.at);
                (said.decision == "deny").then(|| (tool.name.to_string(), (used.capability.clone(), what)))
            })
        })
    }

    /// The first bound of its grants that a recorded call is beyond, in words. What is on record is the sum over all hosts and
    /// folders, so that only what all grants together do not allow is known to be denied.
    fn beyond_bounds(&self, record: &Record) -> Option<String> {
        let generation = self.host.generation();
        let names: BTreeSet<&str> = record.attempts.iter().map(|attempt| &*attempt.route).collect();
        names.into_iter().find_map(|name| {
            let tool = generation.registry().resolve(name).ok()?;
            let of = record.attempts.iter().filter(|attempt| *attempt.route == *name);
            // Another component may use more or less.
            let of = of.filter(|attempt| *attempt.component == *tool.component.digest);
            let effective = tool.allowance.effective();
            let (http, files) = (&effective.http, &effective.files);
            // All accesses of one grant share its bounds.
            let http: BTreeMap<usize, &HttpGrant> =
                http.iter().map(|access| (access.grant, &access.allowed)).collect();
            let of_http = |bound: &dyn Fn(&HttpGrant) -> u64| {
                http.values().map(|grant| bound(grant)).fold(0, u64::saturating_add)
            };
            let written = files.iter().filter_map(FilesGrant::bounds).map(|bounds| bounds.bytes_max);
            let bounds = [
                ("requests", of_http(&|grant| grant.requests_max.into())),
                ("bytes sent", of_http(&|grant| grant.up_bytes_max)),
                ("bytes received", of_http(&|grant| grant.down_bytes_max)),
                ("bytes written", written.fold(0, u64::saturating_add)),
            ];
            // Bounds are those of a call: its attempts on a tool share them.
            let mut sums = [0u64; 4];
            for attempt in of {
                let v3::Usage { requests, up_bytes, down_bytes, written_bytes, .. } = attempt.usage;
                let used = [requests, up_bytes, down_bytes, written_bytes];
                sums.iter_mut().zip(used).for_each(|(sum, used)| *sum = sum.saturating_add(used));
            }
            let ((what, most), used) = bounds.into_iter().zip(sums).find(|((_, most), used)| used > most)?;
            Some(format!("`{name}`: {used} {what} are on record, and its grants allow {most} in a call"))
        })
    }

    /// The first use that was denied and would be allowed, in words.
    fn admitted_now(&self, record: &Record) -> Option<String> {
        let generation = self.host.generation();
        record.attempts.iter().find_map(|attempt| {
            let tool = generation.registry().resolve(&attempt.route).ok()?;
            attempt.denied.iter().filter(|denial| !denial.reported).find_map(|denial| {
                let asked = Asked::read(&denial.capability, &denial.asked).ok()?;
                // Which folder it would have opened next is not on record: it saw none.
                if denial.kind == "files are not granted"
                    && tool.allowance.effective().has(&denial.capability)
                {
                    return Some("files were not granted, and some are now".to_owned());
                }
                let said = self.verdict(tool, record, &asked);
                let what = format!(
                    "{} `{}` was denied, and is allowed by {}",
                    denial.capability, denial.asked, said.rule
                );
                (said.decision != "deny").then_some(what)
            })
        })
    }

    fn verdict(&self, tool: &Tool, record: &Record, asked: &Asked) -> Verdict {
        let Tool { name, effect, allowances, source, .. } = tool;
        let caller = Caller::recorded(&record.caller);
        let entry = self.file.config.callers.iter().find(|(name, _)| name.get_ref() == caller.entry());
        let who = (caller.entry(), entry.map(|(_, entry)| entry));
        let now_unix_ms = airlock_types::environment::ms(self.clock.wall());
        // About one use of a call that ran: whether the call is held was decided before.
        let holds = &HoldRules::default();
        let of = CaseOf { name, effect: *effect, allowances, source, holds, must_be_approved: false };
        verdict(of, who, Some(asked), now_unix_ms)
    }
}

/// How an attempt ended, if its record says enough.
fn ended(record: &Record, index: usize, tool: Option<&Arc<Tool>>) -> Option<Source> {
    let attempt = record.attempts.get(index)?;
    if let Some(v3::Trap { message, frames }) = &attempt.trap {
        let report = TrapReport { message: message.clone(), frames: frames.clone() };
        return Some(Source::Ended(Outcome::Trap(report)));
    }
    if let Some(hit) = answering::limit(&attempt.code) {
        return Some(Source::Ended(Outcome::Limit(hit)));
    }
    // The last attempt is the one that answered.
    let is_answer = index + 1 == record.attempts.len() && attempt.code.starts_with("ok");
    let tool = tool.filter(|_| is_answer)?;
    let Some(ty) = &tool.contract.function.ty.result else {
        return Some(Source::Ended(Outcome::Value(None)));
    };
    let result = record.reply.as_ref().and_then(|reply| reply.get("result"));
    let result = result.map(|result| tool.contract.plain_result(result.clone()));
    // A reply has the payload of an `ok` alone.
    let value = match ty {
        Ty::Result(Some(_), _) => json!({"tag": "ok", "val": result?}),
        Ty::Result(None, _) => json!({"tag": "ok"}),
        _ => result?,
    };
    let value = lower_value(ty, value).ok()?;
    Some(Source::Ended(Outcome::Value(Some(value))))
}
