//! Detects data that is older than allowed, or from the future.

use serde::{Deserialize, Serialize};

use super::Check;
use super::scalar::{SHOWN_CHARS_MAX, doubt};
use super::{Doubt, Doubts, parse_age_ms, parse_rfc3339_ms};
use crate::ty::FunctionTy;
use airlock_types::finding::Verdict;
use airlock_types::shorten::shorten;

/// Maximum age of the data: `40d`, `12h`, `5m`, `30s`. Up to five minutes in the future is accepted as clock skew.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub warn_after: Option<String>,
    pub error_after: Option<String>,
}

// Five minutes: clocks of upstreams differ.
const SKEW_MS: i64 = 300_000;

pub(super) fn compile(settings: &Settings, _: &FunctionTy) -> Result<Check, String> {
    let age = |text: &String| parse_age_ms(text).ok_or(format!("`{text}` is no age, write `40d` or `12h`"));
    let warn = settings.warn_after.as_ref().map(age).transpose()?;
    let error = settings.error_after.as_ref().map(age).transpose()?;
    // A rule without a limit would only test that there is a date, and read as if it tested the age.
    if warn.is_none() && error.is_none() {
        return Err("give `warn_after`, `error_after` or both".into());
    }
    let at_most = |age: &Option<String>| format!("data at most {} old", age.as_deref().unwrap_or_default());
    let (old, older) = (at_most(&settings.warn_after), at_most(&settings.error_after));
    Ok(Box::new(move |context| {
        let got = context.as_of.unwrap_or("no date");
        let found = |verdict, expected: &str| {
            Doubts::from_iter([Doubt {
                verdict: Some(verdict),
                ..doubt(String::new(), expected, shorten(got, SHOWN_CHARS_MAX))
            }])
        };
        // A missing date is a finding too: a declared age that cannot be judged must not pass silently.
        let Some(at) = context.as_of.and_then(parse_rfc3339_ms) else {
            return found(Verdict::Suspect, "the date of the data, as RFC 3339");
        };
        let now = i64::try_from(context.now_unix_ms).unwrap_or(i64::MAX);
        match now.saturating_sub(at) {
            age if age < -SKEW_MS => found(Verdict::Suspect, "a date that is not in the future"),
            // One finding is reported, so the stricter limit is tested first.
            age if error.is_some_and(|limit| age > limit) => found(Verdict::Reject, &older),
            age if warn.is_some_and(|limit| age > limit) => found(Verdict::Warn, &old),
            _ => Doubts::default(),
        }
    }))
}
