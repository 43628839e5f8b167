//! WIT source on disk: a file, or a folder with its dependencies under `deps`.
//!
//! Owns which files belong to a package, and how many bytes of them are read. Must not know doc comments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wit_parser::{Resolve, SourceMap, UnresolvedPackageGroup};

use airlock::file;
use airlock_contract::docs::{DocsError, Source};

/// Most bytes of WIT source of a package with all its dependencies. The whole of WASI has a tenth of this.
const BYTES_MAX: u64 = 4 << 20;

/// Most files and folders in one folder.
const ENTRIES_MAX: usize = 1_000;

/// Reads a package and its dependencies.
///
/// # Errors
/// When a file cannot be read or parsed, or a bound is exceeded.
pub(super) fn read(wit: &Path) -> Result<Source, DocsError> {
    // One bound for the package and all dependencies: a bound for each file would still allow any number of files.
    let mut reader = Reader { left: BYTES_MAX, texts: BTreeMap::new() };
    let main = if wit.is_dir() { reader.folder(wit)? } else { reader.package(&[wit.to_owned()])? };
    let deps = wit.join("deps");
    let deps = if deps.is_dir() { reader.dependencies(&deps)? } else { Vec::new() };
    let mut resolve = Resolve::default();
    let package =
        resolve.push_groups(main, deps).map_err(|err| DocsError::Wit(err.render(&resolve.source_map)))?;
    Ok(Source { resolve, package, texts: reader.texts })
}

/// Reads files, and counts their bytes against one bound.
struct Reader {
    left: u64,
    /// The text of each file, by its name in the source map.
    texts: BTreeMap<String, String>,
}

impl Reader {
    fn dependencies(&mut self, folder: &Path) -> Result<Vec<UnresolvedPackageGroup>, DocsError> {
        let mut groups = Vec::new();
        for path in entries(folder)? {
            if path.is_dir() {
                groups.push(self.folder(&path)?);
            } else if is_wit(&path) {
                groups.push(self.package(&[path])?);
            }
        }
        Ok(groups)
    }

    /// Parses the WIT files of a folder as one package.
    fn folder(&mut self, folder: &Path) -> Result<UnresolvedPackageGroup, DocsError> {
        let files: Vec<PathBuf> =
            entries(folder)?.into_iter().filter(|path| is_wit(path) && !path.is_dir()).collect();
        self.package(&files)
    }

    fn package(&mut self, files: &[PathBuf]) -> Result<UnresolvedPackageGroup, DocsError> {
        let mut sources = SourceMap::default();
        for path in files {
            // Through `file`, which opens only regular files: a FIFO in the folder would block forever.
            let text = file::read_text(path, self.left)
                .map_err(|err| DocsError::Wit(format!("`{}`: {err}", path.display())))?;
            self.left -= text.len() as u64;
            self.texts.insert(path.display().to_string(), text.clone());
            sources.push(path, text);
        }
        sources.parse().map_err(|(sources, err)| DocsError::Wit(err.render(&sources)))
    }
}

fn is_wit(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wit")
}

/// The entries of a folder, sorted by name so that errors do not depend on the file system.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DocsError> {
    let unread = |reason: String| DocsError::Wit(format!("`{}`: {reason}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|err| unread(err.to_string()))? {
        paths.push(entry.map_err(|err| unread(err.to_string()))?.path());
        // Checked while listing, so that a huge folder is not read whole.
        if paths.len() > ENTRIES_MAX {
            return Err(unread(format!("it has more than {ENTRIES_MAX} entries")));
        }
    }
    paths.sort();
    Ok(paths)
}
