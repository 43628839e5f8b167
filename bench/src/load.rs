//! Measures servers under load in turn, so that figures of different servers are from the same minutes.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::client::{Client, Frame};
use crate::clock::{now, timed};
use crate::figures::{self, Beside, Pipelined};
use crate::process::{self, peak_bytes, resident_bytes};
use crate::server::{Call, Server};
use crate::stats::{Times, median};

/// Numbers of calls in flight that are measured.
pub const WINDOWS: [usize; 3] = [1, 8, 64];

/// Time limit for answers that should come at once. A server beyond it is ended.
const PATIENCE: Duration = Duration::from_secs(15);

/// Time for the first good answer. A server without one is measured as absent.
const READY: Duration = Duration::from_secs(5);

/// Calls of a good tool that are made while two others loop.
const BESIDE_LOOPS: usize = 100;

/// The duration of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Rounds in which every server has its turn.
    pub rounds: usize,
    /// Approximate time of one turn.
    pub turn: Duration,
    /// Measured starts of each server.
    pub starts: usize,
}

impl Pace {
    /// The pace of a full or a quick run.
    pub fn of(quick: bool) -> Pace {
        if quick {
            Pace { rounds: 2, turn: Duration::from_millis(150), starts: 1 }
        } else {
            Pace { rounds: 8, turn: Duration::from_millis(400), starts: 5 }
        }
    }
}

/// A running server with the figures so far.
struct Subject<'s> {
    server: &'s Server,
    call: &'s Call,
    client: Client,
    frame: Frame,
    /// Numbers of calls in flight that the server did not answer completely.
    stuck: Vec<usize>,
    times: Vec<Vec<Duration>>,
    rates: Vec<Vec<f64>>,
    figures: figures::Server,
}

/// Measures servers in turn. A server that does not start, or answers with an error, is absent with its reason.
pub fn measure(servers: &[Server], pace: Pace) -> Vec<figures::Server> {
    let mut absent = Vec::new();
    let mut subjects = Vec::new();
    for server in servers {
        match subject(server, pace) {
            Ok(subject) => subjects.push(subject),
            Err(err) => absent.push(missing(server, &format!("{err:#}"))),
        }
    }
    for _ in 0..pace.rounds {
        for subject in &mut subjects {
            // A server that failed once is not measured further; its reason is in the report.
            if subject.figures.absent.is_none()
                && let Err(err) = turn(subject, pace.turn)
            {
                subject.figures.absent = Some(format!("{err:#}"));
            }
        }
    }
    let mut measured: Vec<figures::Server> = subjects.into_iter().map(finish).collect();
    measured.extend(absent);
    // After all turns and in servers of their own, because loops and sleeps would disturb the turns of others.
    for server in servers {
        if let Some(figures) = measured.iter_mut().find(|f| f.name == server.name && f.absent.is_none()) {
            figures.sleepers_ms = server.sleep.as_ref().and_then(|call| sleepers(server, call).ok());
            figures.beside_loops = server.looping.as_ref().map(|call| beside_loops(server, call));
        }
    }
    measured
}

fn missing(server: &Server, why: &str) -> figures::Server {
    let why = server.absent.clone().unwrap_or_else(|| why.to_owned());
    figures::Server {
        name: server.name.clone(),
        what: server.what.clone(),
        sandbox: server.sandbox,
        absent: Some(why),
        ..figures::Server::default()
    }
}

/// Starts a server several times and keeps the last one running.
fn subject(server: &Server, pace: Pace) -> Result<Subject<'_>> {
    ensure!(server.absent.is_none(), "absent");
    let call = server.call.as_ref().context("there is no call to make")?;
    let mut firsts = Vec::new();
    let mut last = None;
    // One start more than is counted: it warms the disk's cache, and compiles what is not compiled yet.
    for _ in 0..=pace.starts {
        // The previous server ends before the next one starts, so that they do not share the processor or a state
        // folder.
        drop(last.take());
        let (client, took) = first(server.start(None)?, call)?;
        firsts.push(took.as_secs_f64() * 1e3);
        last = Some(client);
    }
    let client = last.context("never started")?;
    // Work after the first answer should not count as idle memory.
    std::thread::sleep(Duration::from_millis(300));
    let figures = figures::Server {
        name: server.name.clone(),
        what: server.what.clone(),
        sandbox: server.sandbox,
        first_ms: median(&firsts[1..]),
        idle_mib: mib(resident_bytes(client.pid())),
        ..figures::Server::default()
    };
    let empty = || vec![Vec::new(); WINDOWS.len()];
    Ok(Subject {
        server,
        call,
        client,
        frame: call.frame(),
        stuck: Vec::new(),
        times: empty(),
        rates: vec![Vec::new(); WINDOWS.len()],
        figures,
    })
}

