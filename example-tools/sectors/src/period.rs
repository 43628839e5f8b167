//! Reads periods: usual spellings are understood, vague ones are answered with a question, others are refused with the
//! spellings that are understood.

use airlock_sdk::{Clarify, Failure, Refusal};

use crate::series::{Month, Series};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// First words of periods with several sound readings. The contracts of the tools name the same.
const VAGUE: [&str; 7] = ["current", "currently", "lately", "latest", "now", "recent", "recently"];

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
    let lower = text.trim().to_lowercase().replace(['\u{2013}', '\u{2014}'], "..");
    let words = words(&lower);
    // Forms that count from the end come first: `last-month` would not parse as an exact one.
    if let Some(period) = relative(&words, series).or_else(|| exact(&lower)) {
        return Ok(period);
    }
    if words.first().is_some_and(|word| VAGUE.contains(word)) {
        return Err(ask(text, rest, series).into());
    }
    // The contract says the same before the tool runs. This is for a component without it.
    Err(Refusal::new("period-unreadable", format!("\"{}\" is not read as a period.", shortened(text)))
        .need("a `period` such as 2009-10, October 2009, 10/2009, 2009-Q4, 2009, 2008..2010-06 or last-month")
        .retry_after_change("period")
        .into())
}

/// The words and numbers of a text, without those that only join others.
fn words(text: &str) -> Vec<&str> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|word| !matches!(*word, "" | "of" | "the" | "in")).collect()
}

/// Reads `FROM..TO`, or one form for both ends.
fn exact(text: &str) -> Option<Period> {
    let (from, between) = (text.strip_prefix("from "), text.strip_prefix("between "));
    let text = from.or(between).unwrap_or(text);
    // ISO 8601 writes an interval with a slash. `10/2009` has no hyphens.
    let iso = text.split_once('/').filter(|(from, to)| from.contains('-') && to.contains('-'));
    // `2008 and 2010` are two periods, and `from 2008` has no end.
    let marks: &[&str] =
        if between.is_some() { &[" and "] } else { &["..", " to ", " through ", " until ", " - "] };
    let ends = iso.or_else(|| marks.iter().find_map(|mark| text.split_once(mark)));
    if ends.is_none() && (from.is_some() || between.is_some()) {
        return None;
    }
    // A fiscal year, or two years.
    let is_year = |text: &str| text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    let is_years = |(from, to)| is_year(from) && is_year(to);
    if ends.is_none() && text.split_once('/').is_some_and(is_years) {
        return None;
    }
    let (from, to) = ends.unwrap_or((text, text));
    let ((first, _), (_, last)) = (end(from)?, end(to)?);
    (first <= last).then_some(Period { first, last, read_as: None })
}

/// The months of one end of a range. The time of a timestamp, behind its `t`, says nothing of the month.
fn end(text: &str) -> Option<(Month, Month)> {
    let is_date = |day: &&str| day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day = text.get(..10).filter(is_date).filter(|_| text.as_bytes().get(10) == Some(&b't'));
    span(&words(day.unwrap_or(text)))
}

/// A word of a date.
#[derive(Clone, Copy)]
enum Word {
    Year(u32),
    /// A number below 100: a day, a month, or the number of a quarter.
    Number(u32),
    Month(u32),
    /// `4th`: a day, or the number of a quarter, and no month.
    Ordinal(u32),
    /// `q4`.
    Quarter(u32),
    /// `quarter`, whose number stands beside it.
    QuarterOf,
}

/// The first and last month of a form such as `2009`, `October 2009` or `2009-q4`. A day stands for its month.
fn span(words: &[&str]) -> Option<(Month, Month)> {
    use Word::{Month as Name, Number, Ordinal, Quarter, QuarterOf, Year};
    let split = words.iter().flat_map(|word| match word.find('q') {
        // `2009q4`.
        Some(4) => vec![&word[..4], &word[4..]],
        _ => vec![*word],
    });
    let (year, first, last) = match split.map(word).collect::<Option<Vec<Word>>>()?[..] {
        [Year(year)] => (year, 1, 12),
        [Year(from), Year(to)] => return Some((Month::new(from, 1)?, Month::new(to, 12)?)),
        [Year(year), Number(month) | Name(month)] | [Number(month) | Name(month), Year(year)] => {
            (year, month, month)
        }
        [Year(year), Number(month) | Name(month), Number(day)]
        | [Number(day) | Ordinal(day), Name(month), Year(year)]
        | [Name(month), Number(day) | Ordinal(day), Year(year)] => {
            ((1..=Month::new(year, month)?.days()).contains(&day)).then_some((year, month, month))?
        }
        [Year(year), Quarter(q)]
        | [Quarter(q), Year(year)]
        | [Year(year), QuarterOf, Number(q)]
        | [Year(year), Number(q) | Ordinal(q), QuarterOf]
        | [Number(q) | Ordinal(q), QuarterOf, Year(year)]
        | [QuarterOf, Number(q), Year(year)] => ((1..=4).contains(&q)).then(|| (year, 3 * q - 2, 3 * q))?,
        _ => return None,
    };
    Some((Month::new(year, first)?, Month::new(year, last)?))
}

