//! Reads calendar periods from text: `2009-10`, `October 2009`, `Q4 2009`, `2008..2010`, `last month`.
//!
//! Owns the spellings and the canonical text of a period, by which two of them are compared. Must not know arguments
//! and results. A text with two readings, such as `01/02/2009`, is no period. To add a spelling: an arm in [`span`].

use std::fmt;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate};

/// Bytes of the longest text that is read as a period: `from September 30th, 2009 to December 31st, 2009` has 46.
const TEXT_BYTES_MAX: usize = 64;

/// Bytes of the longest canonical text: `2009-10-01..2009-12-31`.
pub(super) const PERIOD_BYTES_MAX: u64 = 22;

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

/// The units that a period is widened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Month,
    Year,
}

impl Unit {
    pub(super) fn parse(name: &str) -> Option<Unit> {
        match name {
            "day" => Some(Unit::Day),
            "month" => Some(Unit::Month),
            "year" => Some(Unit::Year),
            _ => None,
        }
    }
}

/// The canonical text of the period that a text names, widened to whole units. `None` if it names none. Forms that
/// count from today, such as `last month`, name one only where the time is given; days are those of UTC.
pub(super) fn canonical(text: &str, unit: Unit, now_unix_ms: Option<u64>) -> Option<String> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = text.trim().to_lowercase().replace(['\u{2013}', '\u{2014}'], "..");
    let today = now_unix_ms.and_then(|ms| DateTime::from_timestamp_millis(i64::try_from(ms).ok()?));
    let relative = today.and_then(|today| relative(&words(&text), today.date_naive()));
    let Period { first, last } = relative.or_else(|| range(&text))?;
    let period = match unit {
        Unit::Day => Period { first, last },
        Unit::Month => Period { first: first.with_day(1)?, last: month_end(last)? },
        Unit::Year => Period { first: first.with_ordinal(1)?, last: year_end(last.year())? },
    };
    (period.first <= period.last).then(|| period.to_string())
}

/// Until when a period, in canonical text, is past, in milliseconds since the Unix epoch: the end of its last day, now for one that
/// goes on, and its beginning for one that is still to come.
pub(super) fn reached_ms(text: &str, now: i64) -> Option<i64> {
    if text.len() as u64 > PERIOD_BYTES_MAX {
        return None;
    }
    let Period { first, last } = range(text)?;
    let midnight = |day: NaiveDate| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis());
    Some(midnight(last.succ_opt()?)?.min(now).max(midnight(first)?))
}

/// The first and the last day.
struct Period {
    first: NaiveDate,
    last: NaiveDate,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Period { first, last } = self;
        // The coarsest unit that fits both ends, so that equal periods have equal texts.
        let form = match (first.day(), Some(*last) == month_end(*last)) {
            (1, true) if first.month() == 1 && last.month() == 12 => "%Y",
            (1, true) => "%Y-%m",
            _ => "%Y-%m-%d",
        };
        let (first, last) = (first.format(form).to_string(), last.format(form).to_string());
        if first == last { f.write_str(&first) } else { write!(f, "{first}..{last}") }
    }
}

fn month(year: i32, month: u32) -> Option<Period> {
    let first = NaiveDate::from_ymd_opt(year, month, 1)?;
    Some(Period { first, last: month_end(first)? })
}

/// The quarter of a year, from 1.
fn quarter(year: i32, quarter: u32) -> Option<Period> {
    let last = quarter.checked_mul(3)?;
    Some(Period { first: month(year, last.checked_sub(2)?)?.first, last: month(year, last)?.last })
}

fn month_end(day: NaiveDate) -> Option<NaiveDate> {
    day.with_day(1)?.checked_add_months(Months::new(1))?.pred_opt()
}

fn year_end(year: i32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, 12, 31)
}

