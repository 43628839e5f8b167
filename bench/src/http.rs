//! Measures requests over HTTP: the product's paths, beside its own `/healthz` as the floor of its HTTP stack, a server of
//! the protocol library alone, and a server that answers without reading, which shows the maximum of the load generator.
//!
//! Owns the subjects and their turns. `load` sends the requests. To add a row: a subject in `measure`, or in `beside` for
//! a comparison with other servers.

mod answer;
mod beside;
mod callers;
mod load;
mod request;
mod serving;
mod sizes;

use std::time::Duration;

use airlock::caller::token;
use anyhow::{Context as _, Result, ensure};

use crate::figures::{HttpRow, Pipelined};
use crate::load::Pace;
use crate::registry::Repository;
use crate::server;
use crate::stats::{Times, median};
use load::Load;
use request::{Door, Era, Request};
use serving::Serving;

pub use beside::measure as beside;
pub use callers::measure as callers;
pub use sizes::{Sized, sizes};

/// Connections with one request in flight each.
pub const CONNECTIONS: [usize; 3] = [1, 8, 64];

/// Idle connections beside those of one row.
const IDLE: usize = 1_000;

/// What is measured in turn.
struct Subject {
    /// The row; its figures are filled in at the end.
    row: HttpRow,
    port: u16,
    /// One for all connections, or one for each in turn.
    requests: Vec<Request>,
    idle: usize,
    times: Vec<Duration>,
    rates: [Vec<f64>; CONNECTIONS.len()],
    p99s: [Vec<f64>; CONNECTIONS.len()],
}

/// Measures every row.
///
/// # Errors
/// When a server does not start, or a request is not answered as expected.
pub fn measure(repository: &Repository, pace: Pace) -> Result<Vec<HttpRow>> {
    let (token, digest) = token::new([7; 32]);
    let raw = Serving::start(&[server::beside("raw-http")?])?;
    let rmcp = Serving::start(&[server::beside("rmcp-http")?])?;
    // The second server has its own state folder: two processes would wait for one journal.
    let open = Serving::ours(&repository.served(None)?, &["--allow-anonymous"])?;
    let closed = Serving::ours(&repository.served(Some(&digest.to_string()))?, &[])?;
    let (raw, rmcp, open) = (Door::open(raw.port), Door::open(rmcp.port), Door::open(open.port));
    let closed = Door { port: closed.port, token: Some(&token) };
    let call = server::convert();
    let api = |name, door: Door<'_>| Subject::of(name, door.port, Request::api(door, &call));
    let mcp = |name, door: Door<'_>, era, call| -> Result<Subject> {
        Ok(Subject::of(name, door.port, Request::mcp(door, era, call).context(name)?))
    };
    // It answers with the arguments, and converts nothing.
    let echo = server::Call { expect: Some("mile".into()), ..call.clone() };
    let rows = in_turns(
        vec![
            api("raw answers", raw),
            Subject::of("airlock, `/healthz`", open.port, Request::health(open)),
            mcp("rmcp echo, handshake era", rmcp, Era::Handshake, &echo)?,
            mcp("rmcp echo, stateless era", rmcp, Era::Stateless, &echo)?,
            api("airlock, `/v1`", open),
            api("airlock, `/v1`, token", closed),
            Subject { idle: IDLE, ..api("airlock, `/v1`, 1,000 idle connections", open) },
            mcp("airlock, `/mcp`, handshake era", open, Era::Handshake, &call)?,
            mcp("airlock, `/mcp`, stateless era", open, Era::Stateless, &call)?,
            mcp("airlock, `/mcp`, stateless era, token", closed, Era::Stateless, &call)?,
        ],
        pace,
    );
    all_present(rows)
}

/// Fails unless every row has figures: of our own servers each must answer.
fn all_present(rows: Vec<HttpRow>) -> Result<Vec<HttpRow>> {
    for row in &rows {
        ensure!(row.absent.is_none(), "{}: {}", row.name, row.absent.as_deref().unwrap_or_default());
    }
    Ok(rows)
}

/// Measures subjects in turns. One that fails is not measured further, and its row has the reason.
fn in_turns(mut subjects: Vec<Subject>, pace: Pace) -> Vec<HttpRow> {
    // Round 0 warms up and is not counted.
    for round in 0..=pace.rounds {
        for subject in subjects.iter_mut().filter(|subject| subject.row.absent.is_none()) {
            if let Err(err) = subject.turn(round > 0, pace) {
                subject.row.absent = Some(format!("{err:#}"));
            }
        }
    }
    subjects.into_iter().map(Subject::finish).collect()
}

impl Subject {
    fn of(name: &str, port: u16, request: Request) -> Subject {
        Subject {
            row: HttpRow { name: name.to_owned(), ..HttpRow::default() },
            port,
            requests: vec![request],
            idle: 0,
            times: Vec::new(),
            rates: Default::default(),
            p99s: Default::default(),
        }
    }

    fn turn(&mut self, counts: bool, pace: Pace) -> Result<()> {
        let first = self.requests.first().context("there is no request")?;
        let _idle = load::idle(self.port, first, self.idle)?;
        for (i, connections) in CONNECTIONS.into_iter().enumerate() {
            let load = Load { port: self.port, connections, time: pace.turn, least: 0 };
            let run = load.run(&self.requests).with_context(|| format!("{connections} in flight"))?;
            if counts {
                self.rates[i].push(run.per_s());
                self.p99s[i].push(Times::of(&run.times).p99_us);
                if connections == 1 {
                    self.times.extend(run.times);
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> HttpRow {
        if self.row.absent.is_some() {
            return self.row;
        }
        let rates = CONNECTIONS.into_iter().zip(&self.rates).zip(&self.p99s);
        let rates = rates.map(|((window, rates), p99s)| Pipelined {
            window,
            per_s: median(rates),
            p99_us: median(p99s),
        });
        HttpRow { one: Times::of(&self.times), rates: rates.collect(), ..self.row }
    }
}
