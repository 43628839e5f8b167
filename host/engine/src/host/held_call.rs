//! What doors ask of a hold: whether a call that comes again with its id is the one that it has, and which reply waits in it.
//!
//! Must not know how a door carries the id: whatever comes from a client is not trusted.

use super::holds::find;
use super::{HoldError, Host};
use crate::call::args_digest;
use airlock_journal::holds::Kept;
use airlock_types::call::Call;
use airlock_types::caller::Caller;
use airlock_types::hold::{HOLD_ID_CHARS, Hold, Standing};
use airlock_types::reply::Reply;

impl Host {
    /// The hold with this whole id, if it is of this call: the same caller, tool and arguments.
    ///
    /// # Errors
    /// [`HoldError::Unknown`] for every other id, so that nothing is learned of the holds of others; and when holds cannot be
    /// read.
    pub async fn hold_of(&self, call: &Call, id: &str) -> Result<Hold, HoldError> {
        // The beginning of an id is for the operator.
        if id.len() != HOLD_ID_CHARS {
            return Err(HoldError::Unknown);
        }
        let host = self.generation();
        let Kept { hold, asked_digest, .. } = find(&host, id).await?;
        if hold.caller != call.caller.to_string() || hold.tool != call.tool {
            return Err(HoldError::Unknown);
        }
        // Last, since it costs as much as a call's arguments do.
        let digest = args_digest(&host, call, hold.created_unix_ms).await;
        if digest.as_ref() == Some(&asked_digest) { Ok(hold) } else { Err(HoldError::Unknown) }
    }

    /// The reply that waits in a hold of a result, for those who may decide about it. `None` for the hold of a call that did not
    /// run, for one that has ended, and where something in the reply is confidential.
    ///
    /// # Errors
    /// When there is no such hold, it is of the caller's own call, or holds cannot be read.
    pub async fn waiting_reply(&self, who: &Caller, id: &str) -> Result<Option<Reply>, HoldError> {
        let Kept { hold, reply, .. } = find(&self.generation(), id).await?;
        if hold.caller == who.to_string() {
            return Err(HoldError::NotAllowed(
                "whoever made the call gets its result when another one approved it".to_owned(),
            ));
        }
        let reply = reply.filter(|_| hold.is_result && hold.standing == Standing::Open);
        Ok(reply.and_then(|reply| serde_json::from_value(reply).ok()))
    }
}
