//! Paths: whether a request's path lies below a granted one, however a server behind it may read it.
//!
//! The path is sent as the guest wrote it. Servers and proxies differ in what they decode, how often, whether they merge
//! empty segments, and whether parameters (`;a=b`) are part of a segment. So a path must lie below the granted one in
//! each of these readings, and what has no agreed reading is denied.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most rounds of percent-decoding. A path that is still encoded after them is denied: none of use is.
const DECODINGS_MAX: usize = 4;

/// The first segments of the paths that a request or a grant means: `/` for all, `/v1/quotes` for itself and all below.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPrefix(Vec<String>);

/// Text that is not a path of a request or a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a path: write its segments decoded, such as `/v1/quotes`, without a query, `.`, `..`, `;` or empty segments"
)]
pub struct NotAPath(String);

impl TryFrom<String> for PathPrefix {
    type Error = NotAPath;

    fn try_from(text: String) -> Result<PathPrefix, NotAPath> {
        let Some(rest) = text.strip_prefix('/') else { return Err(NotAPath(text)) };
        // `/v1/` and `/v1` are the same place.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            // `//` has an empty segment.
            return if text.len() == 1 { Ok(PathPrefix::default()) } else { Err(NotAPath(text)) };
        }
        if rest.split('/').all(is_plain) {
            Ok(PathPrefix(rest.split('/').map(str::to_owned).collect()))
        } else {
            Err(NotAPath(text))
        }
    }
}

/// Whether a segment has one reading.
fn is_plain(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && !segment.contains(|c: char| c.is_control() || "%?#;\\".contains(c))
}

impl From<PathPrefix> for String {
    fn from(path: PathPrefix) -> String {
        path.to_string()
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

impl PathPrefix {
    /// ∩: the one of the two that lies below the other.
    pub(super) fn longer<'a>(&'a self, other: &'a PathPrefix) -> Option<&'a PathPrefix> {
        if self.0.starts_with(&other.0) { Some(self) } else { other.0.starts_with(&self.0).then_some(other) }
    }

    /// The segments that both begin with.
    #[must_use]
    pub fn common(&self, other: &PathPrefix) -> PathPrefix {
        let pairs = self.0.iter().zip(&other.0).take_while(|(own, other)| own == other);
        PathPrefix(pairs.map(|(own, _)| own.clone()).collect())
    }

    /// The longest prefix that admits the path of a request: its plain segments up to the first one that no prefix can
    /// name. For a path that no other prefix admits it is `/`.
    pub fn longest(path: &str) -> PathPrefix {
        let mut longest = PathPrefix::plain(path);
        while !longest.admits(path) {
            longest.0.pop();
        }
        longest
    }

    /// The plain segments that a path begins with.
    fn plain(path: &str) -> PathPrefix {
        let segments = path.split('/').skip(1).take_while(|segment| is_plain(segment));
        PathPrefix(segments.map(str::to_owned).collect())
    }

    /// The prefix to be granted for the path of a request. `None` for a path that servers read differently: a wider
    /// prefix may admit it, and should not be granted for that.
    pub(super) fn to_grant(path: &str) -> Option<PathPrefix> {
        let longest = PathPrefix::plain(path);
        // `/` admits whatever it is, so the path is judged below a segment that it does not have.
        let admits = match longest.0.is_empty() {
            true => PathPrefix(vec!["_".to_owned()]).admits(&format!("/_{path}")),
            false => longest.admits(path),
        };
        admits.then_some(longest)
    }

    /// Whether the path of a request, as it is sent and without the query, lies at or below this one in every reading.
    pub fn admits(&self, path: &str) -> bool {
        // No reading leaves the whole host.
        if self.0.is_empty() {
            return true;
        }
        let mut text = path.to_owned();
        for round in 0..=DECODINGS_MAX {
            // Only what was sent has to be well-formed: `100%25` is decoded to `100%`, which is the end.
            let decode = if round == 0 { decode_strictly } else { decode };
            // A server that decodes first may read the rest after `?` or `#` as no part of the path.
            let cut = text.find(['?', '#']).map_or(text.as_str(), |end| &text[..end]);
            if !self.is_above(&text, decode) || !self.is_above(cut, decode) {
                return false;
            }
            match decode(&text) {
                None => return false,
                Some(decoded) if decoded == text => return true,
                Some(decoded) => text = decoded,
            }
        }
        false
    }

    /// Whether the path lies at or below this one, with and without empty segments and parameters. Segments are decoded
    /// after they were split: `/v1%2Fx` is one segment here, and two in the next round.
    fn is_above(&self, text: &str, decode: Decode) -> bool {
        let Some(segments) = text.split(['/', '\\']).map(decode).collect::<Option<Vec<String>>>() else {
            return false;
        };
        let bare = |segment: &String| segment.split(';').next().unwrap_or_default().to_owned();
        let readings = [segments.clone(), segments.iter().map(bare).collect()];
        readings.iter().all(|segments| {
            self.holds(segments.iter().skip(1)) && self.holds(segments.iter().filter(|one| !one.is_empty()))
        })
    }

    /// Whether these segments begin with its own, as they stand and once dot segments are removed: the path is sent with
    /// them, and some servers compare it as it is.
    fn holds<'s>(&self, segments: impl Iterator<Item = &'s String> + Clone) -> bool {
        if !segments.clone().take(self.0.len()).eq(&self.0) {
            return false;
        }
        let mut kept: Vec<&str> = Vec::new();
        for segment in segments {
            match segment.as_str() {
                "." => {}
                ".." => drop(kept.pop()),
                other => kept.push(other),
            }
        }
        kept.len() >= self.0.len() && self.0.iter().zip(kept).all(|(own, kept)| own == kept)
    }
}

/// One round of percent-decoding. `None` for what servers disagree on.
type Decode = fn(&str) -> Option<String>;

/// The byte of an escape, from what stands behind its `%`, and the rest.
fn escape(part: &str) -> Option<(u8, &str)> {
    let hex = part.get(..2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u8::from_str_radix(hex, 16).ok()?, &part[2..]))
}

