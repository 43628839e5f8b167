//! The tiles of the log on disk, in the layout of C2SP tlog-tiles: `tile/LEVEL/INDEX`, `checkpoint`.
//!
//! They are derived from the database and written for those who check it with other tools. A tile is written to another file
//! and renamed, so that there is never half of one. Must not know where leaves come from.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::TILES_SUFFIX;
use super::edge::{Edge, TILE_HASHES, TILE_LEVELS};
use super::tree::{self, Hash};
use crate::state::{self, StateError};

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Size of the largest checkpoint in bytes.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 10;

/// Why tiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TileFault {
    /// A file is not there.
    #[error("`{}` is missing", .0.display())]
    Missing(PathBuf),
    /// A file has another length.
    #[error("`{}` has {found} bytes instead of {expected}", .path.display())]
    Length { path: PathBuf, found: u64, expected: u64 },
    /// It cannot be read or written.
    #[error("`{}`: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The folder or a file in it is not of this user alone.
    #[error("{0}")]
    State(#[from] StateError),
    /// Another process builds tiles.
    #[error("another process builds tiles in `{}` now", .0.display())]
    Locked(PathBuf),
}

/// The folder of tiles of one journal.
#[derive(Debug)]
pub(crate) struct Tiles {
    folder: PathBuf,
}

/// Held while tiles are changed or compared.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Closing it releases the lock.
    _file: File,
}

impl Tiles {
    /// Those beside a database, which may not be there.
    pub(crate) fn beside(journal: &Path) -> Tiles {
        let mut folder = journal.as_os_str().to_owned();
        folder.push(TILES_SUFFIX);
        Tiles { folder: folder.into() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether there are any, or something else in their place.
    pub(crate) fn is_there(&self) -> bool {
        let found = self.folder.symlink_metadata();
        !found.is_err_and(|err| err.kind() == ErrorKind::NotFound)
    }

    /// Locks the folder against other processes, and makes a missing one.
    pub(crate) fn lock(&self) -> Result<Lock, TileFault> {
        state::folder(&self.folder)?;
        let path = self.folder.join("lock");
        if !state::file(&path)? {
            state::create(&path)?;
        }
        let file = File::open(&path).map_err(|source| TileFault::Io { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(TileFault::Locked(self.folder.clone())),
            Err(TryLockError::Error(source)) => Err(TileFault::Io { path, source }),
        }
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }

    /// The text of the latest checkpoint.
    pub(crate) fn checkpoint(&self) -> Result<Option<String>, TileFault> {
        let path = self.checkpoint_path();
        let Some(file) = self.open(&path)? else { return Ok(None) };
        let io = |source| TileFault::Io { path: path.clone(), source };
        let mut text = String::new();
        file.take(CHECKPOINT_BYTES_MAX).read_to_string(&mut text).map_err(io)?;
        Ok(Some(text))
    }

    /// Replaces the checkpoint. After the tiles, so that a tree of its size can be read from them.
    pub(crate) fn set_checkpoint(&self, text: &str) -> Result<(), TileFault> {
        Ok(state::replace(&self.checkpoint_path(), text.as_bytes())?)
    }

    /// The path of a tile that has this many hashes.
    fn path(&self, level: usize, index: u64, width: usize) -> PathBuf {
        let mut path = self.folder.join("tile").join(level.to_string());
        let mut digits = vec![index % 1000];
        let mut rest = index / 1000;
        while rest > 0 {
            digits.push(rest % 1000);
            rest /= 1000;
        }
        for (i, group) in digits.iter().enumerate().rev() {
            let is_last = i == 0;
            let mark = if is_last { "" } else { "x" };
            let end = if is_last && width < TILE_HASHES { ".p" } else { "" };
            path.push(format!("{mark}{group:03}{end}"));
        }
        if width < TILE_HASHES { path.join(width.to_string()) } else { path }
    }

    /// The hashes of a tile that has this many.
    pub(crate) fn read(&self, level: usize, index: u64, width: usize) -> Result<Vec<Hash>, TileFault> {
        let path = self.path(level, index, width);
        let mut file = self.open(&path)?.ok_or_else(|| TileFault::Missing(path.clone()))?;
        let io = |source| TileFault::Io { path: path.clone(), source };
        let (found, expected) = (file.metadata().map_err(io)?.len(), (width * HASH_BYTES) as u64);
        if found != expected {
            return Err(TileFault::Length { path, found, expected });
        }
        let mut bytes = vec![0; width * HASH_BYTES];
        file.read_exact(&mut bytes).map_err(io)?;
        Ok(bytes.as_chunks().0.to_vec())
    }

    /// Writes a tile.
    pub(crate) fn write(&self, level: usize, index: u64, hashes: &[Hash]) -> Result<(), TileFault> {
        let path = self.path(level, index, hashes.len());
        for folder in self.inner(&path) {
            state::folder(folder)?;
        }
        Ok(state::replace(&path, hashes.as_flattened())?)
    }

    /// Removes a tile that a wider one took the place of.
    pub(crate) fn remove(&self, level: usize, index: u64, width: usize) {
        let path = self.path(level, index, width);
        if !self.has_folders(&path).is_ok_and(|has| has) {
            return;
        }
        // Either may be gone; and the folder of partial tiles stays while another one is in it.
        let _ = std::fs::remove_file(&path);
        let _ = path.parent().map(std::fs::remove_dir);
    }

    /// The folders between that of the tiles and a file in it, the outermost first.
    fn inner<'a>(&self, path: &'a Path) -> Vec<&'a Path> {
        let mut inner: Vec<&Path> =
            path.ancestors().skip(1).take_while(|folder| *folder != self.folder).collect();
        inner.reverse();
        inner
    }

    /// Whether the folders down to a file are there.
    fn has_folders(&self, path: &Path) -> Result<bool, TileFault> {
        for folder in self.inner(path) {
            if !state::has_folder(folder)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Opens a file of the folder; none if it is missing.
    fn open(&self, path: &Path) -> Result<Option<File>, TileFault> {
        // Checked first, from the folder down: opening a pipe would block, and a link could lead anywhere.
        if !self.has_folders(path)? || !state::file(path)? {
            return Ok(None);
        }
        match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TileFault::Io { path: path.to_owned(), source }),
        }
    }

    /// The right edge of the tree of this size.
    pub(crate) fn edge(&self, size: u64) -> Result<Edge, TileFault> {
        let mut levels = Vec::new();
        for level in 0.. {
            let hashes = size >> (TILE_LEVELS * level);
            if hashes == 0 {
                break;
            }
            let width = (hashes % TILE_HASHES as u64) as usize;
            let index = hashes / TILE_HASHES as u64;
            let partial = if width == 0 { Vec::new() } else { self.read(level as usize, index, width)? };
            levels.push(partial);
        }
        Ok(Edge::new(size, levels))
    }

    /// A node of the tree of this size.
    pub(crate) fn node(&self, size: u64, level: u32, index: u64) -> Result<Hash, TileFault> {
        let (tile_level, inner) = (level / TILE_LEVELS, level % TILE_LEVELS);
        let first = index << inner;
        let hashes = size >> (TILE_LEVELS * tile_level);
        let tile = first / TILE_HASHES as u64;
        let width = (hashes - tile * TILE_HASHES as u64).min(TILE_HASHES as u64) as usize;
        let at = (first % TILE_HASHES as u64) as usize;
        let hashes = self.read(tile_level as usize, tile, width)?;
        Ok(tree::root_of(&hashes[at..at + (1 << inner)]))
    }
}
