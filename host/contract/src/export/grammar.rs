//! What llama.cpp accepts in a schema that it converts to a grammar.
//!
//! Owns its bounds. One keyword that it refuses makes it refuse the request with all tools.

use serde_json::Value;

/// Repetitions from which on a bound moves into the description. llama.cpp's parser (`src/llama-grammar.cpp`) refuses a
/// repetition whose count times the rules inside it reaches 2,000. A list's item is one rule, and the list itself is
/// another, so half of it fits.
const REPEATED: u64 = 1000;

/// Whether llama.cpp accepts the keyword with this value. Keywords that have no such bound are accepted.
pub(super) fn takes(keyword: &str, value: &Value) -> bool {
    match keyword {
        "maxItems" | "maxLength" | "minItems" | "minLength" => value.as_u64().is_some_and(|n| n < REPEATED),
        // It reads them as signed 64-bit integers: the largest `u64` would become -1.
        "exclusiveMaximum" | "exclusiveMinimum" | "maximum" | "minimum" => value.is_f64() || value.is_i64(),
        "pattern" => value.as_str().is_some_and(converts),
        _ => true,
    }
}

/// Whether a pattern is one that llama.cpp converts: from `^` to `$`, without escapes and without groups of other kinds.
/// It reads other patterns differently, or refuses them.
fn converts(pattern: &str) -> bool {
    let inner = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
    inner.is_some_and(|inner| {
        // A choice on the top level is one between `^a` and `b$`; llama.cpp reads it within both.
        let is_choice = inner.contains('|') && !inner.contains('(');
        !is_choice && !inner.contains(['\\', '^', '$']) && !inner.contains("(?") && repeats(inner) < REPEATED
    })
}

/// The product of all repetition counts: groups may be nested, and counts then multiply.
fn repeats(pattern: &str) -> u64 {
    let bounds = pattern.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let most = |bounds: &str| bounds.split(',').filter_map(|n| n.parse::<u64>().ok()).max().unwrap_or(1);
    bounds.map(most).fold(1, |product: u64, n| product.saturating_mul(n.max(1)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refuses_what_would_repeat_too_often() {
        for keyword in ["maxItems", "maxLength", "minItems", "minLength"] {
            assert!(takes(keyword, &json!(999)) && !takes(keyword, &json!(1000)), "{keyword}");
        }
        assert!(takes("pattern", &json!("^[a-z]{2,999}$")) && !takes("pattern", &json!("^[a-z]{2,1000}$")));
        assert!(!takes("pattern", &json!("^([a-z]{50}-){50}$")));
    }

    #[test]
    fn refuses_bounds_beyond_signed_integers() {
        assert!(takes("maximum", &json!(i64::MAX)) && takes("minimum", &json!(0.5)));
        assert!(!takes("maximum", &json!(u64::MAX)));
    }

    #[test]
    fn takes_only_plain_patterns() {
        let plain = ["^[A-Z]+$", "^-?(0|[1-9][0-9]{0,18})$"];
        let other = ["[A-Z]+", "^a|b", r"^\\d+$", "^(?:a|b)$", "^[^a]$", "^(a$|b)$"];
        assert!(
            plain.iter().all(|pattern| converts(pattern)) && !other.iter().any(|pattern| converts(pattern))
        );
    }
}
