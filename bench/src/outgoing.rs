//! Measures requests of a tool to a server on loopback, in turn with the same requests by a client library.

use std::sync::Arc;
use std::time::Duration;

use airlock::host::Host;
use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::routing::get;
use serde_json::json;

use crate::clock::now;
use crate::figures::{AtOnce, Outgoing};
use crate::library::{call_with, open, settle};
use crate::registry::Repository;
use crate::stats::{Times, median};

/// Requests in one turn.
const TURN: usize = 128;

/// Requests in flight at the same time.
const AT_ONCE: usize = 64;

/// Calls that run at once in the measurements of [`AT_ONCE`] requests: few, and as many as there are requests.
const CALLS_AT_ONCE: [u32; 2] = [8, 64];

/// The time after which the slow path answers.
const SLOW: Duration = Duration::from_millis(50);

/// The tool that sends requests.
pub(crate) const TOOL: &str = "fetch";

/// A running upstream: its port. `/slow` answers after [`SLOW`]. It ends with the process.
pub(crate) async fn upstream() -> Result<u16> {
    let slow = || async {
        tokio::time::sleep(SLOW).await;
        "slow"
    };
    let app = Router::new().route("/", get(|| async { "ok" })).route("/slow", get(slow));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(port)
}

/// Measures every figure of outgoing requests.
///
/// # Errors
/// When the upstream does not start, or a request is not answered.
pub async fn measure(repository: &Repository, quick: bool) -> Result<Outgoing> {
    let port = upstream().await?;
    let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let client = reqwest::Client::builder().no_proxy().build()?;
    let rounds = if quick { 3 } else { 30 };
    let host = open(&repository.fetching(port, crate::registry::CALLS_MAX)?).await?;
    let (mut bare, mut called, mut more_us) = (Vec::new(), Vec::new(), Vec::new());
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        let by_client = client_turn(&client, &url("")).await?;
        let by_tool = tool_turn(&host, &url("")).await?;
        if round > 0 {
            // Differences within a round: noise that slows a whole round cancels out.
            more_us.push(Times::of(&by_tool).p50_us - Times::of(&by_client).p50_us);
            bare.extend(by_client);
            called.extend(by_tool);
        }
    }
    drop(host);
    let mut at_once = Vec::new();
    for calls_max in CALLS_AT_ONCE {
        at_once.push(together(repository, port, calls_max, rounds).await?);
    }
    Ok(Outgoing {
        bare: Times::of(&bare),
        call: Times::of(&called),
        more_us: median(&more_us),
        requests_at_once: AT_ONCE,
        slow_ms: SLOW.as_secs_f64() * 1e3,
        at_once,
    })
}

async fn client_turn(client: &reqwest::Client, url: &str) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(TURN);
    for _ in 0..TURN {
        let start = now();
        let text = client.get(url).send().await?.text().await?;
        times.push(start.elapsed());
        ensure!(text == "ok", "the upstream answered {text}");
    }
    Ok(times)
}

async fn tool_turn(host: &Host, url: &str) -> Result<Vec<Duration>> {
    let args = arguments(url);
    let mut times = Vec::with_capacity(TURN);
    for _ in 0..TURN {
        let start = now();
        call_with(host, TOOL, &args).await?;
        times.push(start.elapsed());
    }
    // Outside the timed calls: the next turn starts with an empty queue.
    settle(host)?;
    Ok(times)
}

/// The arguments of a GET.
pub(crate) fn arguments(url: &str) -> Vec<u8> {
    json!({"method": "GET", "url": url, "headers": [], "body": ""}).to_string().into_bytes()
}

/// The time until all of [`AT_ONCE`] calls are answered, each of which waits for a slow upstream.
async fn together(repository: &Repository, port: u16, calls_max: u32, rounds: usize) -> Result<AtOnce> {
    let host = Arc::new(open(&repository.fetching(port, calls_max)?).await?);
    let args = arguments(&format!("http://127.0.0.1:{port}/slow"));
    let mut times_ms = Vec::new();
    for round in 0..=rounds {
        let start = now();
        // Each in a task of its own, like a server's: one task would compute in one thread.
        let calls = (0..AT_ONCE).map(|_| {
            let (host, args) = (host.clone(), args.clone());
            tokio::spawn(async move { call_with(&host, TOOL, &args).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await?.context("a slow request")?;
        }
        if round > 0 {
            times_ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let rows = (AT_ONCE as f64 / f64::from(calls_max)).max(1.0);
    let ms = median(&times_ms);
    Ok(AtOnce { calls_max, ms, ratio: ms / (SLOW.as_secs_f64() * 1e3 * rows) })
}
