//! Measures the product's `/mcp` beside other servers over HTTP, in both eras of the protocol.
//!
//! Owns which rows the comparison has. A server that cannot be measured is a row with its reason.

use anyhow::{Context as _, Result};

use super::request::{Door, Era, Request};
use super::serving::Serving;
use super::{Subject, in_turns};
use crate::figures::HttpRow;
use crate::load::Pace;
use crate::registry::Repository;
use crate::server::{self, Call, Server};

const ERAS: [(Era, &str); 2] = [(Era::Handshake, "handshake era"), (Era::Stateless, "stateless era")];

/// Measures those of the servers that speak HTTP. Others are left out.
///
/// # Errors
/// When the product does not start.
pub fn measure(repository: &Repository, others: &[Server], pace: Pace) -> Result<Vec<HttpRow>> {
    let raw = Serving::start(&[server::beside("raw-http")?])?;
    let open = Serving::ours(&repository.served(None)?, &["--allow-anonymous"])?;
    let (raw, open) = (Door::open(raw.port), Door::open(open.port));
    let call = server::convert();
    let mut subjects = vec![
        Subject::of("raw answers", raw.port, Request::api(raw, &call)),
        Subject::of("airlock, `/healthz`", open.port, Request::health(open)),
    ];
    let of_ours = HttpRow {
        what: "every limit on, every call recorded".into(),
        server: "airlock".into(),
        sandbox: true,
        ..HttpRow::default()
    };
    subjects.extend(ERAS.map(|era| subject(&of_ours, open, era, &call)));
    // Kept until the end of the turns: dropping ends a server.
    let mut running = Vec::new();
    for other in others {
        let Some(http) = &other.http else { continue };
        let row = HttpRow {
            what: http.what.clone(),
            server: other.name.clone(),
            sandbox: other.sandbox,
            ..HttpRow::default()
        };
        let call = other.call.as_ref().context("there is no call to make")?;
        match start(other, &http.command) {
            Ok(serving) => {
                subjects.extend(ERAS.map(|era| subject(&row, Door::open(serving.port), era, call)));
                running.push(serving);
            }
            Err(err) => subjects.push(absent(&row, &other.name, &format!("{err:#}"))),
        }
    }
    let rows = in_turns(subjects, pace);
    drop(running);
    Ok(rows)
}

fn start(other: &Server, command: &[String]) -> Result<Serving> {
    match &other.absent {
        Some(why) => Err(anyhow::anyhow!("{why}")),
        None => Serving::other(command),
    }
}

/// A server in one era. One that opens no session is absent there.
fn subject(row: &HttpRow, door: Door<'_>, (era, shown): (Era, &str), call: &Call) -> Subject {
    let name = format!("{}, {shown}", row.server);
    match Request::mcp(door, era, call) {
        Ok(request) => with_row(row, Subject::of(&name, door.port, request)),
        Err(err) => absent(row, &name, &format!("{err:#}")),
    }
}

fn absent(row: &HttpRow, name: &str, why: &str) -> Subject {
    // Never sent: a subject with a reason has no turns.
    let door = Door::open(0);
    let mut subject = with_row(row, Subject::of(name, door.port, Request::health(door)));
    subject.row.absent = Some(why.to_owned());
    subject
}

fn with_row(row: &HttpRow, subject: Subject) -> Subject {
    let name = subject.row.name.clone();
    Subject { row: HttpRow { name, ..row.clone() }, ..subject }
}
