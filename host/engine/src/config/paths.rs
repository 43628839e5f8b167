//! The paths among the settings, as they are written.
//!
//! Owns what no path may be: an empty one, which would mean the folder of the registry, or one with a zero byte, which no
//! system has. Those of secrets are looked at with their entries, since no error shows a line of these. Must not know the
//! disk. To add a setting that is a path: its name in [`PATHS`].

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use airlock_types::diagnostic::Diagnostic;

/// Every setting that is a path, `*` for any key and `[]` for any item of a list, with what to write.
const PATHS: [(&str, &str); 7] = [
    ("callers.*.grants.files.[].host", "name a folder, or leave `host` out"),
    ("host.state", "name a folder of its own; without the setting it is `.airlock`"),
    ("journal.checkpoint.to", "name a file of its own, or a URL"),
    ("oauth.jwks", "name the file with the keys, or its URL"),
    ("tools.*.component", "name the file of the component"),
    ("tools.*.grants.files.[].host", "name a folder; `.` is the folder of the registry"),
    ("tools.*.report.grants.files.[].host", "name a folder; `.` is the folder of the registry"),
];

/// What is wrong with a path, as a fragment.
pub(super) fn wrong(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        Some("is empty")
    } else if path.contains('\0') {
        Some("has a zero byte, which no path can have")
    } else {
        None
    }
}

/// The paths of a registry that cannot be any. Empty for a file that cannot be parsed, which is reported elsewhere.
pub(super) fn problems(file: &str, source: &Arc<str>) -> Vec<Diagnostic> {
    // Parsed again, because the deserialized config no longer knows the place of each path.
    let Ok(table) = DeTable::parse(source) else { return Vec::new() };
    let mut problems = Vec::new();
    for (setting, hint) in PATHS {
        let parts: Vec<&str> = setting.split('.').collect();
        let mut found = Vec::new();
        in_table(table.get_ref(), &parts, "", &mut found);
        problems.extend(found.into_iter().filter_map(|(name, path, span)| {
            let what = wrong(&path)?;
            Some(Diagnostic {
                message: format!("`{name}` {what}"),
                file: file.to_owned(),
                source: Arc::clone(source),
                span: Some(span),
                label: String::new(),
                hint: Some(hint.to_owned()),
            })
        }));
    }
    problems
}

/// Texts of a file, each with its full name and its place.
type Texts = Vec<(String, String, std::ops::Range<usize>)>;

fn in_table(table: &DeTable<'_>, parts: &[&str], prefix: &str, found: &mut Texts) {
    let Some((part, rest)) = parts.split_first() else { return };
    for (key, value) in table.iter().filter(|(key, _)| *part == "*" || key.get_ref() == part) {
        in_value(value, rest, format!("{prefix}{}", key.get_ref()), found);
    }
}

/// Values of other types are skipped: deserialization rejects them.
fn in_value(value: &Spanned<DeValue<'_>>, parts: &[&str], name: String, found: &mut Texts) {
    match (value.get_ref(), parts) {
        (DeValue::String(text), []) => found.push((name, text.to_string(), value.span())),
        (DeValue::Array(list), ["[]", rest @ ..]) => {
            for (place, value) in list.iter().enumerate() {
                in_value(value, rest, format!("{name}[{place}]"), found);
            }
        }
        (DeValue::Table(inner), rest) => in_table(inner, rest, &format!("{name}."), found),
        _ => {}
    }
}

/// The place of the text of one setting, by its dotted name.
pub(super) fn place_of(source: &str, setting: &str) -> Option<std::ops::Range<usize>> {
    let table = DeTable::parse(source).ok()?;
    let mut found = Vec::new();
    in_table(table.get_ref(), &setting.split('.').collect::<Vec<_>>(), "", &mut found);
    found.into_iter().next().map(|(_, _, span)| span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_cannot_be_one_is_shown_at_its_place() {
        let source: Arc<str> = "[host]\nstate = \"a\\u0000b\"\n[tools.a]\ncomponent = \"\"\n\
            grants.files = [{ host = \".\" }, { host = \"\" }]\nreport.grants.files = [{ host = \"\" }]\n\
            [[callers.ann.grants.files]]\nhost = \"\"\n"
            .into();
        let found = problems("f.toml", &source);
        let told: Vec<_> = found
            .iter()
            .map(|problem| {
                let line = source[..problem.span.as_ref().unwrap().start].matches('\n').count() + 1;
                format!("{line}: {}", problem.message)
            })
            .collect();
        assert_eq!(
            told,
            [
                "8: `callers.ann.grants.files[0].host` is empty",
                "2: `host.state` has a zero byte, which no path can have",
                "4: `tools.a.component` is empty",
                "5: `tools.a.grants.files[1].host` is empty",
                "6: `tools.a.report.grants.files[0].host` is empty",
            ]
        );
        assert_eq!(place_of(&source, "host.state"), Some(15..25));
    }
}
