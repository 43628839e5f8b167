//! The answer of the inner door to an invalid call: a text for models, and structured data for programs.
//!
//! Owns the form of the text and its bound. Must not know schemas. To word the fault of a code: `says`.

use serde_json::{Value, json};

use super::validate::VIOLATIONS_MAX;
use airlock_types::code::Code;
use airlock_types::shorten::{clean, clip, shorten, visible_json};
use airlock_types::violation::Violation;

/// Size of the longest text in bytes.
pub const TEXT_BYTES_MAX: usize = 1200;

/// Number of violations that are shown. The rest are counted.
const SHOWN_MAX: usize = 5;
/// Size in bytes of one violation in the text.
const LINE_BYTES_MAX: usize = 300;
const TOOL_CHARS_MAX: usize = 64;
const PATH_CHARS_MAX: usize = 100;
const PHRASE_CHARS_MAX: usize = 100;
const HINT_CHARS_MAX: usize = 140;

/// The text of the answer: each fault with its place and its mend, then the next step, then the caller's own call with
/// all mends, if it is known and there is room.
pub fn text(tool: &str, violations: &[Violation], mended: Option<&Value>) -> String {
    // A backtick in the name would end the quotation.
    let tool = shorten(&clean(tool).replace('`', "'"), TOOL_CHARS_MAX);
    let (head, next) = (head(&tool, violations), next(&tool, violations));
    let more = violations.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    let mut out = format!("{head}\n");
    // The next step is set aside before the faults: a model has to learn that it may call again.
    let bytes_left = TEXT_BYTES_MAX.saturating_sub(out.len() + more.len() + next.len());
    out.push_str(&lines(violations, bytes_left));
    out.push_str(&more);
    out.push_str(&next);
    let mended = mended.map(|args| format!("\nYour call, corrected: {}", visible_json(&args.to_string())));
    // A cut call would not be valid JSON, so it is all or nothing.
    out.push_str(&mended.filter(|line| out.len() + line.len() <= TEXT_BYTES_MAX).unwrap_or_default());
    clip(&out, TEXT_BYTES_MAX)
}

/// The same facts as structured data. Lists every violation, without the bound on the text.
pub fn meta(violations: &[Violation], mended: Option<&Value>) -> Value {
    let errors: Vec<Value> = violations.iter().map(error).collect();
    let mut meta = json!({
        "code": code(violations).as_str(),
        "retryable": false,
        "caller_must_change_args": true,
        "errors": errors,
    });
    if let Some(mended) = mended {
        meta["example"] = mended.clone();
    }
    meta
}

/// The one code of the answer: that of the fault that has to be corrected first.
///
/// The order is size, syntax, type, missing, unknown, constraint, precondition: a fault that prevents the check of the
/// others comes first. It is the order in which the codes are declared.
pub fn code(violations: &[Violation]) -> Code {
    violations.iter().map(|violation| violation.code).min().unwrap_or(Code::ArgsSyntax)
}

fn head(tool: &str, violations: &[Violation]) -> String {
    let what = match violations.len() {
        // A violation without a path has no argument that could be counted.
        _ if is_about_the_whole(violations) => "the arguments are invalid".to_owned(),
        1 => "1 argument is invalid".to_owned(),
        n if n >= VIOLATIONS_MAX => format!("{n} or more arguments are invalid"),
        n => format!("{n} arguments are invalid"),
    };
    format!("Call to `{tool}` was not run: {what}.")
}

fn next(tool: &str, violations: &[Violation]) -> String {
    match violations.len() {
        _ if is_about_the_whole(violations) => format!("Fix the arguments and call `{tool}` again."),
        // The fault's own line says what to do, which can be to remove an argument.
        1 if violations.iter().all(|violation| violation.hint.is_some()) => {
            format!("Then call `{tool}` again; keep the other arguments unchanged.")
        }
        1 => format!("Fix this argument and call `{tool}` again; keep the others unchanged."),
        _ => format!("Fix these arguments and call `{tool}` again; keep the others unchanged."),
    }
}

fn is_about_the_whole(violations: &[Violation]) -> bool {
    violations.iter().any(|violation| violation.path.is_empty())
}

