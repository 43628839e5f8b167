//! `[journal]` and `journal` of a tool: how much of the records is kept, and for how long.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use url::{ParseError, Url};

use super::origin::has_user;
use super::{Config, Functions, ToolConfig};
use airlock_journal::retention::Keep;
use airlock_journal::{Journal, JournalError};
use airlock_types::duration;

/// The shortest and the longest time for which records can be kept, in milliseconds: a minute, and a hundred years.
const KEEP_MS: std::ops::RangeInclusive<u64> = 60_000..=36_600 * duration::DAY_MS;

/// The shortest and the longest time between two checkpoints, in milliseconds: a second, and a day.
const EVERY_MS: std::ops::RangeInclusive<u64> = 1_000..=duration::DAY_MS;

/// Records of calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct JournalConfig {
    /// Largest size of `journal.db` in bytes. Beyond it the oldest records of calls that only read are removed; those
    /// of calls with effects stay. Default 4 GiB, about two million calls.
    pub bytes_max: u64,
    /// Age at which records are removed. Default never.
    pub keep: Option<KeepFor>,
    /// Age at which arguments, results and logs are erased from records. Default never.
    pub keep_payloads: Option<KeepFor>,
    /// Largest cassette of an attempt in bytes. A larger one is not kept. Default 1 MiB.
    pub cassette_bytes_max: u64,
    /// The age recipient to which confidential cassettes are encrypted. Default none: they are not kept.
    pub recipient: Option<String>,
    /// What a host does whose journal cannot be opened. Default: it does not start.
    pub unavailable: WithoutJournal,
    /// Checkpoints of the log.
    pub checkpoint: CheckpointConfig,
}

/// When the tiles of the log are built and a checkpoint is signed, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CheckpointConfig {
    /// Time between two checkpoints of a server. Default a minute.
    pub every: Every,
    /// Where checkpoints are exported to. Default nowhere: then the log proves nothing against the owner of its disk.
    pub to: Option<ExportTo>,
}

/// A time between two runs of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Every(u64);

impl Every {
    /// In milliseconds.
    pub fn ms(self) -> u64 {
        self.0
    }
}

impl Default for Every {
    fn default() -> Every {
        Every(60_000)
    }
}

impl TryFrom<String> for Every {
    type Error = String;

    fn try_from(text: String) -> Result<Every, String> {
        let ms = duration::parse(&text).filter(|ms| EVERY_MS.contains(ms));
        ms.map(Every).ok_or_else(|| format!("`{text}` is not a time from `1s` to `1d`, such as `10m`"))
    }
}

/// Where checkpoints are exported to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ExportTo {
    /// Each is sent to this URL by POST. They are public and signed, so that `http` does as well.
    Url(Url),
    /// Each is appended to this file, relative to the registry.
    File(PathBuf),
}

impl TryFrom<String> for ExportTo {
    type Error = String;

    fn try_from(text: String) -> Result<ExportTo, String> {
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(ParseError::RelativeUrlWithoutBase) if !text.is_empty() => {
                return Ok(ExportTo::File(text.into()));
            }
            Err(err) => return Err(format!("`{text}` is neither a URL nor a file: {err}")),
        };
        if !["http", "https"].contains(&url.scheme()) {
            return Err(format!(
                "`{text}`: write an `https` URL, or the path of a file: `./checkpoints.txt`"
            ));
        }
        if has_user(&url) {
            return Err(format!("`{text}`: a URL with a user in it is not accepted; name the host alone"));
        }
        Ok(ExportTo::Url(url))
    }
}

impl std::fmt::Display for ExportTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExportTo::Url(url) => url.fmt(f),
            ExportTo::File(path) => path.display().fmt(f),
        }
    }
}

/// What a host does whose journal cannot be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WithoutJournal {
    /// It does not start.
    #[default]
    Stop,
    /// It answers calls that only read, and refuses the others until the journal can be opened.
    Reads,
}

impl JournalConfig {
    /// Opens the journal in a file, or goes on without it if that is what is set.
    pub(crate) fn open(&self, path: &Path) -> Result<Journal, JournalError> {
        match self.unavailable {
            WithoutJournal::Stop => Journal::open(path, self.bytes_max),
            WithoutJournal::Reads => Journal::open_or_wait(path, self.bytes_max),
        }
    }
}

impl Default for JournalConfig {
    fn default() -> JournalConfig {
        JournalConfig {
            bytes_max: 4 << 30,
            keep: None,
            keep_payloads: None,
            cassette_bytes_max: 1 << 20,
            recipient: None,
            unavailable: WithoutJournal::Stop,
            checkpoint: CheckpointConfig::default(),
        }
    }
}

/// Records of the calls of one tool. What is set here applies in place of what is set for all tools.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ToolJournalConfig {
    /// Age at which records of the tool are removed.
    pub keep: Option<KeepFor>,
    /// Age at which arguments, results and logs are erased from records of the tool.
    pub keep_payloads: Option<KeepFor>,
    /// Bytes of all records of the tool, above which its oldest are removed, those of calls with effects too. Default no
    /// bound of its own.
    pub bytes_max: Option<u64>,
}

/// For how long something is kept: `12h`, `90d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeepFor(u64);

impl TryFrom<String> for KeepFor {
    type Error = String;

    fn try_from(text: String) -> Result<KeepFor, String> {
        let ms = duration::parse(&text).filter(|ms| KEEP_MS.contains(ms));
        ms.map(KeepFor).ok_or_else(|| format!("`{text}` is not a time from `1m` to `36600d`, such as `90d`"))
    }
}

