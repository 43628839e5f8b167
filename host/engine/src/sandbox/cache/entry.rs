//! One cached component: its index and its code, bound to each other and to the component.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::super::compile::Report;
use crate::file;
use crate::file::FileError;
use airlock_contract::component::{COMPONENT_INFO_BYTES_MAX, ComponentInfo};
use airlock_types::digest::{hex, sha256};

/// Most bytes of an index: the description of a component, plus the digests.
const INDEX_BYTES_MAX: u64 = COMPONENT_INFO_BYTES_MAX as u64 + 4_096;

/// The length of a digest in hex.
const DIGEST_CHARS: usize = 64;

/// A component's place in the cache.
pub(super) struct Entry {
    folder: PathBuf,
    component: String,
    settings: String,
}

/// A component read from the cache.
pub(super) struct Kept {
    pub(super) component: Component,
    pub(super) info: ComponentInfo,
}

/// What a component was compiled to. In the file, the SHA-256 of its JSON precedes it, in hex.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    /// SHA-256 of the component, hex.
    component: String,
    /// The engine's settings and the program's version.
    settings: String,
    /// SHA-256 of the compiled code, hex; also its file's name.
    code: String,
    /// The exports, imports and contract of the component.
    info: ComponentInfo,
}

/// Why a cached component is not used. It is then compiled again.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("there is none")]
    Missing,
    #[error("its index cannot be used: {0}")]
    Index(String),
    #[error("its code cannot be used: {0}")]
    Code(String),
}

impl Entry {
    pub(super) fn new(folder: &Path, component: String, engine: &Engine) -> Entry {
        Entry { folder: folder.to_owned(), component, settings: settings(engine) }
    }

    /// SHA-256 of the component, hex.
    pub(super) fn component(&self) -> &str {
        &self.component
    }

    /// A unique path for code that may still be incomplete.
    pub(super) fn aside(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // The count only has to be unique, so it orders nothing. The process id keeps two hosts with one folder apart.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        self.index_path().with_extension(format!("{}-{count}", std::process::id()))
    }

    /// Moves completed code into the cache with its index. The code moves first, so that an index never points to
    /// missing code.
    pub(super) fn keep(&self, aside: &Path, report: Report) -> std::io::Result<()> {
        let Report { info, code_digest } = report;
        let Entry { folder: _, component, settings } = self;
        std::fs::rename(aside, self.code_path(&code_digest))?;
        let index =
            Index { component: component.clone(), settings: settings.clone(), code: code_digest, info };
        let json = serde_json::to_vec(&index)?;
        let aside = self.aside();
        // The mode is set at creation: `find` refuses a file that other users could read or change.
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(&aside)?;
        file.write_all(sha256(&json).as_bytes())?;
        file.write_all(&json)?;
        // Before the rename: after a crash the final name must not lead to a file without its content.
        file.sync_all()?;
        std::fs::rename(&aside, self.index_path())
    }

    /// The cached component, if index and code are intact and belong to this component and this engine.
    pub(super) fn find(&self, engine: &Engine, code_bytes_max: u64) -> Option<Kept> {
        match self.read(engine, code_bytes_max) {
            Ok(kept) => Some(kept),
            Err(Unusable::Missing) => None,
            Err(err) => {
                tracing::warn!("a component in the compile cache is made anew: {err}");
                // A failure does no harm: the index of the next compilation replaces the file.
                let _ = std::fs::remove_file(self.index_path());
                None
            }
        }
    }

    fn read(&self, engine: &Engine, code_bytes_max: u64) -> Result<Kept, Unusable> {
        let Index { component: _, settings: _, code, info } = self.index()?;
        let path = self.code_path(&code);
        let opened = file::open_private(&path, code_bytes_max);
        let (mut file, _) = opened.map_err(|err| Unusable::Code(err.to_string()))?;
        let digest = digest(&mut file).map_err(|err| Unusable::Code(err.to_string()))?;
        if digest != code {
            // Removed so that the new code can take its name, which is the digest of the correct code.
            let _ = std::fs::remove_file(&path);
            return Err(Unusable::Code("it does not match its digest".into()));
        }
        // Only after the digest matched: mapped code is as trusted as the host's own.
        let component = map(engine, &file).map_err(|err| Unusable::Code(format!("{err:#}")))?;
        Ok(Kept { component, info })
    }

    /// Reads the index within its bound and checks that it belongs to this component and engine.
    fn index(&self) -> Result<Index, Unusable> {
        let wrong = |reason: &str| Unusable::Index(reason.to_owned());
        let read = file::open_private(&self.index_path(), INDEX_BYTES_MAX)
            .and_then(|opened| file::read_whole(opened, INDEX_BYTES_MAX));
        let bytes = read.map_err(|err: FileError| match err {
            err if err.is_not_found() => Unusable::Missing,
            err => Unusable::Index(err.to_string()),
        })?;
        let (digest, json) = bytes.split_at_checked(DIGEST_CHARS).ok_or_else(|| wrong("it is cut off"))?;
        // Before parsing, so that damaged JSON is never interpreted.
        if digest != sha256(json).as_bytes() {
            return Err(wrong("it does not match its digest"));
        }
        let index: Index = serde_json::from_slice(json).map_err(|err| wrong(&err.to_string()))?;
        if index.component != self.component || index.settings != self.settings {
            return Err(wrong("it is another component's, or for another engine"));
        }
        // The digest becomes part of a path, so it must not contain a separator.
        let plain = index.code.len() == DIGEST_CHARS && index.code.bytes().all(|b| b.is_ascii_hexdigit());
        if !plain {
            return Err(wrong("it names no code"));
        }
        // The description is from a process that read untrusted bytes, so its bounds are checked at every use.
        index.info.check().map_err(Unusable::Index)?;
        Ok(index)
    }

    fn index_path(&self) -> PathBuf {
        self.folder.join(format!("{}-{}.json", self.component, self.settings))
    }

    fn code_path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }
}

/// A short name of everything besides the component that compiled code depends on. The engine checks its own settings
/// again when it maps code, so a collision of this hash is no danger.
fn settings(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn digest(file: &mut File) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => digest.update(&chunk[..count]),
        }
    }
    file.rewind()?;
    Ok(hex(&digest.finalize()))
}

#[expect(unsafe_code, reason = "the engine can only take precompiled code on trust; see the proof inside")]
fn map(engine: &Engine, file: &File) -> wasmtime::Result<Component> {
    // Through the descriptor and not the name: the name may lead to another file than the one that was digested.
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: this program wrote the file, with the output of `Component::serialize` in its own compile process. The
    // digest of the file is the one that was computed then; the index of this component and this engine holds it. The
    // file has mode 0400 and lies in a folder of mode 0700. Both belong to this user, which was checked. So no other
    // user can have put other code there or can change it while it is mapped, and this user can run code anyway. The
    // engine itself refuses code of other versions or settings.
    unsafe { Component::deserialize_file(engine, open) }
}
