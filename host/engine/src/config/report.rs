//! `[tools.NAME.report]`: extra grants that are tried for a while.
//!
//! Their uses pass, and are recorded as ones that would be denied. So an operator learns what a tool needs before granting
//! it. What is tried must do no harm: reading only, without secrets, and on the public network.

use chrono::{NaiveDate, NaiveTime};
use serde::Deserialize;
use toml::value::{Date, Datetime};

use airlock_types::grant::{Access, GrantProblem, Grants, HttpGrant};

/// Extra grants of one tool, and their end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReportConfig {
    /// The day on which they end, at 00:00 UTC: `2026-12-31`. No default.
    pub until: Day,
    /// What is tried. No default.
    pub grants: Grants,
}

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "DayForm")]
pub struct Day(NaiveDate);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a day is written as `2026-12-31`")]
enum DayForm {
    Date(Datetime),
    Text(String),
}

impl TryFrom<DayForm> for Day {
    type Error = String;

    fn try_from(form: DayForm) -> Result<Day, String> {
        let read = match form {
            DayForm::Date(date) => Some(date),
            DayForm::Text(text) => text.parse().ok(),
        };
        let date = match read {
            Some(Datetime { date: Some(Date { year, month, day }), time: None, offset: None }) => {
                NaiveDate::from_ymd_opt(year.into(), month.into(), day.into())
            }
            Some(_) | None => None,
        };
        date.map(Day).ok_or_else(|| "a day is written as `2026-12-31`".to_owned())
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Day, String> {
        DayForm::Text(text).try_into()
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Day {
    /// Its beginning in UTC, in milliseconds since the Unix epoch.
    pub fn begins_ms(self) -> u64 {
        let ms = self.0.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        // A day before the epoch is long over.
        u64::try_from(ms).unwrap_or(0)
    }
}

impl ReportConfig {
    /// What may not be tried.
    pub(super) fn problems(&self) -> Vec<GrantProblem> {
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = &self.grants;
        let mut found = self.grants.problems();
        let mut refuse = |what: String, hint: &'static str| {
            found.push(GrantProblem { message: format!("`report` cannot try {what}"), hint });
        };
        if keyvalue.is_some() || custom.values().any(|granted| *granted) {
            refuse(
                "`keyvalue` or `custom`".to_owned(),
                "what is tried must only read: grant it below `grants`, or not",
            );
        }
        for folder in files.iter().filter(|folder| folder.access != Access::Read) {
            refuse(
                format!("writing to `{}`", folder.guest),
                "leave `access` out: what is tried must only read",
            );
        }
        for grant in http {
            if let Some((what, hint)) = unfit(grant) {
                refuse(format!("{what} (`{}`)", grant.extent()), hint);
            }
        }
        let is_empty = files.is_empty() && http.is_empty() && config.is_empty() && env.is_empty();
        if is_empty && clock.mode().is_none() && random.mode().is_none() && found.is_empty() {
            let message = "`report` tries nothing".to_owned();
            found.push(GrantProblem { message, hint: "write what is tried as `report.grants`" });
        }
        found
    }
}

/// What a grant has that may not be tried.
fn unfit(grant: &HttpGrant) -> Option<(&'static str, &'static str)> {
    if !grant.methods.iter().all(|method| method.reads()) {
        Some(("methods that write", "write GET, HEAD or OPTIONS: what is tried must only read"))
    } else if grant.secret.is_some() || !grant.headers.is_empty() {
        Some(("requests with credentials", "leave `secret` and `headers` out"))
    } else if !grant.addresses.is_empty() {
        Some(("addresses that are not public", "leave `addresses` out"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Result<Day, String> {
        Day::try_from(DayForm::Text(text.to_owned()))
    }

    #[test]
    fn a_day_begins_at_midnight_of_utc() {
        assert_eq!(day("1970-01-02").unwrap().begins_ms(), 86_400_000);
        assert_eq!(day("2026-12-31").unwrap().begins_ms(), 1_798_675_200_000);
        assert_eq!(day("2026-12-31").unwrap().to_string(), "2026-12-31");
        for wrong in ["", "tomorrow", "2026-13-01", "2026-12-31T00:00:00Z", "2026-02-30"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }
}
