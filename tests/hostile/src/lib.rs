//! Hostile components and hostile clients, against the real program: `cargo xtask hostile`.
//!
//! Owns what is tried, how it must end, and what must hold for the server meanwhile and afterwards. The components are
//! data (`cases`) or made from a seed (`random`); the clients are data, too (`clients`). Must not know how the host
//! keeps its bounds: everything goes through the public doors of the program.

pub mod case;
pub mod client;
mod components;
pub mod ground;
mod neighbor;
pub mod observe;
pub mod random;
pub mod report;
mod rounds;
pub mod stdio;
pub mod template;
mod upstream;

use std::path::PathBuf;
use std::time::Instant;

pub use rounds::{Plan, run};

/// The files of a folder of this crate with their names, in the order of their names.
fn files(folder: &str) -> anyhow::Result<Vec<(String, String)>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, std::fs::read_to_string(&path)?));
    }
    files.sort();
    Ok(files)
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is the time of another process")]
fn now() -> Instant {
    Instant::now()
}