/// Starts a server and returns it with the time to its first result, which is checked.
fn first(command: Command, call: &Call) -> Result<(Client, Duration)> {
    let start = now();
    let mut client = Client::start(command)?;
    let _guard = process::watch(client.pid(), PATIENCE);
    // Some servers answer with an error before they are ready. The first good answer counts.
    let answer = loop {
        match client.ask("tools/call", call.params()) {
            Ok(answer) => break answer,
            Err(err) if start.elapsed() > READY => return Err(err),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let took = start.elapsed();
    if let Some(expect) = &call.expect {
        ensure!(answer.to_string().contains(expect), "`{expect}` is not in {answer}");
    }
    Ok((client, took))
}

/// Runs a server's turn: each number of calls in flight for a while. One that the server does not answer gets no
/// figures, but the server keeps its other figures.
fn turn(subject: &mut Subject<'_>, length: Duration) -> Result<()> {
    for (i, window) in WINDOWS.into_iter().enumerate() {
        match window {
            // With one call in flight both processes share a core, see `on_one_core`.
            1 => process::on_one_core(subject.client.pid(), || in_flight(subject, (i, window), length))??,
            _ if subject.stuck.contains(&window) => {}
            _ if in_flight(subject, (i, window), length).is_err() => {
                subject.stuck.push(window);
                subject.rates[i].clear();
                subject.times[i].clear();
                // The watch has ended the server, and the next number of calls needs a running one.
                subject.client = first(subject.server.start(None)?, subject.call)?.0;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Runs with `window` calls in flight for a while. A warm-up run estimates how many calls fit into the time.
fn in_flight(subject: &mut Subject<'_>, (i, window): (usize, usize), length: Duration) -> Result<()> {
    let pid = subject.client.pid();
    let guard = process::watch(pid, PATIENCE);
    let warm = subject.client.run(&subject.frame, window.max(10), window)?;
    let rate = warm.times.len() as f64 / warm.took.as_secs_f64();
    let calls = ((rate * length.as_secs_f64()) as usize).clamp(window.max(20), 50_000);
    // Memory is sampled by another thread during the same run.
    let (run, peak) = peak_bytes(pid, || subject.client.run(&subject.frame, calls, window));
    // Before the result is read: a run that ended must not be killed afterwards.
    drop(guard);
    let run = run?;
    subject.rates[i].push(calls as f64 / run.took.as_secs_f64());
    subject.times[i].extend(run.times);
    subject.figures.loaded_mib = subject.figures.loaded_mib.max(mib(peak));
    Ok(())
}

fn finish(subject: Subject<'_>) -> figures::Server {
    let Subject { times, rates, mut figures, .. } = subject;
    figures.one = Times::of(&times[0]);
    let windows = WINDOWS.iter().zip(&times).zip(&rates);
    figures.pipelined = windows
        .map(|((window, times), rates)| Pipelined {
            window: *window,
            per_s: median(rates),
            p99_us: Times::of(times).p99_us,
        })
        .collect();
    figures
}

/// The time in milliseconds for eight calls in flight that sleep half a second each.
fn sleepers(server: &Server, call: &Call) -> Result<f64> {
    let (mut client, _) = first(server.start(None)?, call)?;
    let _guard = process::watch(client.pid(), PATIENCE);
    Ok(client.run(&call.frame(), 8, 8)?.took.as_secs_f64() * 1e3)
}

/// Calls a good tool, one call at a time, while two calls of another tool loop.
fn beside_loops(server: &Server, looping: &Call) -> Beside {
    let attempt = || -> Result<Vec<Duration>> {
        let good = server.call.as_ref().context("there is no call to make")?;
        let (mut client, _) = first(server.start(None)?, good)?;
        let _guard = process::watch(client.pid(), PATIENCE);
        let good = good.frame();
        // Warms the good tool up before the loops start.
        client.run(&good, 20, 1)?;
        // Not awaited: these calls do not return.
        client.send(&looping.frame())?;
        client.send(&looping.frame())?;
        // Both loops should be running before the first good call.
        std::thread::sleep(Duration::from_millis(100));
        Ok(client.run(&good, BESIDE_LOOPS, 1)?.times)
    };
    let times = attempt().unwrap_or_default();
    Beside { answered: times.len() == BESIDE_LOOPS, times: Times::of(&times) }
}

/// The calls per second of a server with `window` calls in flight, for a plot.
///
/// # Errors
/// When a call is answered with an error.
pub fn rate(client: &mut Client, frame: &Frame, window: usize, length: Duration) -> Result<(f64, Times)> {
    let _guard = process::watch(client.pid(), PATIENCE);
    let (warm, took) = timed(|| client.run(frame, window.max(10), window));
    warm?;
    let calls = window.max(10) as f64 / took.as_secs_f64() * length.as_secs_f64();
    let run = client.run(frame, (calls as usize).clamp(window.max(10), 50_000), window)?;
    Ok((run.times.len() as f64 / run.took.as_secs_f64(), Times::of(&run.times)))
}

/// The time of a call with one call in flight.
///
/// # Errors
/// When a call is answered with an error.
pub fn one_at_a_time(client: &mut Client, frame: &Frame, length: Duration) -> Result<Times> {
    process::on_one_core(client.pid(), || rate(client, frame, 1, length))?.map(|(_, times)| times)
}

/// Bytes in MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
