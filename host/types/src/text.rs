//! Text from outside, made fit to be shown to a person or a model.
//!
//! Owns which characters hide text or command a terminal ([`is_hidden`]), and the three ways to treat them: [`clean`]
//! and [`clean_lines`] leave them out, [`visible`] writes them as escapes for a reviewer, [`visible_json`] does so
//! within JSON, where the escape means the same character. Must not know what a text means.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

/// Whether a character shows as nothing, commands a terminal, or turns the direction of text around: control
/// characters of both sets, line and paragraph separators, bidirectional controls, and everything that Unicode calls
/// default-ignorable (zero-width characters, fillers, variation selectors, tags).
pub fn is_hidden(c: char) -> bool {
    // The ranges are Unicode's `Default_Ignorable_Code_Point`, with U+2028 and U+2029, which break lines, and the
    // annotation characters U+FFF9 to U+FFFB.
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// One line of text without terminal escapes and hidden characters; line ends and tabs become spaces.
pub fn clean(text: &str) -> String {
    filter(text, |c| is_space(c).then_some(' '))
}

/// The same, with line ends and tabs kept.
pub fn clean_lines(text: &str) -> String {
    filter(text, |c| match c {
        '\n' | '\t' => Some(c),
        c => is_space(c).then_some(' '),
    })
}

/// Hidden characters as `\u{202e}`, line ends and tabs kept. Nothing is left out.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_hidden(c) && !matches!(c, '\n' | '\t'), |c| format!("\\u{{{:x}}}", u32::from(c)))
}

/// [`visible`] for a name: line ends and tabs are escapes, too.
pub fn visible_name(name: &str) -> Cow<'_, str> {
    escaped(name, is_hidden, |c| format!("\\u{{{:x}}}", u32::from(c)))
}

/// [`visible`] for a text that is already styled for a terminal: its escape characters are kept.
pub fn visible_styled(text: &str) -> Cow<'_, str> {
    let hidden = |c| is_hidden(c) && !matches!(c, '\n' | '\t' | '\u{1b}');
    escaped(text, hidden, |c| format!("\\u{{{:x}}}", u32::from(c)))
}

/// The same JSON, with hidden characters in its strings written as `\u202e`.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let escape = |c: char| {
        // JSON escapes UTF-16 units: a character above U+FFFF takes two (RFC 8259, section 7).
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    // Serialized JSON has bare line ends and tabs only between values. Within strings they are escaped already.
    escaped(json, |c| is_hidden(c) && !matches!(c, '\n' | '\r' | '\t'), escape)
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if is_printable_ascii(text) || !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) { out.push_str(&escape(c)) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Control characters that separate words or lines.
fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The text with some characters replaced, and the hidden ones and terminal escapes left out.
fn filter(text: &str, replaced: impl Fn(char) -> Option<char>) -> String {
    if is_printable_ascii(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // U+0080 to U+009F are one-character forms of escape sequences (ECMA-48): some terminals obey them, too.
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_control_string(&mut chars),
            c => out.extend(replaced(c).or((!is_hidden(c)).then_some(c))),
        }
    }
    out
}

fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        // CSI, then OSC, DCS, SOS, PM and APC. Other escapes have one more character, which is skipped with them.
        Some('[') => skip_control_sequence(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_control_string(chars),
        _ => {}
    }
}

fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    // Parameter and intermediate bytes, then one final byte (ECMA-48, section 5.4).
    while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

fn skip_control_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next() {
        match c {
            // BEL ends an OSC in xterm, ST (U+009C or `ESC \`) ends every string. Without an end the rest of the text
            // is skipped: it could be part of a command.
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(clean(text), expect);
    }

    #[test]
    fn strips_what_a_terminal_would_obey_or_a_reader_not_see() {
        check("a\u{1b}[31mred\u{1b}[0m", "ared");
        check("\u{1b}]0;title\u{7}x\u{1b}]8;;u\u{1b}\\y", "xy");
        check("\u{9d}0;title\u{9c}x", "x");
        check("a\nb\u{0}c\u{202e}d", "a bcd");
        check("a\u{85}b\u{2028}c\u{c}d", "a b c d");
        check("\u{9b}2Jx", "x");
        check("a\u{200b}\u{2066}\u{61c}\u{3164}\u{34f}\u{fe0f}\u{e0100}\u{e0041}b", "ab");
        check("Zürich 東京 שלום", "Zürich 東京 שלום");
    }

    #[test]
    fn keeps_the_lines_of_a_text_that_has_some() {
        assert_eq!(clean_lines("a\n\tb\r\nc\u{202e}\u{1b}[2Jd"), "a\n\tb \ncd");
    }

    #[test]
    fn shows_a_reviewer_what_is_hidden() {
        assert_eq!(visible("a\u{202e}\u{1b}[2J\u{9b}b\nc"), "a\\u{202e}\\u{1b}[2J\\u{9b}b\nc");
        assert_eq!(visible_styled("\u{1b}[1ma\u{200b}"), "\u{1b}[1ma\\u{200b}");
    }

    #[test]
    fn every_format_character_that_shows_as_nothing_is_hidden() {
        // Bidirectional controls, by name: U+061C, U+200E–F, U+202A–E, U+2066–9.
        let bidi =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        assert!(bidi.chars().all(is_hidden));
        assert!(('\u{0}'..=' ').take(32).chain('\u{7f}'..='\u{9f}').all(is_hidden));
        assert!(!" ~\u{a0}é東א\u{1f600}".chars().any(is_hidden));
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            prop_assert!(!clean(&text).chars().any(is_hidden));
            prop_assert!(!clean_lines(&text).chars().any(|c| is_hidden(c) && c != '\n' && c != '\t'));
            prop_assert!(!visible(&text).chars().any(|c| is_hidden(c) && c != '\n' && c != '\t'));
        }

        #[test]
        fn json_with_escapes_is_the_same_json(text in any::<String>(), hidden in "[\u{7f}-\u{9f}\u{200b}-\u{202e}\u{e0000}-\u{e007f}]{0,5}") {
            let value = serde_json::json!({ hidden.clone(): [text, hidden] });
            let json = serde_json::to_string_pretty(&value).unwrap_or_default();
            let shown = visible_json(&json);
            prop_assert!(!shown.chars().any(|c| is_hidden(c) && c != '\n'));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), Some(value));
        }
    }
}
