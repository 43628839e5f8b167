//! The texts of a tool that a breaker has paused.
//!
//! Owns for whom a tool is paused, why and until when, in words. Must not know how breakers count.

use chrono::{DateTime, SecondsFormat};

use super::details::Details;
use super::report::{proceed, ran, report};
use airlock_types::code::Code;
use airlock_types::plan::Scope;
use airlock_types::reply::Failure;

/// The report of a call that was not run because its tool is paused by a breaker.
pub(crate) fn paused(tool: &str, scope: Scope, remaining_ms: u64, now_unix_ms: u64) -> Failure {
    let details = Details { retry_after_ms: Some(remaining_ms), ..Details::default() };
    // The code of an overload, so that clients treat a pause as any other reason to wait.
    let report = report(tool, Code::Overloaded, &details);
    let (ran, proceed) = (ran(report.ran), proceed(Code::Overloaded, &details, report.retryable));
    Failure { message: [pause(tool, scope, remaining_ms, now_unix_ms), ran, proceed].join("\n"), ..report }
}

/// Names the callers for whom a tool is paused, the reason and the end of the pause.
pub(crate) fn pause(tool: &str, scope: Scope, remaining_ms: u64, now_unix_ms: u64) -> String {
    let until = moment(now_unix_ms.saturating_add(remaining_ms));
    let why = match scope {
        Scope::Caller => {
            "at least half of this caller's last calls of it failed; other callers are not concerned"
        }
        Scope::AllCallers => {
            "at least half of its last calls failed, for several callers or at what stands behind it"
        }
    };
    format!("`{tool}` is paused for {} until {until}: {why}.", scope.as_str())
}

/// A time in RFC 3339, in UTC. Rounded up to whole seconds, so that a retry at that time is not too early.
fn moment(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms.div_ceil(1_000)).unwrap_or(i64::MAX);
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| "an unknown time".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
