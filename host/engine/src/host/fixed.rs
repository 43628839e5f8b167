//! The settings that the parts of a running host were built with, which only a restart changes.
//!
//! Owns which settings these are. Must not know how they are used.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{ConfigFile, Confine, HttpConfig};

/// These settings, as they were when the host was opened.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    state: PathBuf,
    calls_max: u32,
    confine: Confine,
    pub(super) http: HttpConfig,
    pub(super) drain_time: Duration,
}

impl Fixed {
    pub(super) fn of(file: &ConfigFile) -> Fixed {
        let (host, http) = (&file.config.host, file.config.http.clone());
        let (state, calls_max, confine) = (host.state.clone(), host.calls_max, host.confine);
        Fixed { state, calls_max, confine, http, drain_time: file.config.drain_time() }
    }

    /// The first of them that another content of the file changes.
    pub(super) fn changed(&self, file: &ConfigFile) -> Option<&'static str> {
        let Fixed { state, calls_max, confine, http, drain_time } = self;
        let host = &file.config.host;
        let all = [
            (host.state == *state, "host.state"),
            // The engine's pool has this number of places.
            (host.calls_max == *calls_max, "host.calls_max"),
            (file.config.drain_time() == *drain_time, "server.drain_ms"),
            (host.confine == *confine, "host.confine"),
            (file.config.http.serves_as(http), "http"),
        ];
        all.into_iter().find(|(is_same, _)| !is_same).map(|(_, setting)| setting)
    }
}
