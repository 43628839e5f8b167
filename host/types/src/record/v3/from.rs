//! From the live types of this version to the stored form.

// Every live struct is destructured without `..`: a new field does not compile until it is stored or left out by name.

use std::borrow::Cow;
use std::sync::Arc;

use super::{
    Breaker, Decision, Denial, Effects, Finding, Jitter, Plan, Recording, Retry, Route, RouteInput, Step,
    Trap, Usage, Use, Verify, Wait, Word, WorstCase,
};
use crate::code::Code;
use crate::decision::{Reason, Ruling};
use crate::{cassette, effect, finding, grant, plan, usage};

fn word(word: &'static str) -> Word {
    Cow::Borrowed(word)
}

impl Decision {
    /// A decision with its reasons.
    pub fn new(ruling: Ruling, reasons: &[Reason], lacks: Vec<grant::Lack>) -> Decision {
        // Reasons are stored as text, so a record stays readable when the kinds of reasons change.
        Decision {
            ruling: word(ruling.as_str()),
            reasons: reasons.iter().map(Reason::to_string).collect(),
            denied: lacks.into_iter().map(Denial::from).collect(),
        }
    }
}

impl From<Arc<plan::Plan>> for Plan {
    /// Moves the parts out of a plan that has no other owner, as when a call ends; otherwise copies them.
    fn from(plan: Arc<plan::Plan>) -> Plan {
        let plan::Plan { version, args_digest, jitter, deadline_ms, routes } = Arc::unwrap_or_clone(plan);
        Plan {
            version,
            args_digest,
            jitter: jitter.into(),
            deadline_ms,
            routes: routes.into_iter().map(Route::from).collect(),
            worst_case: None,
        }
    }
}

impl From<plan::Jitter> for Jitter {
    fn from(jitter: plan::Jitter) -> Jitter {
        match jitter {
            plan::Jitter::Seeded(seed) => Jitter::Seeded(seed),
            plan::Jitter::Off => Jitter::Off,
        }
    }
}

impl From<plan::Route> for Route {
    fn from(route: plan::Route) -> Route {
        let plan::Route { input, repeat, reserve_ms } = route;
        Route { from: input.into(), repeat: word(repeat.as_str()), reserve_ms, waits: None }
    }
}

impl From<plan::RouteInput> for RouteInput {
    fn from(input: plan::RouteInput) -> RouteInput {
        let plan::RouteInput {
            tool,
            component,
            effect,
            is_closed,
            retry,
            attempt_deadline_ms,
            useful_ms_min,
            quota,
            breaker,
            verify,
            cached_ms_max,
        } = input;
        RouteInput {
            tool,
            component,
            effect: word(effect.as_str()),
            is_closed,
            retry: retry.into(),
            attempt_deadline_ms,
            useful_ms_min,
            quota,
            breaker: breaker.into(),
            verify: verify.map(Verify::from),
            cached_ms_max,
        }
    }
}

impl From<plan::Verify> for Verify {
    fn from(verify: plan::Verify) -> Verify {
        let plan::Verify { tool, after_ms, attempt_deadline_ms, useful_ms_min } = verify;
        Verify { tool, after_ms, attempt_deadline_ms, useful_ms_min }
    }
}

impl Effects {
    /// The effects of an attempt. None where there is nothing to say.
    pub fn of(effects: effect::Effects) -> Option<Effects> {
        // Not stored: whether an effect may leave again is what the plan decided by, and the path says what it decided.
        let effect::Effects { left: _, dispatched, settled, open_at } = effects;
        let is_empty = dispatched == 0 && open_at.is_empty();
        (!is_empty).then_some(Effects { dispatched, settled, open_at })
    }
}

impl From<plan::RetryPolicy> for Retry {
    fn from(retry: plan::RetryPolicy) -> Retry {
        let plan::RetryPolicy { attempts_max, transient_ms, throttled_ms, wait_ms_max, implausible } = retry;
        Retry { attempts_max, transient_ms, throttled_ms, wait_ms_max, implausible }
    }
}

impl From<plan::BreakerView> for Breaker {
    fn from(breaker: plan::BreakerView) -> Breaker {
        match breaker {
            plan::BreakerView::Closed => Breaker::Closed,
            plan::BreakerView::Probing => Breaker::Probing,
            plan::BreakerView::Open { remaining_ms, scope } => {
                Breaker::Open { remaining_ms, scope: word(scope.code()) }
            }
        }
    }
}

impl From<plan::Wait> for Wait {
    fn from(plan::Wait { transient_ms, throttled_ms }: plan::Wait) -> Wait {
        Wait { transient_ms, throttled_ms }
    }
}

