//! Measures how cost grows with tools, arguments, results, callers and cores.

use std::path::Path;
use std::time::Duration;

use airlock::host::Host;
use anyhow::Result;
use serde_json::{Value, json};

use crate::client::Client;
use crate::clock::now;
use crate::figures::{Curve, Series};
use crate::http;
use crate::library;
use crate::load;
use crate::process::resident_bytes;
use crate::registry::Repository;
use crate::server::{self, Call};
use crate::stats::{Times, median};

const TOOLS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const SIZES: [usize; 7] = [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const CALLERS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// Bytes of the largest argument over stdio: the largest message that the host reads, less its frame.
const STDIO_BYTES_MAX: usize = 4_000_000;

/// The extent of a run.
#[derive(Clone, Copy, Debug)]
struct Extent {
    tools_max: usize,
    components_max: usize,
    bytes_max: usize,
    turn: Duration,
    starts: usize,
}

impl Extent {
    fn of(quick: bool) -> Extent {
        if quick {
            Extent {
                tools_max: 1_000,
                components_max: 100,
                bytes_max: 1_000_000,
                turn: Duration::from_millis(150),
                starts: 1,
            }
        } else {
            Extent {
                tools_max: 10_000,
                components_max: 1_000,
                bytes_max: 10_000_000,
                turn: Duration::from_millis(600),
                starts: 3,
            }
        }
    }
}

/// Measures every curve.
///
/// # Errors
/// When a call is answered with an error.
pub async fn measure(repository: &Repository, quick: bool) -> Result<Vec<Curve>> {
    let extent = Extent::of(quick);
    let mut curves = tools(repository, extent)?;
    curves.extend(sizes(repository, extent).await?);
    curves.extend(callers(repository, extent)?);
    Ok(curves)
}

fn curve(id: &str, title: &str, axes: (&str, &str), note: &str, series: Vec<Series>) -> Curve {
    Curve {
        id: id.to_owned(),
        title: title.to_owned(),
        x: axes.0.to_owned(),
        y: axes.1.to_owned(),
        note: note.to_owned(),
        series,
    }
}

fn series(name: &str, points: Vec<(f64, f64)>) -> Series {
    Series { name: name.to_owned(), points }
}

/// What is measured of one registry.
struct Sized {
    /// Milliseconds from the start of a server to its first result.
    start_ms: f64,
    /// Memory of the server after it.
    resident_mib: f64,
    /// Microseconds of a later call.
    call_us: f64,
    /// Milliseconds of `airlock call`, from the start of the program to its end.
    program_ms: f64,
}

/// Measures one registry. The first start is not counted: it writes the cache.
fn sized(registry: &Path, extent: Extent) -> Result<Sized> {
    let server = server::airlock("airlock", "", registry)?;
    let call = server::convert();
    let (mut firsts, mut programs) = (Vec::new(), Vec::new());
    let mut last = None;
    for start in 0..=extent.starts {
        let before = now();
        let mut client = Client::start(server.start(None)?)?;
        client.ask("tools/call", call.params())?;
        // To the first result, not to the first byte: loading counts.
        firsts.push(before.elapsed().as_secs_f64() * 1e3);
        if start == extent.starts {
            let mib = resident_bytes(client.pid()) as f64 / f64::from(1 << 20);
            last = Some((mib, load::one_at_a_time(&mut client, &call.frame(), extent.turn)?.p50_us));
        }
        // After the server, since both have one state folder.
        drop(client);
        programs.push(server::call_once(registry, &call)?.as_secs_f64() * 1e3);
    }
    let (resident_mib, call_us) = last.unwrap_or_default();
    Ok(Sized { start_ms: median(&firsts[1..]), resident_mib, call_us, program_ms: median(&programs[1..]) })
}

/// Time to start, memory and time of a call, by the number of tools: of one component, and of different ones.
fn tools(repository: &Repository, extent: Extent) -> Result<Vec<Curve>> {
    let counts = |max: usize| TOOLS.into_iter().filter(move |count| *count <= max);
    let one = counts(extent.tools_max).map(|count| Ok((count, sized(&repository.many(count)?, extent)?)));
    let one: Vec<(usize, Sized)> = one.collect::<Result<_>>()?;
    let others =
        counts(extent.components_max).map(|count| Ok((count, sized(&repository.distinct(count)?, extent)?)));
    let others: Vec<(usize, Sized)> = others.collect::<Result<_>>()?;
    let both = |of: &dyn Fn(&Sized) -> f64| -> Vec<Series> {
        let points = |measured: &[(usize, Sized)]| {
            measured.iter().map(|(count, sized)| (*count as f64, of(sized))).collect()
        };
        vec![series("one component", points(&one)), series("different components", points(&others))]
    };
    Ok(vec![
        curve(
            "tools-start",
            "Start to first result against tools",
            ("tools", "ms"),
            "The components are registered under many names: one under all of them, or another one under each. Their \
             code is in the cache. Left of the bend, the start of the process dominates. Right of it, each tool adds \
             its contract and its checks, and each component its digest. Code is mapped by the first call of a component.",
            both(&|sized| sized.start_ms),
        ),
        curve(
            "tools-memory",
            "Idle memory against tools",
            ("tools", "MiB"),
            "Left of the bend, the memory of the process dominates. Right of it, each tool adds the same amount.",
            both(&|sized| sized.resident_mib),
        ),
        curve(
            "tools-call",
            "One call against tools",
            ("tools", "µs"),
            "The median of one call at a time over stdio. A call looks its tool up by name and does not use \
             the registry otherwise.",
            both(&|sized| sized.call_us),
        ),
        curve(
            "tools-program",
            "One call of the program against tools",
            ("tools", "ms"),
            "`airlock call`, from the start of the program to its end. It reads the whole file of the registry, and loads \
             the entries that the tool needs: those of the same component among them.",
            both(&|sized| sized.program_ms),
        ),
    ])
}

/// Time of a call, by the size of its argument and of its result.
async fn sizes(repository: &Repository, extent: Extent) -> Result<Vec<Curve>> {
    let registry = repository.mixed()?;
    let host = library::open(&registry).await?;
    let (mut echoes, mut floods) = (Vec::new(), Vec::new());
    for bytes in SIZES.into_iter().filter(|bytes| *bytes <= extent.bytes_max) {
        echoes.push((bytes as f64, once(&host, "echo", &echo(bytes), extent).await?));
        floods.push((bytes as f64, once(&host, "flood", &flood(bytes), extent).await?));
    }
    // Before a server opens the same state folder.
    drop(host);
    let echoed = over_stdio(&registry, "echo", echo, extent)?;
    let flooded = over_stdio(&registry, "flood", flood, extent)?;
    let over_http = |tool, args| {
        let sizes = SIZES.into_iter().filter(|bytes| *bytes <= extent.bytes_max);
        http::sizes(&registry, (tool, args), sizes, extent.turn)
    };
    let (posted, downloaded) = (over_http("echo", echo)?, over_http("flood", flood)?);
    Ok(vec![
        curve(
            "argument-bytes",
            "One call against the size of its argument",
            ("bytes", "µs"),
            "The tool returns the text that it receives; over stdio up to the largest message that the host \
             reads, over HTTP to `/v1`. The limits of arguments, results and bodies are raised to 64 MiB. Right of the first bend, the \
             bytes dominate the cost of the call. Beyond a megabyte, the memory of guest and host is \
             released after each call and faulted in again, which makes a byte up to 50 % more expensive; \
             the number of page faults shows it.",
            vec![series("library", echoes), series("stdio", echoed), series("HTTP", posted)],
        ),
        curve(
            "result-bytes",
            "One call against the size of its result",
            ("bytes", "µs"),
            "The guest generates a text. The bends have the same reasons.",
            vec![series("library", floods), series("stdio", flooded), series("HTTP", downloaded)],
        ),
    ])
}

fn echo(bytes: usize) -> Value {
    json!({"value": "x".repeat(bytes)})
}

fn flood(bytes: usize) -> Value {
    json!({"bytes": bytes})
}

/// The median time of calls through the library, in microseconds.
async fn once(host: &Host, tool: &str, args: &Value, extent: Extent) -> Result<f64> {
    let args = args.to_string().into_bytes();
    library::call_with(host, tool, &args).await?;
    let begun = now();
    let mut times = Vec::new();
    // At least five calls, also of sizes of which one call takes longer than a turn.
    while times.len() < 5 || (begun.elapsed() < extent.turn && times.len() < 500) {
        let start = now();
        library::call_with(host, tool, &args).await?;
        times.push(start.elapsed());
    }
    library::settle(host)?;
    Ok(Times::of(&times).p50_us)
}

fn over_stdio(
    registry: &Path,
    tool: &str,
    args: impl Fn(usize) -> Value,
    extent: Extent,
) -> Result<Vec<(f64, f64)>> {
    let server = server::airlock("airlock", "", registry)?;
    let mut client = Client::start(server.start(None)?)?;
    let sizes = SIZES.into_iter().filter(|bytes| *bytes <= extent.bytes_max.min(STDIO_BYTES_MAX));
    sizes
        .map(|bytes| {
            let frame = Call::new(tool, args(bytes)).frame();
            let times = load::one_at_a_time(&mut client, &frame, extent.turn)?;
            Ok((bytes as f64, times.p50_us))
        })
        .collect()
}

/// Calls per second by the number of callers, on one core and on two.
fn callers(repository: &Repository, extent: Extent) -> Result<Vec<Curve>> {
    let server = server::airlock("airlock", "", &repository.many(1)?)?;
    let (mut rates, mut tails) = (Vec::new(), Vec::new());
    // One client for all numbers of callers: a start for each would measure cold caches.
    for cores in [1, 2] {
        let mut client = Client::start(server.start(Some(cores))?)?;
        let frame = server::convert().frame();
        let (mut rate, mut tail) = (Vec::new(), Vec::new());
        for callers in CALLERS {
            let (per_s, times) = load::rate(&mut client, &frame, callers, extent.turn)?;
            rate.push((callers as f64, per_s));
            tail.push((callers as f64, times.p99_us));
        }
        let name = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
        rates.push(series(&name, rate));
        tails.push(series(&name, tail));
    }
    let note = "The server is bound to its cores; the client is not, and shares them. Right of the bend the \
                cores are saturated, and an additional caller only waits.";
    Ok(vec![
        curve("callers", "Throughput against callers", ("callers", "calls/s"), note, rates),
        curve("callers-tail", "The slow ones against callers", ("callers", "p99, µs"), note, tails),
    ])
}
