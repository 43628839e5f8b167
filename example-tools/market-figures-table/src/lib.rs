//! Figures of the labor market from a table that is compiled in: what `market-figures` falls back to.

use airlock_sdk::Refusal;

airlock_sdk::tool!(MarketFiguresTable);

/// Employment in thousands of jobs, a month a line, from January 2006 to December 2015.
const TABLE: &str = include_str!("../../data/us-employment.csv");

const SOURCE: &str =
    "US Bureau of Labor Statistics, Current Employment Statistics, monthly, to December 2015";

struct MarketFiguresTable;

impl Guest for MarketFiguresTable {
    fn market_figures(series: String, month: Option<String>) -> Result<Figure, Failure> {
        figure(&series, month.as_deref()).ok_or_else(|| unknown(&series, month.as_deref()).into())
    }
}

fn figure(series: &str, month: Option<&str>) -> Option<Figure> {
    let mut lines = TABLE.lines();
    let column = lines.next()?.split(',').skip(1).position(|name| name == series)?;
    let row = match month {
        Some(month) => lines.find(|line| line.strip_prefix(month).is_some_and(|rest| rest.starts_with('-'))),
        None => lines.last(),
    }?;
    let (day, values) = row.split_once(',')?;
    Some(Figure {
        series: series.to_owned(),
        // Days are the first of their months.
        month: day.get(..7)?.to_owned(),
        thousands_of_jobs: values.split(',').nth(column)?.parse().ok()?,
        as_of: AsOf::new("2015-12-31").source(SOURCE),
    })
}

fn unknown(series: &str, month: Option<&str>) -> Refusal {
    let names: Vec<&str> = TABLE.lines().next().unwrap_or_default().split(',').skip(1).collect();
    let month = month.unwrap_or("any month");
    Refusal::new("no-such-figure", format!("The table has no figure of `{series}` for {month}."))
        .need(format!("a `series` out of {}", names.join(", ")))
        .need("a `month` from 2006-01 to 2015-12")
        .retry_after_change("series or month")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_that_of_its_series_and_month() {
        let found =
            |series, month| figure(series, month).map(|figure| (figure.month, figure.thousands_of_jobs));
        assert_eq!(found("nonfarm", Some("2006-01")), Some(("2006-01".to_owned(), 135_450.0)));
        assert_eq!(found("construction", None), Some(("2015-12".to_owned(), 6_632.0)));
        assert_eq!((found("gold", None), found("nonfarm", Some("2016-01"))), (None, None));
    }
}
