//! Plots as SVG inside a page.

use std::fmt::Write as _;

use airlock_shadow::night::Night;
use airlock_shadow::trend::{ALPHA, Trend};

use crate::markup::text;

/// The size of a plot, in its own units.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 120.0;

/// Room for labels at the left, and between the plot and its edges.
const LEFT: f64 = 44.0;
const EDGE: f64 = 10.0;

/// Most nights of the strip of verdicts.
const STRIP_MAX: usize = 60;

/// The verdict about a tool of each night, the last ones.
pub(super) fn verdicts(tool: &str, nights: &[Night]) -> String {
    let nights = &nights[nights.len().saturating_sub(STRIP_MAX)..];
    let mut out = format!(
        "<figure><figcaption>verdicts of the last {} nights</figcaption><svg viewBox=\"0 0 {WIDTH} 34\" role=\"img\" \
         aria-label=\"verdicts\">",
        nights.len()
    );
    let step = (WIDTH / nights.len().max(1) as f64).min(16.0);
    for (at, night) in nights.iter().enumerate() {
        let Some(results) = night.tools.get(tool) else { continue };
        let tried = if night.candidate.is_some() { " tried" } else { "" };
        let (verdict, at_night) = (results.verdict.as_str(), text(&night.at));
        // Writing into a text cannot fail.
        let _ = write!(
            out,
            "<rect class=\"{verdict}{tried}\" x=\"{:.1}\" y=\"4\" width=\"{:.1}\" height=\"24\" rx=\"2\"><title>{at_night}: \
             {verdict}</title></rect>",
            at as f64 * step,
            (step - 2.0).max(1.0)
        );
    }
    out + "</svg></figure>"
}

/// A figure by night, and the capital of its e-process below.
pub(super) fn trend(name: &str, trend: &Trend) -> String {
    let logs: Vec<f64> = trend.capital.iter().map(|capital| capital.max(1e-3).log10()).collect();
    let bound = (1.0 / ALPHA).log10();
    let figures = Scale::of(&trend.figures, &[]);
    let capital = Scale::of(&logs, &[0.0, bound]);
    let name = text(name);
    let alarm = match trend.alarm {
        Some(night) => format!("alarm at night {}", night + 1),
        None => "no alarm".to_owned(),
    };
    format!(
        "<figure><figcaption><b>{name}</b> by night</figcaption>{}</figure>\
         <figure><figcaption>e-process of <b>{name}</b>: {alarm}</figcaption>{}</figure>",
        drawn(&figures, &trend.figures, "line", (None, trend.alarm), &label),
        drawn(&capital, &logs, "capital", (Some(bound), trend.alarm), &|log| label(10f64.powf(log)))
    )
}

/// A value in a few characters.
fn label(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1e5 => return format!("{value:.0e}"),
        size if size >= 100.0 => 0,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let short = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// From values to heights.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// A scale with all values, and with these.
    fn of(values: &[f64], with: &[f64]) -> Scale {
        let all = || values.iter().chain(with).copied();
        let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        match most - least {
            _ if !(least.is_finite() && most.is_finite()) => Scale { least: 0.0, most: 1.0 },
            // A figure that never changed is a line in the middle.
            0.0 => Scale { least: least - 0.5, most: most + 0.5 },
            _ => Scale { least, most },
        }
    }

    fn y(&self, value: f64) -> f64 {
        let height = HEIGHT - 2.0 * EDGE;
        HEIGHT - EDGE - (value - self.least) / (self.most - self.least) * height
    }
}

fn x(at: usize, count: usize) -> f64 {
    LEFT + (WIDTH - LEFT - EDGE) * (at as f64 + 0.5) / count.max(1) as f64
}

fn drawn(
    scale: &Scale,
    values: &[f64],
    class: &str,
    (bound, alarm): (Option<f64>, Option<usize>),
    label: &dyn Fn(f64) -> String,
) -> String {
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    let is_constant = values.iter().all(|value| values.first() == Some(value)) && bound.is_none();
    let (ends, middle) = ([scale.least, scale.most], [f64::midpoint(scale.least, scale.most)]);
    for value in if is_constant { &middle[..] } else { &ends } {
        let (y, label) = (scale.y(*value), label(*value));
        // Writing into a text cannot fail.
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{label}</text>",
            LEFT - 4.0,
            y + 4.0
        );
    }
    if let Some(y) = bound.map(|bound| scale.y(bound)) {
        let _ =
            write!(out, "<line class=\"bound\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    }
    let point = |(at, value): (usize, &f64)| format!("{:.1},{:.1}", x(at, values.len()), scale.y(*value));
    let points: Vec<String> = values.iter().enumerate().map(point).collect();
    let _ = write!(out, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    if let [value] = values {
        let _ = write!(
            out,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
            x(0, 1),
            scale.y(*value)
        );
    }
    if let Some((night, value)) = alarm.and_then(|night| Some((night, values.get(night)?))) {
        let (x, y) = (x(night, values.len()), scale.y(*value));
        let _ = write!(out, "<circle class=\"alarm\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
    }
    out + "</svg>"
}
