//! When a client is told that the list of tools changed: once for each change of what it would list.
//!
//! Owns the comparison. A reload exchanges what a host serves twice, first without the access that its file no longer gives, and
//! may change nothing that this client sees. Must not know how a client is told.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::listing;
use airlock::host::{Host, Visible};
use airlock_types::caller::Caller;

/// The changes of the list of one client.
pub(super) struct ListChanges {
    /// Weak, so that a client that stays does not keep a host that has ended.
    host: Weak<Host>,
    who: Caller,
    generations: watch::Receiver<u64>,
    /// What the client was told of last.
    listed: Visible,
}

impl ListChanges {
    /// The changes from now on.
    pub(super) fn of(host: &Arc<Host>, who: Caller) -> ListChanges {
        // Subscribed first, so that no change in between is missed.
        let generations = host.generations();
        ListChanges { host: Arc::downgrade(host), generations, listed: host.visible(&who), who }
    }

    /// Waits for the next one. False once the host has ended.
    pub(super) async fn next(&mut self) -> bool {
        while self.generations.changed().await.is_ok() {
            let Some(host) = self.host.upgrade() else { return false };
            let before = std::mem::replace(&mut self.listed, host.visible(&self.who));
            if !is_same(&before, &self.listed) {
                return true;
            }
        }
        false
    }
}

/// Whether the two list the same.
fn is_same(before: &Visible, now: &Visible) -> bool {
    let is_same = |(before, now)| Arc::ptr_eq(before, now) || listing::tool(before) == listing::tool(now);
    before.offered().count() == now.offered().count() && before.offered().zip(now.offered()).all(is_same)
}