fn word(word: &str) -> Option<Word> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    if let Some(number) = number(word) {
        return match word.len() {
            4 => Some(Word::Year(number)),
            1 | 2 => Some(Word::Number(number)),
            _ => None,
        };
    }
    if word == "quarter" {
        return Some(Word::QuarterOf);
    }
    if let Some(quarter) = word.strip_prefix('q').or_else(|| word.strip_suffix('q')).and_then(number) {
        return Some(Word::Quarter(quarter));
    }
    if let Some(at) = ["first", "second", "third", "fourth"].iter().position(|ordinal| *ordinal == word) {
        return Some(Word::Ordinal(at as u32 + 1));
    }
    let ordinal = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end)).and_then(number);
    // An abbreviation has three letters at least: `ma` could be March or May.
    let named = || MONTHS.iter().position(|name| word.len() > 2 && name.starts_with(word));
    ordinal.map(Word::Ordinal).or_else(|| named().map(|at| Word::Month(at as u32 + 1)))
}

/// Reads the forms that count from the end of the series.
fn relative(words: &[&str], series: &Series) -> Option<Period> {
    let end = series.last();
    if let ["last" | "previous" | "past", count, unit] = words {
        return last_of(words, count.parse().ok()?, unit, end);
    }
    let (first, last, what) = match words {
        ["last" | "previous" | "latest", "month"] | ["latest"] => (end, end, "the last month of the table"),
        ["last" | "previous" | "latest", "quarter"] => {
            // Back to the last month that ends a quarter.
            let last = end.back(end.month() % 3);
            (last.back(2), last, "the last whole calendar quarter of the table")
        }
        ["last" | "previous" | "latest", "year"] => {
            let last = end.back(end.month() % 12);
            (last.back(11), last, "the last whole calendar year of the table")
        }
        _ => return None,
    };
    let read_as = format!("\"{}\" is read as {what}, {}", words.join(" "), span_text(first, last));
    Some(Period { first, last, read_as: Some(read_as) })
}

/// Reads `last 3 months`, up to the end of the table or of its last whole quarter or year.
fn last_of(words: &[&str], count: u32, unit: &str, end: Month) -> Option<Period> {
    let months = match unit {
        "month" | "months" => 1,
        "quarter" | "quarters" => 3,
        "year" | "years" => 12,
        _ => return None,
    };
    let last = end.back(end.month() % months);
    // More than any table has: a count that cannot be meant.
    let first = last.back((1..=1_000).contains(&count).then_some(months * count - 1)?);
    let read_as =
        format!("\"{}\" is read up to the end of the table, {}", words.join(" "), span_text(first, last));
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
    fn reads_the_usual_spellings() {
        for month in [
            "2009-10",
            "2009/10",
            "10/2009",
            "10-2009",
            "October 2009",
            "Oct. 2009",
            "oct 2009",
            "2009-10-01",
        ] {
            check(month, Some("2009-10..2009-10"));
        }
        for quarter in ["2009-Q4", "Q4 2009", "2009q4", "4th quarter of 2009", "the fourth quarter 2009"] {
            check(quarter, Some("2009-10..2009-12"));
        }
        check("2009", Some("2009-01..2009-12"));
        check("2009-10-01T00:00:00Z", Some("2009-10..2009-10"));
        check("October 1st, 2009", Some("2009-10..2009-10"));
        check("2008..2010-06", Some("2008-01..2010-06"));
        check("from 2008 to June 2010", Some("2008-01..2010-06"));
        check("2009-10-01/2009-12-31", Some("2009-10..2009-12"));
        check("2008-2010", Some("2008-01..2010-12"));
    }

    #[test]
    fn counts_back_from_the_end_of_the_series() {
        check("last-month", Some("2015-12..2015-12"));
        check("latest", Some("2015-12..2015-12"));
        check("Last Quarter", Some("2015-10..2015-12"));
        check("the last year", Some("2015-01..2015-12"));
        check("last 3 months", Some("2015-10..2015-12"));
        check("the past 2 years", Some("2014-01..2015-12"));
    }

    #[test]
    fn options_carry_the_other_arguments() {
        let Failure::Clarify(question) = failure("recent") else { panic!("no question") };
        assert_eq!(question.options[0].args, r#"{"period":"2015-12","limit":3}"#);
        assert_eq!(question.options[1].args, r#"{"period":"2015-10..2015-12","limit":3}"#);
    }

    #[test]
    fn asks_about_vague_periods_and_refuses_what_is_none() {
        for text in ["recent", "recently", "the current situation", "now"] {
            assert!(matches!(failure(text), Failure::Clarify(_)), "{text}");
        }
        for text in [
            "last week",
            "this year",
            "today",
            "2010..2009",
            "2009-13",
            "01/02/2009",
            "banana",
            "2009-02-30",
            "2009-Q5",
            "99999",
            "",
        ] {
            let Failure::Refused(refusal) = failure(text) else { panic!("{text}") };
            assert!(refusal.needed[0].contains("October 2009"), "{text}");
        }
    }

    fn failure(text: &str) -> Failure {
        let series = Series::parse(include_str!("../../data/us-employment.csv"), 1, "test").unwrap();
        read(text, ",\"limit\":3", &series).unwrap_err()
    }
}
