//! Writes `docs/performance.md` and its plots from the figures in `docs/performance/`.
//!
//! The page contains no text by hand, and nothing that was not measured. To add a section: a method of `Page`, called
//! in `write`.

mod edges;
mod goals;
mod http;
mod plot;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::figures::{
    AtOnce, Curve, Edges, HttpRow, Language, Library, Listing, ListingRow, Machine, Measured, Memory,
    Metered, Outgoing, Part, Recording, RecordingTool, ReplayRow, Server, Way,
};
use plot::short;
use table::Table;

const INTRODUCTION: &str = "\
# What a call costs

`cargo xtask bench` writes this page from the figures in [`performance/`](performance/). The figures of one \
table come from one run, in which all candidates took many turns. Single figures depend on the machine; the \
ratios depend on it less. Every limit is on in all measurements: each call has a fresh sandbox with fuel, \
deadline and memory limit, both doors, and a record. The registry of the measurements has wide bulkheads and a \
high `calls_max`, because a throttled reply is not throughput.
";

const GOALS: &str = "\
A rival is another host that runs tools in sandboxes. The table also has servers without a host, in which a \
tool is a plain function. [internals/profile.md](internals/profile.md) shows what a sandbox, two doors and \
a record cost beyond such a server.
";

/// Writes the page and its plots.
///
/// # Errors
/// When figures cannot be read, or the page cannot be written.
pub fn write(docs: &Path) -> Result<()> {
    let folder = docs.join("performance");
    let mut page = Page { text: INTRODUCTION.to_owned(), folder: &folder };
    page.say(&format!("\n## Goals\n\n{GOALS}\n{}", goals::table(&folder)?));
    if let Some(library) = Measured::<Library>::read(&folder, "library")? {
        page.calls(&library);
    }
    if let Some(metered) = Measured::<Vec<Metered>>::read(&folder, "metering")? {
        page.metering(&metered);
    }
    if let Some(parts) = Measured::<Vec<Part>>::read(&folder, "parts")? {
        page.parts(&parts);
    }
    if let Some(servers) = Measured::<Vec<Server>>::read(&folder, "stdio")? {
        page.servers("Over stdio", "stdio", &servers)?;
    }
    if let Some(rivals) = Measured::<Vec<Server>>::read(&folder, "rivals")? {
        page.servers("Beside others", "rivals", &rivals)?;
    }
    if let Some(memory) = Measured::<Memory>::read(&folder, "memory")? {
        page.memory(&memory);
    }
    if let Some(curves) = Measured::<Vec<Curve>>::read(&folder, "scale")? {
        page.curves(&curves)?;
    }
    if let Some(http) = Measured::<Vec<HttpRow>>::read(&folder, "http")? {
        page.http(&http);
    }
    if let Some(guests) = Measured::<Vec<Language>>::read(&folder, "guests")? {
        page.guests(&guests);
    }
    if let Some(rows) = Measured::<Vec<HttpRow>>::read(&folder, "rivals-http")? {
        page.beside_over_http(&rows);
    }
    if let Some(edges) = Measured::<Edges>::read(&folder, "edges")? {
        page.edges(&edges);
    }
    if let Some(outgoing) = Measured::<Outgoing>::read(&folder, "outgoing")? {
        page.outgoing(&outgoing);
    }
    if let Some(listing) = Measured::<Listing>::read(&folder, "listing")? {
        page.listing(&listing);
    }
    if let Some(recording) = Measured::<Recording>::read(&folder, "recording")? {
        page.recording(&recording);
    }
    fs::write(docs.join("performance.md"), &page.text).context("cannot write docs/performance.md")
}

/// The page in progress.
struct Page<'f> {
    text: String,
    folder: &'f Path,
}

