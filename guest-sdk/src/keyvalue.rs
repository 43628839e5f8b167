//! Keys and values that outlive a call, through `wasi:keyvalue`.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-keyvalue; world keyvalue { import wasi:keyvalue/store@0.2.0-draft2; }",
        generate_all,
    });
}

use std::fmt;

use bindings::wasi::keyvalue::store;

/// Why a value was not read or kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The grant has no bucket of this name.
    NoSuchBucket,
    /// The host does not allow it.
    NotGranted,
    /// Anything else, such as a bound that was reached.
    Host(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchBucket => f.write_str("there is no such bucket"),
            Self::NotGranted => f.write_str(
                "this call may not keep values: it was not granted, or it has no session of its own",
            ),
            Self::Host(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::NoSuchStore => Self::NoSuchBucket,
            store::Error::AccessDenied => Self::NotGranted,
            store::Error::Other(text) => Self::Host(text),
        }
    }
}

/// A space of keys.
#[derive(Debug)]
pub struct Bucket(store::Bucket);

impl Bucket {
    /// The bucket that each grant has unless it names others.
    pub fn default() -> Result<Bucket, Error> {
        Bucket::open("")
    }

    /// A bucket of the grant.
    pub fn open(name: &str) -> Result<Bucket, Error> {
        Ok(Bucket(store::open(name)?))
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(key)?)
    }

    /// Keeps a value under a key, in the place of a former one.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        Ok(self.0.set(key, value)?)
    }

    /// Removes a key, which may be absent.
    pub fn remove(&self, key: &str) -> Result<(), Error> {
        Ok(self.0.delete(key)?)
    }

    /// All keys, in the order in which they were first set.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.0.list_keys(cursor.as_deref())?;
            // An empty page ends the loop as well: a host that always gives a cursor must not keep the guest here.
            let is_last = page.keys.is_empty();
            keys.extend(page.keys);
            cursor = page.cursor;
            if is_last || cursor.is_none() {
                return Ok(keys);
            }
        }
    }
}
