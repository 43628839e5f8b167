//! Asks a read-only tool whether an effect of the last attempt happened.
//!
//! Owns what its answer means for that attempt. Must not know when to ask, which the plan decides.

use super::attempt::{EndedAttempt, PlannedAttempt, Times, attempt};
use super::events::Events;
use super::permit::PermittedRoute;
use super::unsettled;
use crate::generation::Generation;
use airlock_contract::manifest::Verify;
use airlock_contract::tool::Contract;
use airlock_types::code::Code;
use airlock_types::effect::{Left, Verified};
use airlock_types::plan::Jitter;

/// Asks the tool of a route about the effects of `last`. Whatever keeps it from an answer means that it is unknown. Also
/// returns what left besides, if they did not happen.
pub(super) async fn verify(
    host: &Generation,
    route: &PermittedRoute,
    (seed, deadline_ms): (&Jitter, u64),
    last: &mut Option<(usize, EndedAttempt)>,
    events: &mut Events<'_>,
) -> (Verified, Left) {
    let (Some(question), Some((_, last))) = (&route.verify, last) else {
        return (Verified::Unknown, Left::Once);
    };
    let called = &question.route.candidate.tool;
    let asked = PlannedAttempt {
        route: &question.route,
        called,
        number: 1,
        is_first: false,
        seed,
        times: Times { deadline_ms, window_ms: deadline_ms, useful_ms_min: 1, left_ms: deadline_ms },
        is_probe: false,
    };
    let found = read(&called.contract, &attempt(host, asked, &question.args, events).await);
    if found == Verified::NotApplied
        && let Some(ledger) = route.ledger()
    {
        ledger.set_not_applied();
    }
    let effects = route.effects();
    let left = effects.left;
    unsettled::verified(&mut last.judged, &called.name, found, effects);
    (found, left)
}

fn read(contract: &Contract, answer: &EndedAttempt) -> Verified {
    match &answer.judged.accepted {
        // A suspect answer is no proof.
        Some(accepted) if answer.judged.code == Code::Ok => {
            let result = accepted.result.clone().map(|result| contract.plain_result(result));
            Verify::read(result.as_ref())
        }
        Some(_) | None => Verified::Unknown,
    }
}
