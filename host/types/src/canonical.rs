//! Canonical JSON (RFC 8785) of what `lift` makes.
//!
//! Owns how a number is written. A library for any JSON has to gather and sort each object first; `lift` gives less
//! to do: its keys are ASCII, so that a map holds them in order already, and its integers are exact in a double. That
//! both come to the same is a law in `laws.rs`. Must not know types.

use std::io;

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// Numbers as ECMAScript writes them.
struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

/// The text of a lifted value.
pub fn text(lifted: &Value) -> Option<String> {
    let mut text = Vec::with_capacity(128);
    lifted.serialize(&mut Serializer::with_formatter(&mut text, Canonical)).ok()?;
    String::from_utf8(text).ok()
}
