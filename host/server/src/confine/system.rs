//! What the process reads of the machine itself, whatever the registry says.
//!
//! Owns the list, with the reason of each. Must not know registries. A path that does not exist is left out.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::rules::{Reach, existing};

/// Files and folders that are read by themselves.
const PLACES: [&str; 18] = [
    // The resolver of the C library, beside `/etc/resolv.conf`.
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    // The C library looks in it for modules that resolve names.
    "/etc/ld.so.cache",
    // What the links in the folder of trusted roots lead to.
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust",
    // The engine asks which pages of a guest were touched, the allocator how memory is given, and the library of the
    // language how many processors there are. Not all of `/proc`: root may read there what other processes hold.
    "/proc/self",
    "/proc/sys/vm",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    // Libraries of cryptography on kernels where the system call is not ready yet.
    "/dev/urandom",
    "/dev/null",
];

/// Everything that the process which makes calls reads of the machine.
pub(super) fn places() -> Vec<(PathBuf, Reach)> {
    let fixed = PLACES.map(|path| (path.into(), Reach::Read)).into_iter();
    fixed.chain(resolver()).chain(roots()).chain(program(Reach::Read)).collect()
}

/// What a process needs to start this program.
pub(super) fn to_start() -> Vec<(PathBuf, Reach)> {
    let cache = ("/etc/ld.so.cache".into(), Reach::Read);
    std::iter::once(cache).chain(program(Reach::Execute)).collect()
}

/// The file with the name servers. It is replaced by another file when they change, which a rule for the file would not
/// cover: so its folder is read, unless the file is mounted there by itself, as in a container. A file that is missing may
/// come later, and so may what a link leads to.
fn resolver() -> Option<(PathBuf, Reach)> {
    let file = end_of_links(Path::new("/etc/resolv.conf"));
    let folder = existing(file.parent()?)?;
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    match device(&file) {
        Some(own) if device(&folder) != Some(own) => Some((file, Reach::Read)),
        // Not its list: `/etc` has many files.
        Some(_) | None => Some((folder, Reach::ReadFiles)),
    }
}

/// Where links lead from a path, whether something is there or not.
fn end_of_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

/// As many links as the kernel follows.
const LINKS_MAX: usize = 40;

/// Files and folders with the trusted roots of TLS, which are read when the first tool needs them. The file of the system is
/// replaced when roots change, so its folder is read; of a file that a variable names, only the file is.
fn roots() -> impl Iterator<Item = (PathBuf, Reach)> {
    let found = openssl_probe::probe();
    // The library that reads the roots takes the file from this variable.
    let named = std::env::var_os(openssl_probe::ENV_CERT_FILE).map(PathBuf::from);
    let file = found.cert_file.and_then(|file| {
        let target = file.canonicalize().ok()?;
        if named.as_ref() == Some(&file) { Some(target) } else { target.parent().map(Path::to_owned) }
    });
    found.cert_dir.into_iter().chain(file).map(|path| (path, Reach::Read))
}

/// The running program, and the libraries that are loaded: the folders of those of the system, which load more when a name is
/// resolved, and of others, which `LD_PRELOAD` may name, the files.
fn program(reach: Reach) -> impl Iterator<Item = (PathBuf, Reach)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let libraries: BTreeSet<&Path> = files.filter(|path| path.to_string_lossy().contains(".so")).collect();
    let folders: BTreeSet<PathBuf> = libraries
        .iter()
        .filter(|path| is_of_libc(path))
        .filter_map(|path| path.parent())
        .map(Path::to_owned)
        .collect();
    let others =
        libraries.into_iter().filter(|path| path.parent().is_none_or(|folder| !folders.contains(folder)));
    let others: Vec<PathBuf> = others.map(Path::to_owned).collect();
    let own = std::env::current_exe().ok();
    folders.into_iter().chain(others).chain(own).map(move |path| (path, reach))
}

/// Whether a library is the C library or its loader.
fn is_of_libc(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["libc.", "libc-", "ld-", "ld."].iter().any(|first| name.starts_with(first))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_what_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("second", at("first")).unwrap();
        symlink(at("later/file"), at("second")).unwrap();
        symlink("circle", at("circle")).unwrap();
        assert_eq!(end_of_links(&at("first")), at("later/file"));
        assert_eq!(end_of_links(&at("missing")), at("missing"));
        assert_eq!(end_of_links(&at("circle")), at("circle"));
        assert_eq!(existing(at("later/file").parent().unwrap()), folder.path().canonicalize().ok());
    }
}
