//! Templates: short texts that stand for large or binary inputs, so that a case is text and never a binary file.
//!
//! `%[N|TEXT]%` repeats TEXT N times; inside, `%i` is the number of the repetition, `%n` the next one and `%p` the one
//! before. Repetitions may be nested, and the numbers are then those of the innermost one. `%<00 ff>%` is these bytes,
//! in hexadecimal.

use std::io::Write as _;

/// Largest expansion in bytes. A template is written by a contributor, and a typing error must not fill the memory.
const BYTES_MAX: usize = 256 << 20;

/// What is wrong with a template.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// A part has no end.
    #[error("`{0}` has no end; close a repetition by `]%`, bytes by `>%`")]
    Open(&'static str),
    /// A repetition does not begin with a number and `|`.
    #[error("a repetition is `%[NUMBER|TEXT]%`, not `%[{0}`")]
    Count(String),
    /// Bytes that are not hexadecimal.
    #[error("`{0}` is not a byte in hexadecimal")]
    Byte(String),
    /// The result is too large.
    #[error("it expands to more than {BYTES_MAX} bytes")]
    Large,
}

/// Expands a template.
///
/// # Errors
/// When the template is malformed or too large.
pub fn expand(text: &str) -> Result<Vec<u8>, TemplateError> {
    let mut out = Vec::new();
    write(text, None, &mut out)?;
    Ok(out)
}

/// Expands a template that is text.
///
/// # Errors
/// When the template is malformed, too large or not UTF-8.
pub fn expand_text(text: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8(expand(text)?)?)
}

fn write(mut text: &str, at: Option<u64>, out: &mut Vec<u8>) -> Result<(), TemplateError> {
    while let Some(mark) = text.find('%') {
        out.extend_from_slice(&text.as_bytes()[..mark]);
        let rest = &text[mark + 1..];
        text = match (rest.as_bytes().first(), at) {
            (Some(b'['), _) => repeat(&rest[1..], out)?,
            (Some(b'<'), _) => hex(&rest[1..], out)?,
            (Some(b'i'), Some(at)) => number(at, rest, out),
            (Some(b'n'), Some(at)) => number(at + 1, rest, out),
            (Some(b'p'), Some(at)) => number(at.saturating_sub(1), rest, out),
            _ => {
                out.push(b'%');
                rest
            }
        };
        if out.len() > BYTES_MAX {
            return Err(TemplateError::Large);
        }
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn number<'t>(number: u64, rest: &'t str, out: &mut Vec<u8>) -> &'t str {
    // Writing to a vector does not fail.
    let _ = write!(out, "{number}");
    &rest[1..]
}

/// Writes a repetition, and returns the text behind it.
fn repeat<'t>(text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, TemplateError> {
    let end = end_of(text)?;
    let (inside, behind) = (&text[..end], &text[end + 2..]);
    let wrong = || TemplateError::Count(inside.chars().take(40).collect());
    let (count, body) = inside.split_once('|').ok_or_else(wrong)?;
    let count: u64 = count.trim().parse().map_err(|_| wrong())?;
    (0..count).try_for_each(|at| write(body, Some(at), out))?;
    Ok(behind)
}

/// Where the repetition ends whose inside begins here.
fn end_of(text: &str) -> Result<usize, TemplateError> {
    let (mut depth, mut at) = (1, 0);
    loop {
        let rest = &text[at..];
        let close = rest.find("]%").ok_or(TemplateError::Open("%["))?;
        match rest.find("%[").filter(|open| *open < close) {
            Some(open) => (depth, at) = (depth + 1, at + open + 2),
            None if depth == 1 => return Ok(at + close),
            None => (depth, at) = (depth - 1, at + close + 2),
        }
    }
}

fn hex<'t>(text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, TemplateError> {
    let (inside, behind) = text.split_once(">%").ok_or(TemplateError::Open("%<"))?;
    for word in inside.split_whitespace() {
        out.push(u8::from_str_radix(word, 16).map_err(|_| TemplateError::Byte(word.to_owned()))?);
    }
    Ok(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_numbered_and_nested() {
        let check = |text: &str, expect: &str| assert_eq!(expand_text(text).unwrap(), expect, "{text}");
        check("a%[3|(%i %n)]%b", "a(0 1)(1 2)(2 3)b");
        check("%[2|<%i%[2|%i]%>]%", "<001><101>");
        check("%i 100% %", "%i 100% %");
        assert_eq!(expand("x%<00 ff>%y").unwrap(), b"x\0\xffy");
    }

    #[test]
    fn a_malformed_template_is_refused() {
        assert_eq!(expand("%[3|a"), Err(TemplateError::Open("%[")));
        assert_eq!(expand("%[a]%"), Err(TemplateError::Count("a".into())));
        assert_eq!(expand("%<0g>%"), Err(TemplateError::Byte("0g".into())));
        assert_eq!(expand("%[99999999|0123456789]%"), Err(TemplateError::Large));
    }
}
