//! `[tools.NAME.report]`: extra grants that are tried for a while.
//!
//! Their uses pass, and are recorded as ones that would be denied. So an operator learns what a tool needs before granting
//! it. What is tried must do no harm: reading only, without secrets, and on the public network.

use std::fmt;

use chrono::{NaiveDate, NaiveTime};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::value::{Date, Datetime};

use airlock_types::grant::{Access, GrantProblem, Grants, HttpGrant};
use airlock_types::tables::{DATE, DATE_KEY};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(NaiveDate);

/// How a day is written.
const FORM: &str = "a day is written as `2026-12-31`";

// By hand, because an untagged enum is read ahead, where no date is expected.
impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Day, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Day;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day such as `2026-12-31`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Day, E> {
                Day::try_from(text.to_owned()).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Day, A::Error> {
                let date = Datetime::deserialize(MapAccessDeserializer::new(map));
                date.ok().and_then(Day::of).ok_or_else(|| A::Error::custom(FORM))
            }
        }
        deserializer.deserialize_struct(DATE, &[DATE_KEY], Form)
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Day, String> {
        text.parse().ok().and_then(Day::of).ok_or_else(|| FORM.to_owned())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Day {
    /// The day of a date without a time.
    fn of(date: Datetime) -> Option<Day> {
        let Datetime { date: Some(Date { year, month, day }), time: None, offset: None } = date else {
            return None;
        };
        NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).map(Day)
    }

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
        Day::try_from(text.to_owned())
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

    #[test]
    fn a_day_is_a_text_or_a_date_of_toml() {
        let read = |value: &str| {
            let text = format!(
                "[tools.t]\ncomponent = \"c\"\nreport = {{ until = {value}, grants.clock = true }}\n"
            );
            airlock_types::tables::from_str::<crate::config::Config>(&text).map_err(|err| err.to_string())
        };
        for written in ["\"2026-12-31\"", "2026-12-31"] {
            let config = read(written).unwrap();
            let report = config.tools.values().next().unwrap().report.clone().unwrap();
            assert_eq!(report.get_ref().until, day("2026-12-31").unwrap());
        }
        for wrong in ["2026-12-31T00:00:00Z", "07:32:00", "1", "{ a = 1 }", "[]"] {
            let said = read(wrong).unwrap_err();
            assert!(said.contains("`2026-12-31`") && !said.contains("private"), "{wrong}: {said}");
        }
    }
}
