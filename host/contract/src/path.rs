//! Paths into arguments and results: `rows[].change_pct`.
//!
//! Owns their syntax and their meaning over a type and over a value. A name is in snake_case, as agents see it; `[]`
//! selects every item of a list. An `option` is looked through: where it is none, the path selects nothing. Must not
//! know constraints or checks, which use it.

use std::fmt;
use std::ops::ControlFlow;

use super::Val;
pub use super::ty::snake;
use super::ty::{Case, Field, Ty};
use airlock_types::place::Place;
use airlock_types::words::quoted_list;

/// A path over a type. The empty path is the whole value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Segment>);

/// A part of a path. Unlike a step of a place, it can select many items.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    Field(String),
    Items,
}

/// Why a path does not lead anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The text is not a path.
    #[error("`{0}` is not a path: write names and `[]` for the items of a list, as in `rows[].price`")]
    Syntax(String),
    /// The type has no such field.
    #[error("no field `{name}` {}", among(.known))]
    Unknown {
        /// The unknown name.
        name: String,
        /// The names of the fields.
        known: Vec<String>,
    },
    /// `[]` after something that is not a list.
    #[error("`{0}` is not a list")]
    NotAList(String),
}

fn among(names: &[String]) -> String {
    if names.is_empty() {
        "here: there are no fields".into()
    } else {
        format!("among {}", quoted_list(names.iter().map(String::as_str)))
    }
}

/// Whether `snake(wit)` is this name. It allocates nothing, because a contract can look for thousands of fields among
/// thousands.
fn is_snake_of(name: &str, wit: &str) -> bool {
    let is_same = |(name, wit): (&u8, &u8)| name == if *wit == b'-' { &b'_' } else { wit };
    // From the end: names of one record often begin alike, and those with a number all do.
    name.len() == wit.len() && name.as_bytes().iter().zip(wit.as_bytes()).rev().all(is_same)
}

impl Path {
    /// Parses `a.b[].c`. The empty text is the whole value.
    ///
    /// # Errors
    /// When the text is not a path.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let bad = || PathError::Syntax(text.to_owned());
        let mut steps = Vec::new();
        for (i, part) in text.split('.').enumerate() {
            let name = part.trim_end_matches("[]");
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            // An empty name is allowed only at the start: `[].a` is a path into a list, `a..b` is not one.
            if !plain || (name.is_empty() && (i > 0 || text.starts_with('.'))) {
                return Err(bad());
            }
            if !name.is_empty() {
                steps.push(Segment::Field(name.to_owned()));
            }
            steps.extend((0..(part.len() - name.len()) / 2).map(|_| Segment::Items));
        }
        Ok(Path(steps))
    }

    /// The steps, from the outside in.
    pub(crate) fn steps(&self) -> &[Segment] {
        &self.0
    }

    /// The names of the fields on the way.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Segment::Field(name) => Some(name.as_str()),
            Segment::Items => None,
        })
    }

    /// The path without its last step, and that step.
    pub(crate) fn split_last(&self) -> Option<(Path, &Segment)> {
        self.0.split_last().map(|(last, before)| (Path(before.to_vec()), last))
    }

    /// The path up to the first variant on its way: as a whole it has the same form whatever its case.
    pub(crate) fn before_case<'t>(self, resolve: impl Fn(&Path) -> Option<&'t Ty>) -> Path {
        let is_variant = |path: &Path| matches!(resolve(path).map(through), Some(Ty::Variant(_)));
        let cut = (0..self.0.len()).map(|len| Path(self.0[..len].to_vec())).find(is_variant);
        cut.unwrap_or(self)
    }

    /// The path to a part of the value at this path.
    pub(crate) fn then(&self, segment: Segment) -> Path {
        Path(self.0.iter().cloned().chain([segment]).collect())
    }

    /// The place that contains both of these.
    pub(crate) fn shared(&self, other: &Path) -> Path {
        let same = self.0.iter().zip(&other.0).take_while(|(a, b)| a == b);
        Path(same.map(|(step, _)| step.clone()).collect())
    }

    /// The place up to the last `[]`: that of the item which this place is in.
    pub(crate) fn to_item(&self) -> Path {
        let last = self.0.iter().rposition(|step| *step == Segment::Items);
        Path(self.0[..last.map_or(0, |at| at + 1)].to_vec())
    }

    /// The rest of this path behind another one. None if it does not begin with that.
    pub(crate) fn inside(&self, outer: &Path) -> Option<Path> {
        self.0.strip_prefix(outer.0.as_slice()).map(|rest| Path(rest.to_vec()))
    }

    /// This path, and then the other one.
    pub(crate) fn joined(&self, rest: &Path) -> Path {
        Path([self.0.as_slice(), rest.0.as_slice()].concat())
    }

    /// Whether it selects several items.
    pub(crate) fn has_items(&self) -> bool {
        self.0.contains(&Segment::Items)
    }

    /// Whether this is the whole value.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The type at the end of the path. Options on the way are looked through; one at the end is returned.
    ///
    /// # Errors
    /// When the type has no such place.
    pub fn resolve<'t>(&self, root: &'t Ty) -> Result<&'t Ty, PathError> {
        self.walk(root, &self.0)
    }

    /// As [`Path::resolve`], from a parameter list.
    ///
    /// # Errors
    /// When the path is empty, or the parameters have no such place.
    pub fn resolve_params<'t>(&self, params: &'t [Field]) -> Result<&'t Ty, PathError> {
        let Some((Segment::Field(name), rest)) = self.0.split_first() else {
            return Err(PathError::Syntax(self.to_string()));
        };
        self.walk(find(params, name)?, rest)
    }

    fn walk<'t>(&self, root: &'t Ty, steps: &[Segment]) -> Result<&'t Ty, PathError> {
        steps.iter().try_fold(root, |ty, step| match (through(ty), step) {
            (Ty::Record(fields), Segment::Field(name)) => find(fields, name),
            (Ty::List(item) | Ty::FixedList(item, _), Segment::Items) => Ok(&**item),
            (Ty::Variant(cases), Segment::Field(name)) => payload(cases, name),
            (_, Segment::Items) => Err(PathError::NotAList(self.to_string())),
            (_, Segment::Field(name)) => Err(PathError::Unknown { name: name.clone(), known: vec![] }),
        })
    }

    /// Calls `visit` with every value at the end of the path from a parameter list, until it breaks off.
    pub(crate) fn visit_params(
        &self,
        params: &[Field],
        values: &[Val],
        visit: &mut dyn FnMut(&Place<'_>, &Val) -> ControlFlow<()>,
    ) {
        let Some((Segment::Field(name), rest)) = self.0.split_first() else { return };
        let found = params.iter().zip(values).find(|(param, _)| snake(&param.name) == *name);
        if let Some((_, val)) = found {
            // A break is the wish of the visitor; there is nothing more to do.
            let _ = walk(&Place::Root.key(name), val, rest, visit);
        }
    }

    /// Every value at the end of the path, each with its concrete path: `rows[2].price`.
    pub fn select<'v>(&self, root: &'v Val) -> Vec<(String, &'v Val)> {
        let mut found = Vec::new();
        // This visitor never breaks off.
        let _ = walk(&Place::Root, root, &self.0, &mut |at, val| {
            found.push((at.path(), val));
            ControlFlow::Continue(())
        });
        found
    }
}

