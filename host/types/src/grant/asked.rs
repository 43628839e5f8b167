//! One use of a capability, in the form that grants are compared with and that records keep.
//!
//! Owns its text, which reads back as the same use: `GET https://api.example.com/v1`, `read-write /data`.

use core::net::IpAddr;
use std::fmt;

use super::http::Target;
use super::{Access, clock, files, http, keyvalue, random, values};

/// One use of a capability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// A request to another host, and the address that it would go to, once that is known.
    Http(Target, Option<IpAddr>),
    /// Something beneath a folder, by the guest's path of it.
    Files(Access, String),
    /// A bucket.
    Keyvalue(String),
    /// A value of the operator, by its key.
    Config(String),
    /// A variable, by its name.
    Env(String),
    /// A clock.
    Clock,
    /// Random bytes.
    Random,
    /// A capability of the embedding program, by its name.
    Custom(String),
}

/// Text that is not a use of a capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{what}` is no use of `{capability}`: write {form}")]
pub struct NotAsked {
    capability: String,
    what: String,
    form: &'static str,
}

impl Asked {
    /// The name of the capability.
    pub fn capability(&self) -> &str {
        match self {
            Asked::Http(..) => http::NAME,
            Asked::Files(..) => files::NAME,
            Asked::Keyvalue(_) => keyvalue::NAME,
            Asked::Config(_) => values::CONFIG,
            Asked::Env(_) => values::ENV,
            Asked::Clock => clock::NAME,
            Asked::Random => random::NAME,
            Asked::Custom(name) => name,
        }
    }

    /// Reads the text of a use of a capability.
    ///
    /// # Errors
    /// When the text is not in the form of one.
    pub fn read(capability: &str, what: &str) -> Result<Asked, NotAsked> {
        let wrong = |form| NotAsked { capability: capability.to_owned(), what: what.to_owned(), form };
        let only = |asked: Asked| if what == capability { Ok(asked) } else { Err(wrong("its name")) };
        match capability {
            http::NAME => {
                request(what).ok_or_else(|| wrong("a method and a URL: `GET https://api.example.com/v1`"))
            }
            files::NAME => folder(what).ok_or_else(|| wrong("an access and a folder: `read /data`")),
            keyvalue::NAME => Ok(Asked::Keyvalue(what.to_owned())),
            values::CONFIG => Ok(Asked::Config(what.to_owned())),
            values::ENV => Ok(Asked::Env(what.to_owned())),
            clock::NAME => only(Asked::Clock),
            random::NAME => only(Asked::Random),
            name => only(Asked::Custom(name.to_owned())),
        }
    }
}

/// Words that a request's text has before its address.
const AT: &str = " at ";

fn request(text: &str) -> Option<Asked> {
    let (method, rest) = text.split_once(' ')?;
    let (url, address) = match rest.rsplit_once(AT) {
        Some((url, address)) => (url, Some(address.parse().ok()?)),
        None => (rest, None),
    };
    let (scheme, rest) = url.split_once("://")?;
    // Grants are about paths: what a URL has behind its path is no part of what is compared.
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    Some(Asked::Http(Target::read(method, scheme, authority, path)?, address))
}

fn folder(text: &str) -> Option<Asked> {
    let (access, path) = text.split_once(' ')?;
    let access = [Access::Read, Access::ReadWrite].into_iter().find(|one| one.as_str() == access)?;
    path.starts_with('/').then(|| Asked::Files(access, path.to_owned()))
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Http(target, address) => {
                let Target { scheme, host: _, port: _, method, path } = target;
                write!(f, "{method} {}://{}{path}", scheme.as_str(), target.authority())?;
                address.map_or(Ok(()), |address| write!(f, "{AT}{address}"))
            }
            Asked::Files(access, path) => write!(f, "{} {path}", access.as_str()),
            Asked::Keyvalue(name) | Asked::Config(name) | Asked::Env(name) => f.write_str(name),
            Asked::Clock | Asked::Random | Asked::Custom(_) => f.write_str(self.capability()),
        }
    }
}
