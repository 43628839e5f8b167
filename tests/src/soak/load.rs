//! The clients of a soak. Each makes one kind of call again and again and checks every answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

use crate::server::{Server, answer};

/// Time after which an answer counts as lost.
const LOST: Duration = Duration::from_secs(60);

/// The kind of calls that a client makes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Good,
    Stateless,
    Bad,
    Looping,
    Trapping,
    /// Connects, calls and disconnects, in the protocol's handshake era.
    Visiting,
    /// Disconnects while its call runs.
    Leaving,
    /// Calls the tool that each reload adds or removes.
    Reloaded,
}

/// The kinds of clients, with the number of each.
pub(super) const KINDS: [(Kind, usize); 8] = [
    (Kind::Good, 3),
    (Kind::Stateless, 2),
    (Kind::Bad, 1),
    (Kind::Looping, 2),
    (Kind::Trapping, 1),
    (Kind::Visiting, 1),
    (Kind::Leaving, 1),
    (Kind::Reloaded, 1),
];

/// The observations of one client.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Answers by kind and code.
    pub answers: BTreeMap<String, u64>,
    /// Calls whose answers were not awaited.
    pub left: u64,
    /// Unexpected answers and errors, at most about twenty.
    pub faults: Vec<String>,
}

impl Tally {
    fn saw(&mut self, kind: Kind, code: &str, allowed: &[&str]) {
        *self.answers.entry(format!("{kind:?} {code}").to_lowercase()).or_default() += 1;
        if !allowed.contains(&code) && self.faults.len() < 20 {
            self.faults.push(format!("a {kind:?} call ended in {code}"));
        }
    }
}

pub(super) async fn run(kind: Kind, server: Arc<Server>, until: Instant) -> Tally {
    let mut tally = Tally::default();
    while super::now() < until {
        if let Err(err) = once(kind, &server, &mut tally).await {
            tally.faults.push(format!("{kind:?}: {err:#}"));
            if tally.faults.len() > 20 {
                break;
            }
        }
    }
    tally
}

async fn once(kind: Kind, server: &Server, tally: &mut Tally) -> anyhow::Result<()> {
    let convert = r#"{"value": 3, "from": "km", "to": "m"}"#;
    match kind {
        Kind::Good => {
            let reply = api(server.call("unit_convert", convert)).await?;
            anyhow::ensure!(reply["result"]["value"] == 3000.0, "a wrong answer: {reply}");
            tally.saw(kind, code(&reply), &["ok"]);
        }
        Kind::Stateless => {
            let params = json!({"name": "sector_metrics", "arguments": {"period": "2009-10"}});
            let response = server.mcp("tools/call", params).timeout(LOST).send().await?;
            let message = answer(response).await?;
            let code = message["result"]["_meta"]["dev.airlock/code"].as_str().unwrap_or("none");
            tally.saw(kind, code, &["ok", "ok.degraded"]);
        }
        Kind::Bad => {
            let bad = [r#"{"value": "3"}"#, "{", r#"{"valeu": 3}"#, r#"{"value": 1e999}"#];
            for body in bad {
                let reply = api(server.call("unit_convert", body)).await?;
                let allowed = ["args.type", "args.missing", "args.unknown", "args.syntax", "args.constraint"];
                tally.saw(kind, code(&reply), &allowed);
            }
        }
        Kind::Looping => {
            let reply = api(server.call("hostile_loop_forever", "{}")).await?;
            // `admission.overloaded` is expected, too: the tool's breaker opens.
            tally.saw(kind, code(&reply), &["limit.deadline", "limit.fuel", "admission.overloaded"]);
        }
        Kind::Trapping => {
            let reply = api(server.call("hostile_panic", r#"{"message": "x"}"#)).await?;
            tally.saw(kind, code(&reply), &["trap", "admission.overloaded"]);
        }
        Kind::Visiting => {
            let client = server.client(None).await?;
            let args = serde_json::from_str::<Value>(convert)?.as_object().cloned().unwrap_or_default();
            let request = CallToolRequestParams::new("unit_convert").with_arguments(args);
            let result = tokio::time::timeout(LOST, client.call_tool(request)).await??;
            let good = result.structured_content.is_some_and(|content| content["status"] == "ok");
            tally.saw(kind, if good { "ok" } else { "none" }, &["ok"]);
            client.cancel().await?;
        }
        Kind::Leaving => {
            let call = server.call("hostile_sleep", r#"{"ms": 5000}"#).send();
            // The client gives up early, so the caller is gone while the call runs.
            drop(tokio::time::timeout(Duration::from_millis(50), call).await);
            tally.left += 1;
        }
        Kind::Reloaded => {
            let reply = api(server.call("text_digest", r#"{"text": "Jobs grew. Rates fell."}"#)).await?;
            tally.saw(kind, code(&reply), &["ok", "resolve.unknown"]);
        }
    }
    Ok(())
}

/// Sends a request and returns the envelope of its answer.
pub(crate) async fn api(request: RequestBuilder) -> anyhow::Result<Value> {
    let mut body: Value = request.timeout(LOST).send().await?.json().await?;
    Ok(if body.get("reply").is_some() { body["reply"].take() } else { body })
}

pub(crate) fn code(reply: &Value) -> &str {
    reply["code"]
        .as_str()
        .or(reply["type"].as_str().map(|kind| kind.trim_start_matches("urn:airlock:")))
        .unwrap_or("none")
}