/// Refuses an incomplete escape.
fn decode_strictly(text: &str) -> Option<String> {
    text.split('%').skip(1).all(|part| escape(part).is_some()).then(|| decode(text)).flatten()
}

/// Keeps an incomplete escape as it is. Refuses `%u002e`, which some servers decode, control characters, and bytes that
/// are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        if part.starts_with(['u', 'U']) {
            return None;
        }
        let (byte, rest) = escape(part).unwrap_or((b'%', part));
        decoded.push(byte);
        decoded.extend(rest.as_bytes());
    }
    String::from_utf8(decoded).ok().filter(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> PathPrefix {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn a_path_at_or_below_the_granted_one_is_admitted() {
        let data = prefix("/v1/data/");
        for path in [
            "/v1/data",
            "/v1/data/",
            "/v1/data/x/y",
            "/v1/data/./x/../y",
            "/%76%31/d%61ta/x",
            "/v1/data/a%20b",
            "/v1/data/%C3%A4",
            "/v1/data/100%2525",
            "/v1/data/a;b=c",
            "/v1/data//x",
            "/v1/data/x/..",
            "/v1/data/...",
            "/v1/data/..x",
        ] {
            assert!(data.admits(path), "{path}");
        }
        assert!(prefix("/").admits("/../%zz//"));
    }

    #[test]
    fn no_spelling_leaves_the_granted_path() {
        let data = prefix("/v1/data");
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/database",
            "/v1/data.json",
            "/v1/DATA/x",
            "/v2/v1/data",
            "/v1/./data/x",
            "/./v1/data",
            "/v1/x/../data/y",
            "/v1/x/%2e%2e/data/y",
            "/v1/x%2f..%2fdata/y",
            "/v1/data/..",
            "/v1/data/../admin",
            "/v1/data/x/../../admin",
            "/v1/data/%2e%2e/admin",
            "/v1/data/.%2E/admin",
            "/v1/data/%2e%2e%2fadmin",
            "/v1/data/..%2fadmin",
            "/v1/data/..\\admin",
            "/v1/data\\..\\admin",
            "/v1/data/..%5cadmin",
            "/v1/data/%252e%252e/admin",
            "/v1/data/%252e%252e%252fadmin",
            "/v1/data/%25252e%25252e/admin",
            "/v1/data/%2525252525252e",
            "/v1/data/..;/admin",
            "/v1/data/..;x=y/admin",
            "/v1/data/..%3bx/admin",
            "/v1/data/..%3Fx",
            "/v1/data/..%23x",
            "/v1/data/x//../../../admin",
            "/v1/data/x//../../y",
            "/v1//data",
            "//v1/data",
            "/v1%2Fdata",
            "/v1/data%2F..%2Fadmin",
            "/v1/data%00/../x",
            "/v1/data/%c0%ae%c0%ae/admin",
            "/v1/data/%u002e%u002e/admin",
            "/v1/data/%",
            "/v1/data/%2",
            "/v1/data/%zz",
            "/v1/x/..;a/data",
            "/v1;/data",
            "*",
            "http://evil.example/v1/data",
        ] {
            assert!(!data.admits(path), "{path}");
        }
    }

    #[test]
    fn no_prefix_is_to_be_granted_for_a_path_with_several_readings() {
        for (path, expect) in [
            ("/v1/data/x", Some("/v1/data/x")),
            ("/v1/data/a%20b/c", Some("/v1/data")),
            ("/%C3%A4/x", Some("/")),
            ("/", Some("/")),
            ("/v1/data/", Some("/v1/data")),
            ("/v1/./data", Some("/v1")),
            ("/v1/data/../x", None),
            ("/v1/data/%zz", None),
            ("/v1/data/..%2fb", None),
            ("/v1/data/%2e%2e/b", None),
            ("/%zz", None),
            ("/../x", None),
            ("/%2e%2e/x", None),
        ] {
            assert_eq!(PathPrefix::to_grant(path).map(|one| one.to_string()).as_deref(), expect, "{path}");
        }
    }

    #[test]
    fn a_path_that_cannot_match_is_refused() {
        for text in [
            "", "v1", "//", "/v1//x", "/v1/../x", "/./v1", "/a%20b", "/a?b", "/a#b", "/a\\b", "/a;b", "/a\nb",
        ] {
            assert!(PathPrefix::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert_eq!((prefix("/").to_string(), prefix("/v1/").to_string()), ("/".into(), "/v1".into()));
    }
}
