//! The fields of arguments and results that a contract marks confidential.
//!
//! Owns their spelling, `args.phone` and `result.rows[].iban`, and what they cover: values in JSON, and the places that
//! violations and findings name. Must not know records, or what stands in the place of a value.

use serde_json::Value;

use super::path::{Path, PathError, Segment, snake, through};
use super::published::{Form, place};
use super::ty::{Field, FunctionTy, Ty};
use airlock_types::place::Step;
use airlock_types::words::{GOT_CHARS_MAX, one_line};

/// Most fields of one function: each is looked for in every call.
pub const FIELDS_MAX: usize = 64;

/// The confidential fields of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confidential {
    args: Vec<Path>,
    result: Vec<Path>,
}

/// Why a field cannot be confidential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfidentialError {
    /// It names neither arguments nor the result.
    #[error("`{}` is neither below `args` nor below `result`: write `args.NAME` or `result.NAME`", one_line(.0, GOT_CHARS_MAX))]
    Side(String),
    /// It leads nowhere.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The function has no result.
    #[error("the function returns nothing")]
    NoResult,
    /// There are too many.
    #[error("more than {FIELDS_MAX} confidential fields: mark a record or list that holds them as a whole")]
    TooMany,
}

/// What of a violation may not be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// Its place is declared, and has nothing confidential in it.
    Nothing,
    /// The value there.
    Value,
    /// The place, too: no argument is declared there, so that a key may be a confidential value.
    Place,
}

impl Confidential {
    /// Adds a field as a contract spells it. `seen` is the function as agents see it; `returns` says whether it has any
    /// result, which may be content alone.
    ///
    /// # Errors
    /// When the function has no such field.
    pub(crate) fn add(
        &mut self,
        text: &str,
        seen: &FunctionTy,
        returns: bool,
    ) -> Result<(), ConfidentialError> {
        if self.args.len() + self.result.len() >= FIELDS_MAX {
            return Err(ConfidentialError::TooMany);
        }
        match (below(text, "args"), below(text, "result")) {
            (Some(""), _) => {
                let all = seen.params.iter().map(|param| Segment::Field(snake(&param.name).into_owned()));
                self.args.extend(all.map(|segment| Path::default().then(segment)));
            }
            (Some(text), _) => {
                let path = Path::parse(text)?;
                path.resolve_params(&seen.params)?;
                self.args.push(path.before_case(|path| path.resolve_params(&seen.params).ok()));
            }
            (_, Some("")) if returns => self.result.push(Path::default()),
            (_, Some(text)) => {
                let path = Path::parse(text)?;
                let ty = seen.result.as_ref().ok_or(ConfidentialError::NoResult)?;
                path.resolve(ty)?;
                self.result.push(path.before_case(|path| path.resolve(ty).ok()));
            }
            (None, None) => return Err(ConfidentialError::Side(text.to_owned())),
        }
        Ok(())
    }

