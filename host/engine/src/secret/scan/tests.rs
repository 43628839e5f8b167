use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

const VALUE: &str = "sk-live/0123+4567=";

fn scan(value: &str) -> Scan {
    Scan::new(Arc::new(Patterns::of(value).unwrap()))
}

/// What is handed on of a stream with these parts, and whether the value was found.
fn run(value: &str, parts: &[&[u8]]) -> (Vec<u8>, bool) {
    let (mut scan, mut passed) = (scan(value), Vec::new());
    for part in parts {
        match scan.push(Bytes::copy_from_slice(part)) {
            Ok(more) => passed.extend(more),
            Err(Echo) => return (passed, true),
        }
    }
    passed.extend(scan.finish());
    (passed, false)
}

/// Escapes the bytes at these places, with digits of either case.
fn percent(text: &str, encode: impl Fn(usize) -> bool) -> String {
    text.bytes().enumerate().fold(String::new(), |mut out, (at, byte)| {
        let _ = match (encode(at), at % 2) {
            (true, 0) => write!(out, "%{byte:02x}"),
            (true, _) => write!(out, "%{byte:02X}"),
            (false, _) => write!(out, "{}", char::from(byte)),
        };
        out
    })
}

/// The value as services repeat it, each with the number of characters before those that the value decides.
fn spellings(value: &str) -> Vec<(String, usize)> {
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        (value.to_owned(), 0),
        (STANDARD.encode(value), 0),
        (URL_SAFE.encode(value), 0),
        (STANDARD.encode(format!("user:{value}")), 7),
        (STANDARD.encode(format!("a:{value}:b")), 3),
        (hex.to_uppercase(), 0),
        (hex, 0),
        (percent(value, |_| true), 0),
        (percent(value, |at| at % 3 == 0), 0),
        (percent(value, |at| at == value.len() - 1), 0),
        (percent(&STANDARD.encode(value), |at| at % 2 == 1), 0),
        (serde_json::to_string(value).unwrap().replace('/', "\\/"), 1),
    ]
}

#[test]
fn each_spelling_is_found_at_each_border_and_nothing_of_it_passes() {
    for (spelling, before) in spellings(VALUE) {
        let text = format!("before 100% {spelling} after");
        let begins = text.find(&spelling).unwrap() + before;
        for border in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(border);
            let (passed, found) = run(VALUE, &[first, second]);
            assert!(found, "{spelling} at {border}");
            assert!(passed.len() <= begins, "{spelling} at {border}: {}", String::from_utf8_lossy(&passed));
        }
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        let (passed, found) = run(VALUE, &bytes);
        assert!(found && passed.len() <= begins, "{spelling} byte by byte");
    }
}

#[test]
fn what_is_not_the_value_passes_unchanged() {
    for text in [
        "",
        "sk-live/0123+4567",
        "sk-live/0123+456sk-live/0123+4567-",
        "100%",
        "%73k-live/0123+4567%3",
        "%%%25%2525sk-live",
        "SK-LIVE/0123+4567=",
    ] {
        for size in 1..=text.len().max(1) {
            let parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(run(VALUE, &parts), (text.as_bytes().to_vec(), false), "{text} in parts of {size}");
        }
    }
}

#[test]
fn what_cannot_become_the_value_does_not_wait() {
    let mut scan = scan(VALUE);
    assert_eq!(scan.push(Bytes::from_static(b"data: 1\n\n")).unwrap(), "data: 1\n\n");
    assert_eq!(scan.push(Bytes::from_static(b"data: sk-")).unwrap(), "data: ");
    assert_eq!((scan.held(), scan.push(Bytes::from_static(b"x")).unwrap()), (3, Bytes::from_static(b"sk-x")));
    assert_eq!(scan.held(), 0);
    assert_eq!(scan.push(Bytes::from_static(b"100% of sk%2Dlive%2f%3")).unwrap(), "100% of ");
    assert_eq!(scan.push(Bytes::from_static(b"1-")).unwrap(), "sk%2Dlive%2f%31-");
}

#[test]
fn nothing_shows_the_value() {
    let mut scan = scan(VALUE);
    // The bytes that wait are a beginning of the value, so the search is never shown with them.
    assert!(scan.push(Bytes::from_static(VALUE.as_bytes())).is_err());
    assert!(!format!("{:?}", scan.patterns).contains("live"));
}

proptest! {
    #[test]
    fn text_passes_whole_or_is_found(
        value in "[a-c%2]{8,10}",
        text in "([a-c%2]|%61|%62){0,60}",
        sizes in proptest::collection::vec(1..9usize, 1..30),
    ) {
        let mut parts = Vec::new();
        let mut rest = text.as_bytes();
        for size in sizes {
            let (part, left) = rest.split_at(size.min(rest.len()));
            parts.push(part);
            rest = left;
        }
        parts.push(rest);
        let (passed, found) = run(&value, &parts);
        let decoded = percent_decoded(text.as_bytes());
        let is_in = |text: &[u8]| {
            super::super::forms::forms(&value).iter().any(|form| text.windows(form.len()).any(|part| part == form))
        };
        prop_assert_eq!(found, is_in(text.as_bytes()) || is_in(&decoded));
        if found {
            prop_assert!(text.as_bytes().starts_with(&passed));
            prop_assert!(!is_in(&passed) && !is_in(&percent_decoded(&passed)));
        } else {
            prop_assert_eq!(passed, text.as_bytes());
        }
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let escape = digits.filter(|_| text[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escape.unwrap_or(text[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}
