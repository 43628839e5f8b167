//! Finds the sectors that lag behind the total, or lead it, in a period.

use airlock_sdk::{AsOf, Assessment, Failure, Refusal};

use crate::period::{self, Period};
use crate::series::{Levels, Series};
use crate::types::{Measure, Report, Row, Side, Totals};

/// The arguments of a request, before defaults are filled in.
#[derive(Clone, Debug)]
pub struct Request {
    /// The text of the period. Default `last-month`.
    pub period: Option<String>,
    /// The measure of the distance to the total. Default the change in percent.
    pub measure: Option<Measure>,
    /// The largest number of rows. Default all.
    pub limit: Option<u32>,
    /// The sectors that are listed. Default those that underperformed.
    pub side: Option<Side>,
}

/// Compares each sector's change with that of total nonfarm employment.
pub fn report(series: &Series, request: &Request) -> Result<Report, Failure> {
    if request.limit == Some(0) {
        return Err(Refusal::new("no-rows-wanted", "A report of no rows says nothing.")
            .need("a `limit` of 1 or more")
            .into());
    }
    let asked = request.period.as_deref().unwrap_or("last-month");
    let period = period::read(asked, &other_arguments(request), series)?;
    let measure = request.measure.unwrap_or(Measure::ChangePct);
    // A change over a period starts from the level before its first month.
    let start = series.before(series.at_or_after(period.first)?.month)?;
    let end = series.at_or_after(period.last)?;
    let side = request.side.unwrap_or(Side::Underperforming);
    let (behind, ahead) = sides(start, end, measure);
    // Counted before the rows are cut: these totals are about all sectors.
    let (underperforming, outperforming) = (behind.len() as u32, ahead.len() as u32);
    let mut rows = if side == Side::Underperforming { behind } else { ahead };
    rows.truncate(request.limit.map_or(rows.len(), |limit| limit as usize));
    Ok(Report {
        from: start.month.next().to_string(),
        before: start.month.to_string(),
        until: end.month.to_string(),
        measure,
        side,
        totals: Totals {
            rows_change: rounded(rows.iter().map(|row| row.change).sum()),
            underperforming,
            outperforming,
            compared: end.sectors.len() as u32,
            nonfarm_start: start.nonfarm,
            nonfarm_end: end.nonfarm,
            nonfarm_change_pct: rounded(percent(start.nonfarm, end.nonfarm)),
        },
        rows,
        as_of: AsOf::new(series.last().last_day()).source(&series.source),
        assessment: assessment(series, &period, &comparison(start, end, measure, side)),
    })
}

/// The arguments besides the period, as JSON members.
fn other_arguments(request: &Request) -> String {
    let measure = request.measure.map_or("", |measure| match measure {
        Measure::ChangePct => ",\"measure\":\"change-pct\"",
        Measure::ChangeAbs => ",\"measure\":\"change-abs\"",
    });
    let limit = request.limit.map(|limit| format!(",\"limit\":{limit}")).unwrap_or_default();
    let side = request.side.map_or("", |side| match side {
        Side::Underperforming => ",\"side\":\"underperforming\"",
        Side::Outperforming => ",\"side\":\"outperforming\"",
    });
    format!("{measure}{limit}{side}")
}

/// The sectors whose change is below the total's, and those above it, each with the largest gap first. Names break ties,
/// so the order is stable.
fn sides(start: &Levels, end: &Levels, measure: Measure) -> (Vec<Row>, Vec<Row>) {
    let total_pct = percent(start.nonfarm, end.nonfarm);
    let rows = start.sectors.iter().zip(&end.sectors).map(|((sector, before), (_, after))| Row {
        sector: (*sector).to_owned(),
        start: *before,
        end: *after,
        change: rounded(after - before),
        change_pct: rounded(percent(*before, *after)),
        gap_to_total: rounded(match measure {
            Measure::ChangePct => percent(*before, *after) - total_pct,
            Measure::ChangeAbs => after - before * (1.0 + total_pct / 100.0),
        }),
    });
    // After rounding, so that a sector exactly at the total's rate is not listed for binary noise.
    let mut rows: Vec<Row> = rows.filter(|row| row.gap_to_total != 0.0).collect();
    let size = |row: &Row| row.gap_to_total.abs();
    rows.sort_by(|a, b| size(b).total_cmp(&size(a)).then_with(|| a.sector.cmp(&b.sector)));
    rows.into_iter().partition(|row| row.gap_to_total < 0.0)
}