/// Reads the forms that count from today.
fn relative(words: &[&str], today: NaiveDate) -> Option<Period> {
    if let ["last" | "previous" | "past", count, unit] = words {
        return last_of(count.parse().ok()?, unit, today);
    }
    let back = match words {
        ["today"] => return Some(Period { first: today, last: today }),
        ["yesterday"] => {
            let day = today.checked_sub_days(Days::new(1))?;
            return Some(Period { first: day, last: day });
        }
        ["this" | "current", _] => 0,
        ["last" | "previous", _] => 1,
        _ => return None,
    };
    match *words.last()? {
        "month" => {
            let day = today.checked_sub_months(Months::new(back))?;
            month(day.year(), day.month())
        }
        "quarter" => {
            let day = today.checked_sub_months(Months::new(3 * back))?;
            quarter(day.year(), day.month().div_ceil(3))
        }
        "year" => {
            let year = today.year().checked_sub(i32::try_from(back).ok()?)?;
            Some(Period { first: month(year, 1)?.first, last: year_end(year)? })
        }
        _ => None,
    }
}

/// Reads `last 3 months`: whole ones, before the one of today.
fn last_of(count: u32, unit: &str, today: NaiveDate) -> Option<Period> {
    let (months, begun) = match unit {
        "month" | "months" => (1, 0),
        "quarter" | "quarters" => (3, today.month0() % 3),
        "year" | "years" => (12, today.month0()),
        _ => return None,
    };
    // The first day of the unit that has begun, which no longer counts.
    let end = today.with_day(1)?.checked_sub_months(Months::new(begun))?;
    let count = (1..=1_000).contains(&count).then_some(months * count)?;
    Some(Period { first: end.checked_sub_months(Months::new(count))?, last: end.pred_opt()? })
}

/// Reads `FROM..TO`, or one form for both ends.
fn range(text: &str) -> Option<Period> {
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
    let (from, to) = (end(from)?, end(to)?);
    Some(Period { first: from.first, last: to.last })
}

/// Reads one end. The time of a timestamp, behind its `t`, says nothing of the day.
fn end(text: &str) -> Option<Period> {
    let is_date = |day: &&str| day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day = text.get(..10).filter(is_date).filter(|_| text.as_bytes().get(10) == Some(&b't'));
    span(&words(day.unwrap_or(text)))
}

/// The words and numbers of a text, without those that only join others.
fn words(text: &str) -> Vec<&str> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|word| !matches!(*word, "" | "of" | "the" | "in")).collect()
}

/// A word of a date.
#[derive(Clone, Copy)]
enum Word {
    Year(i32),
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

fn span(words: &[&str]) -> Option<Period> {
    use Word::{Month, Number, Ordinal, Quarter, QuarterOf, Year};
    let words = words.iter().flat_map(|word| parts(word)).map(word).collect::<Option<Vec<Word>>>()?;
    match *words {
        [Year(y)] => Some(Period { first: month(y, 1)?.first, last: year_end(y)? }),
        [Year(from), Year(to)] => Some(Period { first: month(from, 1)?.first, last: year_end(to)? }),
        [Year(y), Number(m) | Month(m)] | [Number(m) | Month(m), Year(y)] => month(y, m),
        [Year(y), Quarter(q)] | [Quarter(q), Year(y)] => quarter(y, q),
        [Year(y), QuarterOf, Number(q)] | [Year(y), Number(q) | Ordinal(q), QuarterOf] => quarter(y, q),
        [Number(q) | Ordinal(q), QuarterOf, Year(y)] | [QuarterOf, Number(q), Year(y)] => quarter(y, q),
        // A day between others is named by its month's name, or by the order of ISO 8601.
        [Year(y), Number(m) | Month(m), Number(d)]
        | [Number(d) | Ordinal(d), Month(m), Year(y)]
        | [Month(m), Number(d) | Ordinal(d), Year(y)] => {
            let day = NaiveDate::from_ymd_opt(y, m, d)?;
            Some(Period { first: day, last: day })
        }
        _ => None,
    }
}

/// Splits `2009q4`.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let (year, quarter) = word.find('q').filter(|at| *at == 4).map_or((word, None), |at| {
        let (year, quarter) = word.split_at(at);
        (year, Some(quarter))
    });
    [year].into_iter().chain(quarter)
}

