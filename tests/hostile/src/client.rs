//! Hostile clients over HTTP, as data: the files `clients/http_*.toml`.
//!
//! Owns how a case is sent as raw bytes, and which answers are right. Every case names the row of
//! `docs/internals/hardening.md` whose bound it attacks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::ground::Ground;
use crate::report::Report;
use crate::template::{expand, expand_text};

/// Clients that connect at once.
const AT_ONCE: usize = 100;

/// Time after which a connection that the server should have closed counts as held.
const CLOSED: Duration = Duration::from_secs(20);

/// Interval of looking whether a connection is closed.
const PAUSE: Duration = Duration::from_millis(200);

/// Bytes of answers that are kept; the rest is read and dropped.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What a client does once it has sent its bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Reads until the server closes the connection.
    #[default]
    Read,
    /// Reads nothing, until the server closes the connection.
    Hold,
    /// Is gone.
    Vanish,
}

/// A category of cases: one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Category {
    case: Vec<HttpCase>,
}

/// A hostile client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCase {
    /// Its name.
    pub name: String,
    /// The harm that it tries, as a sentence.
    pub what: String,
    /// The first column of its row on the page of bounds.
    pub bound: String,
    /// The bytes to send: a template. `@token@`, `@victim@` and `@session@` are tokens and a session of the victim,
    /// `@n@` is the number of the client.
    send: String,
    /// The body, whose length is then in the head. With it, `send` ends in front of the empty line.
    body: Option<String>,
    /// Clients.
    #[serde(default = "one")]
    times: usize,
    /// Milliseconds between two bytes, for a client that is slow. It sends its bytes again and again.
    drip_ms: Option<u64>,
    #[serde(default)]
    then: Then,
    /// Statuses of right answers; 0 is a connection that is closed without one.
    ends: BTreeSet<u16>,
    /// Answers on one connection, at most.
    #[serde(default = "one")]
    answers_max: usize,
}

fn one() -> usize {
    1
}

/// All cases over HTTP.
///
/// # Errors
/// When a file is not what it should be.
pub fn all() -> anyhow::Result<Vec<HttpCase>> {
    let mut cases = Vec::new();
    for (name, text) in crate::files("clients")?.into_iter().filter(|(name, _)| name.starts_with("http_")) {
        let category: Category = toml::from_str(&text).with_context(|| name.clone())?;
        cases.extend(category.case);
    }
    Ok(cases)
}

/// Runs these clients one case after another.
pub(crate) async fn attack(
    ground: &Arc<Ground>,
    cases: &[HttpCase],
    report: &mut Report,
) -> anyhow::Result<()> {
    let session = session(ground).await?;
    for case in cases {
        report.clients += 1;
        let mut running = JoinSet::new();
        for n in 0..case.times {
            while running.len() >= AT_ONCE {
                ended(case, running.join_next().await, report)?;
            }
            let bytes = case.bytes(ground, &session, n).with_context(|| case.name.clone())?;
            let (case, address) = (case.clone(), ground.server.url.trim_start_matches("http://").to_owned());
            running.spawn(async move { run(&case, &address, &bytes).await });
        }
        while !running.is_empty() {
            ended(case, running.join_next().await, report)?;
        }
    }
    Ok(())
}

/// What a client got: the statuses of the answers, or a fault.
type Got = anyhow::Result<Vec<u16>>;

fn ended(
    case: &HttpCase,
    got: Option<Result<Got, tokio::task::JoinError>>,
    report: &mut Report,
) -> anyhow::Result<()> {
    match got.context("no client is running")?? {
        Ok(statuses) => {
            let first = statuses.first().copied().unwrap_or_default();
            report.client("http", &first.to_string());
            if case.then == Then::Read && !case.ends.contains(&first) {
                report.fault(format!("`{}` was answered {statuses:?}, not {:?}", case.name, case.ends));
            }
            if statuses.len() > case.answers_max {
                report.fault(format!("`{}` got {} answers on one connection", case.name, statuses.len()));
            }
        }
        Err(err) => report.fault(format!("`{}`: {err:#}", case.name)),
    }
    Ok(())
}

