//! The runs of one case.
//!
//! Owns which runs a case has. Must not know what a difference between them means: `airlock_shadow::leg` does.

use std::collections::BTreeSet;
use std::sync::Arc;

use airlock::Host;
use airlock::replay::{Divergence, Import, Judgement, Mode, Recorded, Replayed, judge, replay};
use airlock_contract::check;
use airlock_shadow::case::Case;
use airlock_shadow::compare::Comparators;
use airlock_shadow::leg::{Judged, Observed, Ran, attribute, newest};
use airlock_shadow::night::{CaseResult, Live};
use airlock_shadow::suite::CandidateMode;
use airlock_types::cassette::End;
use airlock_types::shorten::shorten;
use serde_json::Value;

/// Most characters of the arguments of an import in a sentence.
const ARGS_CHARS_MAX: usize = 120;

/// A case, and what it runs with.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) case: Case,
    /// What is replayed, or why it cannot be.
    pub(super) recorded: Result<Recorded, String>,
    /// The host with the recorded component.
    pub(super) base: Result<Arc<Host>, String>,
    /// The host with what is tried.
    pub(super) candidate: Option<Result<Arc<Host>, String>>,
    pub(super) mode: CandidateMode,
    /// Whether imports may be real.
    pub(super) is_live: bool,
    pub(super) comparators: Arc<Comparators>,
}

impl Job {
    /// Makes the runs of the case, and compares them.
    pub(super) async fn run(self) -> CaseResult {
        let observed = self.observe().await;
        let legs = attribute(&observed, &self.comparators);
        let live = live_figures(&observed, &self);
        let answer = newest(&observed).cloned();
        CaseResult { case: self.name, tool: self.case.stratum.tool, legs, answer, live }
    }

    async fn observe(&self) -> Observed {
        let none = |why: &String| Observed {
            same: Err(why.clone()),
            candidate: None,
            live: None,
            judged: None,
            judged_by_candidate: None,
            reference: None,
        };
        let (recorded, base) = match (&self.recorded, &self.base) {
            (Ok(recorded), Ok(base)) => (recorded, base),
            (Err(why), _) | (_, Err(why)) => return none(why),
        };
        let same = match replay(base, recorded, Mode::Strict).await {
            Ok(same) => same,
            Err(err) => return none(&err.to_string()),
        };
        let now = self.judged(base, recorded, &same);
        let (candidate, by_candidate) = match (&self.candidate, &same.end) {
            (Some(host), Some(_)) => self.tried(host, recorded, &same).await,
            _ => (None, None),
        };
        let has_imports = !recorded.cassette.entries.is_empty();
        let live = match self.is_live && has_imports && same.end.is_some() {
            true => Some(live(base, recorded).await),
            false => None,
        };
        let reference = self.case.reference.as_ref().and_then(|reference| {
            reference.answer.clone().or_else(|| same.end.as_ref().map(|end| end.detail.clone()))
        });
        Observed {
            judged: now.and_then(|now| Some((self.recorded_judgement()?, now))),
            judged_by_candidate: by_candidate,
            same: Ok(ran(same)),
            candidate,
            live,
            reference,
        }
    }

    /// The run of what is tried, and what its contract says of the recorded answer.
    async fn tried(
        &self,
        host: &Result<Arc<Host>, String>,
        recorded: &Recorded,
        same: &Replayed,
    ) -> (Option<Result<Ran, String>>, Option<Result<Judged, String>>) {
        let host = match host {
            Ok(host) => host,
            Err(why) => return (Some(Err(why.clone())), None),
        };
        let mode = match self.mode {
            CandidateMode::Stub => Mode::Stub,
            CandidateMode::Strict => Mode::Strict,
        };
        let run = replay(host, recorded, mode).await.map(ran).map_err(|err| err.to_string());
        // Where the types are others, the run says so.
        let judged = judge(host, recorded, same, self.case.record.ended_unix_ms).ok().flatten();
        (Some(run), judged.map(|judgement| Ok(judged_of(judgement))))
    }

