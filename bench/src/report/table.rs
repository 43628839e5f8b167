//! Tables in Markdown, and their rows for servers and curves.

use std::fmt;

use super::plot::short;
use crate::figures::{Curve, Language, Server};

/// A table. Its first column is aligned to the left, the others to the right.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Table {
        Table { head: head.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.head.len().saturating_sub(1)))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// The main table of servers, one row each.
pub(super) fn servers(present: &[&Server]) -> Table {
    let mut table = Table::new(&[
        "server",
        "sandbox",
        "first result, ms",
        "p50, µs",
        "p99, µs",
        "calls/s at 1",
        "at 8",
        "at 64",
        "idle, MiB",
        "loaded, MiB",
    ]);
    for server in present {
        let mut row = vec![
            server.name.clone(),
            if server.sandbox { "yes" } else { "no" }.to_owned(),
            format!("{:.1}", server.first_ms),
            format!("{:.1}", server.one.p50_us),
            format!("{:.1}", server.one.p99_us),
        ];
        row.extend(server.pipelined.iter().map(|pipelined| match pipelined.per_s {
            0.0 => "no answer".to_owned(),
            per_s => short(per_s),
        }));
        row.extend([server.idle_mib, server.loaded_mib].map(|mib| format!("{mib:.1}")));
        table.row(row);
    }
    table
}

/// The table of sleeping and looping tools, for servers that have them.
pub(super) fn trouble(present: &[&Server]) -> Table {
    let mut table = Table::new(&[
        "server",
        "eight sleeps of 500 ms, ms",
        "good tool beside two loops: p50, µs",
        "p99, µs",
    ]);
    for server in present.iter().filter(|s| s.sleepers_ms.is_some() || s.beside_loops.is_some()) {
        let sleep = server.sleepers_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}"));
        let (p50, p99) = match server.beside_loops {
            Some(beside) if beside.answered => {
                (format!("{:.0}", beside.times.p50_us), format!("{:.0}", beside.times.p99_us))
            }
            Some(_) => ("no answer in 15 s".to_owned(), "–".to_owned()),
            None => ("–".to_owned(), "–".to_owned()),
        };
        table.row([server.name.clone(), sleep, p50, p99]);
    }
    table
}

/// The table of languages, one row each.
pub(super) fn languages(present: &[&Language]) -> Table {
    let callers = present.first().map_or(0, |row| row.callers);
    let mut table = Table::new(&[
        "",
        "MB",
        "p50, µs",
        "p99, µs",
        "after another tool, p50, µs",
        "floor, p50, µs",
        "× floor",
        "page faults",
        &format!("calls/s at {callers}"),
        &format!("floor at {callers}"),
        &format!("floor at {callers} × at 1"),
    ]);
    for row in present {
        let times = [row.call.p50_us, row.call.p99_us, row.alternating.p50_us, row.floor.p50_us];
        let mut cells = vec![row.name.clone(), format!("{:.2}", row.bytes as f64 / 1e6)];
        cells.extend(times.map(|us| format!("{us:.0}")));
        cells.extend([format!("{:.2}", row.ratio), format!("{:.1}", row.faults)]);
        cells.extend([row.per_s, row.floor_per_s].map(short));
        cells.push(format!("{:.2}", row.floor_per_s / row.floor_one_per_s));
        table.row(cells);
    }
    table
}

/// The points of a curve: one row for each x, one column for each line.
pub(super) fn curve(curve: &Curve) -> Table {
    let heads: Vec<String> =
        curve.series.iter().map(|series| format!("{}, {}", series.name, curve.y)).collect();
    let mut head = vec![curve.x.as_str()];
    head.extend(heads.iter().map(String::as_str));
    let mut table = Table::new(&head);
    let mut xs: Vec<f64> = curve.series.iter().flat_map(|s| s.points.iter().map(|point| point.0)).collect();
    // The lines of a curve can have different points: over stdio the largest sizes are missing.
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    for x in xs {
        let at = |points: &[(f64, f64)]| points.iter().find(|point| point.0 == x).map(|point| point.1);
        let mut row = vec![short(x)];
        row.extend(curve.series.iter().map(|s| at(&s.points).map_or_else(|| "–".to_owned(), short)));
        table.row(row);
    }
    table
}
