//! The names that a form changes, for texts that people wrote with the other ones: doc comments and expressions.

use std::collections::BTreeMap;

use super::{Field, Form};

impl Form {
    /// Names of fields in plain JSON with their published names, of all places. A name that is published in two ways is left out.
    pub(crate) fn renamed(&self) -> BTreeMap<&str, &str> {
        let mut all = BTreeMap::new();
        self.collect(&mut all);
        all.into_iter()
            .filter_map(|(name, key)| Some((name, key?)))
            .filter(|(name, key)| name != key)
            .collect()
    }

    fn collect<'f>(&'f self, all: &mut BTreeMap<&'f str, Option<&'f str>>) {
        match self {
            Form::Record(fields) => {
                for Field { name, key, form, .. } in &fields.fields {
                    let known = all.entry(name).or_insert(Some(key));
                    if *known != Some(key.as_str()) {
                        *known = None;
                    }
                    form.iter().for_each(|form| form.collect(all));
                }
            }
            Form::Items(inner) | Form::Some(inner) => inner.collect(all),
            Form::Cases(cases) => {
                cases.iter().filter_map(|case| case.form.as_ref()).for_each(|form| form.collect(all))
            }
            Form::Untagged(cases) => {
                cases.iter().filter_map(|one| one.case.form.as_ref()).for_each(|form| form.collect(all));
            }
            Form::Json(_) => {}
        }
    }
}

/// A doc comment with the published names of fields where it names them in backticks, as in WIT or as in JSON.
pub(crate) fn spoken(text: &str, names: &BTreeMap<&str, &str>) -> String {
    if names.is_empty() || !text.contains('`') {
        return text.to_owned();
    }
    let mut parts = text.split('`').map(str::to_owned).collect::<Vec<_>>();
    // Every second part stands between two backticks; one that nothing closes is text.
    let last = parts.len() - 1;
    for part in parts.iter_mut().take(last).skip(1).step_by(2) {
        if let Some(key) = names.get(part.replace('-', "_").as_str()) {
            (*key).clone_into(part);
        }
    }
    parts.join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_have_published_names() {
        let names = BTreeMap::from([("max_items", "maxItems")]);
        for (text, wanted) in [
            ("At most `max-items`, see `max_items`.", "At most `maxItems`, see `maxItems`."),
            ("max-items and `other`", "max-items and `other`"),
            ("`a` max-items `b`", "`a` max-items `b`"),
            ("open `max-items", "open `max-items"),
        ] {
            assert_eq!(spoken(text, &names), wanted);
        }
    }
}
