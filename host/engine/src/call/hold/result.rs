//! Results that a check wants a person to see before they are delivered.
//!
//! Owns which results wait, and what is kept of them. Must not know what a decision comes to.

use super::told::{held, unusable};
use super::{Waiting, hold, published, wait, without_values};
use crate::call::confidential;
use crate::call::events::Events;
use crate::call::reply::{self, Delivered, Failed};
use crate::generation::{Apart, Generation};
use airlock_journal::holds::Kept;
use airlock_types::code::{Code, Ran};
use airlock_types::event::Event;
use airlock_types::finding::{Finding, Verdict};
use airlock_types::hold::{Hold, HoldRule};

/// Holds a result that a check wants a person to see first.
pub(in crate::call) async fn result(
    host: &Generation,
    events: &mut Events<'_>,
    ended: Result<Delivered, Failed>,
) -> Result<Delivered, Failed> {
    let is_held = |delivered: &Delivered| {
        delivered.findings().iter().any(|finding| finding.verdict == Verdict::Escalate)
            // Not the end of a hold, which a person has seen, nor what was delivered before.
            && events.held().is_none_or(|(held, is_result)| held.of.is_some() && !is_result)
            && !events.list.iter().any(|event| matches!(event, Event::Repeated { .. }))
    };
    match ended {
        Ok(delivered) if is_held(&delivered) => Err(Box::pin(hold_result(host, events, delivered)).await),
        Err(failed) if events.held().is_some_and(|(_, is_result)| is_result) => Err(has_run(failed)),
        ended => ended,
    }
}

/// The end of a call that ends the hold of a result: its tool ran, whatever keeps the result from being delivered.
fn has_run(mut failed: Failed) -> Failed {
    if failed.report.ran == Ran::No {
        failed.report.ran = Ran::Ran;
        failed.report.retryable = false;
        failed.report.message += "\nThe tool ran before its result was held: do not ask for the same again.";
    }
    failed
}

async fn hold_result(host: &Generation, events: &mut Events<'_>, delivered: Delivered) -> Failed {
    let escalating = delivered.findings().iter().filter(|finding| finding.verdict == Verdict::Escalate);
    let value = |finding: &Finding| {
        let place = if finding.path.is_empty() { "the result" } else { &finding.path };
        format!("{place} ({}): expected {}, got {}", finding.kind, finding.expected, finding.got)
    };
    let rule = HoldRule::plain("check", escalating.map(value).collect());
    let asked = events.asked();
    let is_confidential = confidential::of(events.host, events.tool(), &events.list).is_some();
    let (reply, _) = reply::reply(events, Ok(delivered));
    let bytes = serde_json::to_vec(&reply).map_or(0, |text| text.len());
    let stored = (!is_confidential).then(|| serde_json::to_value(&reply).unwrap_or_default());
    let arguments = published(events);
    let (arguments, apart) = if is_confidential {
        let arguments = Some(arguments.to_string());
        (None, Apart { arguments, bytes, reply: Some(reply.into()), ..Apart::default() })
    } else {
        (Some(arguments), Apart::default())
    };
    let rules = if is_confidential { without_values(vec![rule]) } else { vec![rule] };
    let hold = Hold { arguments, is_result: true, ..hold(host, events, asked, rules) };
    let asked_digest = hold.args_digest.clone();
    let kept =
        Kept { asked_digest, hold, reply: stored, is_confidential, owner: String::new(), is_fetched: false };
    match wait(host, kept, apart, events).await {
        Ok(Waiting::Held(hold)) => held(events, *hold, Code::PolicyHeld, Ran::Ran),
        // The same call ran meanwhile: what it did was done twice, and this result is not the one that waits.
        Ok(Waiting::Ended(_)) | Err(_) => {
            let mut failed = unusable(events);
            failed.report.ran = Ran::MayHave;
            failed.report.message = format!(
                "`{}` ran, and its result must be seen by a person first, which the host cannot arrange now.\nDo not repeat a \
                 call with effects before you know whether it happened.",
                events.tool()
            );
            failed
        }
    }
}
