//! Regular expressions of contracts, within a bound on what they are compiled to.
//!
//! Owns the bound. A pattern of ten bytes can ask for megabytes. Must not know where a pattern stands.

use jsonschema::PatternOptions;
use regex::{Regex, RegexBuilder};

/// Bytes of a compiled pattern. A class of Unicode letters, repeated a hundred times, is near it. How long a match may
/// take is bounded by [`foreign`](super::foreign).
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern.
///
/// # Errors
/// When it does not parse, or is too large.
pub(super) fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build()
}

/// How validators of schemas compile patterns: in linear time, within the bound.
pub(super) fn options() -> PatternOptions<jsonschema::Regex> {
    PatternOptions::regex().size_limit(PATTERN_BYTES_MAX)
}
