//! One cached component: its index and its code, bound to each other and to the component.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::bound;
use super::document;
use super::document::Unusable;
use crate::file;
use airlock_types::digest::{Hasher, hex};

/// Most bytes of an index, which holds digests alone.
const INDEX_BYTES_MAX: u64 = 4_096;

/// A component's place in the cache.
pub(super) struct Entry {
    folder: PathBuf,
    component: String,
    settings: String,
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
}

impl Entry {
    /// The place of a component with this digest. Sections of ours are not part of the component here.
    pub(super) fn new(folder: &Path, component: String, settings: String) -> Entry {
        Entry { folder: folder.to_owned(), component, settings }
    }

    /// A unique path for code that may still be incomplete.
    pub(super) fn aside(&self) -> PathBuf {
        document::aside(&self.index_path())
    }

    /// Moves completed code into the cache with its index. The code moves first, so that an index never points to
    /// missing code.
    pub(super) fn keep(&self, aside: &Path, code: String) -> std::io::Result<()> {
        let Entry { folder: _, component, settings } = self;
        std::fs::rename(aside, self.code_path(&code))?;
        let index = Index { component: component.clone(), settings: settings.clone(), code };
        document::write(&self.index_path(), &index)
    }

    /// The cached component, if index and code are intact and belong to this component and this engine.
    pub(super) fn find(&self, engine: &Engine, code_bytes_max: u64) -> Option<Component> {
        match self.read(engine, code_bytes_max) {
            Ok(component) => Some(component),
            Err(Unusable::Missing) => None,
            Err(err) => {
                tracing::warn!("a component in the compile cache is made anew: {err}");
                // A failure does no harm: the index of the next compilation replaces the file.
                let _ = std::fs::remove_file(self.index_path());
                None
            }
        }
    }

    /// Whether index and code are there and belong to each other, as far as their names and sizes say.
    pub(super) fn is_there(&self, code_bytes_max: u64) -> bool {
        let code = self.index().map(|index| self.code_path(&index.code));
        code.is_ok_and(|path| file::open_private(&path, code_bytes_max).is_ok())
    }

    fn read(&self, engine: &Engine, code_bytes_max: u64) -> Result<Component, Unusable> {
        let Index { component: _, settings: _, code } = self.index()?;
        let path = self.code_path(&code);
        let opened = file::open_private(&path, code_bytes_max).map_err(|err| match err {
            // It made room for what was used later.
            err if err.is_not_found() => Unusable::Missing,
            err => Unusable::Code(err.to_string()),
        });
        let (mut file, _) = opened?;
        let digest = digest(&mut file).map_err(|err| Unusable::Code(err.to_string()))?;
        if digest != code {
            // Removed so that the new code can take its name, which is the digest of the correct code.
            let _ = std::fs::remove_file(&path);
            return Err(Unusable::Code("it does not match its digest".into()));
        }
        bound::used(&file);
        // Only after the digest matched: mapped code is as trusted as the host's own.
        map(engine, &file).map_err(|err| Unusable::Code(format!("{err:#}")))
    }

    /// Reads the index within its bound and checks that it belongs to this component and engine.
    fn index(&self) -> Result<Index, Unusable> {
        let wrong = |reason: &str| Unusable::Index(reason.to_owned());
        let index: Index = document::read(&self.index_path(), INDEX_BYTES_MAX)?;
        if index.component != self.component || index.settings != self.settings {
            return Err(wrong("it is another component's, or for another engine"));
        }
        // It becomes part of a path.
        if !document::is_digest(&index.code) {
            return Err(wrong("it names no code"));
        }
        Ok(index)
    }

    fn index_path(&self) -> PathBuf {
        self.folder.join(format!("{}-{}.json", self.component, self.settings))
    }

    fn code_path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }
}

fn digest(file: &mut File) -> std::io::Result<String> {
    let mut digest = Hasher::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => digest.update(&chunk[..count]),
        }
    }
    file.rewind()?;
    Ok(hex(&digest.finish()))
}

#[expect(unsafe_code, reason = "the engine can only take precompiled code on trust; see the proof inside")]
fn map(engine: &Engine, file: &File) -> wasmtime::Result<Component> {
    // Through the descriptor and not the name: the name may lead to another file than the one that was digested.
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: this program wrote the file, with the output of `Component::serialize` in its own compile process. The
    // digest of the file is the one that was computed then; the index of this component and this engine holds it. The
    // file has mode 0400 and lies in a folder of mode 0700. Both belong to this user, which was checked. So no other
    // user can have put other code there or can change it while it is mapped, and this user can run code anyway. A confined
    // process that was taken over can write there, too, and so reach the next process that maps code: that one is confined
    // in the same way, since only those that make calls or check a registry map any. The engine itself refuses code of
    // other versions or settings.
    unsafe { Component::deserialize_file(engine, open) }
}