    /// Whether nothing is confidential.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty() && self.result.is_empty()
    }

    /// Whether a part of the arguments is.
    pub fn has_args(&self) -> bool {
        !self.args.is_empty()
    }

    /// Whether a part of the result is.
    pub fn has_result(&self) -> bool {
        !self.result.is_empty()
    }

    /// Whether the whole result is.
    pub fn is_whole_result(&self) -> bool {
        self.result.iter().any(|path| path.steps().is_empty())
    }

    /// The fields, as a contract spells them.
    pub fn fields(&self) -> Vec<String> {
        let named = |side: &'static str, paths: &[Path]| {
            paths.iter().map(|path| spelled(side, &path.to_string())).collect::<Vec<_>>()
        };
        [named("args", &self.args), named("result", &self.result)].concat()
    }

    /// Whether a place in the arguments, or else in the result, has a confidential value in it or around it.
    pub(crate) fn touches(&self, is_of_args: bool, place: &Path) -> bool {
        let paths = if is_of_args { &self.args } else { &self.result };
        paths.iter().any(|path| path.inside(place).is_some() || place.inside(path).is_some())
    }

    /// Calls `visit` with each confidential value of lifted arguments.
    pub fn each_arg(&self, args: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
        self.args.iter().for_each(|path| each(path.steps(), args, None, visit));
    }

    /// Calls `visit` with each confidential value of a lifted result.
    /// It is published in this form, where it is not in plain JSON.
    pub fn each_result(&self, result: &mut Value, form: Option<&Form>, visit: &mut dyn FnMut(&mut Value)) {
        self.result.iter().for_each(|path| each(path.steps(), result, form, visit));
    }

    /// What of the violation at a place, a JSON pointer into arguments, may not be repeated. They are published in this
    /// form, where they are not plain JSON.
    pub fn covers_violation(&self, params: &[Field], form: Option<&Form>, pointer: &str) -> Covered {
        let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
        let steps: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
        let steps = form.map_or_else(|| steps.clone(), |form| form.plain_place(&steps));
        if !is_declared(params, &steps) {
            Covered::Place
        } else if self.args.iter().any(|path| overlaps(path.steps(), &steps)) {
            Covered::Value
        } else {
            Covered::Nothing
        }
    }

    /// Whether the finding of a check at a place of the result, `rows[2].iban`, may quote a confidential value.
    /// The result is published in this form, where it is not plain JSON.
    pub fn covers_finding(&self, form: Option<&Form>, kind: &str, path: &str) -> bool {
        let steps: Vec<String> = place::steps(path)
            .into_iter()
            .map(|step| match step {
                Step::Key(key) => key,
                Step::Index(at) => at.to_string(),
            })
            .collect();
        let steps = form.map_or_else(|| steps.clone(), |form| form.plain_place(&steps));
        // A finding about the whole can be of an expression that reads arguments, and an echo quotes them.
        let quotes_args = steps.is_empty() || kind == "echo";
        (quotes_args && self.has_args()) || self.result.iter().any(|path| overlaps(path.steps(), &steps))
    }
}

/// What follows `args` or `result` in a field, without the dot between them. None for another field.
fn below<'t>(text: &'t str, side: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(side)?;
    match rest.chars().next() {
        None | Some('[') => Some(rest),
        Some('.') => rest.strip_prefix('.').filter(|rest| !rest.is_empty()),
        Some(_) => None,
    }
}

fn spelled(side: &str, path: &str) -> String {
    let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
    format!("{side}{dot}{path}")
}

/// Visits each value at the end of a path. A value that has not the form of the path is visited as a whole: bytes are a
/// text in JSON.
fn each(steps: &[Segment], value: &mut Value, form: Option<&Form>, visit: &mut dyn FnMut(&mut Value)) {
    let Some((first, rest)) = steps.split_first() else {
        // An option that is none: there is no value to hide.
        if !value.is_null() {
            visit(value);
        }
        return;
    };
    let (key, form) = form.map_or((None, None), |form| form.step(first));
    match (first, value) {
        (_, Value::Null) => {}
        (Segment::Items, Value::Array(items)) => {
            items.iter_mut().for_each(|item| each(rest, item, form, visit));
        }
        (Segment::Field(name), Value::Object(members)) if members.contains_key(key.unwrap_or(name)) => {
            let member = members.get_mut(key.unwrap_or(name));
            member.into_iter().for_each(|value| each(rest, value, form, visit));
        }
        (_, other) => visit(other),
    }
}

/// Whether the path and the place are on one way: one leads into the other.
fn overlaps(path: &[Segment], place: &[String]) -> bool {
    for (segment, step) in path.iter().zip(place) {
        match segment {
            // The wrapper of an option within an option, a payload, and a key that was cut.
            Segment::Field(_) if step == "some" || step == "val" || step.ends_with('…') => return true,
            Segment::Field(name) if name != step => return false,
            Segment::Field(_) | Segment::Items => {}
        }
    }
    true
}

