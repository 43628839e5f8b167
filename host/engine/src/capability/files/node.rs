//! The target of a guest's descriptor, and how it is opened.
//!
//! Owns what may be opened: regular files and folders beneath a granted folder, opened without blocking and checked
//! again afterwards. Every function here can still block when a file system does not respond. Must not know threads.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use cap_primitives::fs::{FollowSymlinks, Metadata, open, read_link, stat};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::changes::{Change, Running, Writing};
use super::fault::Fault;
use super::opening::{Opening, is, open_there, options};
use super::place::{Last, Place, is_beneath};
use crate::capability::noted;
use airlock_types::grant::{Access, Asked, Why};

/// How often a file is looked up again that appears and disappears while it is opened.
const TRIES_MAX: u32 = 4;

/// A granted folder, opened at its first use.
pub(super) struct Granted {
    host: PathBuf,
    /// The guest's path of it.
    guest: String,
    opened: OnceLock<Arc<File>>,
    /// The right to change what is beneath it; `None` where it may only be read.
    writing: Option<Writing>,
    pub(super) running: Arc<Running>,
}

/// The target of a descriptor.
#[derive(Clone)]
pub(super) enum Node {
    Granted(Arc<Granted>),
    Folder(Arc<Open>),
    File(Arc<Open>),
    /// One of a replay: each of its functions is answered from the cassette.
    Taped(Arc<Taped>),
}

/// What a replay has in the place of a file or a folder.
pub(super) struct Taped {
    pub(super) label: String,
    pub(super) is_folder: bool,
    granted: Arc<Granted>,
}

/// An open file, or a folder beneath a granted one.
pub(super) struct Open {
    pub(super) file: Arc<File>,
    pub(super) granted: Arc<Granted>,
    /// What the guest may do with a file, of what it may do in the folder.
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// The guest's path of it, as the guest wrote it.
    label: String,
}

impl Granted {
    pub(super) fn new(
        (host, guest): (PathBuf, String),
        writing: Option<Writing>,
        running: Arc<Running>,
    ) -> Granted {
        Granted { host, guest, opened: OnceLock::new(), writing, running }
    }

    /// Notes what was refused, and what the folder was used for.
    pub(super) fn noting<T>(&self, access: Access, done: Result<T, Fault>) -> Result<T, Fault> {
        match &done {
            Ok(_) => self.running.noted().allow(self.asked(access)),
            Err(fault) => {
                if let Some(why) = fault.refusal() {
                    let access = if let Why::Never = why { access } else { Access::ReadWrite };
                    let asked = match fault.outside() {
                        Some(path) => Asked::Files(access, self.leading_out(path)),
                        None => self.asked(access),
                    };
                    self.running.noted().refuse(asked, why);
                }
            }
        }
        done
    }

    /// A path that leads out of the folder, as a guest asked for it.
    fn leading_out(&self, path: &str) -> String {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.guest.trim_end_matches('/'))
        };
        noted::name(&path)
    }

    /// A use of the folder. Paths beneath it are not kept: a grant is of a folder as a whole.
    pub(super) fn asked(&self, access: Access) -> Asked {
        Asked::Files(access, self.guest.clone())
    }

    /// The right to change what is beneath it.
    pub(super) fn writing(&self) -> Result<&Writing, Fault> {
        self.writing.as_ref().ok_or(Fault::READ_ONLY)
    }

    /// Opens the folder without following links. The path was resolved when the registry was loaded, so a link in it
    /// was placed there later and could lead anywhere.
    fn open(&self) -> io::Result<Arc<File>> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.clone());
        }
        // `O_PATH`: the descriptor is only a start for look-ups beneath it.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let opened = match rustix::fs::openat2(CWD, &self.host, flags, Mode::empty(), resolve) {
            // Fallback for kernels before 5.6 and some seccomp filters: at least the folder itself must not be a link.
            Err(Errno::NOSYS | Errno::PERM) => {
                rustix::fs::open(&self.host, flags | OFlags::NOFOLLOW, Mode::empty())
            }
            opened => opened,
        };
        let opened = Arc::new(File::from(opened?));
        // Two threads may have opened the folder at the same time. The first one stays.
        Ok(self.opened.get_or_init(|| opened).clone())
    }
}

impl Node {
    pub(super) fn granted(&self) -> &Arc<Granted> {
        match self {
            Node::Granted(granted) => granted,
            Node::Folder(open) | Node::File(open) => &open.granted,
            Node::Taped(taped) => &taped.granted,
        }
    }

