//! A table of employment by sector, read from CSV and looked up by month.

use std::fmt;

use airlock_sdk::{Failure, Refusal};

/// Sectors that do not overlap and add up to the total. The other columns of the source are sums of these.
const SECTORS: [&str; 14] = [
    "mining_and_logging",
    "construction",
    "manufacturing",
    "wholesale_trade",
    "retail_trade",
    "transportation_and_warehousing",
    "utilities",
    "information",
    "financial_activities",
    "professional_and_business_services",
    "education_and_health_services",
    "leisure_and_hospitality",
    "other_services",
    "government",
];

/// A calendar month, as the number of months since the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(u32);

impl Month {
    /// A month of a year; `month` counts from 1. None when either is out of range.
    pub fn new(year: u32, month: u32) -> Option<Self> {
        ((1..=12).contains(&month) && (1..=9999).contains(&year)).then(|| Self(year * 12 + month - 1))
    }

    /// The month that contains a time.
    pub fn of_unix_ms(ms: u64) -> Self {
        civil(ms).0
    }

    /// The month this many months earlier.
    pub fn back(self, months: u32) -> Self {
        Self(self.0.saturating_sub(months))
    }

    /// The month after it.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The year.
    pub fn year(self) -> u32 {
        self.0 / 12
    }

    /// The month of the year, from 1.
    pub fn month(self) -> u32 {
        self.0 % 12 + 1
    }

    /// The number of days.
    pub fn days(self) -> u32 {
        let leap = self.year() % 4 == 0 && (self.year() % 100 != 0 || self.year() % 400 == 0);
        match self.month() {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// The last day of the month, in RFC 3339.
    pub fn last_day(self) -> String {
        format!("{self}-{}", self.days())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.month())
    }
}

/// The day that contains a time, in RFC 3339.
pub fn date(unix_ms: u64) -> String {
    let (month, day) = civil(unix_ms);
    format!("{month}-{day:02}")
}

/// The month and the day of the month. The computation lets years begin in March, so that a leap day is the last day.
fn civil(unix_ms: u64) -> (Month, u32) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = (unix_ms / 86_400_000) as u32 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    (Month((era * 400 + year) * 12 + month + 2), day - (153 * month + 2) / 5 + 1)
}

/// Jobs by sector in one month, in thousands.
pub(crate) struct Levels {
    pub(crate) month: Month,
    pub(crate) nonfarm: f64,
    pub(crate) sectors: Vec<(&'static str, f64)>,
}

/// Levels in order of time, at a fixed distance.
pub struct Series {
    /// Months between two levels: 1 for a monthly table, 3 for a quarterly one.
    pub step: u32,
    /// The source of the figures, for the report.
    pub source: String,
    levels: Vec<Levels>,
}

impl Series {
    /// Reads a CSV table with a header: `month` as `YYYY-MM-DD`, `nonfarm`, and one column for each sector.
    pub fn parse(csv: &str, step: u32, source: &str) -> Result<Self, Failure> {
        let mut lines = csv.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().trim().split(',').collect();
        // One bad line fails the table: a month that is skipped would falsify every change over it.
        let levels: Vec<Levels> = lines
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                levels(&header, line).ok_or_else(|| {
                    Failure::Permanent(format!("the table cannot be read at line {}", index + 2))
                })
            })
            .collect::<Result<_, _>>()?;
        if levels.is_empty() {
            return Err(Failure::Permanent("the table is empty".to_owned()));
        }
        Ok(Self { step, source: source.to_owned(), levels })
    }

    /// The first month of the table.
    pub fn first(&self) -> Month {
        self.levels.first().map_or(Month(0), |levels| levels.month)
    }

    /// The last month of the table.
    pub fn last(&self) -> Month {
        self.levels.last().map_or(Month(0), |levels| levels.month)
    }

    /// The levels of a month, or of the next month that a coarser table has.
    pub(crate) fn at_or_after(&self, month: Month) -> Result<&Levels, Failure> {
        if month < self.first() {
            return Err(self.not_covered(month));
        }
        self.levels.iter().find(|levels| levels.month >= month).ok_or_else(|| self.not_covered(month))
    }

    /// The latest levels before a month.
    pub(crate) fn before(&self, month: Month) -> Result<&Levels, Failure> {
        self.levels.iter().rev().find(|levels| levels.month < month).ok_or_else(|| self.not_covered(month))
    }

    /// The refusal of a month that the table does not cover, with the months that it covers.
    fn not_covered(&self, month: Month) -> Failure {
        let (after, last) = (self.first(), self.last());
        Refusal::new(
            "period-not-covered",
            format!("Nothing can be compared for {month}: the table does not cover it."),
        )
        .need(format!("a period after {after} and up to {last}"))
        .contact("US Bureau of Labor Statistics, https://www.bls.gov/ces/")
        .alternative(format!("ask for {last}, the last month of the table"))
        .into()
    }
}

/// Parses one line; none when a column is missing or not a number.
fn levels(header: &[&str], line: &str) -> Option<Levels> {
    let cells: Vec<&str> = line.trim().split(',').collect();
    let cell = |name: &str| cells.get(header.iter().position(|column| *column == name)?).copied();
    let number = |name: &str| cell(name)?.parse::<f64>().ok();
    let mut date = cell("month")?.split('-').map(str::parse::<u32>);
    let (year, month) = (date.next()?.ok()?, date.next()?.ok()?);
    Some(Levels {
        month: Month::new(year, month)?,
        nonfarm: number("nonfarm")?,
        sectors: SECTORS.into_iter().map(|name| Some((name, number(name)?))).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_day_of_a_moment() {
        let check = |ms, expect: &str| assert_eq!(date(ms), expect);
        check(0, "1970-01-01");
        check(951_782_400_000, "2000-02-29");
        check(951_868_800_000, "2000-03-01");
        check(1_451_606_399_999, "2015-12-31");
        check(1_451_606_400_000, "2016-01-01");
    }
}
