//! A time on the command line: how long ago, or a date.

use std::str::FromStr;

use airlock::environment::World;
use airlock_types::duration;
use airlock_types::environment::{Environment as _, ms};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// A time, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// This many milliseconds ago.
    Ago(u64),
    /// In milliseconds since 1970.
    At(u64),
}

/// Forms of a time in UTC, beside RFC 3339.
const FORMS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

impl Moment {
    /// In milliseconds since 1970.
    pub(super) fn unix_ms(self) -> u64 {
        match self {
            Moment::Ago(age_ms) => ms(World::new().wall()).saturating_sub(age_ms),
            Moment::At(unix_ms) => unix_ms,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if let Some(age_ms) = duration::parse(text) {
            return Ok(Moment::Ago(age_ms));
        }
        let at = DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
        let in_utc = || FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        at.or_else(|| in_utc().or_else(midnight).map(|time| time.and_utc().timestamp_millis()))
            .and_then(|unix_ms| u64::try_from(unix_ms).ok())
            .map(Moment::At)
            .ok_or_else(|| {
                "write how long ago, such as `90m` or `7d`, or a time in UTC such as `2026-11-26T22:30:00Z` or `2026-11-26`"
                    .to_owned()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_age_or_a_date() {
        let at = |text: &str| text.parse::<Moment>();
        assert_eq!(at("90m"), Ok(Moment::Ago(5_400_000)));
        for text in
            ["2026-11-26T22:30:00Z", "2026-11-26T23:30:00+01:00", "2026-11-26T22:30:00", "2026-11-26 22:30"]
        {
            assert_eq!(at(text), Ok(Moment::At(1_795_732_200_000)), "{text}");
        }
        assert_eq!(at("2026-11-26"), Ok(Moment::At(1_795_651_200_000)));
        assert_eq!(at("1970-01-01"), Ok(Moment::At(0)));
        for text in ["", "yesterday", "1960-01-01", "2026-13-01", "2026-11-26T25:00:00Z", "-5m", "1.5h"] {
            assert!(at(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_age_before_1970_is_all_of_time() {
        assert_eq!(Moment::Ago(u64::MAX).unix_ms(), 0);
    }
}