    /// What a cassette has in the place of a file or a folder.
    pub(super) fn taped(label: String, is_folder: bool) -> Node {
        let granted = Granted::new((PathBuf::new(), label.clone()), None, Arc::default());
        Node::Taped(Arc::new(Taped { label, is_folder, granted: Arc::new(granted) }))
    }

    /// The guest's path of it, by which a cassette tells files apart.
    pub(super) fn label(&self) -> &str {
        match self {
            Node::Granted(granted) => &granted.guest,
            Node::Folder(open) | Node::File(open) => &open.label,
            Node::Taped(taped) => &taped.label,
        }
    }

    /// The guest's path of something beneath it.
    pub(super) fn label_of(&self, path: &str) -> String {
        format!("{}/{path}", self.label().trim_end_matches('/'))
    }

    pub(super) fn is_folder(&self) -> bool {
        match self {
            Node::Granted(_) | Node::Folder(_) => true,
            Node::File(_) => false,
            Node::Taped(taped) => taped.is_folder,
        }
    }

    /// The open folder, to look up paths beneath it.
    pub(super) fn folder(&self) -> Result<Arc<File>, Fault> {
        match self {
            Node::Granted(granted) => Ok(granted.open()?),
            Node::Folder(open) => {
                let Open { file, granted, .. } = &**open;
                // Since it was opened it may have been moved out of the granted folder, to what is not granted.
                if is_beneath(file, &*granted.open()?)? { Ok(file.clone()) } else { Err(Fault::NOT_GRANTED) }
            }
            Node::File(_) => Err(Errno::NOTDIR.into()),
            Node::Taped(_) => Err(Fault::NOT_GRANTED),
        }
    }

    /// The open file.
    pub(super) fn file(&self) -> Result<&Arc<Open>, Fault> {
        match self {
            Node::File(open) => Ok(open),
            Node::Granted(_) | Node::Folder(_) => Err(Errno::ISDIR.into()),
            Node::Taped(_) => Err(Fault::NOT_GRANTED),
        }
    }

    pub(super) fn metadata(&self) -> Result<Metadata, Fault> {
        match self {
            Node::File(open) => Ok(Metadata::from_file(&open.file)?),
            Node::Granted(_) | Node::Folder(_) => Ok(Metadata::from_file(&*self.folder()?)?),
            Node::Taped(_) => Err(Fault::NOT_GRANTED),
        }
    }

    /// Metadata of a path beneath this folder, without opening it.
    pub(super) fn metadata_at(&self, path: &str, last: Last) -> Result<Metadata, Fault> {
        let folder = self.folder()?;
        let place = Place::of(&folder, path, last)?;
        let found = stat(&folder, place.path(), FollowSymlinks::No)?;
        if place.is_folder && !found.is_dir() { Err(Errno::NOTDIR.into()) } else { Ok(found) }
    }

    /// The target of a link beneath this folder. An absolute one is not shown.
    pub(super) fn target_of(&self, path: &str) -> Result<PathBuf, Fault> {
        let folder = self.folder()?;
        Ok(read_link(&folder, Place::of(&folder, path, Last::Keep)?.path())?)
    }

