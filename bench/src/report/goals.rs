//! The goals beside the measured figures. A missed goal is shown as missed.

use std::path::Path;

use anyhow::Result;

use super::table::Table;
use crate::figures::{
    AtOnce, Curve, Edges, HttpRow, Language, Library, Listing, Measured, Outgoing, Recording, Server,
};

/// The product's name in the tables.
const OURS: &str = "airlock";

/// Servers without a product behind them, which show the least possible cost. They are not rivals.
const FLOORS: [&str; 2] = ["raw echo", "rmcp echo"];

/// A ratio with an upper or a lower bound.
struct Goal {
    what: String,
    /// Whether `bound` is an upper bound.
    most: bool,
    bound: f64,
    measured: Option<f64>,
}

/// The table of all goals for which there are figures.
pub(super) fn table(folder: &Path) -> Result<Table> {
    let library = Measured::<Library>::read(folder, "library")?.map(|it| it.figures);
    let servers = Measured::<Vec<Server>>::read(folder, "stdio")?.map(|it| it.figures).unwrap_or_default();
    let rivals = Measured::<Vec<Server>>::read(folder, "rivals")?.map(|it| it.figures).unwrap_or_default();
    let curves = Measured::<Vec<Curve>>::read(folder, "scale")?.map(|it| it.figures).unwrap_or_default();
    let outgoing = Measured::<Outgoing>::read(folder, "outgoing")?.map(|it| it.figures);
    let mut all = Vec::new();
    if let Some(Library { ratio, many_ratio, .. }) = library {
        all.push(most("a library call × the engine's floor", 2.5, Some(ratio)));
        all.push(most("a library call with 1,000 tools × with one", 1.1, Some(many_ratio)));
    }
    all.extend(over_stdio(&servers));
    all.extend(beside(&rivals));
    let http = Measured::<Vec<HttpRow>>::read(folder, "http")?.map(|it| it.figures).unwrap_or_default();
    all.extend(over_http(&http));
    let languages =
        Measured::<Vec<Language>>::read(folder, "guests")?.map(|it| it.figures).unwrap_or_default();
    all.extend(of_languages(&languages));
    let rivals = Measured::<Vec<HttpRow>>::read(folder, "rivals-http")?.map(|it| it.figures);
    all.extend(beside_over_http(&rivals.unwrap_or_default()));
    if let Some(Edges { refused, .. }) = Measured::<Edges>::read(folder, "edges")?.map(|it| it.figures) {
        let worst = refused.iter().map(|row| row.ratio).reduce(f64::max);
        all.push(most("a call with wrong arguments × with right ones, the worst form", 3.0, worst));
    }
    if let Some(Outgoing { more_us, at_once, .. }) = outgoing {
        all.push(most("a call with one GET − the same GET alone, µs", 250.0, Some(more_us)));
        all.extend(at_once.iter().map(|AtOnce { calls_max, ratio, .. }| {
            most(format!("64 GETs of 50 ms, {calls_max} calls at once × the least time"), 1.5, Some(*ratio))
        }));
    }
    if let Some(Listing { rows, calls, .. }) =
        Measured::<Listing>::read(folder, "listing")?.map(|it| it.figures)
    {
        let slowest = rows.iter().map(|row| row.times.p50_us / 1e3).reduce(f64::max);
        all.push(most(
            format!("the first page of `log` of {calls} calls, its slowest filter, ms"),
            100.0,
            slowest,
        ));
    }
    if let Some(recording) = Measured::<Recording>::read(folder, "recording")?.map(|it| it.figures) {
        all.extend(recorded(&recording));
    }
    all.push(most("first result with 100 tools × with one", 5.0, starts(&curves)));
    for (id, what) in [("argument-bytes", "arguments"), ("result-bytes", "results")] {
        let what = format!("a byte of the largest {what} over HTTP × of ten times smaller ones");
        all.push(most(what, 1.5, growth(&curves, id)));
    }
    let mut table = Table::new(&["goal", "bound", "measured", ""]);
    for Goal { what, most, bound, measured } in all {
        // Goals without figures are left out and not counted as met.
        let Some(measured) = measured else { continue };
        let met = if most { measured <= bound } else { measured >= bound };
        let sign = if most { "≤" } else { "≥" };
        let verdict = if met { "met" } else { "**missed**" };
        table.row([what, format!("{sign} {bound:.1}"), format!("{measured:.2}"), verdict.to_owned()]);
    }
    Ok(table)
}