fn word(word: &str) -> Option<Word> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    if let Some(number) = number(word) {
        return match word.len() {
            4 => Some(Word::Year(i32::try_from(number).ok()?)),
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
    let ordinals = ["first", "second", "third", "fourth"];
    if let Some(at) = ordinals.iter().position(|ordinal| *ordinal == word) {
        return Some(Word::Ordinal(at as u32 + 1));
    }
    let ordinal = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end)).and_then(number);
    // An abbreviation has three letters at least: `ma` could be March or May.
    let named = || MONTHS.iter().position(|name| word.len() > 2 && name.starts_with(word));
    ordinal.map(Word::Ordinal).or_else(|| named().map(|at| Word::Month(at as u32 + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26 in UTC.
    const NOW: u64 = 1_795_680_000_000;

    #[track_caller]
    fn check(texts: &[&str], expect: Option<&str>) {
        for text in texts {
            assert_eq!(canonical(text, Unit::Day, Some(NOW)).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn one_period_has_one_text_however_it_is_spelled() {
        let month = [
            "2009-10",
            "2009/10",
            "10/2009",
            "10-2009",
            "October 2009",
            "Oct. 2009",
            "oct-2009",
            " 2009 OCT ",
        ];
        check(&month, Some("2009-10"));
        check(&["2009-10-01..2009-10-31", "2009-10-01/2009-10-31", "2009_10"], Some("2009-10"));
        check(&["2009", "2009-01..2009-12", "2009-Q1 to 2009-Q4"], Some("2009"));
        let quarter =
            ["2009-Q4", "Q4 2009", "2009q4", "4Q 2009", "4th quarter of 2009", "the fourth quarter 2009"];
        check(&quarter, Some("2009-10..2009-12"));
        check(
            &["2009-10-01", "2009-10-01T23:59:00Z", "2009/10/1", "1 October 2009", "October 1st, 2009"],
            Some("2009-10-01"),
        );
        check(
            &["2008..2010-06", "from 2008 to June 2010", "2008 \u{2013} 2010-06"],
            Some("2008-01..2010-06"),
        );
        check(&["2008-2010", "2008..2010"], Some("2008..2010"));
    }

    #[test]
    fn canonical_texts_are_read_as_themselves() {
        for text in
            ["2009", "2008..2010", "2009-10", "2009-10..2010-02", "2009-10-01", "2009-10-02..2009-10-30"]
        {
            check(&[text], Some(text));
            assert!(text.len() as u64 <= PERIOD_BYTES_MAX);
        }
    }

    #[test]
    fn relative_forms_count_from_the_time_that_is_given() {
        check(&["last month", "last-month", "the previous month", "Last_Month"], Some("2026-10"));
        check(&["last quarter"], Some("2026-07..2026-09"));
        check(&["last year"], Some("2025"));
        check(&["this month", "current month"], Some("2026-11"));
        check(&["yesterday"], Some("2026-11-25"));
        check(&["last 3 months"], Some("2026-08..2026-10"));
        check(&["past 2 quarters"], Some("2026-04..2026-09"));
        check(&["previous 2 years"], Some("2024..2025"));
        check(&["last 0 months", "last 1001 years", "last week", "last 3 weeks"], None);
        assert_eq!(canonical("last month", Unit::Day, None), None);
    }

    #[test]
    fn what_has_no_reading_or_two_is_no_period() {
        let none = [
            "",
            "recent",
            "latest",
            "01/02/2009",
            "from 2008",
            "4th 2009",
            "first 2009",
            "2008 and 2010",
            "2008/2009",
            "2009-13",
            "2010..2009",
            "October",
            "09",
            "2009-02-30",
            "é",
        ];
        check(&none, None);
        check(&["last week", "2009-Q5", "2009-Q0", "20091001", "1 2 3 4", "2009-10-01-02", "99999"], None);
        check(&[&"2009-10".repeat(20)], None);
    }

    #[test]
    fn periods_widen_to_whole_units() {
        let check =
            |text, unit, expect: &str| assert_eq!(canonical(text, unit, None).as_deref(), Some(expect));
        check("2009-10-15", Unit::Month, "2009-10");
        check("2009-10-15..2009-11-02", Unit::Month, "2009-10..2009-11");
        check("2009-10-15", Unit::Year, "2009");
    }
}