fn walk<'v>(
    at: &Place<'_>,
    val: &'v Val,
    steps: &[Segment],
    visit: &mut dyn FnMut(&Place<'_>, &'v Val) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match (steps.split_first(), val) {
        // A missing value is not a violation: constraints apply to values that are present.
        (_, Val::Option(None)) => ControlFlow::Continue(()),
        // As JSON has an option within an option.
        (_, Val::Option(Some(inner))) if matches!(**inner, Val::Option(_)) => {
            walk(&at.key("some"), inner, steps, visit)
        }
        (_, Val::Option(Some(inner))) => walk(at, inner, steps, visit),
        (None, val) => visit(at, val),
        (Some((Segment::Field(name), rest)), Val::Record(fields)) => fields
            .iter()
            .filter(|(field, _)| snake(field) == *name)
            .try_for_each(|(_, val)| walk(&at.key(name), val, rest, visit)),
        (Some((Segment::Field(name), rest)), Val::Variant(case, Some(val))) if is_snake_of(name, case) => {
            walk(&at.key("val"), val, rest, visit)
        }
        (Some((Segment::Items, rest)), Val::List(items) | Val::FixedLengthList(items)) => {
            items.iter().enumerate().try_for_each(|(i, item)| walk(&at.index(i), item, rest, visit))
        }
        _ => ControlFlow::Continue(()),
    }
}

fn find<'t>(fields: &'t [Field], name: &str) -> Result<&'t Ty, PathError> {
    let field = fields.iter().find(|field| is_snake_of(name, &field.name));
    field.map(|field| &field.ty).ok_or_else(|| PathError::Unknown {
        name: name.to_owned(),
        known: fields.iter().map(|field| snake(&field.name).into_owned()).collect(),
    })
}

/// The payload of a case. A case without one leads nowhere.
fn payload<'t>(cases: &'t [Case], name: &str) -> Result<&'t Ty, PathError> {
    let case = cases.iter().find(|case| is_snake_of(name, &case.name));
    case.and_then(|case| case.ty.as_ref()).ok_or_else(|| PathError::Unknown {
        name: name.to_owned(),
        known: cases.iter().map(|case| snake(&case.name).into_owned()).collect(),
    })
}

/// The type behind any options.
pub(crate) fn through(ty: &Ty) -> &Ty {
    ty.as_option().map_or(ty, through)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Segment::Field(name) if i > 0 => write!(f, ".{name}")?,
                Segment::Field(name) => f.write_str(name)?,
                Segment::Items => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_select_through_options_and_lists() {
        let row = |n| Val::Record(vec![("change-pct".into(), Val::Option(Some(Box::new(Val::Float64(n)))))]);
        let root = Val::Record(vec![("rows".into(), Val::List(vec![row(1.0), row(2.0)]))]);
        let found = Path::parse("rows[].change_pct").unwrap().select(&root);
        assert_eq!(found[1], ("rows[1].change_pct".into(), &Val::Float64(2.0)));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn refuses_what_is_not_a_path() {
        for text in [".a", "a..b", "a[0]", "a b", "a.[]"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        assert!(Path::parse("").unwrap().is_whole());
        assert_eq!(Path::parse("a[][].b").unwrap().to_string(), "a[][].b");
    }
}
