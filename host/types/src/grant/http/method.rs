//! Methods, and which of them only read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Longest name of a method. The longest registered one has 17 characters.
const NAME_BYTES_MAX: usize = 32;

/// A method of a request or a grant, as it is sent: methods are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method(String);

/// Text that cannot be granted as a method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMethod {
    /// Not in the form of a method.
    #[error("`{0}` is not a method: write it in capital letters, such as `GET` or `POST`")]
    Form(String),
    /// It opens a tunnel, or has the request sent back with what the host added to it.
    #[error("`{0}` cannot be granted: it reaches past what a grant describes")]
    Ungrantable(String),
}

impl TryFrom<String> for Method {
    type Error = NotAMethod;

    fn try_from(text: String) -> Result<Method, NotAMethod> {
        let is_valid = |b: u8| b.is_ascii_uppercase() || b == b'-';
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_valid) {
            return Err(NotAMethod::Form(text));
        }
        if matches!(text.as_str(), "CONNECT" | "TRACE") {
            return Err(NotAMethod::Ungrantable(text));
        }
        Ok(Method(text))
    }
}

impl From<Method> for String {
    fn from(method: Method) -> String {
        method.0
    }
}

impl Method {
    /// The name as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it changes nothing at the host. RFC 9110 calls such methods safe.
    pub fn reads(&self) -> bool {
        reads(&self.0)
    }
}

/// Whether a method changes nothing at the host.
pub fn reads(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// The methods of a request or a grant that names none.
pub fn reading() -> BTreeSet<Method> {
    ["GET", "HEAD"].map(|name| Method(name.to_owned())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_in_capital_letters_and_open_no_tunnel() {
        for text in ["get", "Get", "", "GET ", "G\u{0}T", "CONNECT", "TRACE", &"A".repeat(33)] {
            assert!(Method::try_from(text.to_owned()).is_err(), "{text}");
        }
        for (text, reads) in [("GET", true), ("OPTIONS", true), ("POST", false), ("M-SEARCH", false)] {
            assert_eq!(Method::try_from(text.to_owned()).unwrap().reads(), reads, "{text}");
        }
    }
}
