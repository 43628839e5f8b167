//! Makes the call that ends a hold, and notes its end.
//!
//! Owns what is put together of a hold and of what only this process has. Must not know who decided.

use std::sync::Arc;

use super::HoldError;
use crate::call::hold::Resume;
use crate::generation::Generation;
use crate::host::call_count::{CallCount, CountedCall};
use airlock_journal::holds::Kept;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::{Code, Ran};
use airlock_types::environment::ms;
use airlock_types::hold::{Hold, Standing};
use airlock_types::session::SessionKey;

/// Makes the call, and notes its end.
pub(super) async fn finish(
    host: Arc<Generation>,
    kept: Kept,
    running: CountedCall<Arc<CallCount>>,
) -> Result<Hold, HoldError> {
    let (hold, apart) = (kept.hold.clone(), host.holds().apart(&kept.hold.id));
    let is_lost = kept.is_confidential && apart.is_none();
    let apart = apart.unwrap_or_default();
    // Without its facts the call is judged by none, and says so: it must not stay as one that runs.
    let (held, _) = host.record(hold.record.clone()).await.unwrap_or_default();
    let reply = apart.reply.as_deref().cloned();
    let reply = reply.or_else(|| kept.reply.clone().and_then(|reply| serde_json::from_value(reply).ok()));
    let resume = Resume {
        record: hold.ended_by.clone().unwrap_or_default(),
        reply,
        facts: held.and_then(|record| record.facts),
        is_lost,
        hold: hold.clone(),
    };
    let call = call_of(&host, &hold, apart.session, apart.arguments);
    let reply = crate::call::resume(&host, call, resume).await;
    if hold.standing == Standing::Running && reply.error.as_ref().is_none_or(|error| error.ran != Ran::No) {
        for rule in hold.rules.iter().filter(|rule| rule.is_first_use) {
            let known = rule.known_as(&hold.component);
            host.holds().know(host.environment(), known, ms(host.environment().wall())).await;
        }
    }
    // It was approved, and was not made or delivered after all.
    let is_void = match hold.is_result {
        true => reply.error.is_some(),
        false => reply.error.as_ref().is_some_and(|error| error.ran == Ran::No),
    };
    let standing = match hold.standing {
        // Neither the call nor what a person thinks of it is to blame: their approval counts for the next try.
        Standing::Running if is_void && has_no_room(reply.code) => return reopened(&host, hold.id).await,
        Standing::Running if is_void => Standing::Void,
        Standing::Running => Standing::Done,
        ended => ended,
    };
    if kept.is_confidential {
        host.holds().keep_reply(&hold, reply, ms(host.environment().wall()));
    }
    let end = move |kept: &mut Kept, _: &str| {
        // As it is told of.
        let hold = Hold { standing, ..kept.hold.clone() };
        kept.close(standing);
        Ok::<_, HoldError>(hold)
    };
    let changed = host.holds().change_to_its_end(hold.id, end).await?;
    let (hold, _) = changed.ok_or(HoldError::Unknown)??;
    host.tell_of(&hold);
    drop(running);
    Ok(hold)
}

/// Whether a call was not made for want of room or time of the host, or since its caller has used up a budget.
fn has_no_room(code: Code) -> bool {
    code == Code::Overloaded || code == Code::RateLimited
}

/// Has an approved call wait on until it is tried again, or its time is over. Its record says why it did not run.
async fn reopened(host: &Generation, id: String) -> Result<Hold, HoldError> {
    let reopen = |kept: &mut Kept, _: &str| {
        (kept.hold.standing, kept.hold.ended_by) = (Standing::Open, None);
        Ok::<_, HoldError>(())
    };
    let changed = host.holds().change_to_its_end(id, reopen).await?;
    let (_, kept) = changed.ok_or(HoldError::Unknown)??;
    Ok(kept.hold)
}

/// The held call, as it is made once more.
fn call_of(host: &Generation, hold: &Hold, session: SessionKey, arguments: Option<String>) -> Call {
    let caller = Caller::recorded(&hold.caller);
    let is_open = |id: &str| host.sessions().get(&caller, id).is_some();
    let session = match session {
        SessionKey::Handle(id) | SessionKey::Transport(id) if !is_open(&id) => SessionKey::None,
        session => session,
    };
    let text =
        arguments.or_else(|| Some(hold.arguments.as_ref()?.to_string())).unwrap_or_else(|| "{}".to_owned());
    Call { caller, session, ..Call::new(&hold.tool, Arguments::Text(text.into())) }
}
