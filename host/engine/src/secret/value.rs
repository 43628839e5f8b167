//! Which values a secret may have.

use zeroize::{Zeroize as _, Zeroizing};

/// Shortest value. A shorter text is in ordinary answers by chance, and each would end an attempt.
const BYTES_MIN: usize = 8;

/// Longest value. Servers accept headers of about 8 KiB, all of them together.
const BYTES_MAX: usize = 4 << 10;

/// Why a value is not accepted. Says nothing that is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// There is none.
    #[error("its value is empty")]
    Empty,
    /// Shorter than what can be searched for.
    #[error("its value has fewer than {BYTES_MIN} characters, which would be found in ordinary answers")]
    Short,
    /// Longer than a header may be.
    #[error("its value has more than {BYTES_MAX} characters")]
    Long,
    /// Not what a header can carry.
    #[error(
        "its value has a character that a header cannot carry: only printable ASCII is accepted, without line breaks \
         (one at the end of a file is not part of the value) and without spaces at its ends"
    )]
    Character,
}

/// A value that can be added to requests.
///
/// # Errors
/// When it is too short, too long, or not printable ASCII.
pub fn value(bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, ValueError> {
    let is_text = bytes.iter().all(|b| *b == b' ' || b.is_ascii_graphic());
    match bytes.len() {
        0 => Err(ValueError::Empty),
        _ if !is_text || bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ') => {
            Err(ValueError::Character)
        }
        length if length < BYTES_MIN => Err(ValueError::Short),
        length if length > BYTES_MAX => Err(ValueError::Long),
        _ => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(ValueError::Character)
            }
        },
    }
}

/// Removes one line end, which editors and `echo` add. A second one is part of the value, and refused with it.
pub fn without_line_end(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let kept =
        bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).map_or(bytes.len(), <[u8]>::len);
    bytes.truncate(kept);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, expect: Result<&str, ValueError>) {
        let read = value(without_line_end(Zeroizing::new(file.as_bytes().to_vec())));
        assert_eq!(read.as_ref().map(|text| text.as_str()), expect.as_ref().copied(), "{file:?}");
    }

    #[test]
    fn one_line_end_of_a_file_is_not_part_of_the_value() {
        for file in ["0123456789", "0123456789\n", "0123456789\r\n"] {
            check(file, Ok("0123456789"));
        }
        for file in ["0123456789\n\n", "0123456789\n\r\n", "0123456789\r", "\n0123456789", "01234\n56789"] {
            check(file, Err(ValueError::Character));
        }
        check("01234 56789\n", Ok("01234 56789"));
    }

    #[test]
    fn what_a_header_cannot_carry_or_a_search_would_find_everywhere_is_refused() {
        for file in ["", "\n"] {
            check(file, Err(ValueError::Empty));
        }
        for file in [
            "0123456789\u{0}",
            "0123456789ä",
            "0123\t456789",
            " 0123456789",
            "0123456789 ",
            "\u{7f}0123456789",
        ] {
            check(file, Err(ValueError::Character));
        }
        check("1234567", Err(ValueError::Short));
        check("12345678", Ok("12345678"));
        check(&"x".repeat(4096), Ok(&"x".repeat(4096)));
        check(&"x".repeat(4097), Err(ValueError::Long));
    }
}
