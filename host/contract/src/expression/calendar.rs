//! Dates and points in time: the texts that are read as one, and what is computed with them.
//!
//! Owns the two forms of JSON Schema (`date`, `date-time`), their reading and their text. A date has no zone, and a point
//! in time is compared as such, whatever offset it is written with. A zone enters only where `today` names one. Must not
//! know the tree. Texts of people, such as `last month`, are read by `period`.

use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use super::datum::Datum;
use super::tree::Arithmetic;

/// Bytes of the longest text that is read as a point in time: nine digits of a second, and an offset.
const TEXT_BYTES_MAX: usize = 35;

/// Bytes of a date.
const DATE_BYTES: usize = 10;

/// What a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A day: `2024-05-20`.
    Date,
    /// A point in time with its offset: `2024-05-20T15:00:00Z`.
    Moment,
}

impl Form {
    /// The form that a `format` of JSON Schema states. `None` for all other formats.
    pub(super) fn of(format: &str) -> Option<Form> {
        match format {
            "date" => Some(Form::Date),
            "date-time" => Some(Form::Moment),
            _ => None,
        }
    }

    /// Reads a text, or takes a value that has been read. The date of a text is the one that is written in it: no zone
    /// moves it. The date of a computed point in time is that of UTC.
    pub(super) fn read<'v>(self, datum: &Datum<'v>) -> Option<Datum<'v>> {
        match (self, datum, datum.text()) {
            (Form::Date, _, Some(text)) => date(text).map(Datum::Date),
            (Form::Moment, _, Some(text)) => moment(text).map(Datum::Moment),
            (Form::Date, Datum::Moment(at), _) => Some(Datum::Date(at.date_naive())),
            (Form::Date, Datum::Date(_), _) | (Form::Moment, Datum::Moment(_), _) => Some(datum.clone()),
            _ => None,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Date => "a date",
            Form::Moment => "a date and time",
        })
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    if text.len() != DATE_BYTES {
        return moment(text).and_then(|_| date(text.get(..DATE_BYTES)?));
    }
    // The library also reads `2024-5-1` and spaces; JSON Schema does not.
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (day.to_string() == text).then_some(day)
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    let is_short = text.len() <= TEXT_BYTES_MAX;
    is_short.then(|| DateTime::parse_from_rfc3339(text).ok())?.map(|at| at.to_utc())
}

/// The point in time of the environment's clock.
pub(super) fn at(unix_ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(unix_ms).ok()?)
}

/// The date in a zone.
pub(super) fn today(unix_ms: u64, zone: Tz) -> Option<NaiveDate> {
    at(unix_ms).map(|now| now.with_timezone(&zone).date_naive())
}

/// Adds and subtracts. `None` for what has no value: a date that moves by parts of a day, or beyond the calendar.
pub(super) fn arithmetic<'v>(op: Arithmetic, a: &Datum<'v>, b: &Datum<'v>) -> Option<Datum<'v>> {
    match (op, a, b) {
        (Arithmetic::Subtract, Datum::Date(a), Datum::Date(b)) => {
            Some(Datum::Span(a.signed_duration_since(*b)))
        }
        (Arithmetic::Subtract, Datum::Moment(a), Datum::Moment(b)) => {
            Some(Datum::Span(a.signed_duration_since(*b)))
        }
        (Arithmetic::Subtract, Datum::Span(a), Datum::Span(b)) => a.checked_sub(b).map(Datum::Span),
        (Arithmetic::Add, Datum::Span(a), Datum::Span(b)) => a.checked_add(b).map(Datum::Span),
        (Arithmetic::Add, a, Datum::Span(span)) | (Arithmetic::Add, Datum::Span(span), a) => moved(a, *span),
        (Arithmetic::Subtract, a, Datum::Span(span)) => moved(a, TimeDelta::zero().checked_sub(span)?),
        _ => None,
    }
}

/// Whether a span is of whole days, as a date moves.
pub(super) fn is_whole_days(span: &Datum<'_>) -> bool {
    matches!(span, Datum::Span(span) if *span == TimeDelta::days(span.num_days()))
}

fn moved<'v>(from: &Datum<'v>, by: TimeDelta) -> Option<Datum<'v>> {
    match from {
        Datum::Date(day) if by == TimeDelta::days(by.num_days()) => {
            day.checked_add_signed(by).map(Datum::Date)
        }
        Datum::Moment(at) => at.checked_add_signed(by).map(Datum::Moment),
        _ => None,
    }
}

/// A span of this many seconds times a number. `None` beyond 292 million years.
pub(super) fn span(count: i128, seconds: i64) -> Option<TimeDelta> {
    TimeDelta::try_seconds(i64::try_from(count).ok()?.checked_mul(seconds)?)
}

/// A point in time as text: in UTC, with as many digits as it has.
pub(super) fn moment_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A span as text, in the largest unit that divides it: `3 days`, `90 minutes`.
pub(super) fn span_text(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    if span != TimeDelta::seconds(seconds) {
        return format!("{} ms", span.num_milliseconds());
    }
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / unit)
}