/// Whether there is such a place in arguments of these types.
fn is_declared(params: &[Field], steps: &[String]) -> bool {
    let Some((first, rest)) = steps.split_first() else { return true };
    let of = |fields: &[Field], name: &str| {
        fields.iter().find(|field| snake(&field.name) == name).map(|field| field.ty.clone())
    };
    let ty = rest.iter().try_fold(of(params, first), |ty, step| {
        let ty = ty?;
        Some(match through(&ty) {
            Ty::Record(fields) => of(fields, step),
            Ty::List(item) | Ty::FixedList(item, _) => Some((**item).clone()),
            _ => None,
        })
    });
    ty.flatten().is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn function() -> FunctionTy {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let person = Ty::Record(vec![field("full-name", Ty::String), field("age", Ty::U8)]);
        let row = Ty::Record(vec![field("iban", Ty::Option(Box::new(Ty::String)))]);
        FunctionTy {
            params: vec![field("who", person), field("raw", Ty::List(Box::new(Ty::U8)))],
            result: Some(Ty::Record(vec![field("rows", Ty::List(Box::new(row)))])),
        }
    }

    fn of(fields: &[&str]) -> Confidential {
        let mut confidential = Confidential::default();
        fields.iter().for_each(|field| confidential.add(field, &function(), true).unwrap());
        confidential
    }

    #[track_caller]
    fn refuses(field: &str, says: &str) {
        let said = Confidential::default().add(field, &function(), true).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }

    #[test]
    fn a_field_is_spelled_from_args_or_result_on() {
        let fields = ["args.who.full_name", "args.raw", "result.rows[].iban", "result"];
        assert_eq!(of(&fields).fields(), fields);
        assert_eq!(of(&["args"]).fields(), ["args.who", "args.raw"]);
        refuses("argsy", "neither below `args` nor below `result`");
        refuses("args.", "neither below `args`");
        refuses("args.who.name", "`full_name`");
        refuses("result.iban", "`rows`");
        refuses("result.rows.iban", "no field `iban`");
        refuses("args.who[]", "is not a list");
    }

    #[test]
    fn all_values_at_a_field_are_visited_and_what_has_another_form_as_a_whole() {
        let mut result = json!({"rows": [{"iban": "a"}, {"iban": null}, {"iban": "b"}, "c"]});
        of(&["result.rows[].iban"]).each_result(&mut result, None, &mut |value| *value = json!(0));
        assert_eq!(result, json!({"rows": [{"iban": 0}, {"iban": null}, {"iban": 0}, 0]}));
        let mut args = json!({"who": {"full_name": "Ann", "age": 7}, "raw": "AAEC"});
        of(&["args.who.full_name", "args.raw[]"]).each_arg(&mut args, &mut |value| *value = json!(0));
        assert_eq!(args, json!({"who": {"full_name": 0, "age": 7}, "raw": 0}));
    }

    #[test]
    fn a_violation_is_covered_where_it_may_quote_a_value() {
        let confidential = of(&["args.who.full_name"]);
        let covered = |pointer: &str| confidential.covers_violation(&function().params, None, pointer);
        for pointer in ["", "/who", "/who/full_name"] {
            assert_eq!(covered(pointer), Covered::Value, "{pointer}");
        }
        for pointer in ["/who/age", "/raw", "/raw/3"] {
            assert_eq!(covered(pointer), Covered::Nothing, "{pointer}");
        }
        for pointer in ["/who/name", "/whom", "/raw/3/x"] {
            assert_eq!(covered(pointer), Covered::Place, "{pointer}");
        }
    }

    #[test]
    fn a_finding_is_covered_where_it_may_quote_a_value() {
        let result = of(&["result.rows[].iban"]);
        for path in ["", "rows", "rows[2]", "rows[2].iban"] {
            assert!(result.covers_finding(None, "range", path), "{path}");
        }
        assert!(
            !result.covers_finding(None, "range", "rows[2].other")
                && !result.covers_finding(None, "echo", "total")
        );
        let args = of(&["args.raw"]);
        assert!(args.covers_finding(None, "relation", "") && args.covers_finding(None, "echo", "rows"));
        assert!(!args.covers_finding(None, "range", "rows[0].iban"));
    }

    #[test]
    fn fields_are_bounded() {
        let mut confidential = Confidential::default();
        let mut add = || confidential.add("args.raw", &function(), true);
        assert!((0..FIELDS_MAX).all(|_| add().is_ok()));
        assert_eq!(add(), Err(ConfidentialError::TooMany));
    }
}
