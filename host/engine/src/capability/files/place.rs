//! Where a guest's path leads: the canonical place beneath a folder, without links and dots.
//!
//! Owns the walk along a path. It is the first of two walls: every function that opens or changes something takes a
//! [`Place`], and hands it on to cap-primitives, which keeps it beneath the folder by its own means. Must not know rights.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::PathFlags;

use super::fault::Fault;

/// Longest path and longest target of a link, from Linux.
const PATH_BYTES_MAX: usize = 4_096;

/// Most links on the way, from Linux.
const LINKS_MAX: u32 = 40;

/// Most names that are looked up for one path. The longest path has half as many, and links that lead to and fro could
/// keep a thread for long.
const STEPS_MAX: u32 = 4_096;

/// What happens to a link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// The place is that of its target.
    Follow,
    /// The place is that of the link.
    Keep,
}

impl Last {
    /// For looking something up: a path that ends like a folder's means the target, whatever the flags say.
    pub(super) fn of(flags: PathFlags, path: &str) -> Last {
        let follows = flags.contains(PathFlags::SYMLINK_FOLLOW) || names_folder(path);
        if follows { Last::Follow } else { Last::Keep }
    }
}

fn names_folder(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("" | "." | ".."))
}

/// A canonical place. Whether something is there is not part of it.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Whether the path can only mean a folder: `out/`.
    pub(super) is_folder: bool,
}

impl Place {
    /// Walks along a path from a folder. All but the last name must exist.
    pub(super) fn of(folder: &File, path: &str, last: Last) -> Result<Place, Fault> {
        Place::walked(folder, path, last).map_err(|fault| fault.on_path(path))
    }

    fn walked(folder: &File, path: &str, last: Last) -> Result<Place, Fault> {
        check_text(path)?;
        if path.starts_with('/') {
            return Err(Fault::NOT_GRANTED);
        }
        let mut walk =
            Walk { start: folder, here: None, names: Vec::new(), left: parts(path), links: 0, steps: 0 };
        while let Some(part) = walk.left.pop() {
            match &*part {
                "" | "." => {}
                ".." => walk.leave()?,
                _ => walk.enter(part, last)?,
            }
        }
        Ok(Place { path: walk.names.iter().collect(), is_folder: names_folder(path) })
    }

    /// The path for functions that look something up.
    pub(super) fn path(&self) -> &Path {
        if self.path.as_os_str().is_empty() { Path::new(".") } else { &self.path }
    }

    /// The path for functions that create, remove or move a name. The folder that the walk began at has none here.
    pub(super) fn name(&self) -> Result<&Path, Fault> {
        if self.path.as_os_str().is_empty() { Err(Errno::INVAL.into()) } else { Ok(&self.path) }
    }
}

/// What a path or the target of a link must be to be looked at.
pub(super) fn check_text(path: &str) -> Result<(), Fault> {
    if path.is_empty() {
        return Err(Errno::NOENT.into());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(Errno::NAMETOOLONG.into());
    }
    if path.contains('\0') { Err(Errno::INVAL.into()) } else { Ok(()) }
}

/// The parts of a path, the first one last.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().map(str::to_owned).collect()
}

