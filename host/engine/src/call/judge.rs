//! The outer door: turns the outcome of an attempt into one outcome code.
//!
//! Owns this step, with everything that the reply and the record need beside the code. Must not know what follows: the
//! plan decides about retries and fallbacks. To add a check of results: a kind in `airlock_contract::check`.

use serde::Serialize;
use serde_json::Value;

use super::confidential;
use super::denials;
use super::details::Details;
use crate::registry::Tool;
use crate::sandbox::outcome::Outcome;
use airlock_contract::answer::{Answer, Answered, ToolError};
use airlock_contract::check;
use airlock_contract::check::Context;
use airlock_contract::lift::{LiftError, lift};
use airlock_contract::tool::ValidArgs;
use airlock_types::answer::{Clarify, Refusal, RetryAdvice};
use airlock_types::code::Code;
use airlock_types::digest::sha256;
use airlock_types::finding::{Finding, Verdict};
use airlock_types::grant::{Help, Refused};
use airlock_types::limit::{
    HANDLES_MAX, HEADERS_BYTES_MAX, Limits, RANDOM_BYTES_MAX, RESOURCES_MAX, STEP_PER_OUTPUT,
};
use airlock_types::reply::Cached;
use airlock_types::shorten;
use airlock_types::usage::{LimitHit, Traces};

/// Hexadecimal digits that tell refusals apart.
const DECISION_DIGITS: usize = 16;

/// The verdict about an attempt. Its parts are boxed: it is passed on from stage to stage.
pub(crate) struct Judged {
    pub(crate) code: Code,
    /// The value. Present exactly for `ok` and `ok.degraded`.
    pub(crate) accepted: Option<Box<Accepted>>,
    /// Present exactly for `refused`.
    pub(crate) refusal: Option<Box<Refusal>>,
    /// Present exactly for `clarify`.
    pub(crate) clarify: Option<Box<Clarify>>,
    pub(crate) details: Box<Details>,
}

/// What an attempt was to answer.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The tool that ran.
    pub(crate) tool: &'a Tool,
    /// The tool that was called.
    pub(crate) called: &'a Tool,
    pub(crate) args: &'a ValidArgs,
}

/// A value that passed the outer door.
pub(crate) struct Accepted {
    /// The result as JSON; none for a function without one.
    pub(crate) result: Option<Value>,
    /// The answer as the contract read it: content and assessment beside the value.
    pub(crate) answered: Answered,
    /// Findings that were not severe enough to reject the value.
    pub(crate) findings: Vec<Finding>,
    /// Size of the answer in bytes, as JSON.
    pub(crate) bytes: u64,
    /// Where it is no answer of now: when it was given.
    pub(crate) cached: Option<Cached>,
}

impl Judged {
    /// A verdict without a value.
    pub(super) fn failed(code: Code, details: Details) -> Judged {
        Judged { code, accepted: None, refusal: None, clarify: None, details: Box::new(details) }
    }

    /// The findings of the outer door, whether the value was accepted or not.
    pub(crate) fn findings(&self) -> &[Finding] {
        self.accepted.as_ref().map_or(&self.details.findings, |accepted| &accepted.findings)
    }
}

/// Judges the outcome of an attempt. Takes the value out of `outcome`.
///
/// # Errors
/// When a value does not fit its own type, which is a fault of the host.
pub(crate) fn judge(
    asked: Asked<'_>,
    outcome: &mut Outcome,
    traces: &Traces,
    now_unix_ms: u64,
) -> Result<Judged, LiftError> {
    let mut judged = with_denials(without_denials(asked, outcome, now_unix_ms)?, &traces.refused);
    if judged.code == Code::LimitDeadline {
        judged.details.waiting_for.clone_from(&traces.waiting_for);
    }
    let ignored = asked.args.ignored();
    if !ignored.is_empty() {
        let findings = match &mut judged.accepted {
            Some(accepted) => &mut accepted.findings,
            None => &mut judged.details.findings,
        };
        findings.push(Finding::ignored(ignored));
    }
    // A tool that answered all the same did without what the service kept from it.
    if judged.accepted.is_none()
        && let Some(name) = &traces.secret_refused
    {
        judged.details.findings.push(Finding::secret_refused(name));
    }
    Ok(judged)
}

