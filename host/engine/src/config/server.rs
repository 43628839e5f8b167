//! `[server]`: settings of every transport.
//!
//! Owns the drain time, under its name and its former one. Must not know how a transport ends.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::{Config, ConfigFile};
use airlock_types::diagnostic::Diagnostic;

/// The default drain time in milliseconds.
const DRAIN_MS: u64 = 10_000;

/// Serving over stdio and HTTP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Time for running calls to end after SIGTERM, and over stdio after the end of stdin, in milliseconds. Default
    /// 10,000.
    #[serde(default)]
    pub drain_ms: Option<Spanned<u64>>,
}

impl Config {
    /// Time for running calls to end when serving ends, read under its name or its former one.
    pub fn drain_time(&self) -> Duration {
        let ms = self.server.drain_ms.as_ref().map(Spanned::get_ref).or(self.http.drain_ms.as_ref());
        Duration::from_millis(*ms.unwrap_or(&DRAIN_MS))
    }
}

/// Two values for one setting are an error: either choice would ignore one silently.
pub(super) fn problems(file: &ConfigFile) -> Option<Diagnostic> {
    let drain_ms = file.config.server.drain_ms.as_ref()?;
    file.config.http.drain_ms.map(|_| {
        file.error(
            drain_ms.span(),
            "`server.drain_ms` and `http.drain_ms` are both set, and they are one setting",
            "this is its name",
            Some("take `http.drain_ms` out: it is the former name".into()),
        )
    })
}

/// A warning for the former name, which is still accepted.
pub(super) fn warnings(config: &Config) -> Option<String> {
    config.http.drain_ms.map(|_| {
        "`http.drain_ms` is the former name of `server.drain_ms`, which stdio uses too: write it under `[server]`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(u128, Vec<String>), String> {
        let file = ConfigFile::parse(text, "a.toml".as_ref()).map_err(|err| err.to_string())?;
        Ok((file.config.drain_time().as_millis(), file.warnings()))
    }

    #[test]
    fn the_drain_time_has_a_default_a_name_and_a_former_name() {
        assert_eq!(parse(""), Ok((10_000, vec![])));
        assert_eq!(parse("[server]\ndrain_ms = 7\n"), Ok((7, vec![])));
        let (ms, warnings) = parse("[http]\ndrain_ms = 7\n").unwrap();
        assert_eq!((ms, warnings.len()), (7, 1));
        assert!(warnings[0].contains("`server.drain_ms`"), "{warnings:?}");
    }

    #[test]
    fn the_drain_time_is_not_set_twice() {
        let wrong = parse("http.drain_ms = 7\nserver.drain_ms = 7\n").unwrap_err();
        assert!(wrong.contains("both set") && wrong.contains("a.toml:2"), "{wrong}");
    }
}