impl Page<'_> {
    fn heading<T>(&mut self, title: &str, measured: &Measured<T>) {
        let Machine { date, cpu, cores, kernel, load } = &measured.machine;
        let quick = if measured.quick { " A short run: rough figures." } else { "" };
        self.say(&format!(
            "\n## {title}\n\n{date}, {cpu}, {cores} cores, {kernel}, load {load:.1} before.{quick}\n"
        ));
    }

    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn plot(&mut self, id: &str, title: &str, svg: &str) -> Result<()> {
        fs::write(self.folder.join(id).with_extension("svg"), svg)?;
        self.say(&format!("![{title}](performance/{id}.svg)\n"));
        Ok(())
    }

    fn calls(&mut self, measured: &Measured<Library>) {
        let figures = &measured.figures;
        self.heading("Through the library", measured);
        self.say(&format!(
            "One call of `unit_convert` through all stages costs **{:.2} ×** the engine's floor, which instantiates, \
             calls and drops the same component under the same engine settings. With a thousand tools in the registry \
             it costs {:.2} × what it does with one.\n",
            figures.ratio, figures.many_ratio
        ));
        let mut table = Table::new(&["", "p50, µs", "p99, µs", "fastest, µs", "calls"]);
        let rows = [
            ("floor", &figures.floor),
            ("all stages", &figures.call),
            ("all stages, 1,000 tools", &figures.many),
            ("all stages, `record = \"off\"`", &figures.unrecorded),
            ("all stages, `record = \"full\"`", &figures.full),
        ];
        // Figures of earlier runs lack some rows.
        for (name, times) in rows.into_iter().filter(|(_, times)| times.count > 0) {
            let cells = [times.p50_us, times.p99_us, times.min_us].map(|us| format!("{us:.1}"));
            let [p50, p99, min] = cells;
            table.row([name.to_owned(), p50, p99, min, times.count.to_string()]);
        }
        self.say(&table.to_string());
        if figures.full_ratio > 0.0 {
            self.say(&format!(
                "Recorded as by default, a call costs {:.2} × one that is not recorded; recorded fully {:.2} ×.\n",
                figures.recorded_ratio, figures.full_ratio
            ));
        }
        self.say(&format!(
            "One caller without pauses makes {} calls a second, including the time until every record is on \
             disk. One thread writes the records, in groups.",
            short(figures.sustained_per_s)
        ));
    }

    fn guests(&mut self, measured: &Measured<Vec<Language>>) {
        self.heading("Tools in other languages", measured);
        let (absent, present): (Vec<&Language>, Vec<&Language>) =
            measured.figures.iter().partition(|row| row.is_absent);
        self.say(
            "The same tool, which adds two numbers, in each language. Every call has a fresh instance, and so a fresh \
             interpreter or runtime. The floor instantiates, calls and drops the component on the bare engine.\n",
        );
        self.say(&table::languages(&present).to_string());
        for Language { name, .. } in absent {
            self.say(&format!("- **{name}** is left out: its component could not be built."));
        }
    }

    fn outgoing(&mut self, measured: &Measured<Outgoing>) {
        let Outgoing { bare, call, more_us, requests_at_once, slow_ms, at_once } = &measured.figures;
        self.heading("Requests to other hosts", measured);
        self.say(&format!(
            "A call of a tool that makes one GET to a server on this machine takes **{more_us:.0} µs** more than the same \
             GET by reqwest over a kept connection. The server shares the cores.\n"
        ));
        let mut table = Table::new(&["", "p50, µs", "p99, µs", "fastest, µs", "requests"]);
        for (name, times) in [("reqwest alone", bare), ("a call with the request", call)] {
            let [p50, p99, min] = [times.p50_us, times.p99_us, times.min_us].map(|us| format!("{us:.1}"));
            table.row([name.to_owned(), p50, p99, min, times.count.to_string()]);
        }
        self.say(&table.to_string());
        self.say(&format!(
            "{requests_at_once} such calls at the same time, of a server that answers after {slow_ms:.0} ms:\n"
        ));
        let mut table = Table::new(&["`calls_max`", "all answered, ms", "× the least possible time"]);
        for AtOnce { calls_max, ms, ratio } in at_once {
            table.row([calls_max.to_string(), format!("{ms:.1}"), format!("{ratio:.2}")]);
        }
        self.say(&table.to_string());
    }

    fn listing(&mut self, measured: &Measured<Listing>) {
        let Listing { calls, bytes, alone, rows } = &measured.figures;
        self.heading("The list of calls", measured);
        self.say(&format!(
            "`airlock log` on a journal of {calls} calls with {:.1} GB, from the start of the program to the end of its first \
             page. {:.0} ms of it are the program's own, with one call in the journal. One index in the order of calls answers \
             all of them; what hardly any call matches reads it to its end.\n",
            *bytes as f64 / 1e9,
            alone.p50_us / 1e3
        ));
        let mut table = Table::new(&["calls of", "p50, ms", "p99, ms", "fastest, ms", "runs"]);
        for ListingRow { question, times } in rows {
            let [p50, p99, min] =
                [times.p50_us, times.p99_us, times.min_us].map(|us| format!("{:.1}", us / 1e3));
            table.row([question.clone(), p50, p99, min, times.count.to_string()]);
        }
        self.say(&table.to_string());
    }

    fn recording(&mut self, measured: &Measured<Recording>) {
        let Recording { callers, turn, tools, replays } = &measured.figures;
        self.heading("Journal and recordings", measured);
        self.say(&format!(
            "The same load of {callers} callers at once with more and more of each call kept, in turns of {turn} calls, until \
             every record is on disk. Where tiles of the log are built, they are built once in each turn; a server builds them \
             every minute. A journal in memory has the record, too, and no database. \
             The wait for the last commit of a turn counts: it is the more of a turn the shorter that is.\n"
        ));
        let mut table = Table::new(&["tool", "kept", "calls/s", "throughput", "MB for 1,000 calls"]);
        for RecordingTool { tool, ways } in tools {
            for Way { way, per_s, ratio, bytes_per_1000 } in ways {
                let grown =
                    bytes_per_1000.map_or_else(|| "–".to_owned(), |bytes| format!("{:.2}", bytes / 1e6));
                table.row([tool.clone(), way.clone(), short(*per_s), format!("{ratio:.2} ×"), grown]);
            }
        }
        self.say(&table.to_string());
        self.say("Calls that are recorded fully, one after the other, and strict replays of them from their records:\n");
        let mut table = Table::new(&["calls of", "calls", "first, ms", "replayed, ms", "replayed ÷ first"]);
        for ReplayRow { calls_of, calls, first_ms, replay_ms, ratio } in replays {
            let [first, replayed] = [first_ms, replay_ms].map(|ms| format!("{ms:.0}"));
            table.row([calls_of.clone(), calls.to_string(), first, replayed, format!("{ratio:.2}")]);
        }
        self.say(&table.to_string());
    }

    fn metering(&mut self, measured: &Measured<Vec<Metered>>) {
        self.heading("Fuel and epochs", measured);
        self.say(
            "The time of a loop that only computes, as a multiple of its time without metering. Airlock \
             uses both kinds of metering. Fuel is the same for the same call on any machine, so a replay \
             ends where the call ended. Epochs end a call in time, whatever it does.\n",
        );
        let ways = measured.figures.first().map(|metered| metered.ways.as_slice()).unwrap_or_default();
        let names = ways.iter().map(|(name, _)| name.as_str());
        let head: Vec<&str> = std::iter::once("steps of the loop's body").chain(names).collect();
        let mut table = Table::new(&head);
        for Metered { steps, ways } in &measured.figures {
            let cells = ways.iter().map(|(_, ratio)| format!("{ratio:.2}"));
            table.row(std::iter::once(steps.to_string()).chain(cells));
        }
        self.say(&table.to_string());
    }

    fn parts(&mut self, measured: &Measured<Vec<Part>>) {
        self.heading("The parts of a call", measured);
        let mut table = Table::new(&["part", "mean, µs"]);
        for part in &measured.figures {
            table.row([part.name.clone(), format!("{:.2}", part.mean_ns / 1e3)]);
        }
        self.say(&table.to_string());
    }

    fn memory(&mut self, measured: &Measured<Memory>) {
        self.heading("Memory", measured);
        let figures = &measured.figures;
        let mut table = Table::new(&["resident, MiB", "at rest", "the most under load", "after it"]);
        let mut row = |name: &str, cells: [Option<f64>; 3]| {
            let shown = cells.map(|cell| cell.map_or_else(|| "–".to_owned(), |mib| format!("{mib:.1}")));
            table.row(std::iter::once(name.to_owned()).chain(shown));
        };
        row("one tool, 64 calls in flight", [Some(figures.one_idle_mib), Some(figures.one_full_mib), None]);
        row("1,000 tools, 64 calls in flight", [Some(figures.idle_mib), Some(figures.full_mib), None]);
        let large = [figures.before_mib, figures.large_mib, figures.after_mib].map(Some);
        row("a guest that fills 200 MiB", large);
        self.say(&table.to_string());
        // Two registries that differ by 999 tools.
        let each = (figures.idle_mib - figures.one_idle_mib) * 1024.0 / 999.0;
        self.say(&format!(
            "Each additional tool costs {each:.0} KiB at rest: its contract, its description and its settings. Its code is \
             mapped by its first call."
        ));
    }

    fn servers(&mut self, title: &str, id: &str, measured: &Measured<Vec<Server>>) -> Result<()> {
        self.heading(title, measured);
        // Absent servers are listed with their reason, so that a missing rival is not taken for one that was forgotten.
        let (present, absent): (Vec<&Server>, Vec<&Server>) =
            measured.figures.iter().partition(|server| server.absent.is_none());
        self.say(
            "Every server makes the same conversion, called by the same client, in turn. With one call at a \
             time, client and server share one core, because waking an idle virtual core takes longer than \
             a call. Otherwise both use all cores.\n",
        );
        self.say(&table::servers(&present).to_string());
        self.ratios(&present);
        self.say(&table::trouble(&present).to_string());
        for server in &present {
            self.say(&format!("- **{}**: {}.", server.name, server.what));
        }
        for server in absent {
            let why = server.absent.as_deref().unwrap_or_default();
            self.say(&format!("- **{}** is absent: {why}.", server.name));
        }
        self.say("");
        let bars = |value: fn(&Server) -> f64| -> Vec<(String, f64)> {
            present.iter().map(|server| (server.name.clone(), value(server))).collect()
        };
        let latency = plot::bars("One call at a time, p50", "µs, less is better", &bars(|s| s.one.p50_us));
        self.plot(&format!("{id}-p50"), "One call at a time", &latency)?;
        let most = |server: &Server| server.pipelined.iter().map(|p| p.per_s).fold(0.0, f64::max);
        let rate = plot::bars("Most calls a second", "calls/s, more is better", &bars(most));
        self.plot(&format!("{id}-rate"), "Throughput", &rate)
    }

    /// Writes a table of ratios: Airlock's figures as multiples of each other server's.
    fn ratios(&mut self, present: &[&Server]) {
        let Some(ours) = present.iter().find(|server| server.name == "airlock") else { return };
        let mut table = Table::new(&["airlock against", "p50 ×", "throughput × at 1", "at 8", "at 64"]);
        for other in present.iter().filter(|server| server.name != "airlock") {
            let mut row = vec![other.name.clone(), format!("{:.2}", ours.one.p50_us / other.one.p50_us)];
            let pairs = ours.pipelined.iter().zip(&other.pipelined);
            row.extend(pairs.map(|(ours, theirs)| match theirs.per_s {
                // 0 means that calls were left without an answer, so there is no ratio.
                0.0 => "–".to_owned(),
                per_s => format!("{:.2}", ours.per_s / per_s),
            }));
            table.row(row);
        }
        self.say(&table.to_string());
    }

    fn curves(&mut self, measured: &Measured<Vec<Curve>>) -> Result<()> {
        self.heading("Scale", measured);
        for curve in &measured.figures {
            self.say(&format!("### {}\n", curve.title));
            if !curve.note.is_empty() {
                self.say(&format!("{}\n", curve.note));
            }
            self.say(&table::curve(curve).to_string());
            let svg = plot::lines(&curve.title, (&curve.x, &curve.y), &curve.series);
            self.plot(&curve.id, &curve.title, &svg)?;
        }
        Ok(())
    }
}
