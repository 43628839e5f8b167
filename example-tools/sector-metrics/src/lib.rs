//! Finds the US sectors that under- or outperformed, from the monthly table in the granted folder `/data`.

use airlock_sdk::{Assessment, Failure, clock, files, log};
use exports::airlock_examples::sectors::metrics::Guest;
use sectors::types::{Measure, Report, Side};
use sectors::{Month, Request, Series, report};

airlock_sdk::tool!(SectorMetrics, with: { "airlock-examples:sectors/types@0.1.0": sectors::types });

const PATH: &str = "/data/us-employment.csv";
const SOURCE: &str = "US Bureau of Labor Statistics, Current Employment Statistics, monthly";

struct SectorMetrics;

impl Guest for SectorMetrics {
    fn sector_metrics(
        period: Option<String>,
        measure: Option<Measure>,
        limit: Option<u32>,
        side: Option<Side>,
    ) -> Result<Report, Failure> {
        let series = Series::parse(&files::read_to_string(PATH)?, 1, SOURCE)?;
        log::info(&format!("{PATH} ends at {}", series.last()));
        let mut report = report(&series, &Request { period, measure, limit, side })?;
        report.assessment = admit_age(report.assessment, series.last());
        Ok(report)
    }
}

/// Lowers the confidence when the table is old: its last month is then not the calendar's last month.
fn admit_age(said: Assessment, end: Month) -> Assessment {
    // By the calendar: the month before the current one.
    let last_month = Month::of_unix_ms(clock::now_unix_ms()).back(1);
    if end >= last_month {
        return said;
    }
    said.confidence(0.7)
        .uncertainty(format!("the table ends at {end}; by the calendar, last month was {last_month}"))
}
