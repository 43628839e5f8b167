//! What a caller may decide about holds.

use super::Host;
use super::holds::HoldError;
use crate::caller::ApproveAccess;
use airlock_types::caller::Caller;
use airlock_types::hold::Approver;

/// What a caller may decide about holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nothing.
    None,
    /// Its own user, over the client, about its own calls.
    ClientUser,
    /// Calls of others.
    Others,
}

impl Host {
    /// What a caller may decide about holds: `callers.NAME.approve`.
    pub fn approval(&self, who: &Caller) -> Approval {
        match self.generation().rules(who).map(|rules| rules.approve) {
            Some(ApproveAccess::Others) => Approval::Others,
            Some(ApproveAccess::ClientUser) => Approval::ClientUser,
            Some(ApproveAccess::None) | None => Approval::None,
        }
    }

    /// Whether someone may decide about holds at all.
    ///
    /// # Errors
    /// When the registry does not say so.
    pub(super) fn check_approver(&self, by: &Approver) -> Result<(), HoldError> {
        let (may, setting) = match by {
            Approver::Operator => return Ok(()),
            Approver::Caller(who) => (self.approval(who) == Approval::Others, "true"),
            Approver::ClientUser(who) => (self.approval(who) == Approval::ClientUser, "\"client-user\""),
        };
        let no = || {
            format!(
                "{by} may not decide about held calls; the registry says who may: `callers.NAME.approve = {setting}`"
            )
        };
        if may { Ok(()) } else { Err(HoldError::NotAllowed(no())) }
    }

    /// Waits until the webhook of the registry was told of every hold, or gave up. For a process that ends.
    pub async fn told_of_holds(&self) {
        self.generation().told().await;
    }
}
