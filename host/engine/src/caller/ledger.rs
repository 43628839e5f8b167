//! The effects of one session: which calls of tools with effects ended how, so that a repeat is known.
//!
//! Owns the memory of these calls, its bounds, and what a call in between changes. A call is known by the digest of its
//! tool, component and canonical arguments (RFC 8785). Must not know what follows from a repeat, nor the texts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use airlock_types::answer::Refusal;
use airlock_types::code::Code;
use airlock_types::record::v3;
use airlock_types::reply::Failure;

/// How many calls a session remembers, and for how long a failure answers its repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LedgerLimits {
    pub(crate) calls_max: u64,
    pub(crate) failed_ms_max: u64,
}

/// A call of a tool with effects, as far as repeats and what depends on it are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Effectful {
    /// The tool's public name.
    pub(crate) tool: Arc<str>,
    /// SHA-256 of its component, hex.
    pub(crate) component: Arc<str>,
    /// The digest of tool, component and canonical arguments.
    pub(crate) digest: String,
    /// The names of the facts that it looks up.
    pub(crate) reads: Vec<String>,
    /// The names of the facts that it may change. Empty where its contract does not say.
    pub(crate) changes: Vec<String>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It failed, and would fail again.
    Failed(Box<Failed>),
    /// It succeeded.
    Done,
    /// It may have had effects, or not.
    Unknown,
}

/// A failure that would come again.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) code: Code,
    pub(crate) failure: Failure,
    pub(crate) refusal: Option<Box<Refusal>>,
}

/// A call that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) call: Effectful,
    pub(crate) end: End,
    /// When the call, or the same one before it, last may have changed anything. None if it never did.
    pub(crate) changed_unix_ms: Option<u64>,
    /// Its record.
    pub(crate) record: String,
    pub(crate) ended_unix_ms: u64,
}

/// What is known of a call that comes.
#[derive(Debug)]
pub(crate) enum Known {
    /// Nothing that stands in its way.
    New,
    /// It failed before, in this record and that long ago, and nothing that it depends on was written since.
    Failed { failed: Box<Failed>, record: String, age_ms: u64 },
    /// It succeeded before, in this record and that long ago.
    Done { record: String, age_ms: u64 },
    /// It runs at this moment.
    Running,
    /// What became of a recorded call that is tested.
    Recorded(v3::Repeat, Option<Box<Failed>>),
}

/// The effects of one session, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    ended: VecDeque<Ended>,
    /// How many calls run, by their digest.
    running: BTreeMap<String, u32>,
    /// When the last one ended of those that are remembered no more.
    forgotten_unix_ms: Option<u64>,
    /// For a recorded call that is tested: what stood in its way, in place of all that.
    recorded: Option<Recorded>,
}

#[derive(Debug, Default)]
struct Recorded(Option<(v3::Repeat, Option<Box<Failed>>)>);

impl Ledger {
    /// What is known of a call. One that is new counts as running until [`Ledger::ends`].
    pub(crate) fn begin(&mut self, call: &Effectful, limits: LedgerLimits, now_unix_ms: u64) -> Known {
        let known = self.look(call, limits, now_unix_ms);
        if matches!(known, Known::New) && self.recorded.is_none() {
            self.run_again(call);
        }
        known
    }

    /// What is known of a call that does not begin.
    pub(crate) fn look(&self, call: &Effectful, limits: LedgerLimits, now_unix_ms: u64) -> Known {
        if let Some(Recorded(recorded)) = &self.recorded {
            return recorded.clone().map_or(Known::New, |(repeat, failed)| Known::Recorded(repeat, failed));
        }
        if self.running.contains_key(&call.digest) {
            return Known::Running;
        }
        self.known(call, limits, now_unix_ms)
    }