struct Walk<'f> {
    start: &'f File,
    /// The folder that the walk has come to, where it is not the start.
    here: Option<OwnedFd>,
    /// Names from the start to here.
    names: Vec<String>,
    /// Parts that are left, the next one last.
    left: Vec<String>,
    links: u32,
    steps: u32,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.here.as_ref().map_or_else(|| self.start.as_fd(), OwnedFd::as_fd)
    }

    fn step(&mut self) -> Result<(), Fault> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err(Errno::NAMETOOLONG.into()) } else { Ok(()) }
    }

    /// Takes one name.
    fn enter(&mut self, name: String, last: Last) -> Result<(), Fault> {
        self.step()?;
        let is_last = self.left.iter().all(|part| part.is_empty() || part == ".");
        let kind = match statat(self.here(), &*name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            // What may be about to be created.
            Err(Errno::NOENT) if is_last => FileType::Unknown,
            Err(err) => return Err(err.into()),
        };
        if kind == FileType::Symlink && (!is_last || last == Last::Follow) {
            return self.follow(&name);
        }
        if !is_last {
            // Fails for anything but a folder.
            self.open(&name)?;
        }
        self.names.push(name);
        Ok(())
    }

    /// Opens a folder that is no link, even if it became one meanwhile.
    fn open(&mut self, name: &str) -> Result<(), Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.here = Some(openat(self.here(), name, flags, Mode::empty())?);
        Ok(())
    }

    /// Replaces a link by its target.
    fn follow(&mut self, name: &str) -> Result<(), Fault> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(self.here(), name, Vec::new())?;
        let target = target.into_string().map_err(|_| Errno::ILSEQ)?;
        check_text(&target)?;
        if target.starts_with('/') {
            return Err(Fault::NOT_GRANTED);
        }
        self.left.extend(parts(&target));
        Ok(())
    }

    /// Takes `..`. Walked again from the start and not by the folder's own `..`: it may have been moved away.
    fn leave(&mut self) -> Result<(), Fault> {
        self.names.pop().ok_or(Fault::NOT_GRANTED)?;
        self.here = None;
        let names = std::mem::take(&mut self.names);
        for name in &names {
            self.step()?;
            self.open(name)?;
        }
        self.names = names;
        Ok(())
    }
}

