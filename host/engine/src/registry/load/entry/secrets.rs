//! The secrets of an entry's grants: each was read, and the tool can read none of their files itself.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Entry;
use crate::capability::files::leads_into;
use crate::config::ConfigFile;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::grant::{Grants, files};

/// Checks grants, whose folders are those of this machine already. `place` finds where one of them stands in the registry,
/// by its name below the grants.
///
/// # Errors
/// When a secret could not be read, or a granted folder has the file of one.
pub(super) fn check(
    entry: &Entry,
    place: impl Fn(&str) -> Range<usize>,
    grants: &Grants,
) -> Result<(), Diagnostics> {
    let names = grants.http.iter().filter_map(|grant| Some(grant.secret.as_ref()?.name.as_str()));
    // Each once, although several grants may use it.
    let names: BTreeSet<&str> = names.collect();
    let problems = names.into_iter().filter_map(|name| entry.capabilities.secrets().problem(name));
    Diagnostics(problems.cloned().collect()).or(())?;
    let Some((folder, message)) = exposed(&entry.file, grants) else { return Ok(()) };
    let span = place(&format!("{}[{folder}]", files::NAME));
    let hint = "move the file out of the folder, or grant another one: no tool may read a secret";
    Err(entry.file.error(span, message, "in these grants", Some(hint.to_owned())).into())
}

/// What is wrong with grants by which a tool could read the file of a secret, now or once it is written, and which of the
/// folders it is.
pub(in crate::registry::load) fn exposed(file: &ConfigFile, grants: &Grants) -> Option<(usize, String)> {
    let secrets = file.config.secrets.iter();
    let mut files = secrets.flat_map(|(name, config)| config.files().map(move |path| (name.get_ref(), path)));
    files.find_map(|(name, path)| {
        let path = file.folder().join(path);
        // Resolved like the folders, so that a link into one is found.
        let place = grants.files.iter().position(|grant| leads_into(&path, &grant.host))?;
        let folder = grants.files[place].host.display();
        Some((place, format!("the granted folder `{folder}` has a file of the secret `{name}`")))
    })
}
