//! `airlock.lock`: the tool definitions that were accepted, and what happens to one that changed.
//!
//! Owns the file beside the registry and the decision. A changed definition is never swapped in silently: an
//! agent acts on a description, so that exchanging one behind its back is an attack. Must not know how tools are
//! loaded.

mod served;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::ConfigFile;
use crate::diff;
use crate::diff::Changes;
use crate::file;
use crate::registry::{Definition, Registry};
use airlock_types::shorten::visible_json;
pub(crate) use served::Served;

/// The version of the file's form. Locks of the first form have no number, and definitions without terms.
const FORMAT: u32 = 2;

/// The largest lock. It holds the schemas of every tool: some kilobytes each, for thousands of tools.
const LOCK_BYTES_MAX: u64 = 64 << 20;

/// What happens to a definition that is not the accepted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pin {
    /// It is refused until the lock is rewritten.
    #[default]
    Refuse,
    /// It is refused until the operator accepts exactly this change, by its digest.
    Ask,
    /// It is accepted, said in the log, and written into the lock.
    Accept,
}

/// A lock, as its file says it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default = "first_format")]
    format: u32,
    pin: Pin,
    #[serde(default)]
    tools: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The definition as JSON text, since TOML has no null.
    definition: String,
}

/// The lock of a registry; none was written yet where `accepted` is empty-handed.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    path: PathBuf,
    pin: Pin,
    accepted: Option<BTreeMap<String, Definition>>,
}

/// Why tools are not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// A newer version wrote the file. Writing it anew would lose what that version accepted.
    #[error(
        "the lock `{}` has format {format}, and this Airlock knows up to {FORMAT}: a newer one wrote it; use that one",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The file cannot be read.
    #[error("the lock `{}` cannot be read: {reason}; `airlock lock --rewrite` writes it anew", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be written.
    #[error("the lock `{}` cannot be written: {reason}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There was a lock, and now there is none.
    #[error(
        "the lock `{}` is gone, and so is what was accepted: put it back, or restart the server to serve without one",
        .path.display()
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// Too many tools came and went.
    #[error(
        "`{tool}` is new, and this process remembers as many tools that came and went as it can: restart the server, \
         or write a lock, `airlock lock`"
    )]
    Forgetful {
        /// A tool that was never served.
        tool: String,
    },
    /// Definitions changed.
    #[error("tool definitions are not the accepted ones:\n{changes}\n{how}")]
    Changed {
        /// What changed.
        changes: Changes,
        /// How to accept it.
        how: String,
    },
}

impl Pin {
    /// As the file has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pin::Refuse => "refuse",
            Pin::Ask => "ask",
            Pin::Accept => "accept",
        }
    }
}

impl Lock {
    /// The lock of a registry as if none had been written.
    pub fn none(file: &ConfigFile) -> Lock {
        Lock { path: Lock::path_of(&file.path), pin: Pin::default(), accepted: None }
    }

    /// The lock beside a registry's file.
    ///
    /// # Errors
    /// When there is one and it is not in order.
    pub fn read(file: &ConfigFile) -> Result<Lock, LockError> {
        Lock::read_at(&Lock::path_of(&file.path))
    }

    /// The lock in a file.
    ///
    /// # Errors
    /// When there is one and it is not in order.
    pub fn read_at(path: &Path) -> Result<Lock, LockError> {
        let path = path.to_owned();
        let failed = |reason: String| LockError::Read { path: path.clone(), reason };
        let text = match file::read_text(&path, LOCK_BYTES_MAX) {
            Err(err) if err.is_not_found() => {
                return Ok(Lock { path, pin: Pin::default(), accepted: None });
            }
            text => text.map_err(|err| failed(err.to_string()))?,
        };
        let Text { format, pin, tools } = toml::from_str(&text).map_err(|err| failed(err.to_string()))?;
        if format > FORMAT {
            return Err(LockError::Newer { path, format });
        }
        let definition = |(name, entry): (String, Entry)| {
            let definition = serde_json::from_str(&entry.definition);
            Ok((name.clone(), definition.map_err(|err| failed(format!("`{name}`: {err}")))?))
        };
        let accepted = tools.into_iter().map(definition).collect::<Result<_, LockError>>()?;
        Ok(Lock { path, pin, accepted: Some(accepted) })
    }