    fn judged(&self, host: &Host, recorded: &Recorded, same: &Replayed) -> Option<Judged> {
        let is_value = same.end.as_ref().is_some_and(|end| end.kind == End::VALUE);
        let judgement = judge(host, recorded, same, self.case.record.ended_unix_ms).ok()??;
        is_value.then(|| judged_of(judgement))
    }

    /// What the outer door said when the attempt was recorded. None for a fallback, which was held against the contract of
    /// the called tool as well.
    fn recorded_judgement(&self) -> Option<Judged> {
        let attempt = self.case.record.attempts.first()?;
        let of = |finding: &airlock_types::record::v3::Finding| {
            (finding.kind.clone(), finding.verdict.to_string(), finding.path.clone())
        };
        let is_check = |finding: &&airlock_types::record::v3::Finding| is_check(&finding.kind);
        let findings = attempt.findings.iter().filter(is_check).map(of).collect();
        let is_called = *self.case.record.tool == *attempt.route;
        is_called.then(|| Judged { code: attempt.code.to_string(), findings })
    }
}

/// Whether findings of this kind follow from the answer alone.
fn is_check(kind: &str) -> bool {
    check::ALL.iter().any(|(name, _)| *name == kind)
}

fn judged_of(Judgement { code, findings, .. }: Judgement) -> Judged {
    let findings = findings.into_iter().filter(|finding| is_check(&finding.kind));
    let findings: BTreeSet<_> =
        findings.map(|finding| (finding.kind, finding.verdict.as_str().to_owned(), finding.path)).collect();
    Judged { code: code.to_owned(), findings }
}

/// Two runs with real imports, one after the other. What may change something is answered from the cassette, or refused.
async fn live(host: &Host, recorded: &Recorded) -> Result<[Ran; 2], String> {
    let mut runs = [Ran::default(), Ran::default()];
    for run in &mut runs {
        *run = ran(replay(host, recorded, Mode::LiveShadow).await.map_err(|err| err.to_string())?);
    }
    Ok(runs)
}

fn ran(replayed: Replayed) -> Ran {
    Ran {
        divergence: replayed.divergence.as_ref().map(diverged),
        effects: replayed.effects.iter().map(import).collect(),
        end: replayed.end,
        differences: replayed.differences,
    }
}

fn import(Import { name, args, .. }: &Import) -> String {
    format!("{name} {}", shorten(&args.to_string(), ARGS_CHARS_MAX))
}

/// Where a run left its cassette, with both sides.
fn diverged(Divergence { at, recorded, replayed, what, .. }: &Divergence) -> String {
    let side = |side: &Option<Import>| side.as_ref().map_or_else(|| "nothing".to_owned(), import);
    // Without an order there is no place, and nothing that was recorded there.
    let Some(at) = at else { return format!("{what}; now {}", side(replayed)) };
    format!("at import {at}: {what}; recorded {}, now {}", side(recorded), side(replayed))
}

/// The figures of the runs with real imports.
fn live_figures(observed: &Observed, job: &Job) -> Option<Live> {
    let (Ok(same), Some(Ok([first, _]))) = (&observed.same, &observed.live) else { return None };
    let (was, is) = (same.end.as_ref()?, first.end.as_ref());
    let is_err = |end: &End| end.detail.get("tag").and_then(Value::as_str) == Some("err");
    let fuel = job.recorded.as_ref().ok()?.fuel.max(1) as f64;
    Some(Live {
        is_changed: is.is_none_or(|is| !job.comparators.compare(was, is).is_same()),
        is_failed: is.is_none_or(|is| is.kind != End::VALUE || is_err(is)),
        // One that was stopped used what it used up to there.
        fuel: is.map_or(1.0, |is| is.fuel as f64 / fuel),
    })
}
