//! Canonical JSON (RFC 8785) of values from `lift`.
//!
//! Owns how a number is written. A general library has to collect and sort the members of each object first. Values
//! from `lift` need neither: their keys are ASCII, which a map already sorts correctly, and their integers are exact in
//! a double. A property test in `laws.rs` checks that both give the same text. Must not know types.

use std::io;

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

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
