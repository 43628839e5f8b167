//! `airlock.lock`: the accepted tool definitions, and what happens when one changes.
//!
//! Owns the file beside the registry and the decision. A changed definition is never served silently: an agent acts on
//! a description, so replacing one unnoticed is an attack. Must not know how tools are loaded. To change the form of
//! the file: a new `FORMAT`, and a reading of the old one.

mod former;
mod served;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{ConfigFile, lock_path};
use crate::diff;
use crate::diff::Changes;
use crate::file;
use crate::registry::{Definition, Registry};
use crate::signature::Key;
use airlock_types::shorten::visible_json;
pub(crate) use served::Served;

/// Version of the file's form. Locks of the first form carry no number, and their definitions have no terms. In those of
/// the second, the schema of a result is within that of the envelope around it. Those of the third have no digests beside a
/// definition, and no signers.
const FORMAT: u32 = 4;

/// Size of the largest lock in bytes. A lock holds the schemas of every tool: some kilobytes each, for thousands of
/// tools.
const LOCK_BYTES_MAX: u64 = 64 << 20;

/// What happens when a definition differs from the accepted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pin {
    /// Refused until the lock is rewritten.
    #[default]
    Refuse,
    /// Refused until the operator accepts exactly this change, by its digest.
    Ask,
    /// Accepted, logged and written to the lock.
    Accept,
}

/// The form of the file.
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
    /// What others compare with, and what a reviewer sees first. None before format 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digests: Option<Digests>,
    /// The definition as JSON text, because TOML has no null.
    definition: String,
}

/// The digests of a definition, which has all that they are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Digests {
    /// Of the component's file.
    component: String,
    /// Of the component's types.
    wit: String,
    /// Of names, descriptions and schemas, as models read them.
    surface: String,
    /// Of the requested capabilities.
    requests: String,
    /// The keys that signed the component.
    signers: Vec<Key>,
}

impl Digests {
    fn of(name: &str, definition: &Definition) -> Digests {
        Digests {
            component: definition.component.clone(),
            wit: definition.wit.clone().unwrap_or_default(),
            surface: definition.surface(name),
            requests: definition.requests(),
            signers: definition.signers.iter().flatten().map(|signer| signer.key.clone()).collect(),
        }
    }
}

/// The lock of a registry. `accepted` is none when no lock was written yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    path: PathBuf,
    pin: Pin,
    accepted: Option<BTreeMap<String, Definition>>,
}

/// Why the tools of a registry are not served.
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
    #[error(
        "the lock `{}` cannot be read: {reason}; restore it from version control: what was accepted is not known without it, \
         and `airlock lock --rewrite` accepts every current definition unreviewed",
        .path.display()
    )]
    Read {
        /// The path of the lock.
        path: PathBuf,
        /// The error, as a fragment.
        reason: String,
    },
    /// The file cannot be written.
    #[error("the lock `{}` cannot be written: {reason}", .path.display())]
    Write {
        /// The path of the lock.
        path: PathBuf,
        /// The error, as a fragment.
        reason: String,
    },
    /// The served tools were accepted by a lock that no longer exists.
    #[error(
        "the lock `{}` is gone, and so is what was accepted: put it back, or restart the server to serve without one",
        .path.display()
    )]
    Removed {
        /// The path of the lock.
        path: PathBuf,
    },
    /// A tool is new, and this process cannot remember more tools that were removed.
    #[error(
        "`{tool}` is new, and this process remembers as many tools that came and went as it can: restart the server, \
         or write a lock, `airlock lock`"
    )]
    Forgetful {
        /// The new tool.
        tool: String,
    },
    /// Definitions changed, and the pin does not accept the changes.
    #[error("tool definitions are not the accepted ones:\n{changes}\n{how}")]
    Changed {
        /// The changes, for a reviewer.
        changes: Changes,
        /// The command that accepts them.
        how: String,
    },
}

impl Pin {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pin::Refuse => "refuse",
            Pin::Ask => "ask",
            Pin::Accept => "accept",
        }
    }
}

impl Lock {
    /// An empty lock for a registry, as if none had been written.
    pub fn none(file: &ConfigFile) -> Lock {
        Lock { path: Lock::path_of(&file.path), pin: Pin::default(), accepted: None }
    }

