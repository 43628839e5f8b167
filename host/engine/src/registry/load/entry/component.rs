//! What an operator can do about a component's file that cannot be read.

use std::path::Path;

use airlock_types::words::did_you_mean;

/// Most names of a folder that are looked at for a similar one.
const NAMES_MAX: usize = 1_000;

/// The mend for a file that is missing, or is a folder. None where the error says all.
pub(super) fn hint(path: &Path) -> Option<String> {
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Some("it is a folder: name the component's file, `FILE.wasm`".to_owned())
        }
        Ok(_) => None,
        Err(_) => Some(near(path).unwrap_or_else(|| "build it first, or mend the path".to_owned())),
    }
}

/// A file beside it with a similar name.
fn near(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = folder
        .read_dir()
        .ok()?
        .take(NAMES_MAX)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".wasm")).collect();
    names.sort();
    did_you_mean(path.file_name()?.to_str()?, names.iter().map(String::as_str))
}