impl HttpCase {
    fn bytes(&self, ground: &Ground, session: &str, n: usize) -> anyhow::Result<Vec<u8>> {
        let fill = |text: &str| {
            text.replace("@token@", &ground.tokens.hostile)
                .replace("@victim@", &ground.tokens.victim)
                .replace("@session@", session)
                .replace("@n@", &n.to_string())
        };
        let Some(body) = &self.body else { return Ok(expand(&fill(&self.send))?) };
        let (head, body) = (expand_text(&fill(&self.send))?, expand(&fill(body))?);
        let head = format!("{head}content-length: {}\r\n\r\n", body.len());
        Ok([head.into_bytes(), body].concat())
    }
}

/// Opens a session of the victim.
async fn session(ground: &Ground) -> anyhow::Result<String> {
    let initialize = serde_json::json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "victim", "version": "1"}}});
    let request = ground.server.mcp_message(initialize.to_string()).bearer_auth(&ground.tokens.victim);
    let response = request.send().await?;
    let id = response.headers().get("mcp-session-id").context("no session")?;
    Ok(id.to_str()?.to_owned())
}

async fn run(case: &HttpCase, address: &str, bytes: &[u8]) -> Got {
    let mut stream = TcpStream::connect(address).await?;
    let sent = match case.drip_ms {
        // A server that cannot answer does not read either, until it closes.
        None => tokio::time::timeout(CLOSED, stream.write_all(bytes)).await.unwrap_or(Ok(())),
        Some(ms) => drip(&mut stream, bytes, Duration::from_millis(ms)).await?,
    };
    // The server may close before it has read everything: the answer tells.
    drop(sent);
    match case.then {
        Then::Vanish => Ok(Vec::new()),
        Then::Hold => closed_unread(stream).await.map(|()| Vec::new()),
        Then::Read => Ok(statuses(&read(stream).await?)),
    }
}

/// Sends bytes one by one, again and again, until the server closes the connection.
async fn drip(stream: &mut TcpStream, bytes: &[u8], pause: Duration) -> anyhow::Result<std::io::Result<()>> {
    let until = crate::now() + CLOSED;
    for byte in bytes.iter().cycle() {
        if let Err(closed) = stream.write_all(&[*byte]).await {
            return Ok(Err(closed));
        }
        ensure!(crate::now() < until, "it may drip for more than {} s", CLOSED.as_secs());
        let mut peeked = [0];
        // An answer, or the end of the connection, arrives while it drips.
        if tokio::time::timeout(pause, stream.peek(&mut peeked)).await.is_ok() {
            return Ok(Ok(()));
        }
    }
    Ok(Ok(()))
}

/// Waits until the server has closed a connection whose answers are never read.
async fn closed_unread(mut stream: TcpStream) -> anyhow::Result<()> {
    let until = crate::now() + CLOSED;
    loop {
        // Writing fails once the other side is gone. What does not fit waits, which is no failure.
        if matches!(tokio::time::timeout(PAUSE, stream.write_all(b"\r\n")).await, Ok(Err(_))) {
            return Ok(());
        }
        ensure!(crate::now() < until, "it may hold its connection for more than {} s", CLOSED.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read(mut stream: TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let all = async {
        let mut part = vec![0; 64 << 10];
        // An error is the end of the connection, too.
        while let Ok(count) = stream.read(&mut part).await
            && count > 0
        {
            answer.extend_from_slice(&part[..count.min(ANSWER_BYTES_MAX.saturating_sub(answer.len()))]);
        }
    };
    let closed = tokio::time::timeout(CLOSED, all).await;
    closed.with_context(|| format!("its connection is open after {} s", CLOSED.as_secs()))?;
    Ok(answer)
}

/// The statuses of all answers.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    let answers = text.split("HTTP/1.").skip(1);
    answers.filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
}
