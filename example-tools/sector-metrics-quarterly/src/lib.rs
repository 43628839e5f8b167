//! The fallback of `sector-metrics`: answers the same question from an older and coarser table that is compiled in.

use airlock_sdk::Failure;
use exports::airlock_examples::sectors::metrics::Guest;
use sectors::types::{Measure, Report, Side};
use sectors::{Request, Series, report};

airlock_sdk::tool!(SectorMetricsQuarterly, with: { "airlock-examples:sectors/types@0.1.0": sectors::types });

/// The last month of each quarter up to September 2015, from `example-tools/data/us-employment.csv`.
const TABLE: &str = include_str!("quarterly.csv");
const SOURCE: &str =
    "US Bureau of Labor Statistics, Current Employment Statistics, end of quarter, compiled in";

struct SectorMetricsQuarterly;

impl Guest for SectorMetricsQuarterly {
    fn sector_metrics(
        period: Option<String>,
        measure: Option<Measure>,
        limit: Option<u32>,
        side: Option<Side>,
    ) -> Result<Report, Failure> {
        report(&Series::parse(TABLE, 3, SOURCE)?, &Request { period, measure, limit, side })
    }
}
