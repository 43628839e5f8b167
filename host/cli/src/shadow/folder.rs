//! The folder of a suite: `suite.toml`, `cases`, `components`, `queries` and `history`.
//!
//! Owns how it is read and written, and its bounds. Must not know what is in a case.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::print::Message;
use airlock::file;
use airlock_shadow::case::{self, Case};
use airlock_shadow::night::{self, Night};
use airlock_shadow::query::{self, Query};
use airlock_shadow::suite::{self, Suite};

/// Most cases of a suite.
pub(super) const CASES_MAX: usize = 2_000;

/// Most bytes of all cases, and of all components.
pub(super) const CASES_BYTES_MAX: u64 = 64 << 20;
pub(super) const COMPONENTS_BYTES_MAX: u64 = 64 << 20;

/// Most queries of a suite: an agent takes seconds for each.
const QUERIES_MAX: usize = 200;

/// Most nights that are read. The oldest beyond them are left out.
const NIGHTS_MAX: usize = 5_000;

/// Most unfinished files beside one: those of runs at the same time, and of interrupted ones.
const PARTS_MAX: u32 = 100;

/// Most files of a folder that are looked at.
const FILES_MAX: usize = 20_000;

/// A suite, as it is on the disk.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn at(path: &Path) -> Folder {
        Folder { path: path.to_owned() }
    }

    pub(super) fn history(&self) -> PathBuf {
        self.path.join("history")
    }

    fn cases(&self) -> PathBuf {
        self.path.join("cases")
    }

    /// The file of a component, whether it is there or not.
    pub(super) fn component(&self, digest: &str) -> PathBuf {
        self.path.join("components").join(format!("{digest}.wasm"))
    }

    /// The settings; none if there is no suite yet.
    pub(super) fn suite(&self) -> anyhow::Result<Option<Suite>> {
        let path = self.path.join("suite.toml");
        match file::read_text(&path, suite::BYTES_MAX) {
            Ok(text) => Ok(Some(Suite::read(&text).map_err(|err| wrong(&path, &err))?)),
            Err(err) if err.is_not_found() => Ok(None),
            Err(err) => Err(wrong(&path, &err).into()),
        }
    }

    /// The settings of a suite that must be there.
    pub(super) fn existing(&self) -> anyhow::Result<Suite> {
        let path = self.path.display();
        let none = || Message(format!("`{path}` is no suite: `airlock shadow capture {path}` writes one"));
        Ok(self.suite()?.ok_or_else(none)?)
    }

    pub(super) fn write_suite(&self, seed: u64) -> anyhow::Result<()> {
        self.write(&self.path.join("suite.toml"), Suite::write_new(seed).as_bytes())
    }

    /// The cases by name.
    pub(super) fn read_cases(&self) -> anyhow::Result<BTreeMap<String, Case>> {
        let (mut cases, mut bytes) = (BTreeMap::new(), 0);
        for path in files(&self.cases(), "json")? {
            let text = file::read_text(&path, case::BYTES_MAX as u64).map_err(|err| wrong(&path, &err))?;
            let case = Case::read(&text).map_err(|err| wrong(&path, &err))?;
            bytes += text.len() as u64;
            cases.insert(case.name(), case);
            if cases.len() > CASES_MAX || bytes > CASES_BYTES_MAX {
                let most = format!("{CASES_MAX} cases and {} MiB", CASES_BYTES_MAX >> 20);
                return Err(Message(format!("`{}` has more than {most}", self.cases().display())).into());
            }
        }
        Ok(cases)
    }

    /// The queries by name, of which there may be none.
    pub(super) fn read_queries(&self) -> anyhow::Result<BTreeMap<String, Query>> {
        let folder = self.path.join("queries");
        let paths = files(&folder, "toml")?;
        if paths.len() > QUERIES_MAX {
            return Err(Message(format!("`{}` has more than {QUERIES_MAX} queries", folder.display())).into());
        }
        let read = |path: PathBuf| {
            let text = file::read_text(&path, query::BYTES_MAX).map_err(|err| wrong(&path, &err))?;
            let query = Query::read(&text).map_err(|err| wrong(&path, &err))?;
            Ok((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), query))
        };
        paths.into_iter().map(read).collect()
    }

    /// Writes the cases, and removes those that are no case any more.
    pub(super) fn write_cases(&self, cases: &BTreeMap<String, String>) -> anyhow::Result<()> {
        for path in files(&self.cases(), "json")? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !cases.contains_key(&name) {
                fs::remove_file(&path).map_err(|err| wrong(&path, &err))?;
            }
        }
        for (name, text) in cases {
            self.write(&self.cases().join(format!("{name}.json")), text.as_bytes())?;
        }
        Ok(())
    }

    /// Removes the components that no case is of.
    pub(super) fn keep_components(&self, digests: &BTreeSet<&str>) -> anyhow::Result<()> {
        for path in files(&self.path.join("components"), "wasm")? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !digests.contains(name.as_str()) {
                fs::remove_file(&path).map_err(|err| wrong(&path, &err))?;
            }
        }
        Ok(())
    }

    /// Writes a file as a whole, or not at all.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let made = || fs::rename(self.part(path, bytes)?, path);
        Ok(made().map_err(|err| wrong(path, &err))?)
    }

    /// Writes a file beside one that is to be made. Another process may write one at the same time.
    fn part(&self, path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
        fs::create_dir_all(path.parent().unwrap_or(&self.path))?;
        for number in 0..PARTS_MAX {
            let part = path.with_extension(format!("part{number}"));
            let mut file = match fs::File::create_new(&part) {
                Ok(file) => file,
                Err(err) if err.kind() == ErrorKind::AlreadyExists => continue,
                Err(err) => return Err(err),
            };
            let written = file.write_all(bytes).and_then(|()| file.sync_all());
            return match written {
                Ok(()) => Ok(part),
                Err(err) => {
                    // Whatever keeps it, the first error says more.
                    let _ = fs::remove_file(&part);
                    Err(err)
                }
            };
        }
        Err(std::io::Error::other(
            "too many files of interrupted runs are beside it: remove those that end with `.part` and a number",
        ))
    }

    /// The nights, oldest first.
    pub(super) fn nights(&self) -> anyhow::Result<Vec<Night>> {
        let mut files = files(&self.history(), "json")?;
        // Without the ending: of two nights of one second the first has nothing behind the time.
        files.sort_by(|one, other| one.file_stem().cmp(&other.file_stem()));
        let newest = &files[files.len().saturating_sub(NIGHTS_MAX)..];
        let read = |path: &PathBuf| {
            let text = file::read_text(path, night::BYTES_MAX).map_err(|err| wrong(path, &err))?;
            let damaged = |err| {
                Message(format!(
                    "the night `{}` cannot be read: {err}; remove it or restore it",
                    path.display()
                ))
            };
            Ok(Night::read(&text).map_err(damaged)?)
        };
        newest.iter().map(read).collect()
    }

    /// Appends a night.
    pub(super) fn add_night(&self, night: &Night) -> anyhow::Result<()> {
        // The name begins with the time, so that names are in the order of nights.
        let stamp = night.at.replace(':', "");
        let name = |n: u32| if n == 0 { format!("{stamp}.json") } else { format!("{stamp}-{n:02}.json") };
        let paths = (0..100).map(|n| self.history().join(name(n)));
        let first = self.history().join(name(0));
        let part = self.part(&first, night.write()?.as_bytes()).map_err(|err| wrong(&first, &err))?;
        let added = added(&part, paths);
        let _ = fs::remove_file(&part);
        match added? {
            true => Ok(()),
            false => Err(Message(format!("a hundred nights began at {}", night.at)).into()),
        }
    }
}

