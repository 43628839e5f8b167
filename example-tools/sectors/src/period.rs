//! Reads periods: exact forms are parsed, vague ones are answered with a question.

use airlock_sdk::{Clarify, Failure};

use crate::series::{Month, Series};

/// A period, and how its text was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    /// The first month of the period.
    pub first: Month,
    /// The last month of the period, included.
    pub last: Month,
    /// The reading of a form that counts from the end of the table; none for an exact form.
    pub read_as: Option<String>,
}

/// Reads a period. Forms such as `last-month` count from the end of the series. A text with several sound readings is
/// answered with a question. `rest` holds the caller's other arguments as JSON members, for the options of the
/// question.
pub fn read(text: &str, rest: &str, series: &Series) -> Result<Period, Failure> {
    let text = text.trim().to_lowercase().replace(['_', ' '], "-");
    // Forms that count from the end come first: `last-month` would not parse as an exact one.
    if let Some(period) = relative(&text, series).or_else(|| exact(&text)) {
        return Ok(period);
    }
    Err(ask(&text, rest, series).into())
}

/// Reads `FROM..TO`, or one form for both ends.
fn exact(text: &str) -> Option<Period> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let ((first, _), (_, last)) = (span(from)?, span(to)?);
    (first <= last).then_some(Period { first, last, read_as: None })
}

/// The first and last month of a form such as `2009`, `2009-10` or `2009-q4`.
fn span(text: &str) -> Option<(Month, Month)> {
    let (year, part) = text.split_once('-').map_or((text, None), |(year, part)| (year, Some(part)));
    if year.len() != 4 {
        return None;
    }
    let year: u32 = year.parse().ok()?;
    let (first, last) = match part {
        None => (1, 12),
        Some(part) => match part.strip_prefix('q') {
            Some(quarter) => {
                let last = quarter.parse::<u32>().ok().filter(|q| (1..=4).contains(q))? * 3;
                (last - 2, last)
            }
            None => {
                let month = part.parse().ok()?;
                (month, month)
            }
        },
    };
    Some((Month::new(year, first)?, Month::new(year, last)?))
}

/// Reads the forms that count from the end of the series.
fn relative(text: &str, series: &Series) -> Option<Period> {
    let end = series.last();
    let (first, last, what) = match text {
        "last-month" | "latest" => (end, end, "the last month of the table"),
        "last-quarter" => {
            // Back to the last month that ends a quarter.
            let last = end.back(end.month() % 3);
            (last.back(2), last, "the last whole calendar quarter of the table")
        }
        "last-year" => {
            let last = end.back(end.month() % 12);
            (last.back(11), last, "the last whole calendar year of the table")
        }
        _ => return None,
    };
    let read_as = format!("\"{text}\" is read as {what}, {}", span_text(first, last));
    Some(Period { first, last, read_as: Some(read_as) })
}

fn span_text(first: Month, last: Month) -> String {
    if first == last { last.to_string() } else { format!("{first}..{last}") }
}

/// The question about a vague period. Each option carries the complete arguments of a new call.
fn ask(text: &str, rest: &str, series: &Series) -> Clarify {
    let end = series.last();
    let args = |first: Month, last: Month| format!("{{\"period\":\"{}\"{rest}}}", span_text(first, last));
    Clarify::new(format!("Which period is meant by \"{}\"?", shortened(text)))
        .option("last month", format!("the table's last month, {end}"), args(end, end))
        .option("last three months", format!("the three months up to {end}"), args(end.back(2), end))
        .option("last twelve months", format!("the twelve months up to {end}"), args(end.back(11), end))
}

/// The beginning of a caller's text, without characters that would break the question.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && *c != '"').take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        let csv = include_str!("../../data/us-employment.csv");
        let series = Series::parse(csv, 1, "test").unwrap();
        let read = read(text, "", &series).ok().map(|period| format!("{}..{}", period.first, period.last));
        assert_eq!(read.as_deref(), expect, "{text}");
    }

    #[test]
    fn reads_exact_periods() {
        check("2009-10", Some("2009-10..2009-10"));
        check("2009", Some("2009-01..2009-12"));
        check("2009-Q4", Some("2009-10..2009-12"));
        check("2008..2010-06", Some("2008-01..2010-06"));
    }

    #[test]
    fn counts_back_from_the_end_of_the_series() {
        check("last-month", Some("2015-12..2015-12"));
        check("Last Quarter", Some("2015-10..2015-12"));
        check("last year", Some("2015-01..2015-12"));
    }

    #[test]
    fn options_carry_the_other_arguments() {
        let csv = include_str!("../../data/us-employment.csv");
        let series = Series::parse(csv, 1, "test").unwrap();
        let Err(Failure::Clarify(question)) = read("recent", ",\"limit\":3", &series) else {
            panic!("no question")
        };
        assert_eq!(question.options[0].args, r#"{"period":"2015-12","limit":3}"#);
        assert_eq!(question.options[1].args, r#"{"period":"2015-10..2015-12","limit":3}"#);
    }

    #[test]
    fn asks_about_vague_periods() {
        for text in ["recent", "2010..2009", "2009-13", "09-2009", ""] {
            check(text, None);
        }
    }
}
