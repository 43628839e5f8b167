//! Canonical JSON (RFC 8785): of any value for a digest, and of values from `lift` for each call.
//!
//! Owns how a number is written on the way of a call. A general library has to collect and sort the members of each object first. Values
//! from `lift` need neither: their keys are ASCII, which a map already sorts correctly, and their integers are exact in
//! a double. A property test in `laws.rs` checks that both give the same text. Must not know types.

use std::io;

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use crate::digest::sha256;

/// Numbers as ECMAScript writes them.
struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // RFC 8785, section 3.2.2.3, takes numbers from ECMAScript, and `ryu_js` writes those. `format_finite`
        // suffices: a JSON number is never infinite or NaN.
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

/// The text of a lifted value.
pub fn text(lifted: &Value) -> Option<String> {
    let mut text = Vec::with_capacity(128);
    lifted.serialize(&mut Serializer::with_formatter(&mut text, Canonical)).ok()?;
    String::from_utf8(text).ok()
}

/// The text of any value.
pub fn of(value: &Value) -> String {
    // A tree has only finite numbers and keys that are texts, so it can always be written. Its own text stands in, rather
    // than nothing, which would be the same for all.
    serde_json_canonicalizer::to_string(value).unwrap_or_else(|_| value.to_string())
}

/// SHA-256 of the canonical text of a value, in hex. The same for two values exactly if they are the same JSON.
pub fn digest(value: &Value) -> String {
    sha256(of(value).as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_does_not_depend_on_the_order_or_the_form_of_numbers() {
        let one: Value = serde_json::from_str(r#"{"b": 1.0, "a": [1e2, "\u00e9"]}"#).unwrap();
        assert_eq!(digest(&one), digest(&json!({"a": [100, "é"], "b": 1})));
        assert_ne!(digest(&one), digest(&json!({"a": [100, "e"], "b": 1})));
        assert_eq!(digest(&json!({"a": 1})), sha256(br#"{"a":1}"#));
    }
}
