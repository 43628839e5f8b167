//! Those who call while things go wrong. Each checks every answer.
//!
//! A call without an answer is excused if the server was killed between its start and its end, and only then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::Running;
use crate::draw::Draw;
use crate::orders::Orders;
use crate::server::Server;
use crate::soak::load::{api, code};
use crate::soak::now;

/// Most faults that one client notes.
const FAULTS_MAX: usize = 20;

/// How the tool that places orders behaves, one time in ten; else it returns what the service answered.
const MANNERS: [&str; 4] = ["abort-before", "abort-after", "abort-meanwhile", "forget"];

/// What a call may end in because of a trouble of the host, whatever the tool: its journal cannot be written, or too many
/// calls wait.
const HOST: [&str; 3] = ["host.journal", "admission.overloaded", "limit.deadline"];

/// One order, and what its caller was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) order: String,
    pub(super) record: String,
    pub(super) code: String,
    /// Whether the caller was told that the order was placed.
    pub(super) is_acknowledged: bool,
    /// Whether the caller was told that nothing was changed, so that it may call again.
    pub(super) is_denied: bool,
}

/// The observations of one client.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Answers by client and code.
    pub(super) answers: BTreeMap<String, u64>,
    /// Calls that had no answer because the server was killed.
    pub(super) cut: u64,
    pub(super) told: Vec<Told>,
    /// Unexpected answers and errors.
    pub(super) faults: Vec<String>,
}

impl Tally {
    pub(super) fn saw(&mut self, who: &str, code: &str, allowed: &[&str]) {
        *self.answers.entry(format!("{who} {code}")).or_default() += 1;
        if !allowed.contains(&code) {
            self.fault(format!("a {who} call ended in {code}"));
        }
    }

    pub(super) fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// A client.
pub(super) enum Client {
    /// Places orders, each under an id of its own, at this service.
    Ordering {
        url: String,
        number: u64,
    },
    Reading,
    Looping,
    /// Sends arguments that are wrong.
    Wrong,
    /// Calls the tool that each reload replaces.
    Reloaded,
}

impl Client {
    pub(super) fn all(orders: &Arc<Orders>) -> Vec<Client> {
        let ordering = (0..3).map(|number| Client::Ordering { url: orders.url(), number });
        ordering.chain([Client::Reading, Client::Looping, Client::Wrong, Client::Reloaded]).collect()
    }

    fn name(&self) -> &'static str {
        match self {
            Client::Ordering { .. } => "ordering",
            Client::Reading => "reading",
            Client::Looping => "looping",
            Client::Wrong => "wrong",
            Client::Reloaded => "reloaded",
        }
    }

    /// Calls until the time is over.
    pub(super) async fn run(self, mut running: Running, until: Instant) -> Tally {
        let mut tally = Tally::default();
        let mut draw = Draw(if let Client::Ordering { number, .. } = &self { *number } else { 0 });
        for nth in 0_u64.. {
            if now() >= until {
                break;
            }
            let Ok(server) = running.wait_for(Option::is_some).await.map(|server| server.clone()) else {
                break;
            };
            let Some(server) = server else { continue };
            if let Err(err) = self.once(&server, nth, &mut draw, &mut tally).await {
                let is_same = running.borrow().as_ref().is_some_and(|current| Arc::ptr_eq(current, &server));
                if is_same {
                    tally.fault(format!("{}: {err:#}", self.name()));
                } else {
                    tally.cut += 1;
                }
            }
        }
        tally
    }

    async fn once(
        &self,
        server: &Server,
        nth: u64,
        draw: &mut Draw,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let (tool, args, allowed): (_, _, &[&str]) = match self {
            Client::Ordering { url, number } => {
                return order(server, url, &format!("{number}-{nth}"), draw, tally).await;
            }
            Client::Reading => ("unit_convert", r#"{"value": 3, "from": "km", "to": "m"}"#, &["ok"]),
            Client::Looping => ("hostile_loop_forever", "{}", &["limit.fuel"]),
            Client::Wrong => ("unit_convert", r#"{"valeu": 3}"#, &["args.missing", "args.unknown"]),
            Client::Reloaded => ("text_digest", r#"{"text": "Jobs grew. Rates fell."}"#, &["ok"]),
        };
        let reply = api(server.call(tool, args)).await?;
        tally.saw(self.name(), code(&reply), &[allowed, &HOST[..]].concat());
        if matches!(self, Client::Reading) && code(&reply) == "ok" {
            anyhow::ensure!(reply["result"]["value"] == 3000.0, "a wrong answer: {reply}");
        }
        Ok(())
    }
}

/// What an order may end in.
const ORDERED: [&str; 6] = ["ok", "ok.degraded", "trap", "tool.error", "outcome-unknown", "limit.fuel"];

async fn order(
    server: &Server,
    url: &str,
    id: &str,
    draw: &mut Draw,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let manner = if draw.below(10) == 0 { draw.of(&MANNERS) } else { "return" };
    let args = json!({"service": url, "id": id, "manner": manner});
    let reply = api(server.call("shop", args.to_string())).await?;
    tally.saw("ordering", code(&reply), &[&ORDERED[..], &HOST[..]].concat());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let error = &reply["error"];
    tally.told.push(Told {
        order: id.to_owned(),
        record: text(&reply["record"]),
        code: code(&reply).to_owned(),
        is_acknowledged: reply["result"] == 201,
        is_denied: error["retryable"] == true || error["ran"] == "no",
    });
    Ok(())
}