/// What recording costs the tool that only computes, and what replays take.
fn recorded(recording: &Recording) -> Vec<Goal> {
    let of = |at: usize| Some(recording.tools.first()?.ways.get(at)?.ratio);
    let full = of(3).zip(of(2)).map(|(full, metadata)| full / metadata);
    let mut all = vec![
        least("throughput with a database and tiles × in memory, unrecorded", 0.85, of(2)),
        least("throughput with `record = \"full\"` × with `metadata`", 0.9, full),
    ];
    all.extend(
        recording.replays.iter().map(|row| {
            most(format!("time of replays × of the calls, {}", row.calls_of), 1.0, Some(row.ratio))
        }),
    );
    all
}

fn most(what: impl Into<String>, bound: f64, measured: Option<f64>) -> Goal {
    Goal { what: what.into(), most: true, bound, measured }
}

fn least(what: impl Into<String>, bound: f64, measured: Option<f64>) -> Goal {
    Goal { what: what.into(), most: false, bound, measured }
}

fn named<'s>(servers: &'s [Server], name: &str) -> Option<&'s Server> {
    servers.iter().find(|server| server.name == name && server.absent.is_none())
}

fn over_http(rows: &[HttpRow]) -> Vec<Goal> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let Some(floor) = row("airlock, `/healthz`") else { return Vec::new() };
    let rate = |row: &HttpRow| row.rates.last().map_or(0.0, |rate| rate.per_s);
    let goals = [
        ("airlock, `/v1`", "`/v1`", 0.6, 1.5),
        ("airlock, `/mcp`, stateless era", "`/mcp` of 2026-07-28", 0.5, 2.0),
    ];
    let both = |(name, shown, least_rate, most_time)| {
        let row = row(name);
        [
            least(
                format!("{shown} × `/healthz`, throughput at 64"),
                least_rate,
                row.map(|it| rate(it) / rate(floor)),
            ),
            most(
                format!("{shown} × `/healthz`, p50 at 1"),
                most_time,
                row.map(|it| it.one.p50_us / floor.one.p50_us),
            ),
        ]
    };
    goals.into_iter().flat_map(both).collect()
}

/// What a call in a fresh interpreter may take.
fn of_languages(rows: &[Language]) -> Vec<Goal> {
    let bounds = [("JavaScript (QuickJS)", 250.0), ("Go", 400.0), ("Python", 1_000.0)];
    let goal = |(name, bound_us): (&str, f64)| {
        let row = rows.iter().find(|row| row.name == name && !row.is_absent)?;
        Some(most(format!("a call of a tool in {name}, p50, µs"), bound_us, Some(row.call.p50_us)))
    };
    bounds.into_iter().filter_map(goal).collect()
}

/// Compares with the best server with a sandbox, whatever it speaks.
fn beside_over_http(rows: &[HttpRow]) -> Vec<Goal> {
    let others = rows.iter().filter(|row| row.sandbox && row.server != OURS);
    let best = others.filter_map(HttpRow::most_per_s).reduce(f64::max);
    let goal = |row: &HttpRow| {
        let what = format!("{} × the best rival's over HTTP, throughput at 64", row.name);
        least(what, 3.0, row.most_per_s().zip(best).map(|(ours, best)| ours / best))
    };
    rows.iter().filter(|row| row.server == OURS).map(goal).collect()
}