    /// Opens a regular file or a folder beneath this folder. `change` is there where `how` changes something.
    pub(super) fn open_at(
        &self,
        path: &str,
        last: Last,
        how: Opening,
        change: Option<&Change>,
    ) -> Result<Node, Fault> {
        for _ in 0..TRIES_MAX {
            let folder = self.folder()?;
            let place = Place::of(&folder, path, last)?;
            let opened = match stat(&folder, place.path(), FollowSymlinks::No) {
                // Checked before opening: opening a device can have effects, and the other end of a FIFO would notice.
                Ok(seen) => check(&seen, &place, how).and_then(|()| open_there(&folder, &place, how)),
                Err(err) if is(&err, Errno::NOENT) && how.creates => {
                    self.create(&folder, &place, how, change)
                }
                Err(err) => Err(err.into()),
            };
            match opened {
                Ok(file) => return self.opened((file, path), how, change),
                // It appeared or disappeared meanwhile.
                Err(Fault::Io(err)) if how.is_settled_by_another_try(&err) => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(Errno::NOENT.into())
    }

    /// Creates a regular file.
    fn create(
        &self,
        folder: &File,
        place: &Place,
        how: Opening,
        change: Option<&Change>,
    ) -> Result<File, Fault> {
        if place.is_folder {
            return Err(Errno::ISDIR.into());
        }
        // Exclusively, so that files are counted and nothing else is opened in its place.
        let options = options(how)?.write(true).create_new(true).clone();
        let created = self.granted().writing()?.create(|| open(folder, place.path(), &options));
        change.map_or_else(|| Err(Fault::READ_ONLY), |change| change.made(created))
    }

    /// Checks what was opened, and empties it if that was asked for.
    fn opened(
        &self,
        (file, path): (File, &str),
        how: Opening,
        change: Option<&Change>,
    ) -> Result<Node, Fault> {
        // It may have been replaced between the check and the opening.
        let is = Metadata::from_file(&file)?;
        admit(&is)?;
        let Opening { reads, writes, truncates, .. } = how;
        let is_folder = is.is_dir();
        // Not by a flag of the opening, which would act on whatever is there by then.
        if truncates && !is_folder && is.len() > 0 {
            let change = change.ok_or(Fault::READ_ONLY)?;
            change.made(file.set_len(0).map_err(Fault::from))?;
        }
        let (file, granted, label) = (Arc::new(file), self.granted().clone(), self.label_of(path));
        let open = Arc::new(Open { file, granted, reads, writes, label });
        Ok(if is_folder { Node::Folder(open) } else { Node::File(open) })
    }
}

/// Whether what is there may be opened in this way.
fn check(seen: &Metadata, place: &Place, how: Opening) -> Result<(), Fault> {
    if how.creates && how.is_exclusive {
        return Err(Errno::EXIST.into());
    }
    // Seen only where it is not to be followed.
    if seen.is_symlink() {
        return Err(Errno::LOOP.into());
    }
    admit(seen)?;
    match seen.is_dir() {
        true if how.writes || how.changes() => Err(Errno::ISDIR.into()),
        false if how.is_folder || place.is_folder => Err(Errno::NOTDIR.into()),
        _ => Ok(()),
    }
}

/// Only regular files and folders: anything else may block, or do something when it is opened.
pub(super) fn admit(metadata: &Metadata) -> Result<(), Fault> {
    let is_admitted = metadata.is_file() || metadata.is_dir();
    if is_admitted { Ok(()) } else { Err(Fault::Invalid(ErrorCode::NotPermitted)) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn granted(host: &Path) -> Node {
        Node::Granted(Arc::new(Granted::new(
            (host.canonicalize().unwrap(), "/data".to_owned()),
            None,
            Arc::default(),
        )))
    }

    fn opens(node: &Node, path: &str, last: Last) -> Result<bool, ErrorCode> {
        let how = Opening { reads: true, ..Opening::default() };
        let opened = node.open_at(path, last, how, None);
        opened.map(|node| node.is_folder()).map_err(|fault| fault.code())
    }

    #[test]
    fn opens_regular_files_and_folders_and_nothing_that_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "x").unwrap();
        std::fs::create_dir(path("inner")).unwrap();
        assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for (name, target) in [("to_file", "file"), ("to_fifo", "fifo"), ("out", "/etc/passwd")] {
            std::os::unix::fs::symlink(target, path(name)).unwrap();
        }
        let node = granted(folder.path());
        let (yes, no) = (Last::Follow, Last::Keep);
        assert_eq!(opens(&node, "file", yes), Ok(false));
        assert_eq!(opens(&node, "inner", yes), Ok(true));
        assert_eq!(opens(&node, "to_file", yes), Ok(false));
        assert_eq!(opens(&node, "to_file", no), Err(ErrorCode::Loop));
        for blocks in ["fifo", "to_fifo", "socket"] {
            assert_eq!(opens(&node, blocks, yes), Err(ErrorCode::NotPermitted), "{blocks}");
        }
        for outside in ["out", "../../etc/passwd", "/etc/passwd"] {
            assert!(opens(&node, outside, yes).is_err(), "{outside}");
        }
        assert_eq!(opens(&node, "file/x", yes), Err(ErrorCode::NotDirectory));
    }

    #[test]
    fn a_granted_folder_that_became_a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("data");
        std::fs::create_dir(&inner).unwrap();
        let node = granted(&inner);
        std::fs::remove_dir(&inner).unwrap();
        std::os::unix::fs::symlink("/etc", &inner).unwrap();
        assert_eq!(opens(&node, "passwd", Last::Follow), Err(ErrorCode::Loop));
    }
}
