//! Which held calls a caller may decide about.

use super::Host;
use super::holds::HoldError;
use crate::caller::ApproveAccess;
use airlock_types::caller::Caller;
use airlock_types::hold::Approver;

impl Host {
    /// Which held calls a caller may decide about: `callers.NAME.approve`.
    pub fn approval(&self, who: &Caller) -> ApproveAccess {
        self.generation().rules(who).map_or(ApproveAccess::None, |rules| rules.approve)
    }

    /// Whether someone may decide about holds at all.
    ///
    /// # Errors
    /// When the registry does not say so.
    pub(super) fn check_approver(&self, by: &Approver) -> Result<(), HoldError> {
        let (may, setting) = match by {
            Approver::Operator => return Ok(()),
            Approver::Caller(who) => (self.approval(who) == ApproveAccess::Others, "true"),
            Approver::ClientUser(who) => (self.approval(who) == ApproveAccess::ClientUser, "\"client-user\""),
        };
        let no = || {
            format!(
                "{by} may not decide about held calls; the registry says who may: `callers.NAME.approve = {setting}`"
            )
        };
        if may { Ok(()) } else { Err(HoldError::NotAllowed(no())) }
    }

    /// Whether the registry has a webhook that can be told. One whose secret could not be read cannot.
    pub fn has_webhook(&self) -> bool {
        self.generation().registry().webhook().is_some()
    }

    /// Waits until the webhook of the registry was told of every hold, or gave up. For a process that ends.
    pub async fn told_of_holds(&self) {
        self.generation().told().await;
    }
}