    /// Reads the lock beside a registry's file. A missing file is an empty lock.
    ///
    /// # Errors
    /// When the file exists and cannot be read or parsed.
    pub fn read(file: &ConfigFile) -> Result<Lock, LockError> {
        Lock::read_at(&Lock::path_of(&file.path))
    }

    /// Reads a lock. A missing file is an empty lock.
    ///
    /// # Errors
    /// When the file exists and cannot be read or parsed.
    pub fn read_at(path: &Path) -> Result<Lock, LockError> {
        let path = path.to_owned();
        let failed = |reason: String| LockError::Read { path: path.clone(), reason };
        let text = match file::read_text(&path, LOCK_BYTES_MAX) {
            // Only a missing file is an empty lock. An unreadable one must not accept everything.
            Err(err) if err.is_not_found() => {
                return Ok(Lock { path, pin: Pin::default(), accepted: None });
            }
            text => text.map_err(|err| failed(err.to_string()))?,
        };
        let Text { format, pin, tools } =
            airlock_types::tables::from_str(&text).map_err(|err| failed(in_line(&err, &text)))?;
        // A newer form may state things that this version would drop silently.
        if format > FORMAT {
            return Err(LockError::Newer { path, format });
        }
        let definition = |(name, entry): (String, Entry)| {
            let definition = if format < FORMAT {
                former::definition(&entry.definition)
            } else {
                serde_json::from_str(&entry.definition)
            };
            let definition = definition.map_err(|err| failed(format!("`{name}`: {err}")))?;
            // Digests are what is reviewed, and the definition is what is compared. Older formats have none.
            let expected = (format >= FORMAT).then(|| Digests::of(&name, &definition));
            if entry.digests != expected {
                return Err(failed(format!("the digests of `{name}` are not those of its definition")));
            }
            Ok((name, definition))
        };
        let accepted = tools.into_iter().map(definition).collect::<Result<_, LockError>>()?;
        Ok(Lock { path, pin, accepted: Some(accepted) })
    }

    /// The tools that were signed when they were accepted. None when the lock cannot be read: it is asked again before
    /// anything is served.
    pub(crate) fn signed(file: &ConfigFile) -> BTreeSet<String> {
        let accepted = Lock::read(file).map(|lock| lock.accepted()).unwrap_or_default().into_iter();
        let is_signed = |definition: &Definition| definition.signers.iter().flatten().next().is_some();
        accepted.filter(|(_, definition)| is_signed(definition)).map(|(name, _)| name).collect()
    }

    /// The path of a registry's lock: `airlock.lock` for `airlock.toml`.
    pub fn path_of(registry: &Path) -> PathBuf {
        lock_path(registry)
    }

    /// The path of the lock.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What happens when a definition changes.
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// Whether the lock was written.
    pub fn exists(&self) -> bool {
        self.accepted.is_some()
    }

    /// The accepted definitions, by public name.
    pub fn accepted(&self) -> BTreeMap<String, Definition> {
        self.accepted.clone().unwrap_or_default()
    }

    /// The differences between a registry and its accepted definitions. A removed tool is not a difference: it serves
    /// no calls.
    pub fn changes(&self, registry: &Registry) -> Changes {
        let now = Definition::all(registry);
        let Some(accepted) = &self.accepted else { return Changes::default() };
        // New tools stay in the comparison: with a lock they are wider until accepted.
        let kept = accepted.iter().filter(|(name, _)| now.contains_key(*name));
        diff::changes(&kept.map(|(name, definition)| (name.clone(), definition.clone())).collect(), &now)
    }

    /// The changes for which tools are not served until someone accepts them.
    pub(crate) fn waiting(&self, registry: &Registry) -> Changes {
        let changes = self.changes(registry);
        if self.accepts(&changes) { Changes::default() } else { changes }
    }

    /// Whether the pin accepts these changes by itself.
    fn accepts(&self, changes: &Changes) -> bool {
        self.pin == Pin::Accept && !changes.weakens_signatures()
    }