    fn known(&self, call: &Effectful, limits: LedgerLimits, now_unix_ms: u64) -> Known {
        let Some(at) = self.ended.iter().position(|ended| ended.call.digest == call.digest) else {
            return Known::New;
        };
        let Some(first) = self.ended.get(at) else { return Known::New };
        if self.ended.iter().skip(at + 1).any(|later| releases(later, first)) {
            return Known::New;
        }
        let (record, age_ms) = (first.record.clone(), now_unix_ms.saturating_sub(first.ended_unix_ms));
        match &first.end {
            End::Failed(failed) if age_ms < limits.failed_ms_max => {
                Known::Failed { failed: failed.clone(), record, age_ms }
            }
            End::Done => Known::Done { record, age_ms },
            End::Failed(_) | End::Unknown => Known::New,
        }
    }

    /// A call that is known to repeat one that succeeded, or that runs, runs all the same.
    pub(crate) fn run_again(&mut self, call: &Effectful) {
        *self.running.entry(call.digest.clone()).or_default() += 1;
    }

    /// A call ends that began. `ended` is none for one that says nothing about a repeat.
    pub(crate) fn ends(&mut self, digest: &str, ended: Option<Ended>, limits: LedgerLimits) {
        if let Some(count) = self.running.get_mut(digest) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(digest);
            }
        }
        if let Some(ended) = ended {
            self.add(ended, limits);
        }
    }

    /// Adds the end of a call, of which this ledger need not know that it ran.
    pub(crate) fn add(&mut self, mut ended: Ended, limits: LedgerLimits) {
        // The newest end of a call counts. What an earlier one may have changed stays changed.
        if let Some(at) = self.ended.iter().position(|other| other.call.digest == ended.call.digest) {
            let before = self.ended.remove(at).and_then(|before| before.changed_unix_ms);
            ended.changed_unix_ms = ended.changed_unix_ms.max(before);
        }
        self.ended.push_back(ended);
        // The oldest first: what was written after a call is remembered as long as the call is.
        while self.ended.len() as u64 > limits.calls_max {
            let forgotten = self.ended.pop_front().map(|ended| ended.ended_unix_ms);
            self.forgotten_unix_ms = self.forgotten_unix_ms.max(forgotten);
        }
    }

    /// Whether a call of the session may have changed, since a time, what a call of this component read. One that runs may, and
    /// one that does not say what it changes.
    pub(crate) fn may_have_changed(&self, component: &str, reads: &[String], since_unix_ms: u64) -> bool {
        let touches = |Effectful { component: of, changes, .. }: &Effectful| {
            let is_declared = **of == *component && !changes.is_empty() && !reads.is_empty();
            !is_declared || changes.iter().any(|name| reads.contains(name))
        };
        let is_later = |ended: &&Ended| ended.changed_unix_ms.is_some_and(|at| at >= since_unix_ms);
        !self.running.is_empty()
            || self.forgotten_unix_ms.is_some_and(|at| at >= since_unix_ms)
            || self.ended.iter().filter(is_later).any(|ended| touches(&ended.call))
    }

    /// Has a recorded call meet what it met then, and nothing else.
    pub(crate) fn recall(&mut self, met: Option<(v3::Repeat, Option<Box<Failed>>)>) {
        self.recorded = Some(Recorded(met));
    }
}

