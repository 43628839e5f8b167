//! Headers of requests that decide what a call does.
//!
//! Owns what becomes of one that comes twice or is no text. Must not know what a header means.

use http::HeaderMap;

/// The value of a header. What comes twice, or is no text, is empty: no value is, so that it is refused and not left out.
pub(crate) fn only(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    let value = first.to_str().ok().filter(|_| all.next().is_none());
    Some(value.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::FROM;

    use super::*;

    #[test]
    fn what_is_not_one_text_is_empty() {
        let of = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FROM, HeaderValue::from_bytes(value).unwrap());
            }
            only(&headers, "from")
        };
        assert_eq!((of(&[]), of(&[b"a"])), (None, Some("a".to_owned())));
        assert_eq!((of(&[b"a", b"a"]), of(&[b"\xff"])), (Some(String::new()), Some(String::new())));
    }
}
