//! Measures and writes the figures. `cargo xtask bench` builds and runs it.

#![expect(clippy::print_stderr, reason = "its progress is what people see of a run")]

use std::path::{Path, PathBuf};

use airlock_bench::figures::{
    Edges, HttpRow, Language, ListingRow, Measured, Part, RecordingTool, Refused, Server as Figures,
};
use airlock_bench::load::{self, Pace};
use airlock_bench::registry::Repository;
use airlock_bench::server::{self, Server};
use airlock_bench::{
    edges, guests, http, library, listing, memory, metering, outgoing, recording, report, scale,
};
use anyhow::{Context as _, Result};
use clap::Parser;

/// The same allocator as the program, so that library calls cost the same here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Airlock.
#[derive(Parser)]
struct Args {
    /// The repository's folder
    #[arg(long)]
    root: PathBuf,
    /// The folder for registries and state
    #[arg(long)]
    scratch: PathBuf,
    /// The folder for the page and its figures
    #[arg(long)]
    docs: PathBuf,
    /// A short run, for rough figures
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Measure calls through the library and on the bare engine
    Library,
    /// Measure the product and the floors over stdio
    Stdio,
    /// Measure the product and other servers over stdio
    Rivals {
        /// The list of other servers, as JSON
        servers: PathBuf,
    },
    /// Measure the product and other servers over HTTP
    RivalsHttp {
        /// The list of other servers, as JSON
        servers: PathBuf,
    },
    /// Measure the memory that a server holds and returns
    Memory,
    /// Measure how cost grows
    Scale,
    /// Measure wrong arguments, and many callers
    Edges,
    /// Measure `airlock log` on a large journal
    Listing,
    /// Measure the same tool in several languages
    Guests,
    /// Measure requests over HTTP
    Http,
    /// Measure what a journal and recordings cost, and how long replays take
    Recording,
    /// Measure requests of tools to other hosts
    Outgoing,
    /// Write the registry on which the parts are measured
    Registry {
        /// The file to write
        out: PathBuf,
    },
    /// Collect the figures that criterion measured
    Parts {
        /// Criterion's folder
        criterion: PathBuf,
    },
    /// Make calls and nothing else, for a profiler
    Calls {
        /// The number of calls
        count: usize,
    },
    /// Write the page
    Report,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let docs = args.docs;
    let figures = docs.join("performance");
    let repository = Repository { root: args.root, scratch: args.scratch };
    let quick = args.quick;
    // Before every run: a server would first read the journal that an earlier one left.
    repository.forget()?;
    match args.what {
        What::Library => {
            let measured = library::measure(&repository, quick).await?;
            eprintln!("library: {:.2} × the floor", measured.ratio);
            Measured::now(measured, quick).write(&figures, "library")?;
            Measured::now(metering::measure(quick)?, quick).write(&figures, "metering")
        }
        What::Stdio => {
            let mut servers = server::own(&repository)?;
            servers.push(server::thousand(&repository)?);
            Measured::now(measure(&servers, quick), quick).write(&figures, "stdio")
        }
        What::Rivals { servers } => {
            let mut all = server::own(&repository)?;
            all.extend(read(&servers)?);
            Measured::now(measure(&all, quick), quick).write(&figures, "rivals")
        }
        What::RivalsHttp { servers } => {
            let rows = http::beside(&repository, &read(&servers)?, Pace::of(quick))?;
            Measured::now(shown(rows), quick).write(&figures, "rivals-http")
        }
        What::Memory => Measured::now(memory::measure(&repository)?, quick).write(&figures, "memory"),
        What::Scale => {
            let curves = scale::measure(&repository, quick).await?;
            Measured::now(curves, quick).write(&figures, "scale")
        }
        What::Edges => {
            let measured = edges::measure(&repository, quick).await?;
            measured.refused.iter().for_each(say_refused);
            let measured = Edges { callers: shown(measured.callers), ..measured };
            Measured::now(measured, quick).write(&figures, "edges")
        }
        What::Listing => {
            let measured = listing::measure(&repository, quick).await?;
            measured.rows.iter().for_each(say_listed);
            Measured::now(measured, quick).write(&figures, "listing")
        }
        What::Guests => {
            let rows = guests::measure(&repository, quick).await?;
            rows.iter().filter(|row| !row.is_absent).for_each(say_language);
            Measured::now(rows, quick).write(&figures, "guests")
        }
        What::Http => {
            let rows = http::measure(&repository, Pace::of(quick))?;
            Measured::now(shown(rows), quick).write(&figures, "http")
        }
        What::Recording => {
            let measured = recording::measure(&repository, quick).await?;
            measured.tools.iter().for_each(say_recorded);
            Measured::now(measured, quick).write(&figures, "recording")
        }
        What::Outgoing => {
            let measured = outgoing::measure(&repository, quick).await?;
            eprintln!("outgoing: {:.0} µs more than the request alone", measured.more_us);
            Measured::now(measured, quick).write(&figures, "outgoing")
        }
        What::Registry { out } => {
            // The registry names everything by absolute paths, so it can be moved.
            std::fs::rename(repository.many(1)?, out).context("cannot write the registry")
        }
        What::Parts { criterion } => Measured::now(parts(&criterion)?, quick).write(&figures, "parts"),
        What::Calls { count } => calls(&repository, count).await,
        What::Report => report::write(&docs),
    }
}

