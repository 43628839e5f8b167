//! Changing names beneath a folder: what creates, moves and removes them, and what sets times.
//!
//! Each function finds the canonical place, checks what is there, and hands both on to cap-primitives. All of them act on
//! a name itself: no link at the end of a path is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use cap_primitives::fs::{
    DirOptions, FollowSymlinks, Metadata, OpenOptions, create_dir, hard_link, open_dir, remove_dir,
    remove_file, rename, stat, symlink,
};
use rustix::fs::{AtFlags, Timestamps, futimens, utimensat};
use rustix::io::Errno;

use super::fault::Fault;
use super::node::{Node, admit};
use super::place::{Last, Place, check_text};

impl Node {
    pub(super) fn create_folder(&self, path: &str) -> Result<(), Fault> {
        let folder = self.folder()?;
        let place = Place::of(&folder, path, Last::Keep)?;
        let name = place.name()?;
        self.granted().writing()?.create(|| create_dir(&folder, name, &DirOptions::new()))
    }

    pub(super) fn remove_folder(&self, path: &str) -> Result<(), Fault> {
        let folder = self.folder()?;
        let place = Place::of(&folder, path, Last::Keep)?;
        Ok(remove_dir(&folder, place.name()?)?)
    }

    /// Removes a file or a link.
    pub(super) fn remove_file(&self, path: &str) -> Result<(), Fault> {
        let folder = self.folder()?;
        let place = Place::of(&folder, path, Last::Keep)?;
        if movable(&folder, &place)?.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        Ok(remove_file(&folder, place.name()?)?)
    }

    /// Moves a file, a folder or a link within one granted folder.
    pub(super) fn rename(&self, old: &str, to: &Node, new: &str) -> Result<(), Fault> {
        self.same_grant(to)?;
        let (from, to) = (self.folder()?, to.folder()?);
        let (old, new) = (Place::of(&from, old, Last::Keep)?, Place::of(&to, new, Last::Keep)?);
        if new.is_folder && !movable(&from, &old)?.is_dir() {
            return Err(Errno::NOTDIR.into());
        }
        // What is in its new place is removed.
        match movable(&to, &new) {
            Ok(_) => {}
            Err(Fault::Io(err)) if err.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
        movable(&from, &old)?;
        Ok(rename(&from, old.name()?, &to, new.name()?)?)
    }

    /// Gives a regular file another name within one granted folder.
    pub(super) fn link(&self, old: &str, last: Last, to: &Node, new: &str) -> Result<(), Fault> {
        self.same_grant(to)?;
        let (from, to) = (self.folder()?, to.folder()?);
        let (old, new) = (Place::of(&from, old, last)?, Place::of(&to, new, Last::Keep)?);
        if !movable(&from, &old)?.is_file() {
            return Err(Errno::PERM.into());
        }
        let (old, new) = (old.name()?, file_name(&new)?);
        self.granted().writing()?.create(|| hard_link(&from, old, &to, new))
    }

    /// Creates a link to something below the folder that the link is in.
    pub(super) fn create_link(&self, target: &str, path: &str) -> Result<(), Fault> {
        check_text(target)?;
        // The host follows no link to elsewhere. Other programs would, so none is made, and none that comes to lead
        // elsewhere when it is moved.
        if target.starts_with('/') || target.split('/').any(|part| part == "..") {
            return Err(Fault::NOT_GRANTED.on_path(target));
        }
        let folder = self.folder()?;
        let place = Place::of(&folder, path, Last::Keep)?;
        let name = file_name(&place)?;
        self.granted().writing()?.create(|| symlink(Path::new(target), &folder, name))
    }

    pub(super) fn set_times(&self, times: &Timestamps) -> Result<(), Fault> {
        match self {
            Node::File(open) => Ok(futimens(&open.file, times)?),
            Node::Granted(_) | Node::Folder(_) => set_times(&*self.folder()?, ".".as_ref(), times),
            Node::Taped(_) => Err(Fault::NOT_GRANTED),
        }
    }

    pub(super) fn set_times_at(&self, path: &str, last: Last, times: &Timestamps) -> Result<(), Fault> {
        let folder = self.folder()?;
        let place = Place::of(&folder, path, last)?;
        movable(&folder, &place)?;
        let name = place.path();
        let (parent, last) = (name.parent().unwrap_or(Path::new("")), name.components().next_back());
        let last = last.map_or(OsStr::new("."), Component::as_os_str);
        if parent.as_os_str().is_empty() {
            return set_times(&folder, last, times);
        }
        set_times(&open_dir(&folder, parent)?, last, times)
    }

    /// Waits until the names in the folder are on the disk.
    pub(super) fn sync_folder(&self) -> Result<(), Fault> {
        if self.granted().writing().is_err() {
            return Ok(());
        }
        // Opened again: the descriptor of a granted folder is only a start for look-ups.
        let here = cap_primitives::fs::open(&*self.folder()?, ".".as_ref(), OpenOptions::new().read(true))?;
        Ok(here.sync_all()?)
    }

    /// Whether a name may move between two folders: other bounds hold in another grant.
    fn same_grant(&self, other: &Node) -> Result<(), Fault> {
        // Both first, so that a folder for reading is not told from another one.
        self.granted().writing()?;
        other.granted().writing()?;
        if Arc::ptr_eq(self.granted(), other.granted()) { Ok(()) } else { Err(Errno::XDEV.into()) }
    }
}

/// What is at a place, if it may be moved, removed or changed: a regular file, a folder or a link. A socket or a FIFO
/// belongs to another program.
fn movable(folder: &File, place: &Place) -> Result<Metadata, Fault> {
    let seen = stat(folder, place.path(), FollowSymlinks::No)?;
    if !seen.is_symlink() {
        admit(&seen)?;
    }
    if place.is_folder && !seen.is_dir() { Err(Errno::NOTDIR.into()) } else { Ok(seen) }
}

/// The name for something that is no folder.
fn file_name(place: &Place) -> Result<&Path, Fault> {
    if place.is_folder { Err(Errno::NOENT.into()) } else { place.name() }
}

fn set_times(parent: &File, name: &OsStr, times: &Timestamps) -> Result<(), Fault> {
    Ok(utimensat(parent, name, times, AtFlags::SYMLINK_NOFOLLOW)?)
}
