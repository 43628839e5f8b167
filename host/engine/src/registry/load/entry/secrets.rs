//! The secrets of an entry's grants: each was read, and the tool can read none of their files itself.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Entry;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::grant::Grants;

/// Checks the grants at this place of the registry. Their folders are those of this machine already.
///
/// # Errors
/// When a secret could not be read, or a granted folder has the file of one.
pub(super) fn check(entry: &Entry, span: Range<usize>, grants: &Grants) -> Result<(), Diagnostics> {
    let names = grants.http.iter().filter_map(|grant| Some(grant.secret.as_ref()?.name.as_str()));
    // Each once, although several grants may use it.
    let names: BTreeSet<&str> = names.collect();
    let problems = names.into_iter().filter_map(|name| entry.capabilities.secrets().problem(name));
    Diagnostics(problems.cloned().collect()).or(())?;
    let Some((name, folder)) = exposed(entry, grants) else { return Ok(()) };
    let message = format!("the granted folder `{folder}` has a file of the secret `{name}`");
    let hint = "move the file out of the folder, or grant another one: no tool may read a secret";
    Err(entry.file.error(span, message, "in these grants", Some(hint.to_owned())).into())
}

/// A secret whose file the tool could read, with the granted folder.
fn exposed<'e>(entry: &'e Entry, grants: &Grants) -> Option<(&'e str, String)> {
    let secrets = entry.file.config.secrets.iter();
    let files = secrets.flat_map(|(name, config)| config.files().map(move |path| (name.get_ref(), path)));
    // Resolved like the folders, so that a link into one is found. A file that is not there exposes nothing.
    let mut real =
        files.filter_map(|(name, path)| Some((name, entry.file.folder().join(path).canonicalize().ok()?)));
    real.find_map(|(name, path)| {
        let folder = grants.files.iter().find(|grant| path.starts_with(&grant.host))?;
        Some((name.as_str(), folder.host.display().to_string()))
    })
}
