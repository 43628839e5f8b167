//! The sections about requests over HTTP.

use super::Page;
use super::plot::short;
use super::table::Table;
use crate::figures::{HttpRow, Measured};

impl Page<'_> {
    pub(super) fn http(&mut self, measured: &Measured<Vec<HttpRow>>) {
        self.heading("Over HTTP", measured);
        self.say(
            "Kept connections with one request in flight on each. The load generator has one thread and shares the cores with \
             the servers; the first row is the most that it can measure. `/healthz` is what the product's HTTP stack costs \
             without a call.\n",
        );
        let mut table =
            Table::new(&["", "p50, µs", "p99, µs", "requests/s at 1", "at 8", "at 64", "× `/healthz` at 64"]);
        let floor = measured.figures.iter().find(|row| row.name.ends_with("`/healthz`"));
        let floor = floor.and_then(HttpRow::most_per_s);
        for row in &measured.figures {
            let ratio = row
                .most_per_s()
                .zip(floor)
                .map_or_else(String::new, |(rate, floor)| format!("{:.2}", rate / floor));
            table.row(cells(row).into_iter().chain([ratio]));
        }
        self.say(&table.to_string());
    }

    pub(super) fn beside_over_http(&mut self, measured: &Measured<Vec<HttpRow>>) {
        self.heading("Over HTTP, beside others", measured);
        self.say(
            "Every server makes the same conversion over `/mcp`, called by the same load generator in turns: kept connections with \
             one request in flight on each. In the handshake era all connections share one session; the stateless era is \
             that of the revision 2026-07-28. Servers answer as JSON where they can be told to.\n",
        );
        let (present, absent): (Vec<&HttpRow>, Vec<&HttpRow>) =
            measured.figures.iter().partition(|row| row.absent.is_none());
        let mut table =
            Table::new(&["", "sandbox", "p50, µs", "p99, µs", "requests/s at 1", "at 8", "at 64"]);
        for row in &present {
            let sandbox = if row.sandbox { "yes" } else { "no" }.to_owned();
            let mut cells = cells(row);
            cells.insert(1, sandbox);
            table.row(cells);
        }
        self.say(&table.to_string());
        self.say(&against(&present).to_string());
        let mut told = Vec::new();
        for row in measured.figures.iter().filter(|row| !row.server.is_empty()) {
            // Both eras of a server have the same description.
            if !told.contains(&&row.server) {
                told.push(&row.server);
                self.say(&format!("- **{}**: {}.", row.server, row.what));
            }
        }
        for row in absent {
            self.say(&format!(
                "- **{}** is absent: {}.",
                row.name,
                row.absent.as_deref().unwrap_or_default()
            ));
        }
    }
}

/// The name, times and rates of a row.
pub(super) fn cells(row: &HttpRow) -> Vec<String> {
    let mut cells = vec![row.name.clone()];
    cells.extend([row.one.p50_us, row.one.p99_us].map(|us| format!("{us:.1}")));
    cells.extend(row.rates.iter().map(|rate| short(rate.per_s)));
    cells
}

/// Airlock's figures as multiples of each other server's, in the same era.
fn against(present: &[&HttpRow]) -> Table {
    let mut table = Table::new(&["airlock against", "p50 ×", "throughput × at 1", "at 8", "at 64"]);
    let era = |row: &HttpRow| row.name.strip_prefix(&row.server).map(str::to_owned);
    let is_ours = |row: &HttpRow| row.server == "airlock";
    for other in present.iter().filter(|row| !row.server.is_empty() && !is_ours(row)) {
        let Some(ours) = present.iter().find(|row| is_ours(row) && era(row) == era(other)) else { continue };
        let mut row = vec![other.name.clone(), format!("{:.2}", ours.one.p50_us / other.one.p50_us)];
        let pairs = ours.rates.iter().zip(&other.rates);
        row.extend(pairs.map(|(ours, theirs)| format!("{:.2}", ours.per_s / theirs.per_s)));
        table.row(row);
    }
    table
}
