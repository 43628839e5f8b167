//! Makes the form of a type from what a contract says of its places, and refuses what has two readings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Case, Field, Fields, Form, Free, Untagged, Written, apart, free};
use crate::path::{Path, PathError, Segment, snake, through};
use crate::schema;
use crate::ty::{self, Ty};

/// The type whose places a contract names.
#[derive(Clone, Copy)]
pub(crate) enum Root<'t> {
    /// The arguments of a function.
    Params(&'t [ty::Field]),
    /// A result.
    Value(&'t Ty),
}

/// What a path leads to.
#[derive(Clone, Copy)]
struct Target<'t> {
    /// None for a case without a payload.
    ty: Option<&'t Ty>,
    is_field: bool,
    is_case: bool,
}

/// A form, and what is wrong with what the contract says of it.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) form: Option<Form>,
    pub(crate) problems: Vec<(Path, String)>,
}

impl<'t> Root<'t> {
    /// The type at the end of a path. None for a case that has no payload.
    pub(crate) fn resolve(self, path: &Path) -> Result<Option<&'t Ty>, PathError> {
        self.target(path).map(|target| target.ty)
    }

    fn ty(self, path: &Path) -> Result<&'t Ty, PathError> {
        match self {
            Root::Params(params) => path.resolve_params(params),
            Root::Value(ty) => path.resolve(ty),
        }
    }

    fn target(self, path: &Path) -> Result<Target<'t>, PathError> {
        let Some((parent, Segment::Field(name))) = path.split_last() else {
            return self.ty(path).map(|ty| Target { ty: Some(ty), is_field: false, is_case: false });
        };
        // The arguments as a whole have no type of their own.
        let within = if parent.is_whole() && matches!(self, Root::Params(_)) { None } else { Some(parent) };
        let within = within.map(|parent| self.ty(&parent)).transpose()?.map(through);
        let has = |names: &[&str]| names.iter().any(|case| snake(case) == *name);
        match within {
            Some(ty @ (Ty::Enum(_) | Ty::Flags(_) | Ty::Variant(_))) if has(&cases(ty)) => {
                Ok(Target { ty: self.ty(path).ok(), is_field: false, is_case: true })
            }
            Some(ty @ (Ty::Enum(_) | Ty::Flags(_))) => {
                let known = cases(ty).into_iter().map(|case| snake(case).into_owned()).collect();
                Err(PathError::Unknown { name: name.clone(), known })
            }
            _ => self.ty(path).map(|ty| Target { ty: Some(ty), is_field: true, is_case: false }),
        }
    }
}

fn is_number(ty: &Ty) -> bool {
    let is_whole = matches!(ty, Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64);
    is_whole || matches!(ty, Ty::F32 | Ty::F64)
}

/// The names of the cases of a type.
fn cases(ty: &Ty) -> Vec<&str> {
    if let Ty::Enum(names) | Ty::Flags(names) = ty {
        return names.iter().map(String::as_str).collect();
    }
    let Ty::Variant(cases) = ty else { return Vec::new() };
    cases.iter().map(|case| case.name.as_str()).collect()
}

/// The form of a type, from what a contract says of its places. Each of these places exists.
pub(crate) fn form(root: Root<'_>, written: &BTreeMap<Path, Written>) -> Built {
    let mut build = Build { written, problems: Vec::new() };
    for (path, keys) in written {
        build.fits(root, path, keys);
    }
    // What does not fit its place has no form.
    if !build.problems.is_empty() {
        return Built { form: None, problems: build.problems };
    }
    let form = match root {
        Root::Params(params) => build.record(params, &Path::default()),
        Root::Value(ty) => build.ty(ty, &Path::default()),
    };
    Built { form, problems: build.problems }
}

struct Build<'w> {
    written: &'w BTreeMap<Path, Written>,
    problems: Vec<(Path, String)>,
}

