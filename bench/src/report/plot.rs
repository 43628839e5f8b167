//! Draws plots as SVG: lines on logarithmic axes, and bars.

use std::fmt::Write as _;

use crate::figures::Series;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 48.0;
const COLORS: [&str; 6] = ["#1f6feb", "#d1570b", "#2d8a4e", "#8250df", "#b4342f", "#57606a"];
const STYLE: &str = "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/><style>text{font:12px sans-serif;\
fill:#24292f}.g{stroke:#d8dee4}.t{font-weight:bold;font-size:14px}</style>\n";

/// A logarithmic axis between two powers of ten.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// The axis that covers all positive values. A logarithm has no place for the others.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let positive: Vec<f64> = values.filter(|value| *value > 0.0).collect();
        let low = positive.iter().copied().fold(f64::INFINITY, f64::min);
        let high = positive.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !low.is_finite() {
            return Axis { low: 0.0, high: 1.0, from, to };
        }
        // Whole powers of ten, so that every tick is a round number.
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        Axis { low, high: high.max(low + 1.0), from, to }
    }

    /// The coordinate of a value.
    fn at(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power))
    }
}

/// A plot of lines on two logarithmic axes.
pub(super) fn lines(title: &str, (x, y): (&str, &str), all: &[Series]) -> String {
    let points = || all.iter().flat_map(|series| &series.points);
    let across = Axis::over(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let up = Axis::over(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut svg = open(title, HEIGHT);
    grid(&mut svg, &across, &up);
    put(&mut svg, (WIDTH - RIGHT + LEFT) / 2.0, HEIGHT - 10.0, "middle", x);
    put(&mut svg, LEFT - 8.0, TOP - 10.0, "end", y);
    for (i, series) in all.iter().enumerate() {
        let color = COLORS[i % COLORS.len()];
        let path: Vec<String> =
            series.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across.at(*x), up.at(*y))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y) in &series.points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>",
                across.at(*x),
                up.at(*y)
            );
        }
        let at = TOP + 8.0 + 18.0 * i as f64;
        let left = WIDTH - RIGHT + 14.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{color}\"/>",
            at - 6.0
        );
        put(&mut svg, left + 18.0, at, "start", &series.name);
    }
    svg + "</svg>\n"
}

/// A plot with one bar for each name, on a logarithmic axis.
pub(super) fn bars(title: &str, unit: &str, all: &[(String, f64)]) -> String {
    const ROW: f64 = 26.0;
    let height = TOP + ROW * all.len() as f64 + BOTTOM;
    let across = Axis::over(all.iter().map(|bar| bar.1), 190.0, WIDTH - 110.0);
    let mut svg = open(title, height);
    for tick in across.ticks() {
        let at = across.at(tick);
        let _ = writeln!(
            svg,
            "<line class=\"g\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\"/>",
            height - BOTTOM
        );
        put(&mut svg, at, height - BOTTOM + 16.0, "middle", &short(tick));
    }
    put(&mut svg, (190.0 + WIDTH - 110.0) / 2.0, height - 10.0, "middle", unit);
    for (i, (name, value)) in all.iter().enumerate() {
        let y = TOP + ROW * i as f64 + 4.0;
        // At least one unit wide, so that the smallest bar is visible.
        let end = across.at(*value).max(191.0);
        let color = if name.starts_with("airlock") { COLORS[0] } else { COLORS[5] };
        let _ = writeln!(
            svg,
            "<rect x=\"190\" y=\"{y:.1}\" width=\"{:.1}\" height=\"18\" fill=\"{color}\"/>",
            end - 190.0
        );
        put(&mut svg, 182.0, y + 13.0, "end", name);
        put(&mut svg, end + 6.0, y + 13.0, "start", &short(*value));
    }
    svg + "</svg>\n"
}

fn open(title: &str, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n{STYLE}"
    );
    let _ = writeln!(svg, "<text class=\"t\" x=\"12\" y=\"18\">{}</text>", escape(title));
    svg
}

fn grid(svg: &mut String, across: &Axis, up: &Axis) {
    for tick in up.ticks() {
        let at = up.at(tick);
        let _ = writeln!(
            svg,
            "<line class=\"g\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            WIDTH - RIGHT
        );
        put(svg, LEFT - 8.0, at + 4.0, "end", &short(tick));
    }
    for tick in across.ticks() {
        let at = across.at(tick);
        let _ = writeln!(
            svg,
            "<line class=\"g\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\"/>",
            HEIGHT - BOTTOM
        );
        put(svg, at, HEIGHT - BOTTOM + 16.0, "middle", &short(tick));
    }
}

fn put(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escape(text);
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// A number with about three significant digits, with `k` or `M` for large ones.
pub(super) fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e4 => (v / 1e3, " k"),
        v => (v, ""),
    };
    let text = match scaled {
        v if v >= 100.0 || v == v.trunc() => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    };
    text + unit
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.5, 3.0, 42.25, 999.6, 12_345.0, 2_000_000.0].map(short);
        assert_eq!(shown, ["0.50", "3", "42.2", "1000", "12.3 k", "2 M"]);
    }

    #[test]
    fn an_axis_covers_its_values() {
        let axis = Axis::over([3.0, 250.0].into_iter(), 0.0, 300.0);
        assert_eq!((axis.low, axis.high), (0.0, 3.0));
        assert!((axis.at(10.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_plot_without_points_is_still_a_plot() {
        assert!(lines("empty", ("x", "y"), &[]).ends_with("</svg>\n"));
    }
}