    /// Checks a registry against the lock before its tools are served. Without a lock, the definitions that this
    /// process has ever served count as accepted, and new tools are allowed.
    ///
    /// # Errors
    /// When definitions changed and the pin does not accept that.
    pub(crate) fn admit(&self, registry: &Registry, served: Option<&Served>) -> Result<(), LockError> {
        let changes = match (&self.accepted, served) {
            (Some(_), _) => self.changes(registry),
            (None, Some(served)) => self.changes_since(served, registry)?,
            // The first load without a lock: nothing was accepted yet.
            (None, None) => return Ok(()),
        };
        if changes.is_empty() {
            return Ok(());
        }
        // Written before the tools are served, so that the lock never lags behind.
        if self.accepts(&changes) {
            tracing::warn!("tool definitions changed and were accepted, as the lock says:\n{changes}");
            // The tools of an entry that was left out stay accepted: it may be whole again after the next change.
            let kept = self.accepted().into_iter().filter(|(name, _)| registry.may_lack(name));
            return self.write_all(self.pin, kept.chain(Definition::all(registry)).collect());
        }
        let how = self.how_to_accept(&changes);
        Err(LockError::Changed { changes, how })
    }

    /// What the operator can do about changes: the one hint of `airlock lock`, of a start and of a reload.
    pub fn how_to_accept(&self, changes: &Changes) -> String {
        if !self.exists() {
            return "restart the server to serve them, or write a lock first: `airlock lock --pin ask`"
                .into();
        }
        let exactly = format!("to accept exactly this: `airlock lock --accept {}`", changes.digest());
        match self.pin {
            // A lock that asks for the digest does not offer the way around it.
            Pin::Ask => exactly,
            Pin::Accept if changes.weakens_signatures() => exactly,
            Pin::Refuse | Pin::Accept => {
                format!("{exactly}; to accept whatever is there: `airlock lock --rewrite`")
            }
        }
    }

    /// The accepted tools that a registry does not have.
    pub fn absent(&self, registry: &Registry) -> Vec<String> {
        let now = Definition::all(registry);
        let accepted = self.accepted.iter().flatten();
        accepted.filter(|(name, _)| !now.contains_key(*name)).map(|(name, _)| name.clone()).collect()
    }

    /// Writes the definitions of a registry as the accepted ones, beside those that it does not have.
    ///
    /// # Errors
    /// When the file cannot be written. The old file is then unchanged.
    pub fn write(&self, pin: Pin, registry: &Registry) -> Result<(), LockError> {
        self.write_all(pin, self.accepted().into_iter().chain(Definition::all(registry)).collect())
    }

    fn write_all(&self, pin: Pin, tools: BTreeMap<String, Definition>) -> Result<(), LockError> {
        let failed = |reason: String| LockError::Write { path: self.path.clone(), reason };
        let entry = |(name, definition): (String, Definition)| {
            let digests = Some(Digests::of(&name, &definition));
            let definition =
                serde_json::to_string_pretty(&definition).map_err(|err| failed(err.to_string()))?;
            // The same JSON, in which a reviewer sees every character.
            Ok((name, Entry { digests, definition: visible_json(&definition).into_owned() }))
        };
        let tools = tools.into_iter().map(entry).collect::<Result<_, LockError>>()?;
        let text = toml::to_string_pretty(&Text { format: FORMAT, pin, tools })
            .map_err(|err| failed(err.to_string()))?;
        let text =
            format!("# Accepted tool definitions. Written by `airlock lock`; review its changes.\n{text}");
        file::replace(&self.path, text.as_bytes(), None).map_err(|err| failed(err.to_string()))
    }

    /// The differences between a registry and what this process has served.
    fn changes_since(&self, served: &Served, registry: &Registry) -> Result<Changes, LockError> {
        // Deleting the lock must not accept everything.
        if served.was_locked() {
            return Err(LockError::Removed { path: self.path.clone() });
        }
        let now = Definition::all(registry);
        if let Some(tool) = now.keys().find(|name| served.is_full() && !served.knows(name)) {
            return Err(LockError::Forgetful { tool: tool.clone() });
        }
        Ok(served.changes(&now))
    }
}

/// An error of the file's form as a fragment, on one line.
fn in_line(err: &toml::de::Error, text: &str) -> String {
    let line = err.span().map(|span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    format!("{place}{}", err.message().replace('\n', ", "))
}

/// The format of locks that carry no number.
fn first_format() -> u32 {
    1
}
