//! The description of one component, kept so that a component that did not change is not read again.
//!
//! Bound to the whole file of the component, its contract included.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Known;
use super::document;
use super::document::Unusable;
use airlock_contract::BUILD;
use airlock_contract::component::{COMPONENT_INFO_BYTES_MAX, ComponentInfo};

/// Most bytes of the file: a description, plus the digests, and the names of its functions once more.
const BYTES_MAX: u64 = 2 * COMPONENT_INFO_BYTES_MAX as u64 + 4_096;

/// A component's place among the descriptions.
pub(super) struct Description {
    path: PathBuf,
    component: String,
    settings: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described<'a> {
    /// SHA-256 of the component's file, hex.
    component: Cow<'a, str>,
    /// The engine's settings and the program's version.
    settings: Cow<'a, str>,
    info: Cow<'a, ComponentInfo>,
    /// SHA-256 of what is executed of it, hex.
    executed: Cow<'a, str>,
    /// What judged the contracts of the functions that are named next.
    #[serde(default)]
    judge: Cow<'a, str>,
    /// The functions whose contracts were found to be right, by their full addresses.
    #[serde(default)]
    judged: Cow<'a, BTreeSet<String>>,
}

impl Description {
    pub(super) fn new(folder: &Path, component: &str, settings: String) -> Description {
        let path = folder.join(format!("{component}-{settings}.description"));
        Description { path, component: component.to_owned(), settings }
    }

    pub(super) fn keep(
        &self,
        info: &ComponentInfo,
        executed: &str,
        judged: &BTreeSet<String>,
    ) -> io::Result<()> {
        let Description { path, component, settings } = self;
        let described = Described {
            component: component.into(),
            settings: settings.into(),
            info: Cow::Borrowed(info),
            executed: executed.into(),
            judge: BUILD.into(),
            judged: Cow::Borrowed(judged),
        };
        document::write(path, &described)
    }

    /// The description, if it is intact and of this component.
    pub(super) fn find(&self) -> Option<Known> {
        match self.read() {
            Ok(known) => Some(known),
            Err(Unusable::Missing) => None,
            Err(err) => {
                tracing::warn!("a component in the compile cache is read anew: {err}");
                // A failure does no harm: the next description replaces the file.
                let _ = std::fs::remove_file(&self.path);
                None
            }
        }
    }

    fn read(&self) -> Result<Known, Unusable> {
        let Described { component, settings, info, executed, judge, judged } =
            document::read(&self.path, BYTES_MAX)?;
        if component != self.component || settings != self.settings {
            return Err(Unusable::Index("it is another component's, or for another engine".into()));
        }
        // The description is from a process that read untrusted bytes, so its bounds are checked at every use.
        info.check().map_err(Unusable::Index)?;
        // It becomes part of a path.
        if !document::is_digest(&executed) {
            return Err(Unusable::Index("it names no component that is executed".into()));
        }
        // What another build found to be right is judged again.
        let judged = if judge == BUILD { judged.into_owned() } else { BTreeSet::new() };
        Ok(Known { info: info.into_owned(), executed: executed.into_owned(), judged })
    }
}
