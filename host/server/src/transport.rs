//! How requests come in: framing, bounds on input, and who the caller is. Must not know tools.

pub mod http;
pub mod stdio;

use std::time::Duration;

use airlock::host::Host;

/// How often a drain looks whether the last call has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until no call runs, within the drain time. What runs then is dropped, and sealed as cancelled.
async fn drained(host: &Host) {
    let calls_end = async {
        while host.calls() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    let within = host.drain_time();
    if tokio::time::timeout(within, calls_end).await.is_err() {
        tracing::warn!("calls that still ran after {} ms are cancelled", within.as_millis());
    }
}