    /// Where the lock of a registry lies: `airlock.lock` for `airlock.toml`.
    pub fn path_of(registry: &Path) -> PathBuf {
        registry.with_extension("lock")
    }

    /// The lock's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it does about a change.
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// Whether it was written.
    pub fn exists(&self) -> bool {
        self.accepted.is_some()
    }

    /// The accepted definitions.
    pub fn accepted(&self) -> BTreeMap<String, Definition> {
        self.accepted.clone().unwrap_or_default()
    }

    /// What of a registry is not as it was accepted. Tools that are gone are no change: they serve nobody.
    pub fn changes(&self, registry: &Registry) -> Changes {
        let now = Definition::all(registry);
        let Some(accepted) = &self.accepted else { return Changes::default() };
        let kept = accepted.iter().filter(|(name, _)| now.contains_key(*name));
        diff::changes(&kept.map(|(name, definition)| (name.clone(), definition.clone())).collect(), &now)
    }

    /// Lets a registry in, or says what about it was not accepted. Without a lock the definitions that were ever
    /// served count as accepted, and new tools may come.
    ///
    /// # Errors
    /// When definitions changed and the pin does not accept that.
    pub(crate) fn admit(&self, registry: &Registry, served: Option<&Served>) -> Result<(), LockError> {
        let changes = match (&self.accepted, served) {
            (Some(_), _) => self.changes(registry),
            (None, Some(served)) => self.changes_since(served, registry)?,
            (None, None) => return Ok(()),
        };
        if changes.is_empty() {
            return Ok(());
        }
        if self.pin == Pin::Accept {
            tracing::warn!("tool definitions changed and were accepted, as the lock says:\n{changes}");
            return self.write(self.pin, registry);
        }
        let how = match (self.exists(), self.pin) {
            (false, _) => {
                "restart the server to serve them, or write a lock first: `airlock lock --pin ask`".into()
            }
            (true, Pin::Ask) => {
                format!("to accept exactly this: `airlock lock --accept {}`", changes.digest())
            }
            (true, Pin::Refuse | Pin::Accept) => "to accept it: `airlock lock --rewrite`".into(),
        };
        Err(LockError::Changed { changes, how })
    }

    /// Writes the definitions of a registry as the accepted ones.
    ///
    /// # Errors
    /// When the file cannot be written; the old one is still there then.
    pub fn write(&self, pin: Pin, registry: &Registry) -> Result<(), LockError> {
        let failed = |reason: String| LockError::Write { path: self.path.clone(), reason };
        let entry = |(name, definition): (String, Definition)| {
            let definition =
                serde_json::to_string_pretty(&definition).map_err(|err| failed(err.to_string()))?;
            // The same JSON, in which a reviewer sees every character.
            Ok((name, Entry { definition: visible_json(&definition).into_owned() }))
        };
        let tools = Definition::all(registry).into_iter().map(entry).collect::<Result<_, LockError>>()?;
        let text = toml::to_string_pretty(&Text { format: FORMAT, pin, tools })
            .map_err(|err| failed(err.to_string()))?;
        let text =
            format!("# Accepted tool definitions. Written by `airlock lock`; review its changes.\n{text}");
        replace(&self.path, &text).map_err(|err| failed(err.to_string()))
    }

    fn changes_since(&self, served: &Served, registry: &Registry) -> Result<Changes, LockError> {
        if served.was_locked() {
            return Err(LockError::Gone { path: self.path.clone() });
        }
        let now = Definition::all(registry);
        if let Some(tool) = now.keys().find(|name| served.is_full() && !served.knows(name)) {
            return Err(LockError::Forgetful { tool: tool.clone() });
        }
        Ok(served.changes(&now))
    }
}

/// Locks that were written before there were numbers.
fn first_format() -> u32 {
    1
}

/// Aside first, so that a failure half-way leaves the old file. What stands in the way is removed, never followed
/// or waited for: a link, or a FIFO.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let aside = path.with_extension("lock.new");
    match std::fs::remove_file(&aside) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&aside)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&aside, path)
}
