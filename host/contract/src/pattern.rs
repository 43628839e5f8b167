//! Regular expressions of contracts, with a bound on their compiled size.
//!
//! Owns the bound: a pattern of ten bytes can compile to megabytes. Must not know where a pattern is used.

use jsonschema::PatternOptions;
use regex::{Regex, RegexBuilder};

/// Largest size of a compiled pattern in bytes. A class of Unicode letters, repeated a hundred times, is near
/// it. The time of a match is bounded by [`foreign`](super::foreign).
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern.
///
/// # Errors
/// When it does not parse, or is too large.
pub(super) fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build()
}

/// The same engine and bound for the patterns of schemas. jsonschema's default engine is `fancy-regex`, which
/// can backtrack; `regex` matches in linear time.
pub(super) fn options() -> PatternOptions<jsonschema::Regex> {
    PatternOptions::regex().size_limit(PATTERN_BYTES_MAX)
}
