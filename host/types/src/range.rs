//! Ranges of whole numbers in a TOML file, each problem with its place.
//!
//! Owns the look-up of a setting's place. Must not know any setting.

use std::ops::RangeInclusive;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;

/// A setting by its dotted name, `*` for any key, and what it may be.
pub type Setting = (&'static str, RangeInclusive<u64>);

/// A whole number of a file, with its full name.
struct Number {
    name: String,
    value: u64,
    span: std::ops::Range<usize>,
}

/// The numbers of a file that are out of range. Empty for a file that cannot be parsed, which is reported elsewhere.
pub fn problems(file: &str, source: &Arc<str>, settings: &[Setting]) -> Vec<Diagnostic> {
    // The source is parsed again, because the deserialized config no longer knows the place of each number.
    let Ok(table) = DeTable::parse(source) else { return Vec::new() };
    let mut problems = Vec::new();
    for (setting, range) in settings {
        let parts: Vec<&str> = setting.split('.').collect();
        let mut numbers = Vec::new();
        collect(table.get_ref(), &parts, "", &mut numbers);
        let wrong = numbers.into_iter().filter(|number| !range.contains(&number.value));
        problems.extend(wrong.map(|number| problem(number, range, file, source)));
    }
    problems
}

fn collect(table: &DeTable<'_>, parts: &[&str], prefix: &str, numbers: &mut Vec<Number>) {
    let Some((part, rest)) = parts.split_first() else { return };
    for (key, value) in table.iter().filter(|(key, _)| *part == "*" || key.get_ref() == part) {
        let name = format!("{prefix}{}", key.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            collect(inner, rest, &format!("{name}."), numbers);
        // Values of other types, negative numbers and numbers beyond `u64` are skipped: deserialization rejects them.
        // The radix is needed because TOML also has hexadecimal, octal and binary integers.
        } else if let (DeValue::Integer(integer), []) = (value.get_ref(), rest)
            && let Ok(number) = u64::from_str_radix(integer.as_str(), integer.radix())
        {
            numbers.push(Number { name, value: number, span: value.span() });
        }
    }
}

fn problem(number: Number, range: &RangeInclusive<u64>, file: &str, source: &Arc<str>) -> Diagnostic {
    let Number { name, value, span } = number;
    let allowed = match *range.end() {
        // Settings without an upper bound have this end.
        u64::MAX => format!("{} or more", range.start()),
        most => format!("{} to {most}", range.start()),
    };
    Diagnostic {
        message: format!("`{name}` is {value}; it must be {allowed}"),
        file: file.to_owned(),
        source: Arc::clone(source),
        span: Some(span),
        label: format!("write {allowed}, or leave it out for its default"),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_its_range_is_shown_at_its_place() {
        let source: Arc<str> = "[a]\nx = 0\n[b.one]\nlimits.y = 1_000\n[b.two]\nlimits = { y = 9 }\n".into();
        let settings = [("a.x", 1..=u64::MAX), ("b.*.limits.y", 1..=10), ("c.z", 1..=2)];
        let found = problems("f.toml", &source, &settings);
        let told: Vec<_> =
            found.iter().map(|problem| (problem.message.as_str(), problem.span.clone())).collect();
        assert_eq!(
            told,
            [
                ("`a.x` is 0; it must be 1 or more", Some(8..9)),
                ("`b.one.limits.y` is 1000; it must be 1 to 10", Some(29..34)),
            ]
        );
    }
}