impl From<KeepFor> for String {
    fn from(KeepFor(ms): KeepFor) -> String {
        duration::print(ms)
    }
}

/// What is kept of the records of each tool.
#[derive(Clone, Debug)]
pub struct Retention {
    all: Keep,
    /// The entries with rules of their own. Of those that may show a tool, the first one counts.
    entries: Vec<(String, Option<Functions>, Keep)>,
}

impl Config {
    /// What is kept of the records of each tool.
    pub fn retention(&self) -> Retention {
        let JournalConfig {
            bytes_max: _,
            keep,
            keep_payloads,
            cassette_bytes_max: _,
            recipient: _,
            unavailable: _,
            checkpoint: _,
        } = &self.journal;
        let ms = |keep: &Option<KeepFor>| keep.map(|KeepFor(ms)| ms);
        let all = Keep { record_ms: ms(keep), payload_ms: ms(keep_payloads), bytes_max: None };
        let of = |config: &ToolConfig| {
            let ToolJournalConfig { keep, keep_payloads, bytes_max } = &config.journal;
            Keep {
                record_ms: ms(keep).or(all.record_ms),
                payload_ms: ms(keep_payloads).or(all.payload_ms),
                bytes_max: *bytes_max,
            }
        };
        let mut entries: Vec<_> = self
            .tools
            .iter()
            .map(|(key, config)| {
                let functions = config.functions.clone().map(Spanned::into_inner);
                (key.get_ref().clone(), functions, of(config))
            })
            .collect();
        // `a_b` may be the tool `b` of the entry `a`, too: the longer key says more. Given names say it exactly.
        entries.sort_by_key(|(key, functions, _)| {
            (!matches!(functions, Some(Functions::Named(_))), std::cmp::Reverse(key.len()))
        });
        Retention { all, entries }
    }
}

impl Retention {
    /// What is kept of the records of the tool with this public name, or of calls of a name that no tool has.
    pub fn of(&self, tool: &str) -> Keep {
        let of = |(key, functions, _): &&(String, Option<Functions>, Keep)| {
            Functions::may_show(functions.as_ref(), key, tool)
        };
        self.entries.iter().find(of).map_or(self.all, |(_, _, keep)| *keep)
    }

    /// Whether everything is kept.
    pub fn is_all(&self) -> bool {
        self.all == Keep::default() && self.entries.iter().all(|(_, _, keep)| *keep == Keep::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(text: &str) -> Result<Retention, String> {
        toml::from_str::<Config>(text).map(|config| config.retention()).map_err(|err| err.to_string())
    }

    #[test]
    fn a_tool_has_the_rules_of_its_entry_and_else_those_of_all() {
        let rules = retention(
            r#"
            journal = { keep = "90d", keep_payloads = "30d" }
            tools.web = { component = "a", journal = { keep = "1d" } }
            tools.web_search = { component = "a", journal = { bytes_max = 1_000 } }
            tools.other = { component = "a", functions = { f = "web_named" }, journal = { keep_payloads = "1h" } }
            "#,
        )
        .unwrap();
        let day = duration::DAY_MS;
        let keep = |days: u64, payload_ms: u64, bytes_max: Option<u64>| Keep {
            record_ms: Some(days * day),
            payload_ms: Some(payload_ms),
            bytes_max,
        };
        assert_eq!(rules.of("web"), keep(1, 30 * day, None));
        assert_eq!(rules.of("web_fetch"), keep(1, 30 * day, None));
        assert_eq!(rules.of("web_search_page"), keep(90, 30 * day, Some(1_000)));
        assert_eq!(rules.of("web_named"), keep(90, 3_600_000, None));
        assert_eq!(rules.of("made up"), keep(90, 30 * day, None));
        assert!(!rules.is_all() && retention("tools = {}").unwrap().is_all());
    }

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        for wrong in ["90", "0d", "59s", "1y", "36601d"] {
            let err = retention(&format!("journal.keep = \"{wrong}\"\ntools = {{}}")).unwrap_err();
            assert!(err.contains("is not a time from `1m` to `36600d`"), "{wrong}: {err}");
        }
    }

    #[test]
    fn checkpoints_go_to_a_file_or_a_url() {
        let read = |to: &str| {
            let text = format!("journal.checkpoint = {{ every = \"10s\", to = \"{to}\" }}\ntools = {{}}");
            toml::from_str::<Config>(&text)
                .map(|config| config.journal.checkpoint)
                .map_err(|err| err.to_string())
        };
        let file = read("../kept/checkpoints.txt").unwrap();
        assert_eq!(
            (file.every.ms(), file.to),
            (10_000, Some(ExportTo::File("../kept/checkpoints.txt".into())))
        );
        let url = read("https://example.com/log?a=b").unwrap().to.unwrap();
        assert_eq!(url.to_string(), "https://example.com/log?a=b");
        for (wrong, why) in
            [("", "neither"), ("ftp://a/b", "`https` URL"), ("https://u:p@a/b", "a user in it")]
        {
            let err = read(wrong).unwrap_err();
            assert!(err.contains(why), "{wrong}: {err}");
        }
        let err = toml::from_str::<Config>("journal.checkpoint.every = \"2d\"\ntools = {}").unwrap_err();
        assert!(err.to_string().contains("`1s` to `1d`"), "{err}");
    }
}
