//! How requests arrive: framing, bounds on input, and the identity of the caller. Must not know tools.

pub mod http;
pub mod stdio;

use airlock::host::Host;

/// Waits for `answered`, at most for the drain time. Calls that still run then are dropped by their transport, and
/// their records are sealed as cancelled.
async fn drain(host: &Host, answered: impl Future<Output = ()>) {
    host.drain_begins();
    let within = host.drain_time();
    if tokio::time::timeout(within, answered).await.is_err() {
        tracing::warn!("calls that still ran after {} ms are cancelled", within.as_millis());
    }
}
