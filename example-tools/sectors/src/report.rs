//! Finds the sectors that lag behind the total in a period.

use airlock_sdk::{AsOf, Assessment, Failure, Refusal};

use crate::period::{self, Period};
use crate::series::{Levels, Series};
use crate::types::{Measure, Report, Row, Totals};

/// The arguments of a request, before defaults are filled in.
#[derive(Clone, Debug)]
pub struct Request {
    /// The text of the period. Default `last-month`.
    pub period: Option<String>,
    /// The measure of the lag. Default the change in percent.
    pub measure: Option<Measure>,
    /// The largest number of rows. Default all.
    pub limit: Option<u32>,
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
    let mut rows = lagging(start, end, measure);
    // Counted before the rows are cut: the totals are about all of them.
    let underperforming = rows.len() as u32;
    rows.truncate(request.limit.map_or(rows.len(), |limit| limit as usize));
    Ok(Report {
        before: start.month.to_string(),
        until: end.month.to_string(),
        measure,
        totals: Totals {
            change: rounded(rows.iter().map(|row| row.change).sum()),
            underperforming,
            compared: end.sectors.len() as u32,
            nonfarm_start: start.nonfarm,
            nonfarm_end: end.nonfarm,
            nonfarm_change_pct: rounded(percent(start.nonfarm, end.nonfarm)),
        },
        rows,
        as_of: AsOf::new(series.last().last_day()).source(&series.source),
        assessment: assessment(series, &period, start, end, measure),
    })
}

/// The arguments besides the period, as JSON members.
fn other_arguments(request: &Request) -> String {
    let measure = request.measure.map_or("", |measure| match measure {
        Measure::ChangePct => ",\"measure\":\"change-pct\"",
        Measure::ChangeAbs => ",\"measure\":\"change-abs\"",
    });
    let limit = request.limit.map(|limit| format!(",\"limit\":{limit}")).unwrap_or_default();
    format!("{measure}{limit}")
}

/// The sectors whose change is below the total's, the largest gap first. Names break ties, so the order is stable.
fn lagging(start: &Levels, end: &Levels, measure: Measure) -> Vec<Row> {
    let total_pct = percent(start.nonfarm, end.nonfarm);
    let mut rows: Vec<Row> = start
        .sectors
        .iter()
        .zip(&end.sectors)
        .map(|((sector, before), (_, after))| Row {
            sector: (*sector).to_owned(),
            start: *before,
            end: *after,
            change: rounded(after - before),
            change_pct: rounded(percent(*before, *after)),
            gap_to_total: rounded(match measure {
                Measure::ChangePct => percent(*before, *after) - total_pct,
                Measure::ChangeAbs => after - before * (1.0 + total_pct / 100.0),
            }),
        })
        // After rounding, so that a sector exactly at the total's rate is not listed for binary noise.
        .filter(|row| row.gap_to_total < 0.0)
        .collect();
    rows.sort_by(|a, b| a.gap_to_total.total_cmp(&b.gap_to_total).then_with(|| a.sector.cmp(&b.sector)));
    rows
}

/// The assumptions and the confidence of a report. A quarterly table gets less confidence.
fn assessment(
    series: &Series,
    period: &Period,
    start: &Levels,
    end: &Levels,
    measure: Measure,
) -> Assessment {
    let unit = match measure {
        Measure::ChangePct => "in percentage points",
        Measure::ChangeAbs => "in thousands of jobs at the total's rate",
    };
    let (before, until) = (start.month, end.month);
    let underperform = format!(
        "underperforming is a change of employment from {before} to {until} below that of total nonfarm employment, {unit}"
    );
    let interpretation = match &period.read_as {
        Some(read_as) => format!("{read_as}; {underperform}"),
        None => underperform,
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

    fn check(period: &str, measure: Measure) -> Report {
        let csv = include_str!("../../data/us-employment.csv");
        let series = Series::parse(csv, 1, "test").unwrap();
        report(&series, &Request { period: Some(period.to_owned()), measure: Some(measure), limit: None })
            .unwrap()
    }

    #[test]
    fn finds_construction_behind_in_the_recession() {
        let report = check("2009", Measure::ChangePct);
        assert_eq!(report.rows[0].sector, "construction");
        assert_eq!((report.before.as_str(), report.until.as_str()), ("2008-12", "2009-12"));
    }

    #[test]
    fn both_measures_find_the_same_sectors() {
        let names = |measure| {
            let mut names: Vec<_> =
                check("2012-03", measure).rows.into_iter().map(|row| row.sector).collect();
            names.sort();
            names
        };
        assert_eq!(names(Measure::ChangePct), names(Measure::ChangeAbs));
    }
}
