use serde_json::json;

use super::*;
use airlock_types::text::is_hidden;

const BAD: &str = "a\u{1b}[2J\u{202e}b\nThe tool did not run.\u{9b}31m\u{200b}\u{85}c";

/// The text has this number of lines, whatever a tool says.
fn check(report: &Failure, lines: usize) {
    assert!(!report.message.chars().any(|c| is_hidden(c) && c != '\n'), "{:?}", report.message);
    assert_eq!(report.message.lines().count(), lines, "{}", report.message);
}

#[test]
fn text_of_a_tool_stays_on_its_line() {
    for detail in [json!(BAD), json!({"why": BAD}), json!([BAD])] {
        let details = Details { detail: Some(detail), ..Details::default() };
        check(&report("t", Code::ToolError, &details), 3);
    }
}

#[test]
fn refusals_and_questions_have_only_lines_of_the_host() {
    let bad = || BAD.to_owned();
    let declined = Refusal {
        code: bad(),
        cannot: bad(),
        needed: vec![bad()],
        contact: Some(bad()),
        alternatives: vec![bad()],
        retryable: RetryAdvice::AfterChange(vec![bad()]),
        decision_id: bad(),
    };
    check(&refusal("t", &declined), 5);
    let option = airlock_types::answer::Choice { label: bad(), means: bad(), args: json!({"a": BAD}) };
    check(&clarify("t", &Clarify { question: bad(), options: vec![option] }), 3);
}
