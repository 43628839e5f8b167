//! Detects data that is older than allowed, or from the future.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scalar::{SHOWN_CHARS_MAX, doubt};
use super::{Check, Context};
use super::{Doubt, Doubts, parse_age_ms, parse_rfc3339_ms};
use crate::expression::{Expression, Scope};
use crate::period;
use airlock_types::finding::Verdict;
use airlock_types::shorten::shorten;

/// Maximum age of the data: `40d`, `12h`, `5m`, `30s`. Up to five minutes in the future is accepted as clock skew.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub warn_after: Option<String>,
    pub error_after: Option<String>,
    /// A CEL expression of the date, the point in time or the period of the data. Default: the date of the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

// Five minutes: clocks of upstreams differ.
const SKEW_MS: i64 = 300_000;

/// The text that names the time of the data, and that time.
type Dated = (String, Option<i64>);

pub(super) fn compile(settings: &Settings, scope: &Arc<Scope>) -> Result<Check, String> {
    let Settings { warn_after, error_after, of } = settings;
    let age = |text: &String| parse_age_ms(text).ok_or(format!("`{text}` is no age, write `40d` or `12h`"));
    let warn = warn_after.as_ref().map(age).transpose()?;
    let error = error_after.as_ref().map(age).transpose()?;
    // A rule without a limit would only test that there is a date, and read as if it tested the age.
    if warn.is_none() && error.is_none() {
        return Err("give `warn_after`, `error_after` or both".into());
    }
    // The stricter limit is tested first, so that the other one would never be reached.
    if warn.zip(error).is_some_and(|(warn, error)| warn >= error) {
        return Err("`warn_after` is never reached, since `error_after` is not longer; make it shorter, or leave it out".into());
    }
    let of = of.as_deref().map(|of| derived(of, scope)).transpose()?;
    let at_most = |age: &Option<String>| format!("data at most {} old", age.as_deref().unwrap_or_default());
    let (old, older) = (at_most(warn_after), at_most(error_after));
    Ok(Box::new(move |context| {
        let now = i64::try_from(context.now_unix_ms).unwrap_or(i64::MAX);
        let (got, at) = match &of {
            Some(of) => dated(of, context, now),
            None => {
                let got = context.as_of.unwrap_or("no date");
                (got.to_owned(), context.as_of.and_then(parse_rfc3339_ms))
            }
        };
        let found = |verdict, expected: &str| {
            Doubts::from_iter([Doubt {
                verdict: Some(verdict),
                ..doubt(String::new(), expected, shorten(&got, SHOWN_CHARS_MAX))
            }])
        };
        // A missing date is a finding too: a declared age that cannot be judged must not pass silently.
        let Some(at) = at else {
            let expected =
                if of.is_some() { "a date, a time or a period" } else { "the date of the data, as RFC 3339" };
            return found(Verdict::Suspect, expected);
        };
        match now.saturating_sub(at) {
            age if age < -SKEW_MS => found(Verdict::Suspect, "a date that is not in the future"),
            // One finding is reported, so the stricter limit is tested first.
            age if error.is_some_and(|limit| age > limit) => found(Verdict::Reject, &older),
            age if warn.is_some_and(|limit| age > limit) => found(Verdict::Warn, &old),
            _ => Doubts::default(),
        }
    }))
}

fn derived(of: &str, scope: &Arc<Scope>) -> Result<Expression, String> {
    let compiled =
        Expression::compile_scalar(of, scope).map_err(|error| format!("`of`: {}", error.message))?;
    if scope.is_known || compiled.is_dateable() {
        Ok(compiled.resting())
    } else {
        Err("`of` must be a date, a point in time, or a text that names one or a period".into())
    }
}

/// The time of what an expression names. Data of a period is as old as its last day, of one that goes on it is new, and of one
/// that is still to come it is of the future.
fn dated(of: &Expression, context: &Context<'_>, now: i64) -> Dated {
    match of.text(&context.bindings()) {
        Ok(Some(text)) => {
            let at = parse_rfc3339_ms(&text).or_else(|| period::reached_ms(&text, now));
            (text, at)
        }
        Ok(None) => ("no date".to_owned(), None),
        Err(why) => (why.to_string(), None),
    }
}