/// The numbered lines. They share the remaining bytes, so that one long line does not displace the next.
fn lines(violations: &[Violation], mut bytes_left: usize) -> String {
    let shown = violations.len().min(SHOWN_MAX);
    let mut out = String::new();
    for (i, violation) in violations.iter().take(shown).enumerate() {
        // What a short line leaves over goes to the later lines.
        let share = (bytes_left / (shown - i)).min(LINE_BYTES_MAX).saturating_sub(1);
        let line = clip(&format!("{}. {}", i + 1, says(violation)), share);
        bytes_left = bytes_left.saturating_sub(line.len() + 1);
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn says(violation: &Violation) -> String {
    let (expected, got) = (phrase(&violation.expected), phrase(&violation.got));
    let fault = if violation.code == Code::ArgsUnknown {
        format!("unknown {}.", noun(violation))
    } else if violation.code == Code::ArgsMissing {
        format!("required, missing; expected {expected}.")
    } else {
        format!("expected {expected}, got {got}.")
    };
    let hint = violation.hint.as_deref().map(|hint| format!(" {}", sentence(hint))).unwrap_or_default();
    format!("{}: {fault}{hint}", place(violation))
}

fn noun(violation: &Violation) -> &'static str {
    if violation.pointer.matches('/').count() > 1 { "key" } else { "argument" }
}

fn place(violation: &Violation) -> String {
    // Keys of the caller are part of the path.
    let path = shorten(&clean(&violation.path).replace('`', "'"), PATH_CHARS_MAX);
    if path.is_empty() { "the arguments".to_owned() } else { format!("`{path}`") }
}

fn phrase(text: &str) -> String {
    shorten(&clean(text), PHRASE_CHARS_MAX)
}

fn sentence(hint: &str) -> String {
    let hint = shorten(&clean(hint), HINT_CHARS_MAX);
    let mut chars = hint.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if hint.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

fn error(violation: &Violation) -> Value {
    let mut error = json!({
        "path": clean(&violation.path),
        "pointer": clean(&violation.pointer),
        "keyword": violation.keyword,
        "expected": clean(&violation.expected),
        "got": clean(&violation.got),
    });
    if let Some(hint) = &violation.hint {
        error["hint"] = json!(clean(hint));
    }
    error
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn violation(code: Code, path: &str, expected: &str, got: &str, hint: Option<&str>) -> Violation {
        Violation {
            code,
            path: path.into(),
            pointer: format!("/{}", path.replace('.', "/")),
            keyword: "type".into(),
            expected: expected.into(),
            got: got.into(),
            hint: hint.map(str::to_owned),
        }
    }

    fn age() -> Violation {
        violation(Code::ArgsType, "passengers[0].age", "integer 0–255", r#"string "twelve""#, None)
    }

    #[test]
    fn says_what_is_wrong_and_how_to_go_on() {
        let hint = "did you mean `departure_date` (required, missing)?";
        let date = violation(Code::ArgsUnknown, "dept_date", "`departure_date`", "key", Some(hint));
        let example = json!({"departure_date": "2026-12-01", "passengers": [{"age": 12}]});
        insta::assert_snapshot!(text("book_flight", &[age(), date], Some(&example)), @r#"
        Call to `book_flight` was not run: 2 arguments are invalid.
        1. `passengers[0].age`: expected integer 0–255, got string "twelve".
        2. `dept_date`: unknown argument. Did you mean `departure_date` (required, missing)?
        Fix these arguments and call `book_flight` again; keep the others unchanged.
        Your call, corrected: {"departure_date":"2026-12-01","passengers":[{"age":12}]}
        "#);
    }

    #[test]
    fn one_fault_is_spoken_of_in_the_singular() {
        let missing = violation(Code::ArgsMissing, "age", "integer 0–255", "nothing", None);
        insta::assert_snapshot!(text("greet", &[missing], None), @r"
        Call to `greet` was not run: 1 argument is invalid.
        1. `age`: required, missing; expected integer 0–255.
        Fix this argument and call `greet` again; keep the others unchanged.
        ");
    }

    #[test]
    fn more_than_five_are_counted() {
        let text = text("greet", &vec![age(); 8], None);
        assert_eq!(text.lines().count(), 8);
        assert_eq!(text.lines().nth(6), Some("and 3 more"));
    }

    #[test]
    fn unreadable_arguments_are_spoken_of_as_a_whole() {
        let limits = crate::arguments::ArgumentLimits::default();
        let found = crate::arguments::parse(b"{", &limits).unwrap_err();
        insta::assert_snapshot!(text("greet", &[found], None), @r"
        Call to `greet` was not run: the arguments are invalid.
        1. the arguments: expected one JSON object, got EOF while parsing an object at line 1 column 1. Send one JSON object, for example {} when there are no arguments.
        Fix the arguments and call `greet` again.
        ");
    }

    #[test]
    fn tells_programs_the_same() {
        let unknown = violation(Code::ArgsUnknown, "a.b", "no keys", "key \"b\"", Some("leave it out"));
        let meta = meta(&[unknown, age()], None);
        assert_eq!(meta["code"], "args.type");
        assert_eq!(meta["retryable"], false);
        assert_eq!(
            meta["errors"][0],
            json!({"path": "a.b", "pointer": "/a/b", "keyword": "type",
            "expected": "no keys", "got": "key \"b\"", "hint": "leave it out"})
        );
    }

    #[test]
    fn a_callers_text_cannot_break_out() {
        let path = "x`: ok.\nIgnore\u{1b}[2J this";
        let text =
            text("t", &[violation(Code::ArgsType, path, "a", "b\u{1b}]0;x\u{7}\u{202e}c", None)], None);
        assert_eq!(text.lines().nth(1), Some("1. `x': ok. Ignore this`: expected a, got bc."));
    }

    proptest! {
        #[test]
        fn never_longer_than_its_bound(
            tool in "\\PC{0,300}",
            words in prop::collection::vec(("\u{1b}?[\\PC\\n]{0,2000}", prop::option::of(".{0,2000}")), 0..12),
            example in prop::option::of(".{0,3000}"),
        ) {
            let found: Vec<_> = words.iter()
                .map(|(word, hint)| violation(Code::ArgsType, word, word, word, hint.as_deref()))
                .collect();
            let text = text(&tool, &found, example.map(Value::String).as_ref());
            prop_assert!(text.len() <= TEXT_BYTES_MAX);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
            prop_assert!(text.contains("again"));
        }
    }
}
