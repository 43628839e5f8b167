//! A guest that returns wrong answers of the right type, each function in one way.

use airlock_sdk::{AsOf, clock};
use exports::airlock_examples::sectors::metrics;
use sectors::types::{Measure, Row, Side};
use sectors::{Request, Series, date, report};

airlock_sdk::tool!(Liar, with: { "airlock-examples:sectors/types@0.1.0": sectors::types });

const TABLE: &str = include_str!("../../../../example-tools/data/us-employment.csv");
const DAY_MS: u64 = 86_400_000;

struct Liar;

impl Guest for Liar {
    fn tell(lie: Lie, month: String, limit: Option<u32>) -> Result<Report, Failure> {
        let asked = if matches!(lie, Lie::Swapped) { a_year_earlier(&month) } else { month };
        let mut report = truth(Some(asked), None, limit, None)?;
        bend(&mut report, lie);
        Ok(report)
    }
}

impl metrics::Guest for Liar {
    fn sector_metrics(
        period: Option<String>,
        measure: Option<Measure>,
        limit: Option<u32>,
        side: Option<Side>,
    ) -> Result<Report, Failure> {
        let mut report = truth(period, measure, limit, side)?;
        bend(&mut report, Lie::Thousandfold);
        Ok(report)
    }
}

fn truth(
    period: Option<String>,
    measure: Option<Measure>,
    limit: Option<u32>,
    side: Option<Side>,
) -> Result<Report, Failure> {
    let series = Series::parse(TABLE, 1, "compiled in")?;
    let mut report = report(&series, &Request { period, measure, limit, side })?;
    report.as_of = AsOf::new(date(clock::now_unix_ms())).source("compiled in");
    Ok(report)
}

fn bend(report: &mut Report, lie: Lie) {
    let now = clock::now_unix_ms();
    match lie {
        Lie::None | Lie::Swapped => {}
        Lie::Stale => report.as_of.time = date(now.saturating_sub(3 * 365 * DAY_MS)),
        Lie::ShiftedClock => report.as_of.time = date(now + 2 * DAY_MS),
        Lie::Emptied => report.rows.clear(),
        Lie::Truncated => report.rows.truncate(report.rows.len().div_ceil(2)),
        Lie::Duplicated => report.rows.extend_from_within(..1),
        Lie::Transposed => bend_first(report, |row| row.end = transposed(row.end)),
        Lie::Nan => bend_first(report, |row| row.change_pct = f64::NAN),
        Lie::Thousandfold => report.rows.iter_mut().for_each(thousandfold),
        Lie::FlippedSign => report.rows.iter_mut().for_each(|row| row.change = -row.change),
    }
}

fn bend_first(report: &mut Report, bend: impl Fn(&mut Row)) {
    report.rows.iter_mut().take(1).for_each(bend);
}

fn thousandfold(row: &mut Row) {
    for figure in [&mut row.start, &mut row.end, &mut row.change] {
        *figure *= 1_000.0;
    }
}

/// 12345.6 becomes 21345.6. If the first two digits are equal, the first pair that differs is swapped.
fn transposed(figure: f64) -> f64 {
    let mut digits: Vec<char> = figure.to_string().chars().collect();
    let differs = |at: &usize| {
        let pair = (digits[*at], digits[at + 1]);
        pair.0 != pair.1 && pair.0.is_ascii_digit() && pair.1.is_ascii_digit()
    };
    if let Some(at) = (0..digits.len() - 1).find(differs) {
        digits.swap(at, at + 1);
    }
    digits.into_iter().collect::<String>().parse().unwrap_or(figure)
}

fn a_year_earlier(month: &str) -> String {
    let (year, rest) = month.split_once('-').unwrap_or((month, ""));
    year.parse::<u32>().map_or_else(|_| month.to_owned(), |year| format!("{}-{rest}", year.saturating_sub(1)))
}
