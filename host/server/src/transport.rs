//! How requests come in: framing, bounds on input, and who the caller is. Must not know tools.

pub mod http;
pub mod stdio;

use airlock::host::Host;

/// Gives what runs the drain time to be answered. What runs after it is dropped, and sealed as cancelled.
async fn drain(host: &Host, answered: impl Future<Output = ()>) {
    host.drain_begins();
    let within = host.drain_time();
    if tokio::time::timeout(within, answered).await.is_err() {
        tracing::warn!("calls that still ran after {} ms are cancelled", within.as_millis());
    }
}
