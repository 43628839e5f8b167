//! JSON text of somebody else, read so that nothing of it is lost without a word.
//!
//! Owns which texts are refused: keys that occur twice, of which a reader keeps one, and integers with more digits than a
//! number here has. Must not know what the value is for.

use serde_json::Value;

use crate::arguments::{self, ArgumentLimits, Unread};

/// Deepest nesting of arrays and objects, as `arguments.depth_max` allows by default.
pub(crate) const DEPTH_MAX: usize = 64;

/// Why a text is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// It is no JSON.
    // Without what the parser says and quotes: it may be confidential.
    #[error("text that is no JSON, from line {line} column {column}")]
    NoJson {
        /// Where the parser stops, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
        /// What the parser says.
        said: String,
    },
    /// It nests deeper than the bound.
    #[error("JSON that nests deeper than {DEPTH_MAX} levels")]
    Deep,
    /// A key is there twice.
    #[error("JSON that has a key twice, at `{path}`")]
    Twice {
        /// The place of the second one.
        path: String,
        /// Its line, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
    },
    /// An integer would be rounded.
    #[error("JSON with an integer of more digits than a number holds, which belongs in a string")]
    Digits,
}

/// The value of a text.
///
/// # Errors
/// With what would be lost, or what the text is instead.
pub(crate) fn value(text: &str) -> Result<Value, Loss> {
    let value = keys_once(text, DEPTH_MAX)?;
    if numbers(text).all(is_kept) { Ok(value) } else { Err(Loss::Digits) }
}

/// The value of a text that nests this deep at most, or as deep as the parser goes. Integers may be rounded: [`numbers`] says as what
/// they were written.
///
/// # Errors
/// When a key is there twice, or the text is something else.
pub fn keys_once(text: &str, depth_max: usize) -> Result<Value, Loss> {
    // The text is in memory already, and its size is the caller's to bound.
    let limits = ArgumentLimits {
        bytes_max: usize::MAX,
        depth_max,
        string_bytes_max: usize::MAX,
        values_max: usize::MAX,
    };
    arguments::whole(text, &limits).map_err(|Unread { violation, line, column }| {
        match violation.keyword.as_str() {
            "depth" => Loss::Deep,
            "duplicate" => Loss::Twice { path: violation.path, line, column },
            _ => Loss::NoJson { line, column, said: violation.got },
        }
    })
}

/// Whether a number keeps the digits of its text. With a fraction or an exponent it is a double, as each reader takes it.
fn is_kept(number: &str) -> bool {
    number.contains(['.', 'e', 'E'])
        || number.parse::<i64>().is_ok()
        || number.parse::<u64>().is_ok()
        || number.parse::<f64>().is_ok_and(|n| format!("{n:.0}") == number)
}

/// Whether a number is exactly what a decimal text says, however many zeros that has.
pub(crate) fn is_exactly(text: &str, n: f64) -> bool {
    digits(text).is_some_and(|written| digits(&format!("{n:e}")) == Some(written))
}

/// How many digits a number needs.
pub(crate) fn digits_of(n: f64) -> usize {
    digits(&format!("{n:e}")).map_or(0, |(_, digits, _)| digits.len())
}

/// Sign, digits without zeros around them, and the power of ten behind them.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (true, size),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match size.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (size, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let behind = all.len() - all.trim_end_matches('0').len();
    Some((sign, significant.to_owned(), i64::from(exponent) + behind as i64 - fraction.len() as i64))
}

/// The texts of the numbers in JSON.
pub fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?..];
            if let Some(text) = rest.strip_prefix('"') {
                rest = behind_string(text);
                continue;
            }
            let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
            let (number, behind) = rest.split_at(rest.find(|c| !is_of_number(c)).unwrap_or(rest.len()));
            rest = behind;
            return Some(number);
        }
    })
}

/// What is behind the end of a string.
fn behind_string(mut text: &str) -> &str {
    while let Some(at) = text.find(['"', '\\']) {
        let (ends, behind) = (text.as_bytes().get(at) == Some(&b'"'), text.get(at + 1..).unwrap_or_default());
        if ends {
            return behind;
        }
        // An escaped character may be a quote.
        text = behind.get(behind.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    ""
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_be_lost_is_refused() {
        let refused = |text: &str| value(text).unwrap_err();
        assert_eq!(
            refused("{\"a\":{\"b\":1,\"b\":2}}"),
            Loss::Twice { path: "a.b".to_owned(), line: 1, column: 15 }
        );
        for text in
            ["[18446744073709551617]", "{\"id\":123456789012345678901234567890}", "-9223372036854775809"]
        {
            assert_eq!(refused(text), Loss::Digits, "{text}");
        }
        assert!(matches!(refused("[1"), Loss::NoJson { line: 1, column: 2, .. }));
        assert_eq!(refused(&format!("{}{}", "[".repeat(200), "]".repeat(200))), Loss::Deep);
    }

    #[test]
    fn everything_else_is_read() {
        for text in [
            "18446744073709551615",
            "-9223372036854775808",
            "18446744073709551616",
            "[1e300, 0.10000000000000001, -0, 1E+2]",
            "\"18446744073709551617 \\\" 18446744073709551617\"",
            "{\"18446744073709551617\": \"\\\\\"}",
        ] {
            assert_eq!(value(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        assert_eq!(value("[{}]").unwrap(), json!([{}]));
    }

    #[test]
    fn a_number_is_exactly_its_text_however_it_is_spelled() {
        for (text, n) in
            [("5.10", 5.1), ("0.1", 0.1), ("12.0", 12.0), ("1e3", 1000.0), ("-007", -7.0), ("0.0", 0.0)]
        {
            assert!(is_exactly(text, n), "{text}");
        }
        for text in ["4.0000000000000000001", "8999999999999999.4", "12345678901234567890123", "", "."] {
            assert!(!is_exactly(text, text.parse().unwrap_or(0.0)), "{text}");
        }
        assert_eq!((digits_of(1e300), digits_of(1.844_674_407_370_955_2e19), digits_of(0.0)), (1, 17, 0));
    }
}
