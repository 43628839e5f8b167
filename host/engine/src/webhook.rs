//! Tells a service of the operator's when a hold opens and when it ends.
//!
//! Owns the form of what is sent, its signature, the queue and the tries. No call waits for it: what does not fit into the
//! queue, or could not be delivered, is logged and counted, and the hold is where it was. Must not know how a hold is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};

use crate::blocking::Lane;
use crate::capability::http::{Destination, Resolve, TlsError};
use crate::config::{WebhookConfig, WebhookUrl};
use crate::secret::{Secret, Secrets};
use crate::telemetry::metrics::Count;
use airlock_types::digest::hex;
use airlock_types::environment::{SharedEnvironment, within};
use airlock_types::hold::{Hold, Standing};
use airlock_types::plan::{Jitter, RetryPolicy};

/// Holds that wait to be told. A service that is gone for longer learns of later ones only; `airlock holds` has them all.
const QUEUE_MAX: usize = 64;

/// Time for one try, from the lookup of the name to the status.
const TRY_TIME_MAX: Duration = Duration::from_secs(10);

/// Time for what waits when the process ends: three tries of one message.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(30);

/// The header with the signature.
pub(crate) const SIGNATURE_HEADER: &str = "airlock-signature";

/// A service that is told of holds.
pub(crate) struct Webhook {
    shared: Arc<Shared>,
    /// Made with the first hold, since its task needs a runtime.
    queue: OnceLock<mpsc::Sender<Letter>>,
}

struct Shared {
    destination: Destination,
    secret: Arc<Secret>,
    waiting: AtomicUsize,
    delivered: Notify,
}

/// One message.
struct Letter {
    body: Bytes,
    /// For the log.
    hold: String,
    failed: Count,
}

/// What is sent.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    hold: &'a Hold,
}

/// What a hold in this standing is told as. None while an approved call runs.
fn event(standing: Standing) -> Option<&'static str> {
    match standing {
        Standing::Open => Some("held"),
        Standing::Running => None,
        Standing::Done | Standing::Rejected | Standing::Responded | Standing::Expired | Standing::Void => {
            Some("ended")
        }
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook")
    }
}

impl Webhook {
    /// The service of a registry. None where its secret could not be read, which is a problem of its own.
    ///
    /// # Errors
    /// When it is reached over TLS and this machine has no trusted roots.
    pub(crate) fn new(
        config: &WebhookConfig,
        secrets: &Secrets,
        resolver: Option<Arc<dyn Resolve>>,
        lane: Lane,
    ) -> Result<Option<Webhook>, TlsError> {
        let WebhookConfig { url: WebhookUrl(url), secret, allow } = config;
        let Some(secret) = secrets.get(secret) else { return Ok(None) };
        let destination = Destination::new(url.clone(), allow.clone(), resolver, lane)?;
        let (secret, waiting, delivered) = (secret.clone(), AtomicUsize::new(0), Notify::new());
        let shared = Arc::new(Shared { destination, secret, waiting, delivered });
        Ok(Some(Webhook { shared, queue: OnceLock::new() }))
    }

    /// Tells of a hold that was opened or has ended. Waits for nothing; `failed` counts what is not delivered.
    pub(crate) fn send(&self, environment: &SharedEnvironment, failed: &Count, hold: &Hold) {
        let Some(event) = event(hold.standing) else { return };
        // Plain data, which can always be written.
        let body = serde_json::to_vec(&Told { event, hold }).unwrap_or_default().into();
        let letter = Letter { body, hold: hold.id.clone(), failed: failed.clone() };
        let queue = self.queue.get_or_init(|| {
            let (queue, letters) = mpsc::channel(QUEUE_MAX);
            tokio::spawn(deliver(self.shared.clone(), letters, environment.clone()));
            queue
        });
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        if let Err(full) = queue.try_send(letter) {
            full.into_inner().lost("too many wait to be told");
            self.shared.done();
        }
    }

    /// Waits until everything was told or given up, for at most [`FLUSH_TIME_MAX`]. For a process that ends: its queue ends
    /// with it.
    pub(crate) async fn flush(&self, environment: &SharedEnvironment) {
        let until = environment.monotonic().saturating_add(FLUSH_TIME_MAX);
        if within(&**environment, until, self.shared.emptied()).await.is_none() {
            let left = self.shared.waiting.load(Ordering::Acquire);
            tracing::error!("the webhook was not told of {left} holds: the process ends");
        }
    }
}

impl Letter {
    fn lost(self, why: &str) {
        self.failed.inc();
        tracing::error!("the webhook was not told of the hold {}: {why}", shown(&self.hold));
    }
}

/// The beginning of an id: the whole of it is the right to fetch the reply.
fn shown(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// Delivers letters one after the other, so that a hold is not told to have ended before it is told to have begun.
async fn deliver(shared: Arc<Shared>, mut letters: mpsc::Receiver<Letter>, environment: SharedEnvironment) {
    while let Some(letter) = letters.recv().await {
        if let Err(why) = shared.deliver(&letter.body, &environment).await {
            letter.lost(&why);
        }
        shared.done();
    }
}

impl Shared {
    async fn emptied(&self) {
        loop {
            // Made before the look: what is done in between wakes it.
            let delivered = self.delivered.notified();
            if self.waiting.load(Ordering::Acquire) == 0 {
                return;
            }
            delivered.await;
        }
    }

    fn done(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.delivered.notify_waiters();
    }

    async fn deliver(&self, body: &Bytes, environment: &SharedEnvironment) -> Result<(), String> {
        let retry = RetryPolicy::default();
        let factors = Jitter::Seeded(hex(&environment.seed())).factors("webhook", 0);
        let mut tries = 1;
        loop {
            let (why, is_throttled) = match self.once(body, environment).await {
                Ok(status) if status.is_success() => return Ok(()),
                Ok(status) if !may_pass(status) => return Err(format!("it answered {status}")),
                Ok(status) => (format!("it answered {status}"), status == StatusCode::TOO_MANY_REQUESTS),
                Err(why) => (why, false),
            };
            if tries >= retry.attempts_max {
                return Err(format!("{why} ({tries} tries)"));
            }
            let wait_ms = retry.wait_ms(tries, is_throttled, factors.factor(tries), None);
            environment.sleep(Duration::from_millis(wait_ms)).await;
            tries += 1;
        }
    }

    async fn once(&self, body: &Bytes, environment: &SharedEnvironment) -> Result<StatusCode, String> {
        // Anew for each try, so that a receiver can refuse old ones.
        let signature = signature(&self.secret, environment.wall().as_secs(), body);
        let posted = self.destination.post((SIGNATURE_HEADER, &signature), body.clone());
        let until = environment.monotonic().saturating_add(TRY_TIME_MAX);
        within(&**environment, until, posted)
            .await
            .unwrap_or_else(|| Err(format!("no answer within {} s", TRY_TIME_MAX.as_secs())))
    }
}

/// Whether the same message can be taken later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
            .contains(&status)
}

/// `t=UNIX,v1=HEX`: HMAC-SHA256 over the time, a dot and the body.
fn signature(secret: &Secret, unix_s: u64, body: &[u8]) -> String {
    let mut signed = format!("{unix_s}.").into_bytes();
    signed.extend_from_slice(body);
    format!("t={unix_s},v1={}", hex(&secret.sign(&signed)))
}

#[cfg(test)]
mod tests;
