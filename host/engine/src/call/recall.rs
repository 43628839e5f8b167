//! The answers that are kept for a tool with `fallback = [{ cached = … }]`.
//!
//! Owns which answers are kept, for whom, and what a kept one becomes in a later call. Must not know when one is sought,
//! which the plan decides, nor how they are stored.

use super::attempt::EndedAttempt;
use super::confidential;
use super::details::Details;
use super::events::Events;
use super::judge::{Accepted, Judged};
use super::permit::PermittedRoute;
use super::reply::{Delivered, Failed};
use airlock_contract::answer::{Answered, AsOf, Assessment};
use airlock_types::answer::{Refusal, RetryAdvice};
use airlock_types::code::Code;
use airlock_types::digest::sha256;
use airlock_types::duration;
use airlock_types::environment::ms;
use airlock_types::event::Event;
use airlock_types::plan::{Plan, Recalled};
use airlock_types::reply::{Cached, Reply};

/// The code of a refusal: there is an answer, and it is older than the operator allows.
const STALE_ONLY: &str = "stale-only";

impl Events<'_> {
    /// The key of an answer of this call: whose it is, and of what.
    fn key(&self, plan: &Plan) -> Option<(String, String)> {
        // Those without credentials are strangers to each other: one must not read what another one asked for.
        if self.caller().is_anonymous() {
            return None;
        }
        let tool = self.host.registry().resolve(&plan.routes.first()?.input.tool).ok()?;
        let function = tool.contract.function.full_address();
        // Of this policy alone: what was read by a grant must not be told after it was taken back.
        let policy = self.policy()?;
        // Of this function alone: that of another version may be of another type.
        let (caller, digest) = (self.caller().to_string(), &tool.component.digest);
        let of = [&*caller, &tool.name, digest, &function, &plan.args_digest, policy].join("\n");
        Some((caller, sha256(of.as_bytes())))
    }

    /// The key under which the reply of this call is to be kept. None for a tool that keeps none, and for a reply that is
    /// not plainly its own answer.
    pub(super) fn key_to_keep(&self, reply: &Reply) -> Option<(String, String)> {
        let plan = self
            .list
            .iter()
            .find_map(|event| if let Event::Planned { plan } = event { Some(plan) } else { None })?;
        let is_kept = reply.code == Code::Ok && plan.routes.iter().any(|route| route.input.is_cached());
        // After a reload an older tool may be a fallback of this one, which was never held against it.
        let is_open = || confidential::of(self.host, self.tool(), &[]).is_none();
        (is_kept && is_open()).then(|| self.key(plan)).flatten()
    }
}

/// Looks for a kept answer of the called tool. One that is too old is returned as a refusal.
pub(super) async fn recall(
    events: &Events<'_>,
    plan: &Plan,
    route: &PermittedRoute,
) -> (Recalled, Option<EndedAttempt>) {
    let (host, age_ms_max) = (events.host, route.candidate.cached_ms_max.unwrap_or_default());
    let Some((_, key)) = events.key(plan) else {
        return (Recalled::Nothing, None);
    };
    let found = host.answers().last(host.environment(), key.clone()).await;
    // Of a form that this version cannot read: as if there were none.
    let read = |(text, at): (String, u64)| Some((serde_json::from_str::<Reply>(&text).ok()?, at));
    let Some((reply, kept_unix_ms)) = found.and_then(read) else { return (Recalled::Nothing, None) };
    // A clock that was set back makes an answer as new as can be, not one of the future.
    let age_ms = ms(host.environment().wall()).saturating_sub(kept_unix_ms);
    if age_ms > age_ms_max {
        return (Recalled::Stale { age_ms }, Some(stale(events.tool(), &key, (age_ms, age_ms_max))));
    }
    (Recalled::Kept { age_ms }, Some(EndedAttempt { judged: kept(reply, age_ms) }))
}

/// The end of a call as an earlier one ended. None where the reply is not of that form.
pub(super) fn again(reply: Reply, age_ms: u64) -> Option<Result<Delivered, Failed>> {
    if reply.error.is_some() {
        return Some(Err(Failed::again(reply)));
    }
    let (code, provenance) = (reply.code, reply.provenance.clone()?);
    Some(Ok(Delivered::again(code, kept(reply, age_ms).accepted?, provenance)))
}

/// What the tool answered before, as the answer of now.
pub(super) fn kept(reply: Reply, age_ms: u64) -> Judged {
    let Reply { result, content, findings, confidence, interpretation, assumptions, uncertainty, .. } = reply;
    let Reply { next_steps, provenance, record, .. } = reply;
    let assessment = Assessment {
        interpretation,
        confidence: confidence.map(|confidence| confidence.value),
        uncertainty,
        assumptions,
        next_steps,
    };
    let as_of = provenance.and_then(|from| Some(AsOf { time: from.as_of?, source: from.source }));
    let bytes = serde_json::to_vec(&(&result, &content)).map_or(0, |text| text.len() as u64);
    let answered = Answered { value: None, assessment, as_of, content };
    let cached = Some(Cached { age_ms, record });
    let accepted = Accepted { result, answered, findings, bytes, cached };
    Judged { accepted: Some(Box::new(accepted)), ..Judged::failed(Code::Ok, Details::default()) }
}

/// The refusal of an answer that is too old.
fn stale(tool: &str, key: &str, (age_ms, age_ms_max): (u64, u64)) -> EndedAttempt {
    let (age, most) = (duration::about(age_ms), duration::about(age_ms_max));
    let refusal = Refusal {
        code: STALE_ONLY.into(),
        cannot: format!("`{tool}` does not answer now, and its last answer is {age} old, more than {most}"),
        needed: vec![format!("`{tool}` answers again")],
        contact: None,
        alternatives: Vec::new(),
        retryable: RetryAdvice::AfterChange(vec![format!("`{tool}` answers again")]),
        // The same for the same call: the key is of component, caller and arguments.
        decision_id: key[..16].to_owned(),
    };
    let judged = Judged::failed(Code::Refused, Details::default());
    EndedAttempt { judged: Judged { refusal: Some(Box::new(refusal)), ..judged } }
}
