//! Sets up logs and traces of the program.
//!
//! Owns their destinations: logs go to stderr, spans to an OTLP endpoint. Must not know what is logged. To add a
//! destination: a layer in [`set_up`].

mod export;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use export::Exporter;

use airlock_types::text::{visible_json, visible_styled};

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text for each event.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The exporter of traces could not be made.
    #[error("traces cannot be exported to `{endpoint}`: {reason}")]
    Exporter {
        /// The endpoint, as it was given.
        endpoint: String,
        /// The error, as a fragment.
        reason: String,
    },
}

/// Stderr with hidden characters as escapes. Each event is one write.
struct Stderr(LogFormat);

impl Write for Stderr {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        // One locked write for the whole event, so that threads do not mix their lines.
        io::stderr().lock().write_all(shown(self.0, &String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// The written form of an event. Errors of the system and of libraries repeat names that other parties chose, so they
/// are escaped.
fn shown(format: LogFormat, event: &str) -> Cow<'_, str> {
    match format {
        LogFormat::Text => visible_styled(event),
        LogFormat::Json => visible_json(event),
    }
}

/// Sends logs to stderr, and spans to an OTLP endpoint if one is given. The returned exporter sends the remaining spans
/// when it is shut down.
pub(crate) fn set_up(
    level: LevelFilter,
    format: LogFormat,
    otlp: Option<&str>,
) -> Result<Option<Exporter>, TelemetryError> {
    let text = tracing_subscriber::fmt::layer().with_writer(move || Stderr(format));
    let logs = match format {
        LogFormat::Json => text.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            // People read this on a terminal or in a service log that adds its own times.
            text.with_ansi(std::io::stderr().is_terminal()).without_time().with_target(false).boxed()
        }
    };
    // The log level does not apply to spans: they are for the exporter.
    let exporter = otlp.map(Exporter::new).transpose()?;
    let only_own = || Targets::new().with_target("airlock", LevelFilter::INFO);
    let spans = exporter.as_ref().map(|exporter| exporter.layer().with_filter(only_own()));
    // Libraries log the data that they handle, with arguments and tokens in it, so only their errors are shown.
    let own = Targets::new().with_target("airlock", level).with_default(level.min(LevelFilter::ERROR));
    tracing_subscriber::registry().with(spans).with(logs.with_filter(own)).init();
    Ok(exporter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_of_an_event_are_escaped() {
        let text = shown(LogFormat::Text, "\u{1b}[32m INFO\u{1b}[0m a\u{202e}b\u{9b}2J\n");
        assert_eq!(text, "\u{1b}[32m INFO\u{1b}[0m a\\u{202e}b\\u{9b}2J\n");
        assert_eq!(shown(LogFormat::Json, "{\"a\":\"b\u{200b}\"}\n"), "{\"a\":\"b\\u200b\"}\n");
    }
}
