//! The spellings in which a service may repeat a value: itself, base64, base64url, hexadecimal.
//!
//! Escapes are not here: any character may be written as one, so the search reads them instead. But what is encoded may be a
//! URL, in which the host has escaped the value: the search does not read within base64 and hexadecimal.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Everything to be searched for.
pub(super) fn forms(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([value.as_bytes().to_vec()]);
    forms.extend(encoded(value));
    // As fingerprints are written.
    forms.extend(hexadecimal(value, ":"));
    // As forms encode a space.
    let as_form = value.replace(' ', "+");
    for escaped in escaped(value).iter().chain([&as_form]).filter(|escaped| *escaped != value) {
        forms.extend(encoded(escaped));
    }
    forms.insert(as_form.into_bytes());
    forms
}

/// A text in base64, at each of three places, and in hexadecimal.
fn encoded(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let bytes = text.as_bytes();
    let base64 = (0..3).flat_map(|before| {
        let shifted = shifted(bytes, before);
        let both = [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)];
        both.map(|text| core(text, before, bytes.len()))
    });
    base64.chain(hexadecimal(text, ""))
}

fn hexadecimal(text: &str, separator: &str) -> [Vec<u8>; 2] {
    let (lower, upper): (Vec<_>, Vec<_>) =
        text.bytes().map(|b| (format!("{b:02x}"), format!("{b:02X}"))).unzip();
    [lower, upper].map(|digits| digits.join(separator).into_bytes())
}

/// The value as it is in a URL: as the host writes it there, with digits of either case, and as services do that leave out
/// what may stand in a query, too.
fn escaped(value: &str) -> Vec<String> {
    let escapes = |is_plain: fn(u8) -> bool, is_upper: bool| {
        let byte = |byte: u8| match (is_plain(byte), is_upper) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        };
        value.bytes().map(byte).collect::<String>()
    };
    // As `form_urlencoded` does it, and with what RFC 3986 lets stand in a query.
    let own: fn(u8) -> bool = |b| b.is_ascii_alphanumeric() || b"*-._".contains(&b);
    let query: fn(u8) -> bool = |b| b.is_ascii_alphanumeric() || b"-._~!$'()*,;:@/?".contains(&b);
    vec![escapes(own, true), escapes(own, false), escapes(query, true), escapes(query, false)]
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

    #[test]
    fn what_a_url_has_of_it_is_found_encoded() {
        let value = "0123456789/+x=y z";
        for url in [
            "/e?a=1&key=0123456789%2F%2Bx%3Dy%20z&b",
            "/e?key=0123456789%2f%2bx%3dy%20z",
            "/e?key=0123456789/%2Bx%3Dy%20z",
            "/e?key=0123456789/+x=y+z",
        ] {
            for before in ["", "x", "xy"] {
                let url = format!("{before}{url}");
                let hex: String = url.bytes().map(|b| format!("{b:02x}")).collect();
                for text in [STANDARD.encode(&url), URL_SAFE_NO_PAD.encode(&url), hex.to_uppercase(), hex] {
                    assert!(contains(text.as_bytes(), value), "{url}: {text}");
                }
            }
        }
        assert!(!contains(STANDARD.encode("/e?key=0123456789%2F%2Bx%3Dy%20").as_bytes(), value));
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