/// Gives a night the first free of its names. Returns whether there was one.
fn added(part: &Path, paths: impl Iterator<Item = PathBuf>) -> Result<bool, Message> {
    for path in paths {
        // A link is never made over a file: the night of another run that began in this second stays.
        match fs::hard_link(part, &path) {
            Ok(()) => return Ok(true),
            Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
            Err(err) => return Err(wrong(&path, &err)),
        }
    }
    Ok(false)
}

fn wrong(path: &Path, err: &dyn std::fmt::Display) -> Message {
    Message(format!("`{}`: {err}", path.display()))
}

/// The files of a folder with this extension, by name. A folder that is not there has none.
fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(wrong(folder, &err).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|err| wrong(folder, &err))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            return Err(Message(format!("`{}` has more than {FILES_MAX} files", folder.display())).into());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_of_one_second_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let night = |number: u32| {
            let text = format!(
                r#"{{"format": 1, "at": "2026-11-28T02:00:00Z", "host": "{number}", "tools": {{}}}}"#
            );
            Night::read(&text).unwrap()
        };
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (at, night) = (folder.path(), night(number));
                scope.spawn(move || Folder::at(at).add_night(&night).unwrap());
            }
        });
        // An unfinished file of an interrupted run is left alone.
        let history = folder.path().join("history");
        fs::write(history.join("2026-11-28T020000Z.part0"), "half").unwrap();
        Folder::at(folder.path()).add_night(&night(8)).unwrap();
        let nights = Folder::at(folder.path()).nights().unwrap();
        let mut hosts: Vec<u32> = nights.iter().map(|night| night.host.parse().unwrap()).collect();
        hosts.sort_unstable();
        assert_eq!(hosts, (0..9).collect::<Vec<u32>>());
        assert_eq!(fs::read_dir(history).unwrap().count(), 10, "and nothing else is left");
    }
}
