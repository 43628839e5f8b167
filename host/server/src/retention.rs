//! When retention is applied to the journal: at the start, and from then on again and again. Must not know the rules.

use std::sync::Arc;
use std::time::Duration;

use airlock::host::Host;

/// Time between two runs. Records may thus stay this much longer than the rules say.
const EVERY: Duration = Duration::from_secs(600);

/// Applies the rules of retention until it is dropped. The rules are those in force at each run.
pub async fn apply(host: Arc<Host>) {
    loop {
        let pruning = {
            let host = host.clone();
            tokio::task::spawn_blocking(move || host.prune())
        };
        match pruning.await {
            Ok(Ok(Some(pruned))) if !pruned.is_none() => {
                tracing::info!(
                    "retention: {} records were removed, {} erased",
                    pruned.removed,
                    pruned.erased
                );
            }
            Ok(Ok(_)) => {}
            Ok(Err(err)) => tracing::error!("retention is tried again in ten minutes: {err}"),
            // The runtime ends.
            Err(_) => return,
        }
        host.environment().sleep(EVERY).await;
    }
}
