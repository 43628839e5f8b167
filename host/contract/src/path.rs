//! Paths into arguments and results: `rows[].change_pct`.
//!
//! Owns their syntax, what they mean over a type and over a value. A name is the snake_case one that agents
//! see, `[]` stands for every item of a list. An `option` is looked through: where it is none, the path
//! selects nothing. Must not know constraints or checks, which use it.

mod place;

use std::fmt;
use std::ops::ControlFlow;

pub use super::ty::snake;
use super::ty::{Field, Ty};
use super::{Val, phrase};

pub(crate) use place::Place;

/// A path over a type. The empty path is the whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    Items,
}

/// Why a path does not lead anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The text is not a path.
    #[error("`{0}` is not a path: write names and `[]` for the items of a list, as in `rows[].price`")]
    Syntax(String),
    /// There is no such field.
    #[error("no field `{name}` {}", among(.known))]
    Unknown {
        /// The name that is not there.
        name: String,
        /// The names that are.
        known: Vec<String>,
    },
    /// `[]` over what is not a list.
    #[error("`{0}` is not a list")]
    NotAList(String),
}

fn among(names: &[String]) -> String {
    if names.is_empty() {
        "here: there are no fields".into()
    } else {
        format!("among {}", phrase::quoted_list(names.iter().map(String::as_str)))
    }
}

/// Whether `snake(wit)` is this name, without making it: a contract may look for thousands of fields among thousands.
fn is_snake_of(name: &str, wit: &str) -> bool {
    let letter = |byte: u8| if byte == b'-' { b'_' } else { byte };
    name.len() == wit.len() && name.bytes().eq(wit.bytes().map(letter))
}

impl Path {
    /// Parses `a.b[].c`; the empty text is the whole.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let bad = || PathError::Syntax(text.to_owned());
        let mut steps = Vec::new();
        for (i, part) in text.split('.').enumerate() {
            let name = part.trim_end_matches("[]");
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain || (name.is_empty() && (i > 0 || text.starts_with('.'))) {
                return Err(bad());
            }
            if !name.is_empty() {
                steps.push(Step::Field(name.to_owned()));
            }
            steps.extend((0..(part.len() - name.len()) / 2).map(|_| Step::Items));
        }
        Ok(Path(steps))
    }

    /// The steps, from the outside in.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the whole value.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The type that the path leads to, options looked through on the way (not at the end).
    pub fn resolve<'t>(&self, root: &'t Ty) -> Result<&'t Ty, PathError> {
        self.walk(root, &self.0)
    }

    /// The type that the path leads to from a parameter list.
    pub fn resolve_params<'t>(&self, params: &'t [Field]) -> Result<&'t Ty, PathError> {
        let Some((Step::Field(name), rest)) = self.0.split_first() else {
            return Err(PathError::Syntax(self.to_string()));
        };
        self.walk(find(params, name)?, rest)
    }

    fn walk<'t>(&self, root: &'t Ty, steps: &[Step]) -> Result<&'t Ty, PathError> {
        steps.iter().try_fold(root, |ty, step| match (through(ty), step) {
            (Ty::Record(fields), Step::Field(name)) => find(fields, name),
            (Ty::List(item) | Ty::FixedList(item, _), Step::Items) => Ok(&**item),
            (_, Step::Items) => Err(PathError::NotAList(self.to_string())),
            (_, Step::Field(name)) => Err(PathError::Unknown { name: name.clone(), known: vec![] }),
        })
    }

    /// Shows every value that the path leads to from a parameter list, until the visitor breaks off.
    pub(crate) fn visit_params(
        &self,
        params: &[Field],
        values: &[Val],
        visit: &mut dyn FnMut(&Place<'_>, &Val) -> ControlFlow<()>,
    ) {
        let Some((Step::Field(name), rest)) = self.0.split_first() else { return };
        let found = params.iter().zip(values).find(|(param, _)| snake(&param.name) == *name);
        if let Some((_, val)) = found {
            let _ = walk(&Place::Root.key(name), val, rest, visit);
        }
    }

    /// Every value that the path leads to, each with its own concrete path: `rows[2].price`.
    pub fn select<'v>(&self, root: &'v Val) -> Vec<(String, &'v Val)> {
        follow(vec![(String::new(), root)], &self.0)
    }
}

fn walk(
    at: &Place<'_>,
    val: &Val,
    steps: &[Step],
    visit: &mut dyn FnMut(&Place<'_>, &Val) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(val) = some(val) else { return ControlFlow::Continue(()) };
    match (steps.split_first(), val) {
        (None, val) => visit(at, val),
        (Some((Step::Field(name), rest)), Val::Record(fields)) => fields
            .iter()
            .filter(|(field, _)| snake(field) == *name)
            .try_for_each(|(_, val)| walk(&at.key(name), val, rest, visit)),
        (Some((Step::Items, rest)), Val::List(items) | Val::FixedLengthList(items)) => {
            items.iter().enumerate().try_for_each(|(i, item)| walk(&at.index(i), item, rest, visit))
        }
        _ => ControlFlow::Continue(()),
    }
}

fn follow<'v>(mut found: Vec<(String, &'v Val)>, steps: &[Step]) -> Vec<(String, &'v Val)> {
    for step in steps {
        found = found.into_iter().flat_map(|(at, val)| advance(&at, val, step)).collect();
    }
    found.into_iter().filter_map(|(at, val)| some(val).map(|val| (at, val))).collect()
}

fn find<'t>(fields: &'t [Field], name: &str) -> Result<&'t Ty, PathError> {
    let field = fields.iter().find(|field| is_snake_of(name, &field.name));
    field.map(|field| &field.ty).ok_or_else(|| PathError::Unknown {
        name: name.to_owned(),
        known: fields.iter().map(|field| snake(&field.name).into_owned()).collect(),
    })
}

/// The type behind any options.
pub(crate) fn through(ty: &Ty) -> &Ty {
    ty.as_option().map_or(ty, through)
}

/// The value behind any options, or nothing where one is none.
fn some(val: &Val) -> Option<&Val> {
    if let Val::Option(inner) = val { inner.as_deref().and_then(some) } else { Some(val) }
}

fn advance<'v>(at: &str, val: &'v Val, step: &Step) -> Vec<(String, &'v Val)> {
    match (some(val), step) {
        (Some(Val::Record(fields)), Step::Field(name)) => fields
            .iter()
            .filter(|(field, _)| snake(field) == *name)
            .map(|(_, val)| (join(at, name), val))
            .collect(),
        (Some(Val::List(items) | Val::FixedLengthList(items)), Step::Items) => {
            items.iter().enumerate().map(|(i, item)| (format!("{at}[{i}]"), item)).collect()
        }
        _ => vec![],
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if i > 0 => write!(f, ".{name}")?,
                Step::Field(name) => f.write_str(name)?,
                Step::Items => f.write_str("[]")?,
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
