//! Where the settings of tools and callers, and rules over tools, stand in a registry's file, for rules that are named to an operator.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// The places of settings, by their names: `tools.web.grants.http[0]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// The line of each, from 1.
    pub(crate) lines: BTreeMap<String, usize>,
    /// What is written there, where that is a text.
    pub(crate) texts: BTreeMap<String, String>,
}

/// The lines of the settings below `tools`, `callers` and `holds`. Empty for a file that cannot be parsed, which is reported
/// elsewhere.
pub(super) fn places(source: &str) -> Places {
    // Parsed again, because the deserialized config no longer knows where an entry of a list was.
    let Ok(table) = DeTable::parse(source) else { return Places::default() };
    let ends =
        source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect::<Vec<_>>();
    let mut places = Places::default();
    for (key, value) in table.get_ref() {
        if matches!(&**key.get_ref(), "tools" | "callers" | "holds") {
            collect(value.get_ref(), key.get_ref(), &ends, &mut places);
        }
    }
    places
}

/// `ends` are the places of the ends of lines.
fn collect(value: &DeValue<'_>, name: &str, ends: &[usize], places: &mut Places) {
    match value {
        DeValue::Table(table) => {
            for (key, value) in table {
                let name = format!("{name}.{}", key.get_ref());
                places.lines.insert(name.clone(), line(ends, key.span().start));
                collect(value.get_ref(), &name, ends, places);
            }
        }
        DeValue::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                let name = format!("{name}[{place}]");
                places.lines.insert(name.clone(), line(ends, value.span().start));
                collect(value.get_ref(), &name, ends, places);
            }
        }
        DeValue::String(text) => drop(places.texts.insert(name.to_owned(), text.to_string())),
        _ => {}
    }
}

/// The line of a place in the text, from 1.
fn line(ends: &[usize], at: usize) -> usize {
    ends.partition_point(|end| *end < at) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_of_a_list_has_its_line() {
        let source = "[tools.web]\ncomponent = \"w\"\ngrants.http = [\n  { host = \"a\" },\n  { host = \"b\" },\n]\n[callers.ann]\ngrants.clock = true\n";
        let places = places(source);
        let expect = [
            ("tools.web", 1),
            ("tools.web.grants", 3),
            ("tools.web.grants.http", 3),
            ("tools.web.grants.http[0]", 4),
            ("tools.web.grants.http[1]", 5),
            ("callers.ann", 7),
            ("callers.ann.grants.clock", 8),
        ];
        for (name, line) in expect {
            assert_eq!(places.lines.get(name), Some(&line), "{name}");
        }
        assert_eq!(places.texts["tools.web.grants.http[1].host"], "b");
    }
}
