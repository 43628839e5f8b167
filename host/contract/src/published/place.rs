//! Places: the published spelling of one that a gate or a check names, and back.
//!
//! Which case a place leads into is only known with the value, so that the published spelling needs it.

use serde_json::Value;

use super::{Case, Form};
use crate::path::Segment;
use airlock_types::place::Step;

/// The steps of a place that is written code-like: `rows[2].change_pct`.
pub(crate) fn steps(path: &str) -> Vec<Step> {
    let parts = path.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    let step =
        |part: &str| part.parse().map_or_else(|_| Step::Key(part.trim_matches('"').to_owned()), Step::Index);
    parts.filter(|part| !part.is_empty()).map(step).collect()
}

impl Form {
    /// The published name of a step of a path, where it has one, and the form behind it.
    pub(crate) fn step(&self, step: &Segment) -> (Option<&str>, Option<&Form>) {
        match (self, step) {
            (Form::Record(fields), Segment::Field(name)) => match fields.by_name(name) {
                Some(field) => (Some(&field.key), field.form.as_ref()),
                None => (None, None),
            },
            (Form::Items(item), Segment::Items) => (None, Some(item)),
            // A case is no member of the value.
            (Form::Record(_) | Form::Items(_) | Form::Some(_) | Form::Cases(_), _) => (None, None),
            (Form::Untagged(_) | Form::Json(_), _) => (None, None),
        }
    }

    /// The published place of a plain one, in this published value.
    pub(crate) fn published_place(&self, value: &Value, place: &[Step]) -> Vec<Step> {
        let Some((step, rest)) = place.split_first() else { return Vec::new() };
        if let (Form::Untagged(cases), Step::Key(_)) = (self, step) {
            let form = cases.iter().find(|case| case.takes(value)).and_then(|case| case.case.form.as_ref());
            return form.map_or_else(|| rest.to_vec(), |form| form.published_place(value, rest));
        }
        let (step, form) = match (self, step) {
            (Form::Record(fields), Step::Key(name)) => match fields.by_name(name) {
                Some(field) => (Step::Key(field.key.clone()), field.form.as_ref()),
                None => (step.clone(), None),
            },
            (Form::Items(item), Step::Index(_)) => (step.clone(), Some(&**item)),
            (Form::Some(inner), Step::Key(_)) => (step.clone(), Some(&**inner)),
            (Form::Cases(cases), Step::Key(name)) if name == "val" => (step.clone(), of_tag(cases, value)),
            _ => return place.to_vec(),
        };
        let inside = match &step {
            Step::Key(key) => value.get(key),
            Step::Index(at) => value.get(at),
        };
        let rest = match (form, inside) {
            (Some(form), Some(value)) => form.published_place(value, rest),
            _ => rest.to_vec(),
        };
        [vec![step], rest].concat()
    }

    /// The plain name of the field at a published place, if a published value has it there under that name. An open record
    /// takes it for a key that is not known.
    pub(crate) fn misnamed(&self, value: &Value, place: &[Step]) -> Option<String> {
        let (step, rest) = place.split_first()?;
        let (form, inside) = match (self, step) {
            (Form::Record(fields), Step::Key(key)) => {
                let field = fields.by_key(key)?;
                if rest.is_empty() {
                    return value.get(&field.name).filter(|_| field.name != *key).map(|_| field.name.clone());
                }
                (field.form.as_ref()?, value.get(key)?)
            }
            (Form::Items(item), Step::Index(at)) => (&**item, value.get(at)?),
            (Form::Some(inner), Step::Key(key)) => (&**inner, value.get(key)?),
            _ => return None,
        };
        form.misnamed(inside, rest)
    }

    /// A text that names places as expressions do, `args.trip.out_date`, with the published names. Fields of the items of a
    /// list have other names in expressions, which stay.
    pub(crate) fn published_text(&self, root: &str, text: &str) -> String {
        // Most texts quote no expression, and a form can have thousands of names.
        if !text.contains(&format!("{root}.")) {
            return text.to_owned();
        }
        let mut names = Vec::new();
        self.names(root.to_owned(), root.to_owned(), &mut names);
        names.retain(|(plain, _)| text.contains(plain));
        // The longest first: a name can begin another one.
        names.sort_by_key(|(plain, _)| std::cmp::Reverse(plain.len()));
        names.into_iter().fold(text.to_owned(), |text, (plain, published)| renamed(&text, &plain, &published))
    }

    /// The places of fields, in the spelling of expressions and in the published one, where these differ.
    fn names(&self, plain: String, published: String, found: &mut Vec<(String, String)>) {
        let Form::Record(fields) = self else { return };
        for field in &fields.fields {
            let (plain, published) =
                (format!("{plain}.{}", field.name), format!("{published}.{}", field.key));
            field.form.iter().for_each(|form| form.names(plain.clone(), published.clone(), found));
            if plain != published {
                found.push((plain, published));
            }
        }
    }

    /// The plain place of a published one, up to the first case: what is inside of one stays as it was spelled.
    pub(crate) fn plain_place(&self, place: &[String]) -> Vec<String> {
        let Some((step, rest)) = place.split_first() else { return Vec::new() };
        let (step, form) = match self {
            Form::Record(fields) => match fields.by_key(step) {
                Some(field) => (field.name.clone(), field.form.as_ref()),
                None => (step.clone(), None),
            },
            Form::Items(inner) | Form::Some(inner) => (step.clone(), Some(&**inner)),
            Form::Cases(_) | Form::Json(_) => return place.to_vec(),
            // Of which case is not known, and a payload is under this name.
            Form::Untagged(_) => return [vec!["val".to_owned()], place.to_vec()].concat(),
        };
        let rest = form.map_or_else(|| rest.to_vec(), |form| form.plain_place(rest));
        [vec![step], rest].concat()
    }
}

/// The form of the payload of the case that a published value has.
fn of_tag<'f>(cases: &'f [Case], value: &Value) -> Option<&'f Form> {
    let tag = value.get("tag")?.as_str()?;
    cases.iter().find(|case| case.value == tag)?.form.as_ref()
}

/// The text with another name in the places of a whole one.
fn renamed(text: &str, from: &str, to: &str) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let is_whole = !before.ends_with(|c| is_word(c) || c == '.') && !after.starts_with(is_word);
        renamed.push_str(before);
        renamed.push_str(if is_whole { to } else { from });
        rest = after;
    }
    renamed + rest
}