impl From<plan::WorstCase> for WorstCase {
    fn from(plan::WorstCase { executions, latency_ms, quota }: plan::WorstCase) -> WorstCase {
        WorstCase { executions, latency_ms, quota }
    }
}

impl From<plan::PathStep> for Step {
    fn from(step: plan::PathStep) -> Step {
        match step {
            // Not stored: the cost is part of the quota, which the plan of a later call shows.
            plan::PathStep::Attempt { tool, number, wait_ms, cost: _ } => {
                Step::Attempt { tool, number, wait_ms }
            }
            plan::PathStep::Ended { tool, code } => Step::Ended { tool, code: code.into() },
            plan::PathStep::Skipped { tool, why } => Step::Skipped { tool, why },
            plan::PathStep::Stopped { tool, why } => Step::Stopped { tool, why },
            plan::PathStep::Asked { tool, wait_ms } => Step::Asked { tool, wait_ms },
            plan::PathStep::Verified { tool, found } => Step::Verified { tool, found: word(found.as_str()) },
            plan::PathStep::Recalled { tool, found } => {
                Step::Recalled { tool, found: word(found.as_str()), age_ms: found.age_ms() }
            }
        }
    }
}

impl From<Code> for Word {
    fn from(code: Code) -> Word {
        word(code.as_str())
    }
}

impl From<usage::Usage> for Usage {
    fn from(usage: usage::Usage) -> Usage {
        let usage::Usage {
            fuel,
            wall_us,
            cpu_us,
            memory_bytes,
            log_bytes,
            requests,
            up_bytes,
            down_bytes,
            written_bytes,
            files_created,
            keys_read,
            keys_written,
            value_bytes_read,
            value_bytes_written,
        } = usage;
        Usage {
            fuel,
            wall_us,
            cpu_us,
            memory_bytes,
            log_bytes,
            requests,
            up_bytes,
            down_bytes,
            written_bytes,
            files_created,
            keys_read,
            keys_written,
            value_bytes_read,
            value_bytes_written,
        }
    }
}

impl From<grant::Denial> for Denial {
    fn from(denial: grant::Denial) -> Denial {
        let grant::Denial { refused, rule, at, grant, below, how, replaces, is_reported } = denial;
        Denial { rule, at, grant, below, how, replaces, reported: is_reported, ..Denial::from(&refused) }
    }
}

impl From<grant::Lack> for Denial {
    fn from(grant::Lack { capability, asked, rule, at, grant, below, how, replaces }: grant::Lack) -> Denial {
        let kind = format!("{capability} is not granted");
        Denial {
            capability,
            asked,
            kind,
            rule,
            at,
            grant: Some(grant),
            below,
            how,
            replaces,
            reported: false,
        }
    }
}

impl Denial {
    /// A use that passed by a grant of `report` and was not explained, as of a call that was dropped while it ran.
    pub fn tried(asked: &grant::Asked) -> Denial {
        let refused = grant::Refused { asked: asked.clone(), why: grant::Why::NotGranted };
        Denial { reported: true, ..Denial::from(&refused) }
    }
}

impl From<&grant::Refused> for Denial {
    /// A refusal that was not explained, as of a call that was dropped while it ran.
    fn from(refused: &grant::Refused) -> Denial {
        Denial {
            capability: refused.asked.capability().to_owned(),
            asked: refused.asked.to_string(),
            kind: refused.kind(),
            rule: String::new(),
            at: String::new(),
            grant: None,
            below: String::new(),
            how: None,
            replaces: false,
            reported: false,
        }
    }
}

impl Use {
    /// A use, and how often.
    pub fn new((asked, times): &(grant::Asked, u64)) -> Use {
        Use { capability: asked.capability().to_owned(), what: asked.to_string(), times: *times }
    }
}

impl From<usage::TrapReport> for Trap {
    fn from(usage::TrapReport { message, frames }: usage::TrapReport) -> Trap {
        Trap { message, frames }
    }
}

impl From<Box<cassette::Recording>> for Recording {
    fn from(recording: Box<cassette::Recording>) -> Recording {
        let cassette::Recording { mode, imports, bytes, sha256, end_sha256, lacks, is_sealed, text } =
            *recording;
        let mode = word(mode.as_str());
        Recording { mode, imports, bytes, sha256, end_sha256, lacks, sealed: is_sealed, cassette: text }
    }
}

impl From<finding::Finding> for Finding {
    fn from(finding: finding::Finding) -> Finding {
        let finding::Finding { kind, verdict, path, expected, got } = finding;
        Finding { kind, verdict: word(verdict.as_str()), path, expected, got }
    }
}
