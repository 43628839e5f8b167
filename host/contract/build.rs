//! Names what judges contracts: a hash of the sources of this crate and of those below it, and of the versions of its
//! dependencies. What one build found to be right counts for the same build alone.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::Path;

/// From the folder of the crate. Outside of its repository, the last two are not there.
const PARTS: [&str; 4] = ["Cargo.toml", "src", "../types/src", "../../Cargo.lock"];

fn main() -> io::Result<()> {
    let mut hasher = DefaultHasher::new();
    for part in PARTS.map(Path::new).into_iter().filter(|part| part.exists()) {
        println!("cargo:rerun-if-changed={}", part.display());
        add(part, &mut hasher)?;
    }
    println!("cargo:rustc-env=AIRLOCK_CONTRACT_BUILD={:016x}", hasher.finish());
    Ok(())
}

fn add(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    path.hash(hasher);
    if !path.is_dir() {
        fs::read(path)?.hash(hasher);
        return Ok(());
    }
    let mut below = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    // The order of a folder is not that of names.
    below.sort();
    below.iter().try_for_each(|path| add(path, hasher))
}