/// What is compared, in words.
fn comparison(start: &Levels, end: &Levels, measure: Measure, side: Side) -> String {
    let (name, place) = match side {
        Side::Underperforming => ("underperforming", "below"),
        Side::Outperforming => ("outperforming", "above"),
    };
    let unit = match measure {
        Measure::ChangePct => "in percentage points",
        Measure::ChangeAbs => "in thousands of jobs at the total's rate",
    };
    let (before, until) = (start.month, end.month);
    format!(
        "{name} is a change of employment from {before} to {until} {place} that of total nonfarm employment, {unit}"
    )
}

/// The assumptions and the confidence of a report. A quarterly table gets less confidence.
fn assessment(series: &Series, period: &Period, comparison: &str) -> Assessment {
    let interpretation = match &period.read_as {
        Some(read_as) => format!("{read_as}; {comparison}"),
        None => comparison.to_owned(),
    };
    let said = Assessment::new(interpretation)
        .assume("employment stands for performance: no prices, wages or profits are known")
        .assume("figures are seasonally adjusted");
    if series.step == 1 {
        return said.confidence(0.9);
    }
    said.confidence(0.5)
        .uncertainty(format!(
            "from a quarterly table that ends at {}: the period is widened to whole quarters",
            series.last()
        ))
        .next_step("ask again later for the monthly figures")
}

fn percent(start: f64, end: f64) -> f64 {
    (end / start - 1.0) * 100.0
}

/// Rounds to four decimals. The source has one; three more keep every difference and drop binary noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(period: &str, measure: Measure, side: Side, limit: Option<u32>) -> Report {
        let csv = include_str!("../../data/us-employment.csv");
        let series = Series::parse(csv, 1, "test").unwrap();
        let period = Some(period.to_owned());
        report(&series, &Request { period, measure: Some(measure), limit, side: Some(side) }).unwrap()
    }

    fn names(report: Report) -> Vec<String> {
        let mut names: Vec<_> = report.rows.into_iter().map(|row| row.sector).collect();
        names.sort();
        names
    }

    #[test]
    fn finds_construction_behind_in_the_recession() {
        let report = check("2009", Measure::ChangePct, Side::Underperforming, None);
        assert_eq!(report.rows[0].sector, "construction");
        assert_eq!((report.before.as_str(), report.until.as_str()), ("2008-12", "2009-12"));
        assert_eq!(report.from, "2009-01");
    }

    #[test]
    fn both_measures_find_the_same_sectors() {
        let found = |measure| names(check("2012-03", measure, Side::Underperforming, None));
        assert_eq!(found(Measure::ChangePct), found(Measure::ChangeAbs));
    }

    #[test]
    fn both_sides_together_are_all_sectors() {
        let side = |side| check("2009", Measure::ChangePct, side, None);
        let (behind, ahead) = (side(Side::Underperforming), side(Side::Outperforming));
        assert!(
            ahead.rows[0].gap_to_total > 0.0
                && ahead.rows.is_sorted_by(|a, b| a.gap_to_total >= b.gap_to_total)
        );
        assert!(behind.rows.is_sorted_by(|a, b| a.gap_to_total <= b.gap_to_total));
        let listed = (behind.rows.len() as u32, ahead.rows.len() as u32);
        assert_eq!(listed, (ahead.totals.underperforming, behind.totals.outperforming));
        assert_eq!(listed.0 + listed.1, ahead.totals.compared);
    }

    #[test]
    fn the_change_of_the_rows_is_that_of_the_listed_ones() {
        let report = check("2009", Measure::ChangeAbs, Side::Underperforming, Some(3));
        assert_eq!(report.rows.len(), 3);
        let sum: f64 = report.rows.iter().map(|row| row.change).sum();
        assert!((report.totals.rows_change - sum).abs() < 0.001);
        assert!(report.totals.underperforming > 3);
    }
}
