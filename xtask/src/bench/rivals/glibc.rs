//! Starts programs that need a newer C library than the system's: the one of Debian's next release, unpacked into a
//! folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Place, run, said};

/// The Debian release whose C library is used.
const RELEASE: &str = "trixie";
const PACKAGES: [&str; 2] = ["libc6", "libgcc-s1"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// The command line of a program: directly, or through the loader of the newer library.
pub(super) fn start(place: &Place<'_>, program: &Path) -> Result<Vec<String>> {
    let name = program.to_string_lossy().into_owned();
    // Tried directly first: on a system with a newer library nothing is downloaded.
    if run(Command::new(program).arg("--version")).is_ok() {
        return Ok(vec![name]);
    }
    let folder = place.folder.join("glibc");
    let libraries = folder.join(LIBRARIES);
    if !libraries.join(LOADER).exists() {
        unpack(&folder).context("it needs a newer C library, which cannot be had")?;
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let words = vec![text(&libraries.join(LOADER)), "--library-path".into(), text(&libraries), name];
    run(place.command(&words).arg("--version")).context("it does not start with a newer C library")?;
    Ok(words)
}

/// Downloads and unpacks the packages. Uses its own lists and cache, so the system's apt is unchanged, and the system's
/// mirror.
fn unpack(folder: &Path) -> Result<()> {
    let site = said(Command::new("apt-get").args(["indextargets", "--format", "$(SITE)"]))?;
    let site = site.lines().next().context("apt knows no source")?;
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part))?;
    }
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    ensure!(Path::new(keyring).exists(), "the keys of Debian's archive are not installed");
    fs::write(folder.join("sources.list"), format!("deb [signed-by={keyring}] {site} {RELEASE} main\n"))?;
    let at = |option: &str, part: &str| format!("{option}={}", folder.join(part).display());
    // All state of apt is redirected into the folder, and the signature of the archive is still checked.
    let options = [
        at("Dir::Etc::SourceList", "sources.list"),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        at("Dir::State::Lists", "lists"),
        at("Dir::Cache", "cache"),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        for option in &options {
            command.args(["-o", option]);
        }
        run(command.arg("--quiet").args(args).current_dir(folder))
    };
    apt(&["update"])?;
    apt(&[&["download"][..], &PACKAGES].concat())?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "deb") {
            // Unpacked and not installed: the system's own C library stays.
            run(Command::new("dpkg-deb").arg("-x").arg(path).arg(folder))?;
        }
    }
    Ok(())
}
