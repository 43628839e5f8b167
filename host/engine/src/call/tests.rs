//! Every sentence that the host composes about a call, as an agent reads it: their grammar is reviewed in the snapshot.

use std::fmt::Write as _;

use serde_json::json;

use super::details::Details;
use super::repeat::{in_session, of_caller};
use super::{notice, pause, report};
use crate::caller::repeats::Repeat;
use airlock_types::code::{Code, Ran};
use airlock_types::effect::{Effects, Left, Verified};
use airlock_types::finding::{Finding, Verdict};
use airlock_types::plan::Scope;
use airlock_types::reply::Provenance;

/// Details with everything that a text can be made of.
fn details(code: Code) -> Details {
    let finding = |path: &str| Finding {
        kind: "range".into(),
        verdict: Verdict::Reject,
        path: path.into(),
        expected: "a number from 0 to 100".into(),
        got: "250".into(),
    };
    let limits = [
        (Code::LimitFuel, "1000000 units"),
        (Code::LimitMemory, "1048576 bytes"),
        (Code::LimitOutput, "1048576 bytes"),
        (Code::LimitTable, "10000 elements"),
        (Code::LimitResources, "1024 open files, requests and streams at the same time"),
        (Code::RateLimited, "100 calls per hour"),
    ];
    let limit = limits.iter().find(|(of, _)| *of == code).map_or("10000 ms", |(_, limit)| *limit);
    Details {
        limit: Some(limit.into()),
        // What has run was tried once.
        attempts: u32::from(code.facts().ran != Ran::No),
        denied: if code == Code::PolicyDenied { vec!["clock".into(), "files".into()] } else { Vec::new() },
        detail: Some(json!({"tag": "no-such-account", "val": "12"})),
        findings: vec![finding("rows[0].share"), finding("")],
        ..Details::default()
    }
}

/// Details of an attempt that did something to the world.
fn effects(left: Left, open_at: &[&str], ended_by: Option<Code>, found: Option<Verified>) -> Details {
    Details {
        limit: Some("10000 ms".into()),
        waiting_for: open_at.first().map(|at| (*at).to_owned()),
        effects: Effects {
            left,
            open_at: open_at.iter().map(|at| (*at).to_owned()).collect(),
            ..Effects::default()
        },
        ended_by,
        verified: found.map(|found| ("look".to_owned(), found)),
        attempts: 1,
        ..Details::default()
    }
}

/// The texts of calls that did something.
fn of_effects() -> Vec<(&'static str, String)> {
    let (host, late) = (&["api.example.com"][..], Some(Code::LimitDeadline));
    let unknown = |found| effects(Left::Once, host, late, found);
    let text = |code, details: &Details| report::report("t", code, details).message;
    vec![
        ("an effect that was not answered", text(Code::OutcomeUnknown, &unknown(None))),
        (
            "a refusal after it",
            text(Code::OutcomeUnknown, &effects(Left::Once, host, Some(Code::Refused), None)),
        ),
        ("what verifies cannot tell", text(Code::OutcomeUnknown, &unknown(Some(Verified::Unknown)))),
        ("it was applied", text(Code::OutcomeUnknown, &unknown(Some(Verified::Applied)))),
        (
            "it was not applied",
            text(Code::LimitDeadline, &effects(Left::Nothing, &[], None, Some(Verified::NotApplied))),
        ),
        ("an effect that was answered", text(Code::LimitDeadline, &effects(Left::Once, &[], None, None))),
        ("an error of its own after one", text(Code::ToolError, &effects(Left::Once, &[], None, None))),
    ]
}

/// Whether other functions write the text: from violations, from the tool's question or refusal, from near names.
fn has_own_text(code: Code) -> bool {
    code.as_str().starts_with("args.") || matches!(code, Code::Clarify | Code::Refused | Code::Unknown)
}

#[test]
fn every_failure_reads_well() {
    let mut texts = String::new();
    for code in Code::ALL.into_iter().filter(|code| !code.has_result() && !has_own_text(*code)) {
        writeln!(texts, "## {code}\n{}\n", report::report("t", code, &details(code)).message).unwrap();
    }
    let tool_error = |more: Details| report::report("t", Code::ToolError, &more).message;
    let blamed = Details {
        is_callers: true,
        doc: Some("No account has this number.".into()),
        ..details(Code::ToolError)
    };
    let others = [
        ("the caller's error", tool_error(blamed)),
        (
            "a transient error after three attempts",
            tool_error(Details { transient: true, attempts: 3, ..Details::default() }),
        ),
        (
            "an error after a denial",
            tool_error(Details { denied: vec!["files".into()], ..details(Code::ToolError) }),
        ),
        (
            "a hint with a time",
            report::report(
                "t",
                Code::ToolThrottled,
                &Details { retry_after_ms: Some(250), ..Details::default() },
            )
            .message,
        ),
        ("paused for a caller", pause::paused("t", Scope::Caller, 30_000, 0).message),
        ("paused for all", pause::paused("t", Scope::AllCallers, 30_000, 0).message),
        ("the same call in a session", in_session(Repeat::Call(3))),
        ("the same error in a session", in_session(Repeat::Error(3))),
        ("the same call of a caller", of_caller(Repeat::Call(3))),
        ("the same error of a caller", of_caller(Repeat::Error(3))),
        ("the journal is full", report::journal_full("t").report.message),
        ("arguments judged too slowly", report::judged_too_slowly("t", 1_000).report.message),
    ];
    let others = others.into_iter().chain(of_effects());
    others.for_each(|(name, text)| writeln!(texts, "## {name}\n{text}\n").unwrap());
    insta::assert_snapshot!(texts);
}

#[test]
fn every_reason_for_a_fallback_reads_well() {
    let from = |route: &str| Provenance {
        route: route.into(),
        component: None,
        attempts: 2,
        fallback_because: None,
        cached: None,
        as_of: None,
        source: None,
    };
    let mut texts = String::new();
    for code in Code::ALL.into_iter().filter(|code| !code.has_result() && !has_own_text(*code)) {
        let Finding { expected, got, .. } = notice::fallback("t", &from("u"), code);
        writeln!(texts, "{code}: expected {expected}, got {got}").unwrap();
    }
    insta::assert_snapshot!(texts);
}
