//! Texts of callers, tools and upstreams within a line, and quantities.
//!
//! Owns the bounds. Must not know records.

use std::io::{Error, ErrorKind, Write};

use chrono::DateTime;
use serde_json::Value;

use super::Line;
use airlock_types::shorten::shorten;
use airlock_types::text::{visible, visible_json};

/// Most characters of a line.
const LINE_CHARS_MAX: usize = 240;

/// Most lines of one value, and of one text.
const LINES_MAX: usize = 40;

/// JSON of at most this many characters stands on one line.
const ONE_LINE_CHARS: usize = 100;

/// Bytes of JSON that are written at most: more than the lines of one value have.
const JSON_BYTES_MAX: usize = LINES_MAX * LINE_CHARS_MAX;

/// Most entries of a list.
pub(super) const ENTRIES_MAX: usize = 40;

/// A text on one line: what is hidden as an escape, and cut where it is long.
pub fn plain(text: &str, chars_max: usize) -> String {
    // Cut first: the work is that of what is shown.
    let head = shorten(text, chars_max);
    let escaped = visible(&head).replace('\n', "\\n").replace('\t', "\\t");
    shorten(&escaped, chars_max)
}

/// A text that fits a line.
pub(super) fn line(text: &str) -> String {
    plain(text, LINE_CHARS_MAX)
}

/// A text on one line that is to be pasted: it is not cut. For what the host itself wrote, within bounds of its own.
pub(super) fn whole(text: &str) -> String {
    plain(text, usize::MAX)
}

/// The lines of a text that is to be pasted.
pub(super) fn whole_lines(text: &str) -> Vec<String> {
    text.trim_end().lines().take(LINES_MAX).map(whole).collect()
}

/// A short text in backticks: a name, a place.
pub(super) fn name(text: &str) -> String {
    format!("`{}`", plain(text, LINE_CHARS_MAX / 3))
}

/// The lines of a text, as many as are shown.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut rest = text.trim_end().lines();
    let mut lines: Vec<String> = rest.by_ref().take(LINES_MAX).map(line).collect();
    if rest.next().is_some() {
        lines.push("… and more, which `airlock show --json` has".into());
    }
    lines
}

/// The lines of a JSON value, as many as are shown.
pub(super) fn json(value: &Value) -> Vec<String> {
    let mut out = Bounded(Vec::new());
    if serde_json::to_writer(&mut out, value).is_ok() && out.0.len() <= ONE_LINE_CHARS {
        return lines(&visible_json(&String::from_utf8_lossy(&out.0)));
    }
    let mut out = Bounded(Vec::new());
    let is_whole = serde_json::to_writer_pretty(&mut out, value).is_ok();
    let text = String::from_utf8_lossy(&out.0).into_owned();
    // The last line may have been cut within a character.
    let text = if is_whole { text } else { format!("{text}…\n…") };
    lines(&visible_json(&text))
}

/// A writer that keeps the first bytes, and fails at its bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = JSON_BYTES_MAX - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(left)]);
        if bytes.len() > left { Err(Error::from(ErrorKind::WriteZero)) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The first lines of a list; of a long one it says how many more there are.
pub(super) fn listed<'i, T>(items: &'i [T], mut tell: impl FnMut(&'i T) -> Vec<Line>) -> Vec<Line> {
    let mut lines: Vec<Line> = items.iter().take(ENTRIES_MAX).flat_map(&mut tell).collect();
    if items.len() > ENTRIES_MAX {
        let more = items.len() - ENTRIES_MAX;
        lines.push(Line::quiet(format!("… and {more} more, which `airlock show --json` has")));
    }
    lines
}

/// A time in UTC, to the millisecond.
pub fn moment(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(
        || "an unknown time".to_owned(),
        |time| time.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string(),
    )
}

/// A whole number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Microseconds in the unit that a person would take.
pub(super) fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => scaled(us, 1_000, "ms"),
        _ => scaled(us, 1_000_000, "s"),
    }
}

/// Milliseconds that passed, by clocks that count no less.
pub(super) fn passed(ms: u64) -> String {
    match ms {
        0 => "less than 1 ms".to_owned(),
        1..10_000 => format!("{} ms", grouped(ms)),
        _ => scaled(ms, 1_000, "s"),
    }
}

/// Bytes in the unit that a person would take.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..0x10_0000 => scaled(count, 1 << 10, "KiB"),
        _ => scaled(count, 1 << 20, "MiB"),
    }
}

/// A quantity with one digit behind the point, rounded down; without it from ten units on.
fn scaled(count: u64, unit: u64, name: &str) -> String {
    let whole = count / unit;
    if whole >= 10 {
        return format!("{} {name}", grouped(whole));
    }
    format!("{whole}.{} {name}", count % unit * 10 / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use airlock_types::text::is_hidden;

    #[test]
    fn quantities_read_well() {
        let told = [time(999), time(1_290), time(15_369), time(2_500_000), bytes(1_023), bytes(1_179_648)];
        assert_eq!(told, ["999 µs", "1.2 ms", "15 ms", "2.5 s", "1023 bytes", "1.1 MiB"]);
        assert_eq!([passed(0), passed(1_500), passed(61_000)], ["less than 1 ms", "1,500 ms", "61 s"]);
        assert_eq!([grouped(7), grouped(1_000), grouped(3_744_419)], ["7", "1,000", "3,744,419"]);
        assert_eq!(moment(1_795_746_752_772), "2026-11-27 02:32:32.772 UTC");
        assert_eq!(moment(u64::MAX), "an unknown time");
    }

    #[test]
    fn a_value_is_bounded_in_lines_and_in_their_length() {
        let long = json!({ "rows": vec!["x".repeat(1_000); 10_000], "text": "y".repeat(1_000_000) });
        for value in [&long, &long["rows"], &long["text"]] {
            let lines = json(value);
            assert!(lines.len() <= LINES_MAX + 1, "{}", lines.len());
            assert!(lines.iter().all(|line| line.chars().count() <= LINE_CHARS_MAX));
            assert!(lines.iter().any(|line| line.contains('…')), "it says that it is cut");
        }
        assert_eq!(json(&json!({"a": 1})), [r#"{"a":1}"#]);
    }

    proptest! {
        #[test]
        fn nothing_of_a_text_commands_a_terminal(text in any::<String>(), max in 1_usize..40) {
            let told = plain(&text, max);
            prop_assert!(told.chars().count() <= max);
            prop_assert!(!told.chars().any(is_hidden));
            let value = json!({ text.clone(): text });
            prop_assert!(!json(&value).concat().chars().any(is_hidden));
        }
    }
}