fn over_stdio(servers: &[Server]) -> Vec<Goal> {
    let (Some(ours), Some(echo)) = (named(servers, OURS), named(servers, "rmcp echo")) else {
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

/// A figure that servers are compared by; none when it was not measured.
type Respect = fn(&Server) -> Option<f64>;

/// Figures for which less is better.
const LESS: [(&str, Respect); 7] = [
    ("first result", |it| Some(it.first_ms)),
    ("p50", |it| Some(it.one.p50_us)),
    ("p99", |it| Some(it.one.p99_us)),
    ("eight sleeps", |it| it.sleepers_ms),
    ("p50 beside two loops", |it| {
        it.beside_loops.filter(|beside| beside.answered).map(|beside| beside.times.p50_us)
    }),
    ("idle memory", |it| Some(it.idle_mib)),
    ("loaded memory", |it| Some(it.loaded_mib)),
];

/// Figures for which more is better.
const MORE: [(&str, Respect); 3] = [
    ("throughput, 1 in flight", |it| Some(it.pipelined.first()?.per_s)),
    ("throughput, 8 in flight", |it| Some(it.pipelined.get(1)?.per_s)),
    ("throughput, 64 in flight", |it| Some(it.pipelined.get(2)?.per_s)),
];

/// Compares with the best of the others in each row: first with the servers that run tools in a sandbox (the rivals),
/// then with those that run them in their own process.
fn beside(servers: &[Server]) -> Vec<Goal> {
    let Some(ours) = named(servers, OURS) else { return Vec::new() };
    let measured = || servers.iter().filter(|it| it.absent.is_none());
    let rivals: Vec<&Server> = measured().filter(|it| it.sandbox && it.name != OURS).collect();
    let bare: Vec<&Server> =
        measured().filter(|it| !it.sandbox && !FLOORS.contains(&it.name.as_str())).collect();
    let mut all = against(ours, &rivals, "the best rival's");
    all.extend(against(ours, &bare, "the best without a sandbox"));
    all
}

fn against(ours: &Server, others: &[&Server], whose: &str) -> Vec<Goal> {
    // Without a figure on either side there is no ratio, and the goal is left out.
    let ratio = |respect: Respect, best: fn(f64, f64) -> f64| {
        Some(respect(ours)? / others.iter().filter_map(|it| respect(it)).reduce(best)?)
    };
    let less = LESS.map(|(what, respect)| most(format!("{what} × {whose}"), 1.0, ratio(respect, f64::min)));
    let more = MORE.map(|(what, respect)| least(format!("{what} × {whose}"), 1.0, ratio(respect, f64::max)));
    less.into_iter().chain(more).collect()
}

fn starts(curves: &[Curve]) -> Option<f64> {
    let points = &curves.iter().find(|curve| curve.id == "tools-start")?.series.first()?.points;
    let at = |tools: f64| points.iter().find(|point| point.0 == tools).map(|point| point.1);
    Some(at(100.0)? / at(1.0)?)
}

/// The time of a byte over HTTP at the largest size, as a multiple of that at the size before it.
fn growth(curves: &[Curve], id: &str) -> Option<f64> {
    let series = &curves.iter().find(|curve| curve.id == id)?.series;
    let points = &series.iter().find(|series| series.name == "HTTP")?.points;
    let [.., (less, less_us), (more, more_us)] = points[..] else { return None };
    Some(more_us / more / (less_us / less))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Pipelined, Series};

    fn server(name: &str, sandbox: bool, idle_mib: f64) -> Server {
        Server { name: name.into(), sandbox, idle_mib, ..Server::default() }
    }

    #[test]
    fn rivals_have_a_sandbox_and_floors_are_not_compared() {
        let gone = Server { absent: Some("it does not start".into()), ..server("gone", true, 1.0) };
        let others =
            [server("slim", true, 20.0), server("wide", true, 40.0), server("script", false, 5.0), gone];
        let servers: Vec<Server> =
            [server("rmcp echo", false, 1.0), server(OURS, true, 10.0)].into_iter().chain(others).collect();
        let all = beside(&servers);
        let of = |what: &str| all.iter().find(|goal| goal.what == what).and_then(|goal| goal.measured);
        assert_eq!(of("idle memory × the best rival's"), Some(0.5));
        assert_eq!(of("idle memory × the best without a sandbox"), Some(2.0));
        assert_eq!(of("throughput, 8 in flight × the best rival's"), None);
    }

    #[test]
    fn over_http_only_the_best_server_with_a_sandbox_counts() {
        let row = |server: &str, sandbox: bool, per_s: f64| HttpRow {
            name: format!("{server}, one era"),
            server: server.to_owned(),
            sandbox,
            rates: vec![Pipelined { window: 64, per_s, p99_us: 1.0 }],
            ..HttpRow::default()
        };
        let gone = HttpRow { rates: Vec::new(), ..row("gone", true, 0.0) };
        let rows = [row(OURS, true, 60.0), row("slow", true, 10.0), row("fast", true, 15.0), gone];
        let rows = rows.into_iter().chain([row("script", false, 90.0)]).collect::<Vec<_>>();
        let measured: Vec<_> = beside_over_http(&rows).iter().map(|goal| goal.measured).collect();
        assert_eq!(measured, [Some(4.0)]);
    }

    #[test]
    fn growth_is_that_of_the_last_two_sizes() {
        let points = vec![(10.0, 5.0), (100.0, 100.0), (1_000.0, 1_500.0)];
        let curve = Curve {
            id: "argument-bytes".into(),
            title: String::new(),
            x: String::new(),
            y: String::new(),
            note: String::new(),
            series: vec![Series { name: "HTTP".into(), points }],
        };
        assert_eq!(growth(&[curve], "argument-bytes"), Some(1.5));
        assert_eq!(growth(&[], "argument-bytes"), None);
    }
}
