//! File systems that the kernel makes: processes with their environment and memory, settings of the machine, devices.
//!
//! Owns which folders are of one. `/proc/self/environ` has every secret that this program was started with, and
//! `/proc/self/fd` its open files, so none of these may be granted, whatever name or mount leads there.

use std::path::{Path, PathBuf};

/// The folders where such file systems are.
const FOLDERS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The types of such file systems.
const TYPES: [&str; 18] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// The mounts that this process sees, in the order of mounting.
const MOUNTS: &str = "/proc/self/mountinfo";

/// A mount.
struct Mount {
    /// The device, as `major:minor`: the same in each place where a file system is mounted.
    device: String,
    /// Where it is.
    point: PathBuf,
    kind: String,
}

/// Where a folder, absolute and without links, meets a file system of the kernel: what it lies in, or what lies in it.
pub(super) fn of_kernel(folder: &Path) -> Option<PathBuf> {
    // Without the list, as where `/proc` is not mounted, the names are left.
    let mounts = std::fs::read_to_string(MOUNTS).unwrap_or_default();
    of_kernel_among(folder, &mounts)
}

fn of_kernel_among(folder: &Path, mounts: &str) -> Option<PathBuf> {
    let meets = |point: &Path| folder.starts_with(point) || point.starts_with(folder);
    if let Some(named) = FOLDERS.map(Path::new).into_iter().find(|named| meets(named)) {
        return Some(named.to_owned());
    }
    let mounts: Vec<Mount> = mounts.lines().filter_map(mount).collect();
    // A second mount of `/dev` has the type of an ordinary file system in most containers, and the same device. Where
    // `/dev` is a part of the root's file system, the device says nothing.
    let root = mounts.iter().rev().find(|one| one.point == Path::new("/")).map(|one| &one.device);
    let own = mounts.iter().filter(|one| is_named(&one.point)).map(|one| &one.device);
    let own: Vec<&String> = own.filter(|device| Some(*device) != root).collect();
    // What lies below the folder, and of what it lies in the nearest one, which hides those before it.
    let around = mounts.iter().filter(|one| folder.starts_with(&one.point));
    let around = around.max_by_key(|one| one.point.components().count());
    let below = mounts.iter().filter(|one| one.point.starts_with(folder));
    let is_kernels = |one: &&Mount| TYPES.contains(&&*one.kind) || own.contains(&&one.device);
    around.into_iter().chain(below).find(is_kernels).map(|one| one.point.clone())
}

fn is_named(point: &Path) -> bool {
    FOLDERS.iter().any(|named| point == Path::new(named))
}

/// Reads a line: `22 27 0:21 / /proc rw - proc proc rw`, with any number of fields before the dash.
fn mount(line: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(2);
    let (device, _root, point) = (place.next()?, place.next()?, place.next()?);
    Some(Mount {
        device: device.to_owned(),
        point: PathBuf::from(unescaped(point)),
        kind: kind.split(' ').next()?.to_owned(),
    })
}

/// The kernel writes spaces, tabs, line breaks and backslashes of a path as `\040`.
fn unescaped(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "22 27 0:21 / /proc rw,relatime - proc proc rw
        24 27 0:6 / /dev rw,relatime shared:2 - tmpfs tmpfs rw
        27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
        30 27 0:21 / /srv/a\\040b/inner rw - proc proc rw
        31 27 0:6 /shm /srv/devices rw - tmpfs tmpfs rw
        32 27 0:22 / /srv/machine rw - sysfs sysfs rw
        33 32 0:40 / /srv/machine/over rw - tmpfs tmpfs rw
        34 27 0:41 / /srv/plain rw - tmpfs tmpfs rw";

    #[track_caller]
    fn check(folder: &str, expect: Option<&str>) {
        let listed: Vec<&str> = LISTED.lines().map(str::trim).collect();
        let found = of_kernel_among(Path::new(folder), &listed.join("\n"));
        assert_eq!(found.as_deref(), expect.map(Path::new), "{folder}");
    }

    #[test]
    fn what_the_kernel_makes_is_found_by_its_name_and_by_its_mount() {
        check("/proc", Some("/proc"));
        check("/proc/1/root", Some("/proc"));
        check("/dev/shm", Some("/dev"));
        check("/", Some("/proc"));
        check("/srv/a b/inner/self", Some("/srv/a b/inner"));
        check("/srv/a b", Some("/srv/a b/inner"));
        check("/srv/devices", Some("/srv/devices"));
        check("/srv/machine/kernel", Some("/srv/machine"));
    }

    #[test]
    fn other_folders_are_not() {
        for folder in ["/srv/plain", "/srv/machine/over", "/srv/other", "/process", "/home", "/srv/a"] {
            check(folder, None);
        }
        let of_root = "20 1 254:0 / / rw - ext4 /dev/vda rw\n21 20 254:0 /dev /dev rw - ext4 /dev/vda rw\n";
        assert_eq!(of_kernel_among(Path::new("/srv/plain"), of_root), None);
        assert_eq!(of_kernel_among(Path::new("/srv/plain"), "no list of mounts\n - \n"), None);
    }
}
