//! Makes a text for a simple pattern: a sequence of characters and classes, each with a count.
//!
//! Owns that small grammar. For groups and alternatives it returns no text.

/// Largest repetition that is written out. A pattern that demands more gets no text.
const COUNT_MAX: usize = 100;

/// A text that should match the pattern. The caller verifies it.
pub(super) fn matching(pattern: &str) -> Option<String> {
    let body = pattern.strip_prefix('^').unwrap_or(pattern);
    let mut rest = body.strip_suffix('$').unwrap_or(body);
    let mut out = String::new();
    while !rest.is_empty() {
        let (sample, after) = atom(rest)?;
        let (count, after) = count(after)?;
        out.extend(std::iter::repeat_n(sample, count));
        rest = after;
    }
    Some(out)
}

/// A character that the first atom of the pattern matches, and the rest of the pattern.
fn atom(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    match chars.next()? {
        '\\' => Some((escaped(chars.next()?)?, chars.as_str())),
        '[' => {
            let (class, after) = chars.as_str().split_once(']')?;
            // Negated classes, escapes and nested classes have no first character that is sure to match.
            let plain = !class.contains(['\\', '[']) && !class.starts_with('^');
            class.chars().next().filter(|_| plain).map(|first| (first, after))
        }
        '.' => Some(('a', chars.as_str())),
        '(' | ')' | '|' | '*' | '+' | '?' | '{' | '^' | '$' => None,
        plain => Some((plain, chars.as_str())),
    }
}

/// A character that an escape matches. `None` for escapes such as `\b` and `\p`, which stand for no single known
/// character.
fn escaped(c: char) -> Option<char> {
    match c {
        'd' => Some('0'),
        'w' => Some('a'),
        's' => Some(' '),
        c if !c.is_alphanumeric() => Some(c),
        _ => None,
    }
}

/// The smallest count that the quantifier allows.
fn count(text: &str) -> Option<(usize, &str)> {
    match text.chars().next() {
        Some('*' | '?') => Some((0, &text[1..])),
        Some('+') => Some((1, &text[1..])),
        Some('{') => {
            let (range, after) = text[1..].split_once('}')?;
            let least = range.split(',').next()?.parse().ok().filter(|least| *least <= COUNT_MAX)?;
            Some((least, after))
        }
        _ => Some((1, text)),
    }
}
