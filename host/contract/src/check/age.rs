//! Exact parsing of ages (`40d`) and timestamps (RFC 3339), in milliseconds.

/// Parses `40d`, `12h`, `5m` or `30s` to milliseconds. `None` for any other form.
pub fn parse_age_ms(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    // Digits are checked by hand, because `parse` would accept a sign.
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse::<i64>().ok())??
        .checked_mul(seconds * 1_000)
}

/// Parses a date, or a date and time with an offset, to milliseconds since the Unix epoch. A date means midnight UTC.
pub fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    // Fixed positions, as RFC 3339 has them. `text.get` refuses a position inside of a character.
    let days = days(digits(text, 0, 4)?, mark(text, 4, b"-", 5, 2)?, mark(text, 7, b"-", 8, 2)?)?;
    if text.len() == 10 {
        return Some(days * 86_400_000);
    }
    let (h, m, s) =
        (mark(text, 10, b"Tt ", 11, 2)?, mark(text, 13, b":", 14, 2)?, mark(text, 16, b":", 17, 2)?);
    let (millis, offset) = fraction(text.get(19..)?)?;
    let time = ((h * 60 + m) * 60 + s) * 1_000 + millis;
    // `s <= 60` accepts a leap second, as RFC 3339 does.
    (h < 24 && m < 60 && s <= 60).then_some(days * 86_400_000 + time - offset_ms(offset)?)
}

fn digits(text: &str, at: usize, len: usize) -> Option<i64> {
    let part = text.get(at..at + len)?;
    part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
}

fn mark(text: &str, mark: usize, any: &[u8], at: usize, len: usize) -> Option<i64> {
    any.contains(text.as_bytes().get(mark)?).then(|| digits(text, at, len))?
}

fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    // Padded to three digits and cut after them: milliseconds are the unit of the clock that this is compared
    // with.
    let millis = format!("{:0<3}", &rest[..len]);
    (len > 0).then(|| Some((millis[..3].parse().ok()?, &rest[len..])))?
}

fn offset_ms(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (h, m) = (digits(text, 1, 2)?, mark(text, 3, b":", 4, 2)?);
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    (text.len() == 6 && h < 24 && m < 60).then_some(sign * (h * 60 + m) * 60_000)
}

/// Days since 1970 in the Gregorian calendar. Years start in March here, so that the leap day is the last day of a
/// year.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // `(153 * m + 2) / 5` is the number of days before month `m` of a year that starts in March. 719,468 is the
    // number of days from March of year 0 to 1970-01-01.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    (1..=last).contains(&day).then_some(365 * y + leaps + (153 * m + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_and_offsets() {
        assert_eq!(parse_rfc3339_ms("1970-01-01"), Some(0));
        assert_eq!(parse_rfc3339_ms("2000-02-29T00:00:00Z"), Some(951_782_400_000));
        assert_eq!(parse_rfc3339_ms("1970-01-01T01:00:00.5+01:00"), Some(500));
        for bad in ["2001-02-29", "x", "2000-01-01T00:00", "2000-01-01T00:00:00", "2000-13-01", "é000-01-01"]
        {
            assert_eq!(parse_rfc3339_ms(bad), None, "{bad}");
        }
        assert_eq!(parse_age_ms("40d"), Some(3_456_000_000));
        assert_eq!(parse_age_ms("d"), None);
    }
}
