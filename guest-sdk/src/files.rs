//! Reads granted files, through `wasi:filesystem`. `std::fs` does not exist on this target.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-files; world files {
            import wasi:filesystem/preopens@0.2.12;
            import wasi:filesystem/types@0.2.12;
        }",
        generate_all,
    });
}

use std::fmt;

use bindings::wasi::filesystem::preopens::get_directories;
use bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

/// Bytes of one read, within what a host returns in one call. A host may return fewer.
const CHUNK: u64 = 64 * 1024;

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// No granted folder contains this path.
    NotGranted(String),
    /// The host refused or failed to read this path.
    Host(String, ErrorCode),
    /// The content of this path is not UTF-8.
    NotText(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(path) => write!(f, "no granted folder holds `{path}`"),
            Self::Host(path, code) => write!(f, "cannot read `{path}`: {}", code.name()),
            Self::NotText(path) => write!(f, "`{path}` is not UTF-8"),
        }
    }
}

impl std::error::Error for Error {}

/// Reads a file by its absolute path, which must be in a granted folder.
pub fn read(path: &str) -> Result<Vec<u8>, Error> {
    let host = |code| Error::Host(path.to_owned(), code);
    let (folder, rest) = granted(path)?;
    let file = folder
        .open_at(PathFlags::SYMLINK_FOLLOW, rest, OpenFlags::empty(), DescriptorFlags::READ)
        .map_err(host)?;
    let mut bytes = Vec::new();
    loop {
        let (chunk, end) = file.read(CHUNK, bytes.len() as u64).map_err(host)?;
        bytes.extend_from_slice(&chunk);
        // An empty chunk ends the loop as well: a host that never reports the end must not keep the guest here.
        if end || chunk.is_empty() {
            return Ok(bytes);
        }
    }
}

/// Reads a text file by its absolute path, which must be in a granted folder.
pub fn read_to_string(path: &str) -> Result<String, Error> {
    String::from_utf8(read(path)?).map_err(|_| Error::NotText(path.to_owned()))
}

/// The granted folder that contains the path, with the path below it. The longest name wins when folders are nested.
fn granted(path: &str) -> Result<(Descriptor, &str), Error> {
    get_directories()
        .into_iter()
        .filter_map(|(folder, name)| Some((name.len(), folder, below(path, &name)?)))
        .max_by_key(|(length, ..)| *length)
        .map(|(_, folder, rest)| (folder, rest))
        .ok_or_else(|| Error::NotGranted(path.to_owned()))
}

/// The path below a folder: `/data/x.csv` below `/data` is `x.csv`, while `/database/x.csv` is not below it.
fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    path.strip_prefix(folder.trim_end_matches('/'))?.strip_prefix('/')
}