/// Adds the denials that an attempt met to its failure, which they explain more often than not: a guest that finds no
/// folder answers with an error of its own or aborts. An attempt that had a value did without what it was denied.
fn with_denials(mut judged: Judged, refused: &[Refused]) -> Judged {
    if judged.accepted.is_none() {
        let details = &mut judged.details;
        for name in refused.iter().map(|refused| refused.asked.capability()) {
            if !details.denied.iter().any(|denied| denied == name) {
                details.denied.push(name.to_owned());
            }
        }
        details.kinds = denials::kinds(refused);
        details.help = Help::against(refused);
        let kinds = details.denied.iter().flat_map(|name| {
            let of = refused.iter().filter(move |refused| refused.asked.capability() == name);
            let mut kinds: Vec<String> = of.map(Refused::kind).collect();
            kinds.dedup();
            let kinds = if kinds.is_empty() { vec![format!("{name} is not granted")] } else { kinds };
            kinds.into_iter().map(move |kind| (name, kind))
        });
        let findings: Vec<Finding> = kinds.map(|(name, kind)| Finding::denied(name, &kind)).collect();
        details.findings.extend(findings);
    }
    judged
}

fn without_denials(asked: Asked<'_>, outcome: &mut Outcome, now_unix_ms: u64) -> Result<Judged, LiftError> {
    let Asked { tool, args, .. } = asked;
    let value = match outcome {
        Outcome::Value(value) => value.take(),
        // The trap's own report stays in `outcome`, because it goes into the record and not to the agent.
        Outcome::Trap(_) => return Ok(Judged::failed(Code::Trap, Details::default())),
        Outcome::Limit(hit) => {
            let limit = Some(limit_text(*hit, tool.limits()));
            let details = Details { limit, is_step: *hit == LimitHit::Step, ..Details::default() };
            return Ok(Judged::failed(hit.code(), details));
        }
        Outcome::Denied { capability, .. } => {
            let details = Details { denied: vec![capability.clone()], ..Details::default() };
            return Ok(Judged::failed(Code::PolicyDenied, details));
        }
        Outcome::SecretEcho { secret } => {
            let details = Details { findings: vec![Finding::secret_echo(secret)], ..Details::default() };
            return Ok(Judged::failed(Code::PolicyDenied, details));
        }
    };
    // A refusal, a question and a tool's error have forms of their own and are not checked like values.
    match tool.contract.shape.read(value, &tool.contract.errors)? {
        Answer::Value(answered) => accept(asked, *answered, now_unix_ms),
        Answer::Refused(refusal) => Ok(refused(tool, args, refusal)),
        Answer::Clarify(clarify) => {
            let clarify = Some(Box::new(clarify));
            Ok(Judged { clarify, ..Judged::failed(Code::Clarify, Details::default()) })
        }
        Answer::Error(error) => Ok(tool_error(error)),
    }
}

/// Lifts a value and checks it: size first, plausibility after.
fn accept(asked: Asked<'_>, answered: Answered, now_unix_ms: u64) -> Result<Judged, LiftError> {
    let tool = asked.tool;
    let contract = &tool.contract;
    let (result, mut found) = match (contract.shape.value_ty(), &answered.value) {
        // In the form of the called tool, whose schema its caller knows: a fallback is of the same type.
        (Some(ty), Some(value)) => {
            let (result, found) = asked.called.contract.published_result(lift(ty, value)?);
            (Some(result), found)
        }
        _ => (None, Vec::new()),
    };
    // Before the checks: their cost grows with the value, and this bounds it.
    let bytes = size(result.as_ref(), &answered);
    if bytes > tool.limits().output_bytes_max {
        let limit = Some(limit_text(LimitHit::Output, tool.limits()));
        let confidential = confidential::values(asked, result.as_ref());
        return Ok(Judged::failed(Code::LimitOutput, Details { limit, confidential, ..Details::default() }));
    }
    let checked = findings(asked, &answered, now_unix_ms).into_iter();
    found.extend(checked.map(|finding| asked.called.contract.published_finding(finding, result.as_ref())));
    let findings = found;
    // A warning is only noted. A suspect value is delivered, and its code says so.
    let code = match check::verdict(&findings) {
        Verdict::Pass | Verdict::Warn => Code::Ok,
        // Also for one that a person must see first: it is held once it would be delivered.
        Verdict::Suspect | Verdict::Escalate => Code::Degraded,
        Verdict::Reject => {
            let confidential = confidential::values(asked, result.as_ref());
            let details = Details { findings, confidential, ..Details::default() };
            return Ok(Judged::failed(Code::Implausible, details));
        }
    };
    let accepted = Accepted { result, answered, findings, bytes, cached: None };
    Ok(Judged { accepted: Some(Box::new(accepted)), ..Judged::failed(code, Details::default()) })
}

