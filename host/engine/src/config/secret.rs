//! `[secrets.NAME]`: where the value of a secret is.
//!
//! Owns these settings, and that no error shows a line of them: a value that stands there by mistake would be in a
//! terminal or a log. Must not read a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::{Config, ConfigFile, ToolConfig, paths};
use airlock_types::diagnostic::Diagnostic;
use airlock_types::grant::HttpGrant;
use airlock_types::grant::http::secret::{INLINE, is_secret_name};
use airlock_types::grant::http::secret_texts;
use airlock_types::words::did_you_mean;

/// How to write a secret, for hints.
const HOW: &str = "say where it is: `env = \"VARIABLE\"`, `file = \"PATH\"`, or `age = \"PATH\"` with `identity = \"PATH\"`";

/// Where the value of a secret is. One of `env`, `file` and `age`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretConfig {
    /// The variable of the host's environment.
    pub env: Option<String>,
    /// A file that this user alone can read, relative to the registry's file.
    pub file: Option<PathBuf>,
    /// A file in the format of age, relative to the registry's file.
    pub age: Option<PathBuf>,
    /// The file with the age identities that decrypt it, which this user alone can read.
    pub identity: Option<PathBuf>,
    /// Whether the registry has a value in the place of these.
    is_inline: bool,
    /// Whether this is a part of a registry whose tools do not use it.
    is_idle: bool,
}

/// Where the value of a secret is, as read from a valid entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource<'a> {
    /// The variable of the host's environment.
    Env(&'a str),
    /// A file that this user alone can read.
    File(&'a Path),
    /// A file in the format of age.
    Age {
        /// The encrypted file.
        file: &'a Path,
        /// The file with the identities.
        identity: &'a Path,
    },
}

impl fmt::Display for SecretSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Env(variable) => write!(f, "the variable `{variable}`"),
            SecretSource::File(path) => write!(f, "the file `{}`", path.display()),
            SecretSource::Age { file, identity: _ } => write!(f, "the age file `{}`", file.display()),
        }
    }
}

impl SecretConfig {
    /// Whether it is read when the registry is loaded.
    pub(crate) fn is_read(&self) -> bool {
        !self.is_idle
    }

    /// The files that its value comes from.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.file, &self.age, &self.identity].into_iter().flatten()
    }

    /// Where its value is.
    ///
    /// # Errors
    /// What is wrong with the entry, as a fragment.
    pub fn source(&self) -> Result<SecretSource<'_>, &'static str> {
        let SecretConfig { env, file, age, identity, is_inline, is_idle: _ } = self;
        if *is_inline {
            return Err(INLINE);
        }
        if self.files().filter_map(|path| path.to_str()).any(|path| paths::wrong(path).is_some()) {
            return Err("a path of it is empty, or has a zero byte");
        }
        match (env, file, age, identity) {
            (Some(env), None, None, None) if is_variable(env) => Ok(SecretSource::Env(env)),
            (Some(_), None, None, None) => Err("`env` is not the name of a variable"),
            (None, Some(file), None, None) => Ok(SecretSource::File(file)),
            (None, None, Some(file), Some(identity)) => Ok(SecretSource::Age { file, identity }),
            (None, None, Some(_), None) => Err("`age` needs an `identity`, the file that decrypts it"),
            (_, _, None, Some(_)) => Err("`identity` stands without `age`"),
            (None, None, None, None) => Err("it does not say where its value is"),
            _ => Err("it has several places for its value"),
        }
    }
}

