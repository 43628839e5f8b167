//! Files that are written whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Names that are tried. Those in the way are of a process with the same number that was killed, in another container or before
/// a restart.
const NAMES_MAX: u64 = 1_000;

/// Writes a file or replaces it at once: whoever reads it meanwhile gets the old one or the new one, and after an error it is
/// the old one. Several may do so at the same time. `mode` is that of a file that this user alone may use; without one it
/// is what the `umask` leaves.
///
/// # Errors
/// When the file cannot be written. Nothing is left beside it.
pub fn replace(path: &Path, content: &[u8], mode: Option<u32>) -> io::Result<()> {
    // A bare file name has an empty parent, which is not a path that can be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside it, since a rename works only within one file system.
    let (aside, file) = beside(folder, mode)?;
    let written = fill(file, content, mode).and_then(|()| std::fs::rename(&aside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    written?;
    // The file is replaced by now: an error would say that it is not.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Makes a file with a name that nothing else has. A link or a pipe in its place is neither followed nor opened.
fn beside(folder: &Path, mode: Option<u32>) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode.unwrap_or(0o666));
    for _ in 0..NAMES_MAX {
        // The count only has to be unique, so it orders nothing.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".airlock-new-{}-{count}", std::process::id()));
        match options.open(&path) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (path, file)),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("remove the files `.airlock-new-*` from `{}`", folder.display()),
    ))
}

fn fill(mut file: File, content: &[u8], mode: Option<u32>) -> io::Result<()> {
    // The `umask` may take away rights of this user, too.
    if let Some(mode) = mode
        && file.metadata()?.permissions().mode() & 0o777 != mode
    {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    file.write_all(content)?;
    // Before the rename: after a crash the name must not lead to a file without its content.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn many_replace_a_file_at_the_same_time_and_leave_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.lock");
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let path = path.clone();
                std::thread::spawn(move || {
                    for _ in 0..20 {
                        replace(&path, format!("{number}").repeat(1_000).as_bytes(), None).unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let content = std::fs::read_to_string(&path).unwrap();
        assert!(content.len() == 1_000 && content == content[..1].repeat(1_000), "{content}");
        assert_eq!(names(folder.path()), 1);
    }

    #[test]
    fn what_cannot_be_replaced_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("f")).unwrap();
        assert!(replace(&folder.path().join("f"), b"x", None).is_err());
        assert!(replace(&folder.path().join("none/f"), b"x", None).is_err());
        assert_eq!(names(folder.path()), 1);
    }
}