/// The doubts about an answer: those of the tool that gave it, and whether it answers what the called tool was asked.
fn findings(asked: Asked<'_>, answered: &Answered, now_unix_ms: u64) -> Vec<Finding> {
    let Some(value) = &answered.value else { return Vec::new() };
    let Asked { tool, called, args } = asked;
    let context = Context {
        params: &tool.contract.function.ty.params,
        args: args.values(),
        result: value,
        as_of: answered.as_of.as_ref().map(|as_of| as_of.time.as_str()),
        now_unix_ms,
    };
    let mut findings = tool.contract.checks.findings(&context);
    // A fallback is of the type of the called tool, so that tool's contract can be held against its answer. The rest of
    // the contract is about how a tool answers, in which the two may differ.
    if !std::ptr::eq(tool, called) {
        let of_called = called.contract.checks.of_any_answer(&context);
        let new = of_called.into_iter().filter(|one| !findings.contains(one)).collect::<Vec<_>>();
        findings.extend(new);
    }
    findings
}

/// Size of an answer in bytes, as JSON: the result and the content beside it.
fn size(result: Option<&Value>, answered: &Answered) -> u64 {
    json_bytes(&result).saturating_add(json_bytes(&answered.content))
}

/// Size of a value in bytes, as JSON. A value that cannot be written counts as larger than any limit.
fn json_bytes(value: &impl Serialize) -> u64 {
    use std::io::Write;
    // Counts instead of writing: the text itself is not needed here.
    struct Count(u64);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(u64::MAX, |()| count.0)
}

/// Completes a refusal with a decision id and a hint where the tool gave none.
fn refused(tool: &Tool, args: &ValidArgs, mut refusal: Refusal) -> Judged {
    if refusal.decision_id.is_empty() {
        // A digest of component, arguments and code: a refused call that is repeated gets the same id.
        refusal.decision_id = decision_id(&tool.component.digest, args.canonical(), &refusal.code);
    }
    // Each refusal must say what would help. A tool that does not say it is reported as such.
    if refusal.needed.is_empty() && refusal.contact.is_none() {
        refusal.needed.push("the tool does not say what it would need".to_owned());
    }
    let retry_after_ms = if let RetryAdvice::AfterMs(ms) = refusal.retryable { Some(ms) } else { None };
    let details = Details { retry_after_ms, ..Details::default() };
    Judged { refusal: Some(Box::new(refusal)), ..Judged::failed(Code::Refused, details) }
}

/// The id of a refusal to which the tool gave none.
pub(super) fn decision_id(component: &str, args: &str, code: &str) -> String {
    let mut id = sha256(format!("{component}\n{args}\n{code}").as_bytes());
    id.truncate(DECISION_DIGITS);
    id
}

fn tool_error(error: ToolError) -> Judged {
    let ToolError { code, mut detail, transient, is_callers, doc, retry_after_ms } = error;
    // A tool's strings may contain hidden characters. The reply and the record show the cleaned text.
    shorten::clean_strings(&mut detail);
    let details =
        Details { detail: Some(detail), transient, is_callers, doc, retry_after_ms, ..Details::default() };
    Judged::failed(code, details)
}

/// The limit that was hit, in words for an agent.
fn limit_text(hit: LimitHit, limits: &Limits) -> String {
    match hit {
        LimitHit::Fuel => format!("{} units", limits.fuel),
        LimitHit::Deadline => format!("{} ms", limits.deadline_ms),
        LimitHit::Memory => format!("{} bytes", limits.memory_bytes_max),
        LimitHit::Table => format!("{} elements", limits.table_elements_max),
        LimitHit::Output => format!("{} bytes", limits.output_bytes_max),
        // The stack size is a constant of the engine, so there is no setting to name.
        LimitHit::Stack => "its stack".to_owned(),
        LimitHit::Step => format!("{} bytes", limits.output_bytes_max.saturating_mul(STEP_PER_OUTPUT)),
        LimitHit::Resources => format!("{RESOURCES_MAX} open files, requests and streams at the same time"),
        LimitHit::Handles => format!("{HANDLES_MAX} handles at the same time"),
        LimitHit::Headers => format!("{HEADERS_BYTES_MAX} bytes of headers in one request"),
        LimitHit::Random => format!("{RANDOM_BYTES_MAX} random bytes at once"),
    }
}