fn measure(servers: &[Server], quick: bool) -> Vec<Figures> {
    let measured = load::measure(servers, Pace::of(quick));
    for server in &measured {
        match &server.absent {
            None => eprintln!("{}: p50 {:.1} µs", server.name, server.one.p50_us),
            Some(why) => eprintln!("{} is absent: {why}", server.name),
        }
    }
    measured
}

/// Says what was measured, and returns it.
fn shown(rows: Vec<HttpRow>) -> Vec<HttpRow> {
    for row in &rows {
        let rates: Vec<_> = row.rates.iter().map(|rate| format!("{:.0}", rate.per_s)).collect();
        match &row.absent {
            None => eprintln!("{}: p50 {:.1} µs, {} a second", row.name, row.one.p50_us, rates.join(", ")),
            Some(why) => eprintln!("{} is absent: {why}", row.name),
        }
    }
    rows
}

fn say_refused(Refused { form, bytes, ratio, alone_ratio, .. }: &Refused) {
    eprintln!("{form}, {bytes} bytes: {ratio:.2} × right ones, {alone_ratio:.2} × alone");
}

fn say_listed(ListingRow { question, times }: &ListingRow) {
    eprintln!("log, {question}: {:.0} ms", times.p50_us / 1e3);
}

fn say_language(Language { name, call, floor, .. }: &Language) {
    eprintln!("{name}: p50 {:.0} µs, {:.0} µs on the bare engine", call.p50_us, floor.p50_us);
}

fn say_recorded(tool: &RecordingTool) {
    for way in &tool.ways {
        eprintln!("{}, {}: {:.2} of the throughput", tool.tool, way.way, way.ratio);
    }
}

fn read(servers: &Path) -> Result<Vec<Server>> {
    let text =
        std::fs::read_to_string(servers).with_context(|| format!("cannot read {}", servers.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// The mean of each part that criterion measured, the most expensive part first.
fn parts(criterion: &Path) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(criterion)? {
        let folder = entry?.path();
        let Ok(text) = std::fs::read_to_string(folder.join("new/estimates.json")) else { continue };
        let estimates: serde_json::Value = serde_json::from_str(&text)?;
        let mean_ns = estimates["mean"]["point_estimate"].as_f64().context("criterion wrote no mean")?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        parts.push(Part { name, mean_ns });
    }
    // By cost, because the page answers where the time of a call goes.
    parts.sort_by(|a, b| b.mean_ns.total_cmp(&a.mean_ns));
    Ok(parts)
}

async fn calls(repository: &Repository, count: usize) -> Result<()> {
    let host = library::open(&repository.narrow()?).await?;
    for _ in 0..count {
        library::call(&host).await?;
    }
    library::settle(&host)
}
