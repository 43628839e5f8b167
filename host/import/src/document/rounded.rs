//! Integers of a document that are not read as they are written.
//!
//! Owns which those are: a number of JSON has no bounds, what it is read as has 64 bits or is a double.

use std::collections::BTreeMap;

use serde_json::Value;

use airlock_types::words::one_line;

/// Characters of an integer that are shown.
const DIGITS_MAX: usize = 60;

/// Integers of more than 64 bits by the bits of the double that each is read as, as they are written. Of two that are the same
/// double, the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounded(BTreeMap<u64, String>);

impl Rounded {
    /// Adds a number as it is written, if it is an integer that is rounded. Any other text is none.
    pub(super) fn add(&mut self, written: &str) {
        let digits = written.strip_prefix('-').unwrap_or(written);
        // What has fewer digits fits into 64 bits.
        let is_large = digits.len() >= 19 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_large || written.parse::<u64>().is_ok() || written.parse::<i64>().is_ok() {
            return;
        }
        let Ok(read) = written.parse::<f64>() else { return };
        if read.is_finite() && format!("{read:.0}") != written {
            self.0.entry(read.to_bits()).or_insert_with(|| one_line(written, DIGITS_MAX));
        }
    }

    /// The integer that this value was in the document, if it is read or kept as another one.
    pub(crate) fn of(&self, value: &Value) -> Option<&str> {
        self.0.get(&value.as_f64().filter(|_| value.is_f64())?.to_bits()).map(String::as_str)
    }
}

/// Whether a contract keeps this number as another one: its integers have 64 bits with a sign, and what is larger is a double.
pub(crate) fn is_rounded_in_toml(value: &Value) -> bool {
    let Some(integer) = value.as_u64().filter(|integer| i64::try_from(*integer).is_err()) else {
        return false;
    };
    value.as_f64().is_some_and(|double| format!("{double:.0}") != integer.to_string())
}
