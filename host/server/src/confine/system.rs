//! What the process reads of the machine itself, whatever the registry says.
//!
//! Owns the list, with the reason of each. Must not know registries. A path that does not exist is left out.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::rules::Reach;

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
    // A compile process lists its descriptors in its own folder of `/proc`, which is not there yet.
    ["/etc/ld.so.cache", "/proc"]
        .map(|path| (path.into(), Reach::Read))
        .into_iter()
        .chain(program(Reach::Execute))
        .collect()
}

/// The file with the name servers. It is replaced by another file when they change, which a rule for the file would not
/// cover: so its folder is read, unless the file is mounted there by itself, as in a container.
fn resolver() -> Option<(PathBuf, Reach)> {
    let file = Path::new("/etc/resolv.conf").canonicalize().ok()?;
    let folder = file.parent()?;
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    if device(&file) == device(folder) {
        // Not its list: `/etc` has many files.
        Some((folder.to_owned(), Reach::ReadFiles))
    } else {
        Some((file, Reach::Read))
    }
}

/// Folders with the trusted roots of TLS, which are read when the first tool needs them.
fn roots() -> impl Iterator<Item = (PathBuf, Reach)> {
    let found = openssl_probe::probe();
    let files =
        found.cert_file.into_iter().filter_map(|file| file.canonicalize().ok()?.parent().map(Path::to_owned));
    found.cert_dir.into_iter().chain(files).map(|path| (path, Reach::Read))
}

/// The running program, and the folders of the libraries that are loaded.
fn program(reach: Reach) -> impl Iterator<Item = (PathBuf, Reach)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let libraries = files.filter(|path| path.contains(".so")).filter_map(|path| Path::new(path).parent());
    let libraries: BTreeSet<PathBuf> = libraries.map(Path::to_owned).collect();
    libraries.into_iter().chain(std::env::current_exe().ok()).map(move |path| (path, reach))
}