/// Whether a later call may have changed what an earlier one depends on.
fn releases(later: &Ended, first: &Ended) -> bool {
    // The later one may repeat a call from before the earlier one, which was the one that changed something.
    if later.changed_unix_ms.is_none_or(|at| at < first.ended_unix_ms) {
        return false;
    }
    let is_failure = matches!(first.end, End::Failed(_));
    let (changes, reads) = (&later.call.changes, &first.call.reads);
    let is_declared =
        later.call.component == first.call.component && !changes.is_empty() && !reads.is_empty();
    if is_declared {
        // A tool's other calls do not say that what one of them did is undone.
        let is_other = is_failure || later.call.tool != first.call.tool;
        return is_other && changes.iter().any(|name| reads.contains(name));
    }
    // Undeclared: then a failure may have another reason now, and a success is not known to be undone.
    is_failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use airlock_types::code::Ran;

    const LIMITS: LedgerLimits = LedgerLimits { calls_max: 3, failed_ms_max: 1_000 };

    fn call(tool: &str, args: &str, reads: &[&str], changes: &[&str]) -> Effectful {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        Effectful {
            tool: tool.into(),
            component: "c".into(),
            digest: format!("{tool} {args}"),
            reads: names(reads),
            changes: names(changes),
        }
    }

    fn failed() -> End {
        let failure = Failure {
            message: "no seats".into(),
            retryable: false,
            caller_must_change_args: false,
            ran: Ran::Ran,
            retry_after_ms: None,
            violations: Vec::new(),
            example: None,
            detail: None,
            decision_id: None,
        };
        End::Failed(Box::new(Failed { code: Code::ToolError, failure, refusal: None }))
    }

    fn ended(ledger: &mut Ledger, call: &Effectful, end: End) {
        assert!(matches!(ledger.begin(call, LIMITS, 0), Known::New));
        ended_at(ledger, call, end, 0);
    }

    fn ended_at(ledger: &mut Ledger, call: &Effectful, end: End, ended_unix_ms: u64) {
        let changed_unix_ms = (!matches!(end, End::Failed(_))).then_some(ended_unix_ms);
        let (record, call) = ("r".to_owned(), call.clone());
        let digest = call.digest.clone();
        ledger.ends(&digest, Some(Ended { call, end, changed_unix_ms, record, ended_unix_ms }), LIMITS);
    }

    fn is(ledger: &mut Ledger, call: &Effectful, now_unix_ms: u64) -> &'static str {
        let known = ledger.begin(call, LIMITS, now_unix_ms);
        match known {
            Known::New => {
                ledger.ends(&call.digest, None, LIMITS);
                "new"
            }
            Known::Failed { .. } => "failed",
            Known::Done { .. } => "done",
            Known::Running => "running",
            Known::Recorded(..) => "recorded",
        }
    }

    #[test]
    fn a_failure_answers_its_repeats_until_something_is_written_or_time_passes() {
        let mut ledger = Ledger::default();
        let (book, cancel) = (call("book", "1", &[], &[]), call("cancel", "1", &[], &[]));
        ended(&mut ledger, &book, failed());
        assert_eq!([is(&mut ledger, &book, 999), is(&mut ledger, &book, 1_000)], ["failed", "new"]);
        assert_eq!(is(&mut ledger, &call("book", "2", &[], &[]), 0), "new");
        ended(&mut ledger, &cancel, failed());
        assert_eq!(is(&mut ledger, &book, 0), "failed", "what failed changed nothing");
        ended(&mut ledger, &call("cancel", "2", &[], &[]), End::Unknown);
        assert_eq!(is(&mut ledger, &book, 0), "new");
    }

    #[test]
    fn a_success_is_known_until_what_it_depends_on_is_changed_by_another_tool() {
        let mut ledger = Ledger::default();
        let book = call("book", "1", &["seat"], &["seat"]);
        ended(&mut ledger, &book, End::Done);
        ended(&mut ledger, &call("book", "2", &["seat"], &["seat"]), End::Done);
        ended(&mut ledger, &call("mail", "1", &[], &[]), End::Done);
        assert_eq!(is(&mut ledger, &book, u64::MAX), "done");
        ended(&mut ledger, &call("cancel", "1", &[], &["seat"]), End::Done);
        assert_eq!(is(&mut ledger, &book, 0), "new", "three calls are remembered");
        let mut ledger = Ledger::default();
        ended(&mut ledger, &book, End::Done);
        ended(&mut ledger, &call("rename", "1", &[], &["name"]), End::Done);
        assert_eq!(is(&mut ledger, &book, 0), "done");
        ended(&mut ledger, &call("cancel", "1", &[], &["seat"]), End::Done);
        assert_eq!(is(&mut ledger, &book, 0), "new");
    }

    #[test]
    fn a_declared_change_of_something_else_does_not_undo_the_reason_of_a_failure() {
        let mut ledger = Ledger::default();
        let book = call("book", "1", &["seat"], &[]);
        ended(&mut ledger, &book, failed());
        ended(&mut ledger, &call("rename", "1", &[], &["name"]), End::Done);
        assert_eq!(is(&mut ledger, &book, 0), "failed");
        ended(&mut ledger, &call("cancel", "1", &[], &["seat"]), End::Done);
        assert_eq!(is(&mut ledger, &book, 0), "new");
    }

    #[test]
    fn what_was_read_may_have_changed_after_a_write_of_it() {
        let mut ledger = Ledger::default();
        let is = |ledger: &Ledger, since| ledger.may_have_changed("c", &["seat".to_owned()], since);
        assert!(!is(&ledger, 0));
        ended(&mut ledger, &call("rename", "1", &[], &["name"]), End::Done);
        ended(&mut ledger, &call("book", "1", &[], &[]), failed());
        assert!(!is(&ledger, 0), "something else, and nothing");
        ended(&mut ledger, &call("cancel", "1", &[], &["seat"]), End::Done);
        assert!(is(&ledger, 0) && !is(&ledger, 1));
        assert!(ledger.may_have_changed("c", &[], 0), "the tool does not say what it reads");
        assert!(ledger.may_have_changed("other", &["seat".to_owned()], 0));
        let mut ledger = Ledger::default();
        let mail = call("mail", "1", &[], &[]);
        assert!(matches!(ledger.begin(&mail, LIMITS, 0), Known::New));
        assert!(is(&ledger, 1), "it runs");
        ledger.ends(&mail.digest, None, LIMITS);
        assert!(!is(&ledger, 0));
        for args in ["1", "2", "3", "4"] {
            ended(&mut ledger, &call("rename", args, &[], &["name"]), End::Done);
        }
        assert!(is(&ledger, 0), "what is forgotten may have been anything");
    }

    #[test]
    fn what_a_call_changed_stays_changed_when_the_same_call_fails_after_it() {
        let mut ledger = Ledger::default();
        let (book, mail) = (call("book", "1", &[], &[]), call("mail", "1", &[], &[]));
        ended_at(&mut ledger, &mail, failed(), 10);
        ended_at(&mut ledger, &book, End::Done, 20);
        ended_at(&mut ledger, &mail, failed(), 30);
        ended_at(&mut ledger, &book, failed(), 40);
        assert!(ledger.may_have_changed("c", &[], 20) && !ledger.may_have_changed("c", &[], 21));
        assert_eq!(is(&mut ledger, &mail, 40), "failed", "nothing was changed since");
    }

    #[test]
    fn two_equal_calls_at_once_run_until_both_have_ended() {
        let mut ledger = Ledger::default();
        let book = call("book", "1", &[], &[]);
        assert!(matches!(ledger.begin(&book, LIMITS, 0), Known::New));
        ledger.run_again(&book);
        ended_at(&mut ledger, &book, End::Done, 1);
        assert!(ledger.may_have_changed("c", &[], 9), "the other one runs");
        ended_at(&mut ledger, &book, End::Unknown, 5);
        assert!(ledger.may_have_changed("c", &[], 5) && !ledger.may_have_changed("c", &[], 6));
    }

    #[test]
    fn a_call_that_runs_is_known_until_it_ends() {
        let mut ledger = Ledger::default();
        let book = call("book", "1", &[], &[]);
        assert!(matches!(ledger.begin(&book, LIMITS, 0), Known::New));
        assert!(matches!(ledger.begin(&book, LIMITS, 0), Known::Running));
        ledger.ends(&book.digest, None, LIMITS);
        assert_eq!(is(&mut ledger, &book, 0), "new");
    }
}
