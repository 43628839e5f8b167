//! Lengths of time as people write them: `100ms`, `1s`, `5m`, `1h`, `1d`.

/// The units, and their milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", DAY_MS)];

/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;

/// The milliseconds of a text. None for one that is not a whole number with a unit.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*unit_ms)
}

/// Milliseconds in the largest unit of which they are a multiple, so that [`parse`] reads the same again.
pub fn print(ms: u64) -> String {
    let fits = UNITS.iter().rev().find(|(_, unit)| ms != 0 && ms.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{ms}ms"), |(name, unit)| format!("{}{name}", ms / unit))
}

/// Milliseconds for people, in the largest unit of which there is a whole one: `3 h`.
pub fn about(ms: u64) -> String {
    let fits = UNITS.iter().rev().find(|(_, unit)| ms >= *unit);
    fits.map_or_else(|| "0 ms".to_owned(), |(name, unit)| format!("{} {name}", ms / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        for ms in [0, 1, 999, 1_000, 1_500, 60_000, 90_000, 3_600_000, DAY_MS, 30 * DAY_MS, u64::MAX] {
            assert_eq!(parse(&print(ms)), Some(ms), "{}", print(ms));
        }
    }

    #[test]
    fn other_texts_are_no_time() {
        for text in ["", "1", "s", "1.5s", "-1s", "1 s", "1w", "99999999999999999999s", "999999999999999999d"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn people_read_whole_units() {
        let read = [(0, "0 ms"), (59_999, "59 s"), (10_812_000, "3 h"), (3 * DAY_MS + 1, "3 d")];
        for (ms, text) in read {
            assert_eq!(about(ms), text);
        }
    }
}
