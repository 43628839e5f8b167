//! The target of a guest's descriptor, and how it is opened.
//!
//! Owns what may be opened: regular files and folders beneath a granted folder, opened without blocking and checked
//! again afterwards. Every function here can still block when a file system does not respond. Must not know threads.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cap_primitives::fs::{FollowSymlinks, Metadata, OpenOptions, OpenOptionsExt as _, open, stat};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// A granted folder, opened at its first use.
pub(super) struct Granted {
    host: PathBuf,
    opened: OnceLock<Arc<File>>,
}

/// The target of a descriptor.
#[derive(Clone)]
pub(super) enum Node {
    Granted(Arc<Granted>),
    Folder(Arc<File>),
    File(Arc<File>),
}

impl Granted {
    pub(super) fn new(host: PathBuf) -> Granted {
        Granted { host, opened: OnceLock::new() }
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
    pub(super) fn is_folder(&self) -> bool {
        !matches!(self, Node::File(_))
    }

    /// The open file or folder.
    pub(super) fn open(&self) -> io::Result<Arc<File>> {
        match self {
            Node::Granted(granted) => granted.open(),
            Node::Folder(file) | Node::File(file) => Ok(file.clone()),
        }
    }

    /// The open folder, to look up paths beneath it.
    pub(super) fn folder(&self) -> io::Result<Arc<File>> {
        if self.is_folder() { self.open() } else { Err(Errno::NOTDIR.into()) }
    }

    /// The open file, to read it.
    pub(super) fn file(&self) -> io::Result<Arc<File>> {
        if self.is_folder() { Err(Errno::ISDIR.into()) } else { self.open() }
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        Metadata::from_file(&*self.open()?)
    }

    /// Metadata of a path beneath this folder, without opening it.
    pub(super) fn metadata_at(&self, path: &Path, follow: FollowSymlinks) -> io::Result<Metadata> {
        stat(&*self.folder()?, path, follow)
    }

    /// Opens a regular file or a folder beneath this folder.
    pub(super) fn open_at(&self, path: &Path, follow: FollowSymlinks) -> io::Result<Node> {
        let folder = self.folder()?;
        // Checked before opening: opening a device can have effects, and the other end of a FIFO would notice.
        let seen = stat(&folder, path, follow)?;
        // Only with `FollowSymlinks::No` is the link itself seen.
        if seen.is_symlink() {
            return Err(Errno::LOOP.into());
        }
        admit(&seen)?;
        // A FIFO that takes the file's place after the check must not block, and a terminal must not become the
        // controlling one.
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        if let FollowSymlinks::No = follow {
            flags |= OFlags::NOFOLLOW;
        }
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        // cap-primitives keeps the path beneath the folder, links included.
        let opened = Arc::new(open(&folder, path, OpenOptions::new().read(true).custom_flags(flags))?);
        // The file may have been replaced between the check and the opening.
        let is = Metadata::from_file(&opened)?;
        admit(&is)?;
        Ok(if is.is_dir() { Node::Folder(opened) } else { Node::File(opened) })
    }
}

fn admit(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() || metadata.is_dir() { Ok(()) } else { Err(Errno::PERM.into()) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn granted(host: &Path) -> Node {
        Node::Granted(Arc::new(Granted::new(host.canonicalize().unwrap())))
    }

    fn opens(node: &Node, path: &str, follow: FollowSymlinks) -> Result<bool, i32> {
        let opened = node.open_at(path.as_ref(), follow);
        opened.map(|node| node.is_folder()).map_err(|err| err.raw_os_error().unwrap_or_default())
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
        let (yes, no) = (FollowSymlinks::Yes, FollowSymlinks::No);
        let code = |errno: Errno| Err(errno.raw_os_error());
        assert_eq!(opens(&node, "file", yes), Ok(false));
        assert_eq!(opens(&node, "inner", yes), Ok(true));
        assert_eq!(opens(&node, "to_file", yes), Ok(false));
        assert_eq!(opens(&node, "to_file", no), code(Errno::LOOP));
        for blocks in ["fifo", "to_fifo", "socket"] {
            assert_eq!(opens(&node, blocks, yes), code(Errno::PERM), "{blocks}");
        }
        for outside in ["out", "../../etc/passwd", "/etc/passwd"] {
            assert!(opens(&node, outside, yes).is_err(), "{outside}");
        }
        assert_eq!(opens(&node, "file/x", yes), code(Errno::NOTDIR));
    }

    #[test]
    fn a_granted_folder_that_became_a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("data");
        std::fs::create_dir(&inner).unwrap();
        let node = granted(&inner);
        std::fs::remove_dir(&inner).unwrap();
        std::os::unix::fs::symlink("/etc", &inner).unwrap();
        assert_eq!(opens(&node, "passwd", FollowSymlinks::Yes), Err(Errno::LOOP.raw_os_error()));
    }
}
