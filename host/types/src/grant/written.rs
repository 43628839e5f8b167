//! Grants as a registry writes them, without what has a default; and the least ones for a use.

use std::fmt;

use super::files::{FilesGrant, NAME as FILES};
use super::http::NAME as HTTP;
use super::keyvalue::{self, NAME as KEYVALUE, Scope};
use super::modal::Mode;
use super::{
    Access, Asked, Grants, HttpGrant, KeyvalueGrant, ModeGrant, Values, clock, custom, http, random, values,
};
use crate::text::is_hidden;

/// What stands for a folder of the host, which only the operator can choose.
pub const FOLDER: &str = "FOLDER";

/// What stands for a value that only the operator can choose.
pub const VALUE: &str = "VALUE";

/// A text as a basic string of TOML: on one line, and with escapes for what a reviewer would not see. Texts of authors are
/// printed in lines that an operator copies.
pub fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        c if is_hidden(c) => format!("\\U{:08X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// A list of texts as TOML writes it.
pub(super) fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A key as TOML writes it.
pub fn key(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) { key.into() } else { quoted(key) }
}

impl FilesGrant {
    /// The entry as a registry writes it.
    pub fn line(&self) -> String {
        let FilesGrant { host, guest, access, bytes_max, files_max, file_bytes_max } = self;
        let mut parts =
            vec![format!("host = {}", quoted(&host.to_string_lossy())), format!("guest = {}", quoted(guest))];
        if *access != Access::default() {
            parts.push(format!("access = {}", quoted(access.as_str())));
        }
        let bounds = [
            ("bytes_max", *bytes_max),
            ("files_max", files_max.map(u64::from)),
            ("file_bytes_max", *file_bytes_max),
        ];
        parts.extend(bounds.iter().filter_map(|(name, bound)| Some(format!("{name} = {}", (*bound)?))));
        format!("{{ {} }}", parts.join(", "))
    }
}

impl KeyvalueGrant {
    /// The grant as a registry writes it.
    pub fn line(&self) -> String {
        let KeyvalueGrant { buckets, scope, keys_max, bytes_max, value_bytes_max, spaces_max } = self;
        let usual = KeyvalueGrant::with_defaults(keyvalue::buckets());
        let mut parts = Vec::new();
        if *buckets != usual.buckets {
            parts.push(format!("buckets = {}", list(buckets)));
        }
        if *scope != usual.scope {
            parts.push(format!("scope = {}", quoted(scope.as_str())));
        }
        let bounds = [
            ("keys_max", *keys_max, usual.keys_max),
            ("bytes_max", *bytes_max, usual.bytes_max),
            ("value_bytes_max", *value_bytes_max, usual.value_bytes_max),
            ("spaces_max", *spaces_max, usual.spaces_max),
        ];
        let set = bounds.into_iter().filter(|(_, bound, usual)| bound != usual);
        parts.extend(set.map(|(name, bound, _)| format!("{name} = {bound}")));
        if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
    }
}

impl Scope {
    /// The scope as registries spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Session => "session",
            Scope::Caller => "caller",
            Scope::Tool => "tool",
        }
    }
}

impl Grants {
    /// The lines of a registry that grant this, one for each capability: `grants.http = […]`.
    pub fn lines(&self) -> Vec<String> {
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = self;
        let entries = |entries: Vec<String>| match entries.len() {
            0 => None,
            1 => Some(format!("[{}]", entries.concat())),
            _ => Some(format!("[\n    {},\n]", entries.join(",\n    "))),
        };
        let custom = custom
            .iter()
            .map(|(name, granted)| Some((format!("{}.{}", custom::TABLE, key(name)), granted.to_string())));
        let lines = [
            entries(files.iter().map(FilesGrant::line).collect()).map(|list| (FILES.to_owned(), list)),
            entries(http.iter().map(HttpGrant::line).collect()).map(|list| (HTTP.to_owned(), list)),
            keyvalue.as_ref().map(|grant| (KEYVALUE.to_owned(), grant.line())),
            table(config).map(|table| (values::CONFIG.to_owned(), table)),
            table(env).map(|table| (values::ENV.to_owned(), table)),
            mode(*clock).map(|mode| (clock::NAME.to_owned(), mode)),
            mode(*random).map(|mode| (random::NAME.to_owned(), mode)),
        ];
        lines
            .into_iter()
            .chain(custom)
            .flatten()
            .map(|(name, value)| format!("grants.{name} = {value}"))
            .collect()
    }

    /// The least grants that allow a use. `None` for one that no grant allows.
    pub fn least(asked: &Asked) -> Option<Grants> {
        let none = Grants::default();
        let one = |key: &String| -> Values { [(key.clone(), VALUE.to_owned())].into() };
        Some(match asked {
            Asked::Http(target, address) => Grants { http: vec![http::least(target, *address)?], ..none },
            Asked::Files(access, path) => {
                let (host, guest, access) = (FOLDER.into(), path.clone(), *access);
                let grant = FilesGrant {
                    host,
                    guest,
                    access,
                    bytes_max: None,
                    files_max: None,
                    file_bytes_max: None,
                };
                Grants { files: vec![grant], ..none }
            }
            Asked::Keyvalue(bucket) => {
                Grants { keyvalue: Some(KeyvalueGrant::with_defaults([bucket.clone()].into())), ..none }
            }
            Asked::Config(key) => Grants { config: one(key), ..none },
            Asked::Env(key) => Grants { env: one(key), ..none },
            Asked::Clock => Grants { clock: ModeGrant::Whole(true), ..none },
            Asked::Random => Grants { random: ModeGrant::Whole(true), ..none },
            Asked::Custom(name) => Grants { custom: [(name.clone(), true)].into(), ..none },
        })
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

fn table(values: &Values) -> Option<String> {
    let pairs: Vec<String> =
        values.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
    (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
}

fn mode<M: Mode>(grant: ModeGrant<M>) -> Option<String> {
    match grant {
        ModeGrant::Whole(false) => None,
        ModeGrant::Whole(true) => Some("true".to_owned()),
        ModeGrant::In(mode) => toml::Value::try_from(mode).ok().map(|value| value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_and_reads_back() {
        for text in
            ["", "a b", "\"\\'", "x\", access = \"read-write", "a\nb\r\tc", "\u{202e}\u{e0041}\u{7f}\0", "ä"]
        {
            let line = quoted(text);
            assert!(!line.contains(is_hidden), "{line:?}");
            let read: toml::Table = toml::from_str(&format!("x = {line}\n{} = 1\n", key(text))).unwrap();
            assert_eq!(read["x"].as_str(), Some(text), "{line}");
            assert!(read.contains_key(text), "{line}");
        }
    }
}
