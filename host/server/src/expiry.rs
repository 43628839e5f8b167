//! When holds are ended whose time is over: again and again, so that whoever is told of them learns that nobody decided. And when
//! approved calls are tried again that found no room. Must not know what such an end is.

use std::sync::Arc;
use std::time::Duration;

use airlock::host::Host;

/// Time between two looks. An end may be told this much later than it was due.
const EVERY: Duration = Duration::from_secs(5);

/// Looks between two tries of an approved call that found no room: a minute, as each try has a record.
const LOOKS_OF_A_TRY: u32 = 12;

/// Ends due holds until it is dropped, and has approved calls tried again that found no room.
pub async fn apply(host: Arc<Host>) {
    for look in (0..LOOKS_OF_A_TRY).cycle() {
        host.environment().sleep(EVERY).await;
        if let Err(err) = host.end_due_holds().await {
            tracing::error!("holds whose time is over are ended later: {err}");
        }
        if look + 1 == LOOKS_OF_A_TRY
            && let Err(err) = host.run_approved_holds().await
        {
            tracing::error!("approved calls that found no room are tried again later: {err}");
        }
    }
}
