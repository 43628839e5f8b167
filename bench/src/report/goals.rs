//! What was set as a goal, beside what was measured. A goal that is missed stands here as missed.

use std::path::Path;

use anyhow::Result;

use super::table::Table;
use crate::figures::{Curve, Library, Measured, Server};

/// A ratio that shall stay on one side of a bound.
struct Goal {
    what: &'static str,
    most: bool,
    bound: f64,
    measured: Option<f64>,
}

/// The goals whose figures were measured.
pub(super) fn table(folder: &Path) -> Result<Table> {
    let library = Measured::<Library>::read(folder, "library")?.map(|it| it.figures);
    let servers = Measured::<Vec<Server>>::read(folder, "stdio")?.map(|it| it.figures).unwrap_or_default();
    let rivals = Measured::<Vec<Server>>::read(folder, "rivals")?.map(|it| it.figures).unwrap_or_default();
    let curves = Measured::<Vec<Curve>>::read(folder, "scale")?.map(|it| it.figures).unwrap_or_default();
    let mut all = Vec::new();
    if let Some(Library { ratio, many_ratio, .. }) = library {
        all.push(most("a library call × the engine's floor", 2.5, Some(ratio)));
        all.push(most("a library call with 1,000 tools × with one", 1.1, Some(many_ratio)));
    }
    all.extend(over_stdio(&servers));
    all.extend(beside(&rivals));
    all.push(most("first result with 100 tools × with one", 5.0, starts(&curves)));
    let mut table = Table::new(&["goal", "bound", "measured", ""]);
    for Goal { what, most, bound, measured } in all {
        let Some(measured) = measured else { continue };
        let met = if most { measured <= bound } else { measured >= bound };
        let sign = if most { "≤" } else { "≥" };
        let verdict = if met { "met" } else { "**missed**" };
        table.row([
            what.to_owned(),
            format!("{sign} {bound:.1}"),
            format!("{measured:.2}"),
            verdict.to_owned(),
        ]);
    }
    Ok(table)
}

fn most(what: &'static str, bound: f64, measured: Option<f64>) -> Goal {
    Goal { what, most: true, bound, measured }
}

fn least(what: &'static str, bound: f64, measured: Option<f64>) -> Goal {
    Goal { what, most: false, bound, measured }
}

fn named<'s>(servers: &'s [Server], name: &str) -> Option<&'s Server> {
    servers.iter().find(|server| server.name == name && server.absent.is_none())
}

fn over_stdio(servers: &[Server]) -> Vec<Goal> {
    let (Some(ours), Some(echo)) = (named(servers, "airlock"), named(servers, "rmcp echo")) else {
        return Vec::new();
    };
    let rate = |i: usize| Some(ours.pipelined.get(i)?.per_s / echo.pipelined.get(i)?.per_s);
    let thousand = named(servers, "airlock, 1,000 tools");
    let slower = thousand.map(|thousand| thousand.one.p50_us / ours.one.p50_us);
    vec![
        most("p50 over stdio × an rmcp server that echoes", 1.3, Some(ours.one.p50_us / echo.one.p50_us)),
        least("its throughput, 1 in flight", 0.8, rate(0)),
        least("its throughput, 8 in flight", 0.8, rate(1)),
        least("its throughput, 64 in flight", 0.8, rate(2)),
        most("p50 over stdio with 1,000 tools × with five", 1.1, slower),
    ]
}

/// A respect in which servers are compared, where it was measured.
type Respect = fn(&Server) -> Option<f64>;

/// Where less is better.
const LESS: [(&str, Respect); 7] = [
    ("first result × the fastest rival's", |it| Some(it.first_ms)),
    ("p50 × the fastest rival's", |it| Some(it.one.p50_us)),
    ("p99 × the fastest rival's", |it| Some(it.one.p99_us)),
    ("eight sleeps × the fastest rival's", |it| it.sleepers_ms),
    ("p50 beside two loops × the fastest rival's", |it| {
        it.beside_loops.filter(|beside| beside.answered).map(|beside| beside.times.p50_us)
    }),
    ("idle memory × the smallest rival's", |it| Some(it.idle_mib)),
    ("loaded memory × the smallest rival's", |it| Some(it.loaded_mib)),
];

/// Where more is better.
const MORE: [(&str, Respect); 3] = [
    ("throughput × the fastest rival's, 1 in flight", |it| Some(it.pipelined.first()?.per_s)),
    ("throughput × the fastest rival's, 8 in flight", |it| Some(it.pipelined.get(1)?.per_s)),
    ("throughput × the fastest rival's, 64 in flight", |it| Some(it.pipelined.get(2)?.per_s)),
];

/// Against the best of the others in each row of the table; the floors are no rivals.
fn beside(servers: &[Server]) -> Vec<Goal> {
    let Some(ours) = named(servers, "airlock") else { return Vec::new() };
    let floors = ["airlock", "raw echo", "rmcp echo"];
    let others = || servers.iter().filter(|it| it.absent.is_none() && !floors.contains(&it.name.as_str()));
    let ratio = |respect: Respect, best: fn(f64, f64) -> f64| {
        Some(respect(ours)? / others().filter_map(respect).reduce(best)?)
    };
    let less = LESS.map(|(what, respect)| most(what, 1.0, ratio(respect, f64::min)));
    let more = MORE.map(|(what, respect)| least(what, 1.0, ratio(respect, f64::max)));
    less.into_iter().chain(more).collect()
}

fn starts(curves: &[Curve]) -> Option<f64> {
    let points = &curves.iter().find(|curve| curve.id == "tools-start")?.series.first()?.points;
    let at = |tools: f64| points.iter().find(|point| point.0 == tools).map(|point| point.1);
    Some(at(100.0)? / at(1.0)?)
}
