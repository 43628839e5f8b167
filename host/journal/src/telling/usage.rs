//! What a call cost, what it touched, and what its tools logged.

use super::head::is_unknown;
use super::policy::refusals;
use super::text::{self, bytes, grouped, listed, name, time};
use super::{Line, Section, Tone};
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Effects, Usage, Use};
use airlock_types::words::count;

pub(super) fn cost(record: &Record) -> Section {
    let lines = if is_unknown(record) {
        vec![Line::new(Tone::Doubt, "What it used is not on record.")]
    } else if record.attempts.is_empty() {
        vec![Line::quiet("Nothing ran.")]
    } else {
        let total = total(&record.attempts);
        let attempts = count(record.attempts.len() as u64, "attempt");
        let ran = format!(
            "{attempts}: {} fuel, {} of computing in {}, at most {} of memory",
            grouped(total.fuel),
            time(total.cpu_us),
            time(total.wall_us),
            bytes(total.memory_bytes)
        );
        std::iter::once(ran).chain(moved(&total)).map(Line::plain).collect()
    };
    Section::new("cost", lines)
}

/// The sum over all attempts; of memory the most.
fn total(attempts: &[Attempt]) -> Usage {
    attempts.iter().fold(Usage::default(), |total, Attempt { usage, .. }| {
        // Destructured without `..`: what is counted is told.
        let Usage {
            fuel,
            wall_us,
            cpu_us,
            memory_bytes,
            log_bytes,
            requests,
            up_bytes,
            down_bytes,
            written_bytes,
            files_created,
            keys_read,
            keys_written,
            value_bytes_read,
            value_bytes_written,
        } = *usage;
        Usage {
            fuel: total.fuel.saturating_add(fuel),
            wall_us: total.wall_us.saturating_add(wall_us),
            cpu_us: total.cpu_us.saturating_add(cpu_us),
            memory_bytes: total.memory_bytes.max(memory_bytes),
            log_bytes: total.log_bytes.saturating_add(log_bytes),
            requests: total.requests.saturating_add(requests),
            up_bytes: total.up_bytes.saturating_add(up_bytes),
            down_bytes: total.down_bytes.saturating_add(down_bytes),
            written_bytes: total.written_bytes.saturating_add(written_bytes),
            files_created: total.files_created.saturating_add(files_created),
            keys_read: total.keys_read.saturating_add(keys_read),
            keys_written: total.keys_written.saturating_add(keys_written),
            value_bytes_read: total.value_bytes_read.saturating_add(value_bytes_read),
            value_bytes_written: total.value_bytes_written.saturating_add(value_bytes_written),
        }
    })
}

/// What passed between the tools and the world: a line for each kind of which there was some.
fn moved(total: &Usage) -> impl Iterator<Item = String> {
    let network = (total.requests > 0).then(|| {
        let (up, down) = (bytes(total.up_bytes), bytes(total.down_bytes));
        format!("{}: {up} sent, {down} received", count(total.requests, "request"))
    });
    let files = (total.written_bytes > 0 || total.files_created > 0).then(|| {
        format!("files: {} written, {} created", bytes(total.written_bytes), grouped(total.files_created))
    });
    let keys = |count: u64, how: &str, moved: u64| {
        (count > 0).then(|| format!("keys: {} {how}, {}", grouped(count), bytes(moved)))
    };
    let read = keys(total.keys_read, "read", total.value_bytes_read);
    let written = keys(total.keys_written, "written", total.value_bytes_written);
    [network, files, read, written].into_iter().flatten()
}

pub(super) fn touched(record: &Record) -> Section {
    let mut lines: Vec<Line> = record.attempts.iter().flat_map(touched_by).collect();
    if is_unknown(record) {
        lines.push(Line::new(Tone::Doubt, "What it changed is not on record."));
    } else if lines.is_empty() && !record.attempts.is_empty() {
        lines.push(Line::quiet("Nothing outside of the sandbox."));
    }
    Section::new("touched", lines)
}

fn touched_by(attempt: &Attempt) -> Vec<Line> {
    let mut lines = listed(&attempt.uses, |Use { capability, what, times }| {
        let how_often = if *times == 1 { String::new() } else { format!(", {} times", grouped(*times)) };
        // Retention erases what was used.
        let what = if what.is_empty() { String::new() } else { format!(": {}", text::line(what)) };
        vec![Line::plain(format!("{}{what}{how_often}", name(capability)))]
    });
    lines.extend(refusals(attempt));
    lines.extend(attempt.effects.as_ref().map(changed));
    lines
}

fn changed(effects: &Effects) -> Line {
    let Effects { dispatched, settled, open_at } = effects;
    let left = count(*dispatched, "effect");
    if open_at.is_empty() && settled >= dispatched {
        return Line::plain(format!("{left} left the sandbox, all answered."));
    }
    let places: Vec<String> = open_at.iter().take(8).map(|place| name(place)).collect();
    let at = if places.is_empty() { String::new() } else { format!(" at {}", places.join(", ")) };
    let what =
        format!("{left} left the sandbox, {settled} answered: something{at} may have happened or not.");
    Line::new(Tone::Bad, what)
}

pub(super) fn log(record: &Record) -> Section {
    let lines = record.attempts.iter().flat_map(|attempt| text::lines(&attempt.log)).map(Line::quiet);
    Section::new("log", lines.collect())
}
