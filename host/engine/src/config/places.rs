//! Where the settings of tools and callers, and rules over tools, stand in a registry's file, for rules that are named to an operator.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The places of settings, by their names: `tools.web.grants.http[0]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// The line of each, from 1.
    pub(crate) lines: BTreeMap<String, usize>,
    /// What is written there, where that is a text.
    pub(crate) texts: BTreeMap<String, String>,
    /// How tables and lists are written.
    pub(crate) forms: Forms,
}

/// The tables and lists that take no line of the usual form, by their names.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    /// Tables in braces: a line below their header, or one with their name, is refused by TOML.
    pub braces: BTreeSet<String>,
    /// Tables with headers of their own, `[tools.web.grants]`: a line with their name in the table around them is refused.
    pub tables: BTreeSet<String>,
    /// Lists of tables with headers of their own, `[[tools.web.grants.http]]`: a line with their name is refused.
    pub lists: BTreeSet<String>,
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
            collect(value, key.get_ref(), &Text { source, ends: &ends }, &mut places);
        }
    }
    places
}

/// Where a setting stands, by its name as in [`Places`]. `None` for one that is not written.
pub(super) fn span(source: &str, name: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(source).ok()?;
    let mut entries = table.get_ref().iter();
    entries.find_map(|(key, value)| find(value, key.get_ref(), name))
}

/// The place of a setting within the value of this name.
fn find(value: &Spanned<DeValue<'_>>, own: &str, name: &str) -> Option<Range<usize>> {
    let rest = name.strip_prefix(own)?;
    if rest.is_empty() {
        return Some(value.span());
    }
    match value.get_ref() {
        DeValue::Table(table) if rest.starts_with('.') => {
            table.iter().find_map(|(key, value)| find(value, &format!("{own}.{}", key.get_ref()), name))
        }
        DeValue::Array(list) if rest.starts_with('[') => {
            list.iter().enumerate().find_map(|(place, value)| find(value, &format!("{own}[{place}]"), name))
        }
        _ => None,
    }
}

/// The text of a registry, with the places of the ends of its lines.
struct Text<'s> {
    source: &'s str,
    ends: &'s [usize],
}

impl Text<'_> {
    /// The line of a place, from 1.
    fn line(&self, at: usize) -> usize {
        self.ends.partition_point(|end| *end < at) + 1
    }

    /// Whether a value begins with this character.
    fn begins(&self, value: &Spanned<DeValue<'_>>, with: char) -> bool {
        self.source.get(value.span()).is_some_and(|text| text.starts_with(with))
    }
}

fn collect(value: &Spanned<DeValue<'_>>, name: &str, text: &Text<'_>, places: &mut Places) {
    match value.get_ref() {
        DeValue::Table(table) => {
            if text.begins(value, '{') {
                places.forms.braces.insert(name.to_owned());
            } else if text.begins(value, '[') {
                places.forms.tables.insert(name.to_owned());
            }
            for (key, value) in table {
                let name = format!("{name}.{}", key.get_ref());
                places.lines.insert(name.clone(), text.line(key.span().start));
                collect(value, &name, text, places);
            }
        }
        DeValue::Array(list) => {
            let is_table = |value: &Spanned<DeValue<'_>>| matches!(value.get_ref(), DeValue::Table(_));
            if list.iter().any(|value| is_table(value) && !text.begins(value, '{')) {
                places.forms.lists.insert(name.to_owned());
            }
            for (place, value) in list.iter().enumerate() {
                let name = format!("{name}[{place}]");
                places.lines.insert(name.clone(), text.line(value.span().start));
                collect(value, &name, text, places);
            }
        }
        DeValue::String(written) => drop(places.texts.insert(name.to_owned(), written.to_string())),
        _ => {}
    }
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
        let written = |name: &str| span(source, name).map(|span| &source[span]);
        assert_eq!(written("tools.web.grants.http[1]"), Some("{ host = \"b\" }"));
        assert_eq!(written("callers.ann.grants.clock"), Some("true"));
        for absent in ["tools.web.grants.http[2]", "tools.we", "tools.web.component.x", "tools.web.grants[0]"]
        {
            assert_eq!(written(absent), None, "{absent}");
        }
    }

    #[test]
    fn tables_in_braces_and_those_with_headers_are_told_apart() {
        let source = "[tools.a]\ngrants.config = { zone = \"x\" }\ngrants.http = [{ host = \"a\" }]\ngrants.env.TZ = \"UTC\"\n\
                      [tools.b.grants]\nclock = true\n[[tools.b.grants.http]]\nhost = \"b\"\n[callers]\nann = { grants = {} }\n";
        let Forms { braces, tables, lists } = places(source).forms;
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            list(&braces),
            "callers.ann callers.ann.grants tools.a.grants.config tools.a.grants.http[0]"
        );
        assert_eq!(list(&lists), "tools.b.grants.http");
        let tables = tables.iter().filter(|name| !name.contains("http[")).cloned().collect();
        assert_eq!(list(&tables), "callers tools.a tools.b.grants");
    }
}
