//! Doc comments of parameters, from the text before their names: the parser drops them.
//!
//! Follows the parser's rule for fields: every doc comment between the preceding token and the name belongs to the name.

/// The doc comment that ends a text. `None` when there is none.
pub(super) fn before(text: &str) -> Option<String> {
    // A name that is also a keyword has a `%` before it.
    let mut rest = text.trim_end_matches('%').trim_end();
    // From the last line to the first.
    let mut lines = Vec::new();
    while let Some((start, comment)) = last(rest) {
        if let Some(line) = comment.strip_prefix("///") {
            lines.push(line.trim_start_matches('/').trim());
        } else if let Some(block) = comment.strip_prefix("/**").and_then(|rest| rest.strip_suffix("*/")) {
            lines.extend(block.lines().rev().map(|line| line.trim().trim_start_matches('*').trim()));
        }
        rest = rest[..start].trim_end();
    }
    lines.reverse();
    let joined = lines.join("\n").trim().to_owned();
    (!joined.is_empty()).then_some(joined)
}

/// The comment at the end of a text, of any kind, with its place.
fn last(text: &str) -> Option<(usize, &str)> {
    let line_start = text.rfind('\n').map_or(0, |at| at + 1);
    let in_line = text[line_start..].find("//").map(|at| line_start + at);
    let in_block = text.strip_suffix("*/").and_then(|body| {
        let start = body.rfind("/*")?;
        (!body[start..].contains("*/")).then_some(start)
    });
    // Whichever begins first: the other one is a part of its text.
    let start = match (in_line, in_block) {
        (Some(line), Some(block)) => line.min(block),
        (line, block) => line.or(block)?,
    };
    Some((start, &text[start..]))
}

#[cfg(test)]
mod tests {
    use super::before;

    #[test]
    fn comments_before_a_name_are_its_own() {
        let cases = [
            ("/// Of the function.\nexport f: func(", None),
            ("f: func(\n    /// One.\n    /// Two.\n    ", Some("One.\nTwo.")),
            ("f: func(\r\n  /// One.\r\n  ///\r\n  /// Two.\r\n  %", Some("One.\n\nTwo.")),
            ("f: func(/// One.\n", Some("One.")),
            ("f: func(/** One. */ ", Some("One.")),
            ("f: func(\n/**\n * One, see http://a.b\n * Two. */\n", Some("One, see http://a.b\nTwo.")),
            ("f: func(/** See http://a.b. */ ", Some("See http://a.b.")),
            ("f: func(/** See\n * http://a.b */ ", Some("See\nhttp://a.b")),
            ("f: func(/** One. */ /// Two, with /* and */\n", Some("One.\nTwo, with /* and */")),
            ("/// One.\na: u32, ", None),
            ("a: u32,\n// Not for readers.\n/* Neither. */\n", None),
            ("a: u32,\n/// One.\n// Not for readers.\n", Some("One.")),
            ("", None),
        ];
        for (text, comment) in cases {
            assert_eq!(before(text).as_deref(), comment, "{text:?}");
        }
    }
}
