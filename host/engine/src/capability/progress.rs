//! Progress reports of a tool: `airlock:tool/progress`, passed to the caller if it asked for them.
//!
//! Always granted: reports reach only the caller, who gets the tool's answer anyway. The tool learns nothing, not even
//! whether its reports are read.

use wasmtime::component::Linker;

use super::{Import, State};
use airlock_types::call::Report;
use airlock_types::shorten;

/// Most characters of a message that are passed on.
const MESSAGE_CHARS_MAX: usize = 200;

/// `report(done, total, message)`.
type Arguments = (f64, Option<f64>, Option<String>);

pub(super) const INTERFACES: &[&str] = &["airlock:tool/progress"];

pub(super) fn link(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
    linker.instance(&import.name)?.func_wrap("report", |mut store, args: Arguments| {
        if let Some(report) = read(args) {
            store.data_mut().report(report);
        }
        Ok(())
    })
}

/// Reads a report. `None` when `done` is not finite, since JSON has no such number.
fn read((done, total, message): Arguments) -> Option<Report> {
    done.is_finite().then_some(Report {
        done,
        total: total.filter(|total| total.is_finite()),
        // The text is the tool's and is shown to a user, so hidden characters are removed.
        message: message.map(|text| shorten::shorten(&shorten::clean(&text), MESSAGE_CHARS_MAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(done: f64, total: Option<f64>, message: &str) -> Option<Report> {
        read((done, total, Some(message.into())))
    }

    #[test]
    fn numbers_that_json_cannot_say_are_left_out() {
        assert_eq!(check(f64::NAN, None, ""), None);
        assert_eq!(check(1.0, Some(f64::INFINITY), "").unwrap().total, None);
        assert_eq!(check(1.0, Some(2.0), "").unwrap().total, Some(2.0));
    }

    #[test]
    fn a_message_is_cut_and_cleaned() {
        let message = check(1.0, None, &format!("\u{1b}[2J{}", "x".repeat(1_000))).unwrap().message.unwrap();
        assert!(message.chars().count() <= MESSAGE_CHARS_MAX + 1 && !message.contains('\u{1b}'), "{message}");
    }
}
