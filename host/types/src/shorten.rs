//! Cuts text from outside. [`crate::text`] cleans it.

pub use crate::text::{clean, clean_lines, visible_json};

/// The first characters, up to a maximum. The last one is an ellipsis if the text was cut.
pub fn shorten(text: &str, chars_max: usize) -> String {
    // Finds out without counting the characters of a long text to its end.
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Two texts, each cut to a maximum of characters, so that the first place at which they differ is in both.
pub fn apart(one: &str, other: &str, chars_max: usize) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    // What they have in common is cut where the difference would be lost.
    let skipped = if same + chars_max / 2 > chars_max { same.saturating_sub(chars_max / 4) } else { 0 };
    let side = |text: &str| match skipped {
        0 => shorten(text, chars_max),
        _ => format!(
            "…{}",
            shorten(&text.chars().skip(skipped).collect::<String>(), chars_max.saturating_sub(1))
        ),
    };
    (side(one), side(other))
}

/// At most `bytes_max` bytes, cut at a character boundary. Ends in an ellipsis if the text was cut and one fits.
pub fn clip(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8()));
    let mark = if bytes_max >= '…'.len_utf8() { "…" } else { "" };
    format!("{}{mark}", &text[..end])
}

/// Cleans every string of a value that is shown and not computed with; lines are kept.
pub fn clean_strings(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = clean_lines(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(clean_strings),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(clean_strings),
        _ => {}
    }
}

/// Whether a value has at most this many bytes as JSON. Serializing stops at the bound.
pub fn is_within(value: &serde_json::Value, bytes_max: usize) -> bool {
    // Nothing is stored, so a large value costs at most `bytes_max` bytes of writing and no memory.
    serde_json::to_writer(Remaining(bytes_max), value).is_ok()
}

/// A writer that counts down, and fails when no bytes are left.
struct Remaining(usize);

impl std::io::Write for Remaining {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.0.checked_sub(bytes.len());
        // Any error stops serde_json; only the fact that there is one is used.
        self.0 = left.ok_or(std::io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_texts_are_cut_so_that_their_difference_is_left() {
        let (was, is) = (format!("{}1 and more", "a".repeat(500)), format!("{}2 and more", "a".repeat(500)));
        let (was, is) = apart(&was, &is, 40);
        assert_eq!((was.as_str(), is.as_str()), ("…aaaaaaaaaa1 and more", "…aaaaaaaaaa2 and more"));
        assert_eq!(apart("one", "two", 40), ("one".to_owned(), "two".to_owned()));
        let (short, long) = apart("", &"b".repeat(90), 40);
        assert_eq!((short.as_str(), long.chars().count()), ("", 40));
    }

    proptest! {
        #[test]
        fn what_differs_differs_after_the_cut(one in ".{0,90}", other in ".{0,90}") {
            let (was, is) = apart(&one, &other, 30);
            prop_assert!(was.chars().count() <= 30 && is.chars().count() <= 30);
            prop_assert_eq!(one == other, was == is);
        }

        #[test]
        fn cuts_within_bounds(text in "\\PC{0,80}", max in 0_usize..40) {
            prop_assert!(clip(&text, max).len() <= max);
            prop_assert!(shorten(&text, max.max(1)).chars().count() <= max.max(1));
        }

        #[test]
        fn measures_json_without_writing_it(text in any::<String>(), max in 0_usize..200) {
            let value = serde_json::json!([text, 1.5, null]);
            prop_assert_eq!(is_within(&value, max), value.to_string().len() <= max);
        }
    }
}
