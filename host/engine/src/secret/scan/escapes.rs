//! The escapes in which a character may be written, a byte at a time: percent-encoding, those of JSON and of HTML, and the
//! line breaks of base64.
//!
//! All of them in one pass, since none is a part of another: a reading that takes an escape for one of another language
//! finds less, and the reading before it is searched as well.

use std::convert::Infallible;

/// Longest escape that is read: `&#x00002B;`. Writers of HTML use none of the longer names that it has for these characters.
const BYTES_MAX: usize = 10;

/// The names that HTML has for printable ASCII.
const NAMES: [(&[u8], u8); 34] = [
    (b"amp", b'&'),
    (b"apos", b'\''),
    (b"ast", b'*'),
    (b"bsol", b'\\'),
    (b"colon", b':'),
    (b"comma", b','),
    (b"commat", b'@'),
    (b"dollar", b'$'),
    (b"equals", b'='),
    (b"excl", b'!'),
    (b"grave", b'`'),
    (b"gt", b'>'),
    (b"Hat", b'^'),
    (b"lbrace", b'{'),
    (b"lbrack", b'['),
    (b"lcub", b'{'),
    (b"lowbar", b'_'),
    (b"lpar", b'('),
    (b"lsqb", b'['),
    (b"lt", b'<'),
    (b"num", b'#'),
    (b"percnt", b'%'),
    (b"period", b'.'),
    (b"plus", b'+'),
    (b"quest", b'?'),
    (b"quot", b'"'),
    (b"rbrace", b'}'),
    (b"rbrack", b']'),
    (b"rcub", b'}'),
    (b"rpar", b')'),
    (b"rsqb", b']'),
    (b"semi", b';'),
    (b"sol", b'/'),
    (b"vert", b'|'),
];

/// What the next bytes of a stream say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A byte that stands for itself.
    Plain(u8),
    /// A byte that was written as an escape.
    Escaped(u8),
    /// A line break within base64.
    Nothing,
}

/// What bytes are that may be an escape.
enum Found {
    /// An escape of this byte.
    Byte(u8),
    /// A line break that is skipped.
    Skipped,
    /// The beginning of an escape.
    Beginning,
    /// No escape begins with the first of them.
    None,
}

/// Reads escapes; what is none stays as it is.
pub(super) struct Decoder {
    /// The last byte before those that wait.
    last: u8,
    /// The beginning of an escape.
    waiting: Vec<u8>,
}

impl Decoder {
    /// A decoder for what comes after this byte.
    pub(super) fn after(last: u8) -> Decoder {
        Decoder { last, waiting: Vec::with_capacity(BYTES_MAX) }
    }

    /// Reads one byte, and hands on what is decided by it.
    pub(super) fn read<E>(
        &mut self,
        byte: u8,
        mut hand_on: impl FnMut(Read) -> Result<(), E>,
    ) -> Result<(), E> {
        self.waiting.push(byte);
        while let [first, ..] = *self.waiting {
            match found(self.last, &self.waiting) {
                Found::Beginning => break,
                Found::Byte(escaped) => {
                    self.waiting.clear();
                    self.last = byte;
                    hand_on(Read::Escaped(escaped))?;
                }
                Found::Skipped => {
                    self.waiting.clear();
                    self.last = byte;
                    hand_on(Read::Nothing)?;
                }
                Found::None => {
                    self.waiting.remove(0);
                    self.last = first;
                    hand_on(Read::Plain(first))?;
                }
            }
        }
        Ok(())
    }

