//! Measures requests over HTTP: the product's paths, beside its own `/healthz` as the floor of its HTTP stack, a server of
//! the protocol library alone, and a server that answers without reading, which shows the maximum of the load generator.
//!
//! Owns the servers and their requests. `load` sends them.

mod load;
mod request;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use airlock::caller::token;
use anyhow::{Context as _, Result};

use crate::figures::{HttpRow, Pipelined};
use crate::load::Pace;
use crate::registry::Repository;
use crate::server::beside;
use crate::stats::{Times, median};
use load::Load;
use request::{Path, Request};

/// Connections with one request in flight each.
pub const CONNECTIONS: [usize; 3] = [1, 8, 64];

/// Idle connections beside those of one row.
const IDLE: usize = 1_000;

/// A running server. Dropping it ends it.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a program that says `listening on http://127.0.0.1:PORT` on stderr.
    fn start(command: &[String]) -> Result<Server> {
        let (program, args) = command.split_first().context("there is no command")?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let mut said = String::new();
        loop {
            let line = lines.next().with_context(|| format!("{program} does not listen: {said}"))??;
            if let Some(port) = line.strip_prefix("listening on http://127.0.0.1:") {
                let port = port.trim().parse()?;
                // Read to its end: an unread pipe would fill up and block the server.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Server { child, port });
            }
            said.push_str(&line);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is measured in turn.
struct Subject<'s> {
    name: &'static str,
    server: &'s Server,
    request: Request,
    idle: usize,
}

/// Measures every row.
///
/// # Errors
/// When a server does not start, or a request is not answered as expected.
pub fn measure(repository: &Repository, pace: Pace) -> Result<Vec<HttpRow>> {
    let (token, digest) = token::new([7; 32]);
    let (token, digest) = (Some(token.as_str()), digest.to_string());
    let ours = |flags: &[&str], digest: Option<&str>| -> Result<Server> {
        let registry = repository.served(digest)?.to_string_lossy().into_owned();
        let fixed = [beside("airlock")?, "--registry".into(), registry, "serve".into(), "--http".into()];
        let flags = ["127.0.0.1:0"].iter().chain(flags).map(|&flag| flag.to_owned());
        Server::start(&fixed.into_iter().chain(flags).collect::<Vec<_>>())
    };
    let raw = Server::start(&[beside("raw-http")?])?;
    let rmcp = Server::start(&[beside("rmcp-http")?])?;
    // The second server has its own state folder: two processes would wait for one journal.
    let open = ours(&["--allow-anonymous"], None)?;
    let closed = ours(&[], Some(&digest))?;
    let subject = |name, server, path, token| -> Result<Subject<'_>> {
        let server: &Server = server;
        let request =
            Request::new(server.port, path, token).with_context(|| format!("{name}: no request"))?;
        Ok(Subject { name, server, request, idle: 0 })
    };
    // It answers with the arguments, and converts nothing.
    let echo = |name, path| -> Result<Subject<'_>> {
        let mut subject = subject(name, &rmcp, path, None)?;
        subject.request.expect = b"mile";
        Ok(subject)
    };
    let idle =
        Subject { idle: IDLE, ..subject("airlock, `/v1`, 1,000 idle connections", &open, Path::Api, None)? };
    let subjects = [
        subject("raw answers", &raw, Path::Api, None)?,
        subject("airlock, `/healthz`", &open, Path::Health, None)?,
        echo("rmcp echo, handshake era", Path::Handshake)?,
        echo("rmcp echo, stateless era", Path::Stateless)?,
        subject("airlock, `/v1`", &open, Path::Api, None)?,
        subject("airlock, `/v1`, token", &closed, Path::Api, token)?,
        idle,
        subject("airlock, `/mcp`, handshake era", &open, Path::Handshake, None)?,
        subject("airlock, `/mcp`, stateless era", &open, Path::Stateless, None)?,
        subject("airlock, `/mcp`, stateless era, token", &closed, Path::Stateless, token)?,
    ];
    in_turns(&subjects, pace)
}

fn in_turns(subjects: &[Subject<'_>], pace: Pace) -> Result<Vec<HttpRow>> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); subjects.len()];
    let mut rates = vec![vec![(Vec::new(), Vec::new()); CONNECTIONS.len()]; subjects.len()];
    // Round 0 warms up and is not counted.
    for round in 0..=pace.rounds {
        for (i, subject) in subjects.iter().enumerate() {
            let _idle = load::idle(subject.server.port, &subject.request, subject.idle)?;
            for (j, connections) in CONNECTIONS.into_iter().enumerate() {
                let load = Load { port: subject.server.port, connections, time: pace.turn };
                let run = load.run(&subject.request).with_context(|| subject.name)?;
                if round > 0 {
                    rates[i][j].0.push(run.per_s());
                    rates[i][j].1.push(Times::of(&run.times).p99_us);
                    if connections == 1 {
                        times[i].extend(run.times);
                    }
                }
            }
        }
    }
    let row = |(i, subject): (usize, &Subject<'_>)| HttpRow {
        name: subject.name.to_owned(),
        one: Times::of(&times[i]),
        rates: CONNECTIONS
            .into_iter()
            .zip(&rates[i])
            .map(|(window, (rates, p99s))| Pipelined { window, per_s: median(rates), p99_us: median(p99s) })
            .collect(),
    };
    Ok(subjects.iter().enumerate().map(row).collect())
}