/// The names that shells can set. Anything else is a value by mistake more likely than a name.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl<'de> Deserialize<'de> for SecretConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretConfig, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            env: Option<String>,
            file: Option<PathBuf>,
            age: Option<PathBuf>,
            identity: Option<PathBuf>,
            value: Option<IgnoredAny>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SecretConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table that says where the secret is")
            }

            // Accepted here and refused by `problems`, in words of their own.
            fn visit_str<E>(self, _: &str) -> Result<SecretConfig, E> {
                Ok(SecretConfig { is_inline: true, ..SecretConfig::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretConfig, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                let Table { env, file, age, identity, value } = table;
                Ok(SecretConfig { env, file, age, identity, is_inline: value.is_some(), is_idle: false })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Config {
    /// Leaves out the secrets that no tool uses: one that cannot be read must not keep others from running. Their entries
    /// stay, since no tool may be granted a folder with their files.
    pub fn idle_unused_secrets(&mut self) {
        let used = self.secret_uses().filter_map(|(_, grant)| Some(grant.secret.as_ref()?.name.clone()));
        let used: BTreeSet<String> = used.chain(self.webhook_secret().map(str::to_owned)).collect();
        for (name, secret) in &mut self.secrets {
            secret.is_idle = !used.contains(name.get_ref());
        }
    }

    /// The secret that signs what a webhook is sent.
    pub fn webhook_secret(&self) -> Option<&str> {
        self.approval.webhook.as_ref().map(|webhook| webhook.get_ref().secret.as_str())
    }

    /// The grants that use a secret, each with the key of its tool.
    pub fn secret_uses(&self) -> impl Iterator<Item = (&Spanned<String>, &HttpGrant)> {
        self.tools.iter().flat_map(|(key, tool)| uses(tool).map(move |grant| (key, grant)))
    }
}

/// The grants of a tool that use a secret.
fn uses(tool: &ToolConfig) -> impl Iterator<Item = &HttpGrant> {
    let grants = tool.grants.iter().flat_map(|grants| &grants.get_ref().http);
    grants.filter(|grant| grant.secret.is_some())
}

impl ConfigFile {
    /// Notes on the secrets: which grants add them to requests, and which of them no grant uses.
    pub fn secret_notes(&self) -> Vec<String> {
        let used = self.config.tools.iter().flat_map(|(key, tool)| {
            let granted = tool.grants.iter().flat_map(|grants| &grants.get_ref().http);
            let texts = secret_texts(granted);
            texts.into_iter().map(move |text| format!("`{}` sends {text}", key.get_ref()))
        });
        let is_used = |name: &str| {
            self.config
                .secret_uses()
                .filter_map(|(_, grant)| grant.secret.as_ref())
                .any(|used| used.name == name)
                || self.config.webhook_secret() == Some(name)
        };
        let unused = self.config.secrets.keys().filter(|name| !is_used(name.get_ref()));
        let unused = unused.map(|name| format!("no grant uses the secret `{}`", name.get_ref()));
        used.chain(unused).collect()
    }

    /// A problem with a secret. Without its line, which may hold a value.
    pub fn secret_error(&self, name: &Spanned<String>, what: &str, hint: String) -> Diagnostic {
        let message = format!("the secret `{}`: {what} ({})", name.get_ref(), place(self, &name.span()));
        Diagnostic::without_place(message, Some(hint))
    }
}

/// All problems of the entries, and of the grants that name secrets.
pub(super) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let Config { secrets, tools, .. } = &file.config;
    let mut problems = Vec::new();
    for (name, config) in secrets {
        if !is_secret_name(name.get_ref()) {
            // Not by name: a value may stand in its place.
            let message = format!("a secret has no valid name ({})", place(file, &name.span()));
            let hint = "write letters, digits, `_` and `-`, 64 at most, a letter first".to_owned();
            problems.push(Diagnostic::without_place(message, Some(hint)));
        } else if let Err(what) = config.source() {
            problems.push(file.secret_error(name, what, HOW.to_owned()));
        }
    }
    problems.extend(tools.values().flat_map(|tool| undeclared(file, secrets, tool)));
    problems
}

/// The secrets that a tool's grants name and the registry does not have.
fn undeclared(
    file: &ConfigFile,
    secrets: &BTreeMap<Spanned<String>, SecretConfig>,
    tool: &ToolConfig,
) -> Vec<Diagnostic> {
    let known = || secrets.keys().map(|name| name.get_ref().as_str());
    let names = uses(tool).filter_map(|grant| Some(&grant.secret.as_ref()?.name));
    let unknown = names.filter(|name| !known().any(|known| known == name.as_str()));
    let problem = |name: &String| {
        let span = tool.grants.as_ref().map_or(0..0, Spanned::span);
        let hint = did_you_mean(name, known())
            .unwrap_or_else(|| format!("declare it as `[secrets.{name}]` and {HOW}"));
        let message = format!("a grant uses the secret `{name}`, which is not declared");
        file.error(span, message, "in these grants", Some(hint))
    };
    unknown.map(problem).collect()
}

/// A syntax or shape error, without its line where a value of a secret may stand there. `None` for one elsewhere.
pub(super) fn without_line(error: &toml::de::Error, name: &str, source: &Arc<str>) -> Option<Diagnostic> {
    let span = error.span()?;
    let start = source.floor_char_boundary(span.start);
    let end = source.ceil_char_boundary(span.end).max(start);
    let first = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let last = source[end..].find('\n').map_or(source.len(), |at| end + at);
    // With the header of the table, and what is before the line: a value may be over several lines.
    let table = &source[table_start(&source[..first])..last];
    table.to_ascii_lowercase().contains("secret").then(|| {
        // Known, so that it is refused in words of its own, and not to be suggested.
        let what = unquoted(error.message()).replace(", `value`", "");
        let message = format!("{what} (line {} of `{name}`)", line(source, start));
        let is_of_caller = table.trim_start().starts_with("[callers.") && message.starts_with("unknown field `secret`");
        let hint = is_of_caller.then(|| {
            "an entry of a caller only narrows: the secret of the tool's grant is used, and is not written here".to_owned()
        });
        Diagnostic::without_place(message, hint).suggesting()
    })
}

/// Where the table begins that a text ends in.
fn table_start(text: &str) -> usize {
    let mut at = 0;
    let starts = text.split_inclusive('\n').filter_map(|line| {
        let start = at;
        at += line.len();
        is_header(line).then_some(start)
    });
    starts.last().unwrap_or(0)
}

/// Whether a line is the header of a table, and not one of a list of lists.
fn is_header(line: &str) -> bool {
    let line = line.trim();
    let after = line.rfind(']').map(|end| line[end + 1..].trim_start());
    line.starts_with('[') && after.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// A message of serde without the text that it quotes.
fn unquoted(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &message[..=first], &message[last..]),
        _ => message.to_owned(),
    }
}

/// A place without its text.
fn place(file: &ConfigFile, span: &Range<usize>) -> String {
    format!("line {} of `{}`", line(&file.source, span.start), file.path.display())
}

fn line(source: &str, at: usize) -> usize {
    source[..source.floor_char_boundary(at)].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> String {
        ConfigFile::parse(text, "a.toml".as_ref()).map_or_else(|err| err.to_string(), |_| String::new())
    }

    const GRANT: &str = "[tools.t]\ncomponent = \"t.wasm\"\n\
        grants.http = [{ host = \"a.example\", secret = { name = \"K\", header = \"x-key\" } }]\n";

    #[test]
    fn a_secret_is_in_one_place() {
        for place in ["env = \"A_KEY\"", "file = \"k\"", "age = \"k.age\"\nidentity = \"id\""] {
            assert_eq!(problems_of(&format!("[secrets.K]\n{place}\n{GRANT}")), "", "{place}");
        }
        for (place, word) in [
            ("", "does not say"),
            ("env = \"A\"\nfile = \"k\"", "several places"),
            ("env = \"A\"\nage = \"k\"\nidentity = \"i\"", "several places"),
            ("age = \"k\"", "needs an `identity`"),
            ("file = \"k\"\nidentity = \"i\"", "without `age`"),
            ("env = \"A-B\"", "not the name of a variable"),
            ("env = \"\"", "not the name of a variable"),
            ("file = \"\"", "a path of it is empty"),
            ("age = \"k\"\nidentity = \"\"", "a path of it is empty"),
            ("file = \"a\\u0000b\"", "has a zero byte"),
            ("age = \"k\"\nidenity = \"i\"", "did you mean `identity`?"),
        ] {
            let said = problems_of(&format!("[secrets.K]\n{place}\n"));
            assert!(said.contains(word) && said.contains("line"), "{place}: {said}");
        }
    }

    #[test]
    fn a_value_in_the_registry_is_refused_and_not_shown() {
        for text in [
            "[secrets]\nK = \"s3cr3t-v4lue\"\n".to_owned(),
            "secrets.K = \"s3cr3t-v4lue\"\n".to_owned(),
            "[secrets.K]\nvalue = \"s3cr3t-v4lue\"\n".to_owned(),
            "[secrets]\nK = { value = \"s3cr3t-v4lue\" }\n".to_owned(),
            GRANT.replace("{ name = \"K\", header = \"x-key\" }", "\"s3cr3t-v4lue\""),
            GRANT.replace("x-key\" }", "x-key\",\n  value = \"s3cr3t-v4lue\" }"),
            GRANT.replace("name = \"K\"", "value = \"s3cr3t-v4lue\""),
        ] {
            let said = problems_of(&text);
            assert!(said.contains(INLINE), "{text}: {said}");
            assert!(!said.contains("s3cr3t"), "{text}: {said}");
        }
        for text in [
            "[secrets.K]\ntoken = \"s3cr3t-v4lue\"\n",
            "[secrets.K]\nenv = \"s3cr3t-v4lue\"\n",
            "[secrets.K]\nenv = [\"s3cr3t-v4lue\"]\n",
            "[secrets.K]\nenv = \"s3cr3t-v4lue\n",
            "secrets = \"s3cr3t-v4lue\"\n",
            "[secrets]\n\"s3cr3t-v4lue ä\" = { env = \"A\" }\n",
            "[secrets]\nK = 7 # s3cr3t-v4lue\n",
            "secrets.K = { env = \"A\",\n vaule = \"s3cr3t-v4lue\" }\n",
            "secrets.K = { env = \"A\",\n  vaule = [\n  [1, 2],\n  \"s3cr3t-v4lue\" }\n",
            "[ secrets . K ] # one\n vaule = \"s3cr3t-v4lue\"\n",
            "[tools.f.grants.http.secret]\nvalu = \"s3cr3t-v4lue\"\n",
            "[tools.f]\ncomponent = \"f.wasm\"\n[[tools.f.grants.http]]\nhost = \"a.example\"\n\
             [tools.f.grants.http.secret]\nvalu = \"s3cr3t-v4lue\"\n",
            "[tools.f]\ngrants.http = [{ host = \"a.example\", secret = {\n  name = \"K\",\n  valu = \"s3cr3t-v4lue\" } }]\n",
        ] {
            let said = problems_of(text);
            assert!(!said.is_empty() && !said.contains("s3cr3t"), "{text}: {said}");
        }
    }

    #[test]
    fn a_value_in_the_place_of_a_header_is_not_shown_and_other_tables_are() {
        let said = problems_of(&GRANT.replace("x-key", "Bearer s3cr3t-v4lue"));
        assert!(said.contains("not the name of a header") && !said.contains("s3cr3t"), "{said}");
        let said = problems_of(&format!("[secrets.K]\nenv = \"A\"\n{GRANT}[host]\nstaet = \"x-shown\"\n"));
        assert!(said.contains("x-shown"), "{said}");
    }

    #[test]
    fn a_grant_uses_what_is_declared() {
        let said = problems_of(GRANT);
        assert!(said.contains("`K`, which is not declared") && said.contains("[secrets.K]"), "{said}");
        let said = problems_of(&format!(
            "[secrets.MARKET_KEY]\nenv = \"A\"\n{}",
            GRANT.replace("\"K\"", "\"MARKTE_KEY\"")
        ));
        assert!(said.contains("did you mean `MARKET_KEY`?"), "{said}");
    }

    #[test]
    fn notes_name_secrets_and_what_uses_them() {
        let text = format!("[secrets]\nK = {{ env = \"A\" }}\nL = {{ env = \"B\" }}\n{GRANT}");
        let file = ConfigFile::parse(&text, "a.toml".as_ref()).unwrap();
        assert_eq!(
            file.secret_notes(),
            [
                "`t` sends the secret `K` as the header `x-key` to `https://a.example/`",
                "no grant uses the secret `L`"
            ]
        );
    }
}