/// Whether a folder still lies beneath another one. It may have been moved away since it was opened.
pub(super) fn is_beneath(folder: &File, root: &File) -> Result<bool, Fault> {
    let identity =
        |fd: BorrowedFd<'_>| statat(fd, "", AtFlags::EMPTY_PATH).map(|stat| (stat.st_dev, stat.st_ino));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = identity(root.as_fd())?;
    let mut here = folder.as_fd().try_clone_to_owned()?;
    let mut seen = identity(here.as_fd())?;
    for _ in 0..STEPS_MAX {
        if seen == top {
            return Ok(true);
        }
        here = openat(&here, "..", flags, Mode::empty())?;
        let above = identity(here.as_fd())?;
        // The root of the file system is above itself.
        if above == seen {
            return Ok(false);
        }
        seen = above;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

    use super::*;

    /// A folder with files and links in it.
    fn made() -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/file"), "x").unwrap();
        for (target, name) in [
            ("a", "to_a"),
            ("a/file", "to_file"),
            ("../a/b", "a/to_b"),
            ("/etc", "absolute"),
            ("../../etc", "out"),
            ("../x", "up"),
            ("loop", "loop"),
            ("nothing", "dangling"),
            ("a/b/../file", "with_dots"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        let opened = File::open(folder.path()).unwrap();
        (folder, opened)
    }

    #[track_caller]
    fn check(path: &str, last: Last, expect: Result<&str, ErrorCode>) {
        let (_folder, opened) = made();
        let found = Place::of(&opened, path, last).map_err(|fault| fault.code());
        assert_eq!(
            found.as_ref().map(|place| place.path()).map_err(|code| *code),
            expect.map(Path::new),
            "{path}"
        );
    }

    #[test]
    fn a_path_has_one_canonical_place() {
        for (path, place) in [
            ("a/file", "a/file"),
            ("./a//./file", "a/file"),
            ("a/b/../file", "a/file"),
            ("to_a/file", "a/file"),
            ("to_a/to_b/new", "a/b/new"),
            ("with_dots", "a/file"),
            ("new", "new"),
            ("a/b/", "a/b"),
            ("a/b/..", "a"),
            ("a/..", "."),
            (".", "."),
            ("dangling", "nothing"),
        ] {
            check(path, Last::Follow, Ok(place));
        }
        check("to_file", Last::Follow, Ok("a/file"));
        check("to_file", Last::Keep, Ok("to_file"));
        check("out", Last::Keep, Ok("out"));
    }

    #[test]
    fn no_place_lies_outside() {
        for path in
            ["..", "../x", "a/../..", "a/b/../../../etc/passwd", "/", "/etc/passwd", "absolute", "absolute/x"]
                .into_iter()
                .chain(["out", "out/passwd", "up", "to_a/../../x", "//etc", "a/../../../../../etc"])
        {
            check(path, Last::Follow, Err(ErrorCode::NotPermitted));
        }
    }

    #[test]
    fn what_is_no_path_has_no_place() {
        check("", Last::Follow, Err(ErrorCode::NoEntry));
        check("a\0b", Last::Follow, Err(ErrorCode::Invalid));
        check("loop", Last::Follow, Err(ErrorCode::Loop));
        check("loop/x", Last::Keep, Err(ErrorCode::Loop));
        check("none/x", Last::Follow, Err(ErrorCode::NoEntry));
        check("a/file/x", Last::Follow, Err(ErrorCode::NotDirectory));
        check("a/file/..", Last::Follow, Err(ErrorCode::NotDirectory));
        check(&"a/".repeat(3_000), Last::Follow, Err(ErrorCode::NameTooLong));
        // Each way back walks again, which is bounded.
        check(&format!("a/{}", "b/../".repeat(800)), Last::Follow, Ok("a"));
        check(&format!("to_a/{}", "to_b/../to_b/../".repeat(200)), Last::Follow, Err(ErrorCode::Loop));
    }

    #[test]
    fn a_path_that_ends_like_a_folder_follows() {
        for path in ["x/", "x/.", "x/..", ".", ".."] {
            assert_eq!(Last::of(PathFlags::empty(), path), Last::Follow, "{path}");
        }
        assert_eq!(Last::of(PathFlags::empty(), "x"), Last::Keep);
        assert_eq!(Last::of(PathFlags::SYMLINK_FOLLOW, "x"), Last::Follow);
    }

    #[test]
    fn the_second_wall_stands_by_itself() {
        use cap_primitives::fs::{
            FollowSymlinks, OpenOptions, create_dir, hard_link, open, remove_file, rename, stat,
        };
        let (_folder, opened) = made();
        let inside = Path::new("a/file");
        for path in
            ["..", "../x", "/etc/passwd", "absolute/passwd", "out/passwd", "a/../../x", "to_a/../../x/y"]
        {
            let path = Path::new(path);
            assert!(open(&opened, path, OpenOptions::new().read(true)).is_err(), "{}", path.display());
            assert!(stat(&opened, path, FollowSymlinks::Yes).is_err(), "{}", path.display());
            assert!(create_dir(&opened, path, &cap_primitives::fs::DirOptions::new()).is_err());
            assert!(remove_file(&opened, path).is_err() && rename(&opened, inside, &opened, path).is_err());
            assert!(hard_link(&opened, path, &opened, Path::new("new")).is_err());
            assert!(hard_link(&opened, inside, &opened, path).is_err());
        }
    }

    #[test]
    fn a_folder_that_was_moved_away_is_no_longer_beneath() {
        let (folder, opened) = made();
        let inner = File::open(folder.path().join("a/b")).unwrap();
        assert!(is_beneath(&inner, &opened).unwrap() && is_beneath(&opened, &opened).unwrap());
        assert!(!is_beneath(&opened, &inner).unwrap());
        std::fs::rename(folder.path().join("a/b"), folder.path().join("c")).unwrap();
        assert!(is_beneath(&inner, &opened).unwrap(), "moved, and still beneath");
        let other = tempfile::tempdir().unwrap();
        std::fs::rename(folder.path().join("c"), other.path().join("c")).unwrap();
        assert!(!is_beneath(&inner, &opened).unwrap());
    }
}
