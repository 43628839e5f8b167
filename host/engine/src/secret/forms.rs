//! The spellings in which a service may repeat a value: itself, base64, base64url, hexadecimal.
//!
//! Escapes are not here: any character may be written as one, so the search reads them instead.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Everything to be searched for.
pub(super) fn forms(value: &str) -> BTreeSet<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut forms = BTreeSet::from([bytes.to_vec()]);
    for before in 0..3 {
        forms.insert(core(STANDARD_NO_PAD.encode(shifted(bytes, before)), before, bytes.len()));
        forms.insert(core(URL_SAFE_NO_PAD.encode(shifted(bytes, before)), before, bytes.len()));
    }
    let (lower, upper): (Vec<_>, Vec<_>) =
        bytes.iter().map(|b| (format!("{b:02x}"), format!("{b:02X}"))).unzip();
    for separator in ["", ":"] {
        forms.extend([lower.join(separator).into_bytes(), upper.join(separator).into_bytes()]);
    }
    // As forms encode a space.
    forms.insert(value.replace(' ', "+").into_bytes());
    forms
}

/// The value with other bytes before it, as in `user:VALUE`: base64 looks different at each of three places.
fn shifted(value: &[u8], before: usize) -> Vec<u8> {
    [&[0; 2][..before], value].concat()
}

/// The characters that the value alone decides, whatever is before and after it.
fn core(encoded: String, before: usize, length: usize) -> Vec<u8> {
    // A character stands for 6 bits, a byte for 8.
    let (first, last) = ((before * 8).div_ceil(6), (before + length) * 8 / 6);
    encoded.as_bytes()[first..last].to_vec()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn contains(text: &[u8], value: &str) -> bool {
        forms(value).iter().any(|form| text.windows(form.len()).any(|part| part == form))
    }

    #[test]
    fn each_spelling_is_a_form() {
        let value = "a/b\"c\\d e+fgh";
        for text in [
            value.to_owned(),
            "612f6222635c6420652b666768".to_owned(),
            "612F6222635C6420652B666768".to_owned(),
            "61:2f:62:22:63:5c:64:20:65:2b:66:67:68".to_owned(),
            "61:2F:62:22:63:5C:64:20:65:2B:66:67:68".to_owned(),
            value.replace(' ', "+"),
        ] {
            assert!(contains(text.as_bytes(), value), "{text}");
        }
        assert!(!contains(b"a/b\"c\\d e+fg", value));
    }

    proptest! {
        #[test]
        fn base64_is_found_at_each_place(
            before in proptest::collection::vec(any::<u8>(), 0..7),
            value in "[ -~]{8,40}",
            after in proptest::collection::vec(any::<u8>(), 0..7),
        ) {
            let whole = [&before, value.as_bytes(), &after].concat();
            prop_assert!(contains(STANDARD.encode(&whole).as_bytes(), &value));
            prop_assert!(contains(URL_SAFE_NO_PAD.encode(&whole).as_bytes(), &value));
        }

        #[test]
        fn each_form_is_long_enough_to_mean_something(value in "[ -~]{8,40}") {
            prop_assert!(forms(&value).iter().all(|form| form.len() >= 8));
        }
    }
}
