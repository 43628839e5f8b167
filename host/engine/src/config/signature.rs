//! `[signatures]`: by whom components must be signed, for all tools and for one.
//!
//! Owns these settings and the rules between them. Must not verify anything.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::{Config, ConfigFile, ToolConfig};
use crate::signature::{Key, Policy};
use airlock_types::diagnostic::Diagnostic;

/// Most keys of one list: each is tried with each signature.
const KEYS_MAX: usize = 16;

/// By whom components must be signed. What an entry of `[tools]` leaves out comes from the table for all tools.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignatureConfig {
    /// Keys of which `threshold` must have signed the component: `key:` with an Ed25519 key, or `minisign:` with a key of
    /// minisign. Default none: unsigned components are loaded.
    #[serde(default)]
    pub require: Option<Spanned<Vec<Key>>>,
    /// How many of the required keys must have signed. Default all of them.
    #[serde(default)]
    pub threshold: Option<Spanned<usize>>,
    /// Further keys. A component need not be signed by them; a signature of one that is there must hold. Default none.
    #[serde(default)]
    pub trust: Option<Spanned<Vec<Key>>>,
    /// The least serial of a signature. Default 0.
    #[serde(default)]
    pub serial_min: Option<u64>,
    /// The name that a signature must be about. Default the name of the component's file. Of one tool alone.
    #[serde(default)]
    pub name: Option<Spanned<String>>,
}

impl SignatureConfig {
    /// What is wanted of one component: what `own` leaves out comes from this table for all tools. Without a name of its
    /// own it has the name of its file.
    pub(crate) fn policy(&self, own: &SignatureConfig, file_name: String) -> Policy {
        // Destructured without `..`, so that a new setting cannot parse without being enforced.
        let SignatureConfig { require, threshold, trust, serial_min, name } = own;
        let keys = |own: &Option<Spanned<Vec<Key>>>, all: &Option<Spanned<Vec<Key>>>| {
            own.as_ref().or(all.as_ref()).map(|keys| keys.get_ref().clone()).unwrap_or_default()
        };
        // A threshold belongs to its list: that of all tools says nothing about another list.
        let threshold = match (threshold, require) {
            (Some(own), _) => Some(own),
            (None, Some(_)) => None,
            (None, None) => self.threshold.as_ref(),
        };
        let require = keys(require, &self.require);
        Policy {
            threshold: threshold.map_or(require.len(), |threshold| *threshold.get_ref()),
            require,
            trust: keys(trust, &self.trust),
            serial_min: serial_min.or(self.serial_min).unwrap_or_default(),
            name: name.as_ref().map_or(file_name, |name| name.get_ref().clone()),
        }
    }
}

impl Config {
    /// What is wanted of the signatures of an entry's component.
    pub fn signature_policy(&self, tool: &ToolConfig) -> Policy {
        let path = tool.component.get_ref();
        let file = path.file_name().map(Path::new).unwrap_or(path);
        self.signatures.policy(&tool.signatures, file.to_string_lossy().into_owned())
    }

    /// Who must have signed the component of an entry, in words.
    pub(crate) fn signatures_required(&self, key: &str) -> String {
        let entry = self.tools.iter().find(|(own, _)| own.get_ref() == key);
        let Some(Policy { require, threshold, .. }) = entry.map(|(_, config)| self.signature_policy(config))
        else {
            return String::new();
        };
        match require.as_slice() {
            [] => "nobody".to_owned(),
            [key] => key.to_string(),
            keys => {
                let names = keys.iter().map(Key::as_str).collect::<Vec<_>>().join(", ");
                format!("{threshold} of {names}")
            }
        }
    }

    /// What is wanted of a component that no entry names.
    pub fn signature_policy_of(&self, file_name: String) -> Policy {
        self.signatures.policy(&SignatureConfig::default(), file_name)
    }
}

/// All problems of the table for all tools, and of those of each.
pub(super) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let all = &file.config.signatures;
    let mut problems = table_problems(file, all, None);
    problems.extend(all.name.as_ref().map(|name| {
        let hint = "say it in the entry of the tool: `signatures.name`".to_owned();
        file.error(name.span(), "`signatures.name` is the name of one component", "of which one?", Some(hint))
    }));
    for tool in file.config.tools.values() {
        problems.extend(table_problems(file, &tool.signatures, Some(all)));
    }
    problems
}

/// The problems of one table. `all` has what it leaves out.
fn table_problems(
    file: &ConfigFile,
    table: &SignatureConfig,
    all: Option<&SignatureConfig>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for keys in [&table.require, &table.trust].into_iter().flatten() {
        let twice = keys.get_ref().iter().enumerate().find(|(at, key)| {
            // One key signs once, whatever the forms in which it is written.
            keys.get_ref()[..*at].iter().any(|before| before.is_same(key))
        });
        if let Some((_, key)) = twice {
            problems.push(file.error(keys.span(), format!("`{key}` is in the list twice"), "here", None));
        }
        if keys.get_ref().len() > KEYS_MAX {
            problems.push(file.error(keys.span(), format!("at most {KEYS_MAX} keys"), "too many", None));
        }
    }
    if let Some(threshold) = &table.threshold {
        let required = table.require.as_ref().or(all.and_then(|all| all.require.as_ref()));
        let count = required.map_or(0, |keys| keys.get_ref().len());
        if !(1..=count).contains(threshold.get_ref()) {
            let message = format!("`signatures.threshold` is {} of {count} keys", threshold.get_ref());
            let hint =
                "say how many of the keys in `signatures.require` must have signed, at least 1".to_owned();
            problems.push(file.error(threshold.span(), message, "this many", Some(hint)));
        }
    }
    problems
}
