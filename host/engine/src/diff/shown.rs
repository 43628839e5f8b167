//! Values as a reviewer reads them: complete, and without invisible characters.
//!
//! Owns which characters are written as escapes (`\u{202e}`), and how two long texts are shown side by side. Must not
//! know what a change means.

use serde_json::Value;

/// Characters on each side of a difference between two long texts that are shown with it.
const AROUND: usize = 60;

/// A value as JSON, with invisible characters as escapes. A backslash in the text is doubled, as in JSON, so an escape
/// that the text spells out looks different.
pub(super) fn value(value: &Value) -> String {
    visible(&value.to_string())
}

/// Two values that differ in a part. The common beginning and end of long values are left out. The difference is shown
/// in full.
pub(super) fn difference(before: &Value, after: &Value) -> (String, String) {
    // Characters and not bytes, so that no cut falls inside a character.
    let (before, after): (Vec<char>, Vec<char>) =
        (before.to_string().chars().collect(), after.to_string().chars().collect());
    let start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let ends = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    // The common end must not overlap the common beginning in the shorter text.
    let end = ends.min(before.len().min(after.len()) - start);
    let part = |text: &[char]| {
        let from = start.saturating_sub(AROUND);
        let to = text.len() - end.saturating_sub(AROUND);
        let shown = visible(&text[from..to].iter().collect::<String>());
        let left =
            |count: usize| if count > 0 { format!("[{count} characters as before]") } else { String::new() };
        format!("{}{shown}{}", left(from), left(text.len() - to))
    };
    (part(&before), part(&after))
}

/// A path with dots between its parts. Parts that could be misread are quoted.
pub(super) fn path(parts: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-$".contains(c);
    let shown = |part: &String| {
        if !part.is_empty() && part.chars().all(plain) {
            part.clone()
        } else {
            visible(&Value::from(part.as_str()).to_string())
        }
    };
    parts.iter().map(shown).collect::<Vec<_>>().join(".")
}

/// A text with invisible and ambiguous characters as escapes.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// JSON text with the same characters as JSON escapes.
pub fn escaped_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Line breaks between the values of a document stay; inside strings they are escaped already.
        if c != '\n' && is_hidden(c) {
            let mut units = [0; 2];
            // JSON escapes are UTF-16: a character above U+FFFF takes two of them (RFC 8259, section 7).
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

/// Control and format characters, fillers, variation selectors, tags, spaces other than U+0020, private use characters
/// and noncharacters.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn invisible_characters_are_escaped() {
        let check = |text: &str, shown: &str| assert_eq!(value(&json!(text)), format!("\"{shown}\""));
        check("a\u{202e}b\u{200b}", r"a\u{202e}b\u{200b}");
        check("\u{e0041}\u{fe0f}\u{a0}\u{9b}\u{3164}", r"\u{e0041}\u{fe0f}\u{a0}\u{9b}\u{3164}");
        check(r"\u{202e}", r"\\u{202e}");
        check("Zürich 東京 \u{1f600}", "Zürich 東京 \u{1f600}");
        assert_eq!(path(&["a".into(), "b.c".into(), "\u{202e}".into()]), r#"a."b.c"."\u{202e}""#);
        assert_eq!(escaped_json("{\n\"\u{202e}\u{e0041}\": 1}"), "{\n\"\\u202e\\udb40\\udc41\": 1}");
    }

    #[test]
    fn differences_are_shown_in_full_and_only_common_text_is_left_out() {
        let same = "x".repeat(900);
        let (one, other) = ("y".repeat(700), "z".repeat(300));
        let (before, after) =
            difference(&json!(format!("{same}{one}{same}")), &json!(format!("{same}{other}{same}")));
        assert!(before.contains(&one) && after.contains(&other), "{before}\n{after}");
        assert!(before.starts_with("[841 characters as before]x"), "{before}");
        assert_eq!(difference(&json!("ab"), &json!("ab c")), (r#""ab""#.into(), r#""ab c""#.into()));
        assert_eq!(difference(&json!("aa"), &json!("aaa")), (r#""aa""#.into(), r#""aaa""#.into()));
    }
}