impl Build<'_> {
    /// Checks that the keys of a place are for what is there.
    fn fits(&mut self, root: Root<'_>, path: &Path, keys: &Written) {
        let Ok(target) = root.target(path) else { return };
        // Destructured without `..`, so that no key is accepted where it has no effect.
        let Written { name, value, default, is_open, is_json, schema, is_untagged, unit } = keys;
        let is_argument = matches!(root, Root::Params(_));
        let is = |fits: fn(&Ty) -> bool| target.ty.is_some_and(|ty| fits(through(ty)));
        let is_field = target.is_field;
        for (is_wrong, why) in [
            (name.is_some() && !is_field, "`name` is for parameters and fields of records"),
            (value.is_some() && !target.is_case, "`value` is for the cases of enums, flags and variants"),
            (default.is_some() && !is_argument, "`default` is for arguments: a result has every field"),
            (default.is_some() && !is_field, "`default` is for parameters and fields of records"),
            (*is_open && !is_argument, "`open` is for arguments: a component returns no unknown keys"),
            (*is_open && !is(|ty| matches!(ty, Ty::Record(_))), "`open` is for records"),
            (*is_json && !is(|ty| *ty == Ty::String), "`json` is for strings"),
            (schema.is_some() && !is_json, "`schema` is for strings with `json = true`"),
            (*is_untagged && !is(|ty| matches!(ty, Ty::Variant(_))), "`untagged` is for variants"),
            (unit.is_some() && !is(is_number), "`unit` is for numbers"),
        ] {
            if is_wrong {
                self.problems.push((path.clone(), why.to_owned()));
            }
        }
    }

    /// Whether a contract says anything of a place or of one inside.
    fn is_touched(&self, at: &Path) -> bool {
        let first = self.written.range(at.clone()..).next();
        first.is_some_and(|(path, _)| path.steps().starts_with(at.steps()))
    }

    fn ty(&mut self, ty: &Ty, at: &Path) -> Option<Form> {
        if !self.is_touched(at) {
            return None;
        }
        match ty {
            Ty::Option(inner) if inner.as_option().is_some() => {
                self.ty(inner, at).map(|form| Form::Some(Box::new(form)))
            }
            Ty::Option(inner) => match self.ty(inner, at) {
                Some(Form::Json(free)) => Some(Form::Json(Free { is_optional: true, ..free })),
                form => form,
            },
            Ty::Record(fields) => self.record(fields, at),
            Ty::List(item) | Ty::FixedList(item, _) => {
                self.ty(item, &at.then(Segment::Items)).map(|form| Form::Items(Box::new(form)))
            }
            Ty::Enum(_) | Ty::Flags(_) | Ty::Variant(_) => self.cases(ty, at),
            Ty::String => self.free(at),
            Ty::Bool | Ty::Char | Ty::F32 | Ty::F64 | Ty::S64 | Ty::U64 => None,
            Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 => None,
            // No path leads into these.
            Ty::Map(..) | Ty::Tuple(_) | Ty::Result(..) => None,
        }
    }

    fn record(&mut self, fields: &[ty::Field], at: &Path) -> Option<Form> {
        let mut changed = Vec::new();
        for field in fields {
            let name = snake(&field.name).into_owned();
            let place = at.then(Segment::Field(name.clone()));
            let form = self.ty(&field.ty, &place);
            let Written { name: key, default, .. } = self.written.get(&place).cloned().unwrap_or_default();
            if key.is_some() || default.is_some() || form.is_some() {
                let key = key.unwrap_or_else(|| name.clone());
                changed.push(Field { name, key, default, form });
            }
        }
        let names: Vec<String> = fields.iter().map(|field| snake(&field.name).into_owned()).collect();
        let pairs = changed.iter().map(|field| (field.name.as_str(), field.key.as_str()));
        self.clashes(at, &names, &pairs.collect::<Vec<_>>(), "field");
        let is_open = self.written.get(at).is_some_and(|keys| keys.is_open);
        let open = is_open.then(|| {
            let keys: BTreeMap<&str, &str> =
                changed.iter().map(|field| (field.name.as_str(), field.key.as_str())).collect();
            names
                .iter()
                .map(|name| keys.get(name.as_str()).map_or_else(|| name.clone(), |key| (*key).to_owned()))
                .collect()
        });
        (is_open || !changed.is_empty()).then_some(Form::Record(Fields { fields: changed, open }))
    }

    fn free(&mut self, at: &Path) -> Option<Form> {
        let keys = self.written.get(at).filter(|keys| keys.is_json)?;
        let schema = keys.schema.as_ref().map(free::schema).transpose();
        let schema = schema.map_err(|why| self.problems.push((at.clone(), why))).ok()?;
        Some(Form::Json(Free { schema: schema.map(Arc::new), is_optional: false }))
    }

    fn cases(&mut self, ty: &Ty, at: &Path) -> Option<Form> {
        let mut changed = Vec::new();
        for name in cases(ty) {
            let place = at.then(Segment::Field(snake(name).into_owned()));
            let payload = schema::case(ty, name).flatten();
            let form = payload.and_then(|payload| self.ty(payload, &place));
            let value = self.written.get(&place).and_then(|keys| keys.value.clone());
            if value.is_some() || form.is_some() {
                let value = value.unwrap_or_else(|| name.to_owned());
                changed.push(Case { name: name.to_owned(), value, form });
            }
        }
        let names: Vec<String> = cases(ty).into_iter().map(str::to_owned).collect();
        let pairs = changed.iter().map(|case| (case.name.as_str(), case.value.as_str()));
        self.clashes(at, &names, &pairs.collect::<Vec<_>>(), "case");
        if self.written.get(at).is_some_and(|keys| keys.is_untagged) {
            return self.untagged(ty, at, &changed);
        }
        (!changed.is_empty()).then_some(Form::Cases(changed))
    }

    /// The cases of a variant without their tags, if these are not needed to tell them apart.
    fn untagged(&mut self, ty: &Ty, at: &Path, changed: &[Case]) -> Option<Form> {
        let mut untagged = Vec::new();
        for (name, payload) in schema::cases(ty) {
            let plain = || Case { name: name.to_owned(), value: name.to_owned(), form: None };
            let case = changed.iter().find(|case| case.name == name).cloned().unwrap_or_else(plain);
            match payload.map(|payload| apart::shapes(payload, case.form.as_ref())).transpose() {
                Ok(shapes) => untagged.push(Untagged { case, shapes }),
                Err(why) => {
                    self.problems
                        .push((at.clone(), format!("case `{name}` cannot be without its tag: {why}")));
                    return None;
                }
            }
        }
        if let Some((one, other, both)) = apart::clash(&untagged) {
            let why = format!("`{one}` and `{other}` cannot be told apart without a tag: both can be {both}");
            self.problems.push((at.clone(), why));
            return None;
        }
        Some(Form::Untagged(untagged))
    }

    /// Refuses a published name that is also the name of another one: a message that says one of them must mean one thing.
    fn clashes(&mut self, at: &Path, names: &[String], changed: &[(&str, &str)], what: &str) {
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let mut taken = BTreeSet::new();
        for (name, key) in changed {
            let other = names.get(key).filter(|other| *other != name);
            let why = match other {
                Some(other) => format!("`{key}` is the name of another {what}, `{other}`"),
                None if !taken.insert(*key) => format!("two of them are published as `{key}`"),
                None => continue,
            };
            self.problems.push((at.then(Segment::Field(snake(name).into_owned())), why));
        }
    }
}