    /// Whether no escape is incomplete.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Whether an escape may begin with a byte.
pub(super) fn begins(last: u8, byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&') || (matches!(byte, b'\r' | b'\n') && goes_on(last))
}

/// Whether base64 may go on after a line break that follows this byte. With the ends of the escapes of its characters.
pub(super) fn goes_on(last: u8) -> bool {
    last.is_ascii_alphanumeric() || matches!(last, b'+' | b'/' | b'-' | b'_' | b';')
}

/// A text with its escapes read once.
pub(super) fn decoded(text: &[u8]) -> Vec<u8> {
    let (mut decoder, mut decoded) = (Decoder::after(0), Vec::new());
    for byte in text {
        let Ok(()) = decoder.read(*byte, |read| {
            match read {
                Read::Plain(byte) | Read::Escaped(byte) => decoded.push(byte),
                Read::Nothing => {}
            }
            Ok::<(), Infallible>(())
        });
    }
    decoded.append(&mut decoder.waiting);
    decoded
}

fn found(last: u8, bytes: &[u8]) -> Found {
    match bytes {
        [b'%', digits @ ..] => digits_of(digits, 2),
        [b'\\', b'u', digits @ ..] => digits_of(digits, 4),
        [b'\\', b'x', digits @ ..] => digits_of(digits, 2),
        [b'\\'] => Found::Beginning,
        [b'\\', b'n'] => Found::Byte(b'\n'),
        [b'\\', b'r'] => Found::Byte(b'\r'),
        [b'\\', byte @ (b'/' | b'\\' | b'"' | b'\'')] => Found::Byte(*byte),
        [b'&', reference @ ..] => entity(reference),
        [b'\r'] if goes_on(last) => Found::Beginning,
        [b'\n'] | [b'\r', b'\n'] if goes_on(last) => Found::Skipped,
        _ => Found::None,
    }
}

/// An escape of so many hexadecimal digits.
fn digits_of(digits: &[u8], length: usize) -> Found {
    match (number(digits, 16), digits.len() == length) {
        (Some(byte), true) => byte.try_into().map_or(Found::None, Found::Byte),
        (Some(_), false) => Found::Beginning,
        (None, _) if digits.is_empty() => Found::Beginning,
        (None, _) => Found::None,
    }
}

/// A reference to a character in HTML, without its `&`.
fn entity(reference: &[u8]) -> Found {
    let Some((b';', name)) = reference.split_last() else {
        let is_open = reference.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'#');
        // With the `&` before it and the `;` after it.
        return if is_open && reference.len() + 2 <= BYTES_MAX { Found::Beginning } else { Found::None };
    };
    let byte = match name {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => NAMES.iter().find(|(known, _)| *known == name).map(|(_, byte)| u32::from(*byte)),
    };
    byte.and_then(|byte| byte.try_into().ok()).map_or(Found::None, Found::Byte)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let add = |sum: u32, digit: &u8| Some(sum * radix + char::from(*digit).to_digit(radix)?);
    // Fewer digits than would overflow: an escape has at most ten bytes.
    (!digits.is_empty()).then(|| digits.iter().try_fold(0, add))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(String::from_utf8_lossy(&decoded(text.as_bytes())), expect, "{text}");
    }

    #[test]
    fn complete_escapes_are_read_and_others_stay() {
        check("a%41%6a%6A.", "aAjj.");
        check("%%41%4%41%zz%.%", "%A%4A%zz%.%");
        check(r#"\u002b \u002B\u00 \u0100 \x2B \/ \\ \" \' \q"#, r#"+ +\u00 \u0100 + / \ " ' \q"#);
        check(
            "&#43;&#x2b;&#X0002B;&plus;&amp;amp; &#;&;&nosuch;&#300;&#x12",
            "++++&amp; &#;&;&nosuch;&#300;&#x12",
        );
        check("&quot;&sol;&lowbar;&&lt;", "\"/_&<");
    }

    #[test]
    fn line_breaks_within_base64_are_skipped() {
        check("QUJD\nREVG\r\nR0g/\r\nSQ", "QUJDREVGR0g/SQ");
        check("a\n\nb\r\n\r\nc", "a\nb\r\nc");
        for text in ["}\n{", "a.\r\nb", "a\rb", "a\r\r\nb", "\na"] {
            check(text, text);
        }
        check(r"QUJD\r\nREVG", "QUJD\r\nREVG");
    }
}
