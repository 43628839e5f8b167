//! An honest neighbor: it calls a good tool all the time, and every call must succeed. How long it waits is measured.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::ground::{Ground, HONEST};

/// Pause between two calls, so that the neighbor is no load of its own.
const PAUSE: Duration = Duration::from_millis(20);

/// Time after which an answer counts as lost.
const LOST: Duration = Duration::from_secs(60);

/// Most calls that are reported as failed.
const FAULTS_MAX: usize = 20;

#[derive(Default)]
struct Seen {
    waits: Vec<Duration>,
    faults: Vec<String>,
}

/// A running neighbor.
pub(crate) struct Neighbor {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Neighbor {
    pub(crate) fn start(ground: Arc<Ground>) -> Neighbor {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (stopped, shared) = (stop.clone(), seen.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Acquire) {
                let begun = crate::now();
                let outcome =
                    tokio::time::timeout(LOST, call(&ground)).await.context("no answer within a minute");
                shared.lock().unwrap_or_else(PoisonError::into_inner).saw(begun.elapsed(), outcome.flatten());
                tokio::time::sleep(PAUSE).await;
            }
        });
        Neighbor { stop, seen, task }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The waits since the last time.
    pub(crate) fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.seen().waits)
    }

    /// Ends it, and returns what failed.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Release);
        // It ends after its call; a panic is its own fault.
        let _ = self.task.await;
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).faults)
    }
}

impl Seen {
    fn saw(&mut self, wait: Duration, outcome: anyhow::Result<()>) {
        self.waits.push(wait);
        if let Err(err) = outcome
            && self.faults.len() < FAULTS_MAX
        {
            self.faults.push(format!("the neighbor: {err:#}"));
        }
    }
}

async fn call(ground: &Ground) -> anyhow::Result<()> {
    let request = ground.server.call(HONEST, r#"{"value": 3, "from": "km", "to": "m"}"#);
    let response = request.bearer_auth(&ground.tokens.neighbor).send().await?;
    let status = response.status();
    let reply: Value = response.json().await?;
    ensure!(status == 200 && reply["result"]["value"] == 3000.0, "{status}: {reply}");
    Ok(())
}
