//! When holds are ended whose time is over: again and again, so that whoever is told of them learns that nobody decided. Must not
//! know what such an end is.

use std::sync::Arc;
use std::time::Duration;

use airlock::host::Host;

/// Time between two looks. An end may be told this much later than it was due.
const EVERY: Duration = Duration::from_secs(5);

/// Ends due holds until it is dropped.
pub async fn apply(host: Arc<Host>) {
    loop {
        host.environment().sleep(EVERY).await;
        if let Err(err) = host.end_due_holds().await {
            tracing::error!("holds whose time is over are ended later: {err}");
        }
    }
}
