//! Shared helpers of the kinds: paths in a result, numbers, and short display of values.

use std::fmt::{self, Write as _};

use super::{Doubt, answer_ty};
use crate::Val;
use crate::number::Number;
use crate::path::Path;
use crate::ty::{FunctionTy, Ty};
use airlock_types::shorten::shorten;

/// Length of the longest value text in a finding, in characters.
pub(super) const SHOWN_CHARS_MAX: usize = 80;

/// Why an expression that reads nothing is refused.
pub(super) const CONSTANT: &str = "reads no argument, no result and no time, so that it is the same for every result; name what it is about";

pub(super) fn field<'f>(text: &str, function: &'f FunctionTy) -> Result<(Path, &'f Ty), String> {
    let path = Path::parse(text).map_err(|error| error.to_string())?;
    let root = answer_ty(function).ok_or("the function returns no value")?;
    let ty = path.resolve(root).map_err(|error| error.to_string())?;
    Ok((path, through(ty)))
}

pub(super) fn argument<'f>(text: &str, function: &'f FunctionTy) -> Result<(Path, &'f Ty), String> {
    let path = Path::parse(text).map_err(|error| error.to_string())?;
    let ty = path.resolve_params(&function.params).map_err(|error| error.to_string())?;
    Ok((path, through(ty)))
}

pub(super) fn numeric<'f>(text: &str, function: &'f FunctionTy) -> Result<(Path, &'f Ty), String> {
    let (path, ty) = field(text, function)?;
    if is_number(ty) { Ok((path, ty)) } else { Err(format!("`{text}` is no number but `{ty}`")) }
}

pub(super) fn list(text: &str, function: &FunctionTy) -> Result<Path, String> {
    let (path, ty) = field(text, function)?;
    let counted = matches!(ty, Ty::List(_) | Ty::FixedList(..) | Ty::String | Ty::Map(..));
    if counted { Ok(path) } else { Err(format!("`{text}` has no length, it is `{ty}`")) }
}

/// As [`list`], of a value whose length a result decides.
pub(super) fn sized(text: &str, function: &FunctionTy) -> Result<Path, String> {
    match field(text, function)?.1 {
        Ty::FixedList(_, len) => Err(format!(
            "`{text}` always has the length {len}, so that the check says the same of every result; leave it out"
        )),
        _ => list(text, function),
    }
}

pub(super) fn through(ty: &Ty) -> &Ty {
    ty.as_option().map_or(ty, through)
}

pub(super) fn is_number(ty: &Ty) -> bool {
    let whole = matches!(ty, Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64);
    whole || matches!(ty, Ty::F32 | Ty::F64)
}

pub(super) fn length(val: &Val) -> Option<u64> {
    Some(match val {
        Val::List(items) | Val::FixedLengthList(items) => items.len() as u64,
        Val::Map(entries) => entries.len() as u64,
        Val::String(text) => text.chars().count() as u64,
        _ => return None,
    })
}

pub(super) fn shown(val: &Val) -> String {
    let text = match val {
        Val::String(text) | Val::Enum(text) => return shorten(text, SHOWN_CHARS_MAX),
        Val::Bool(yes) => yes.to_string(),
        other => Number::of(other).map_or_else(|| beginning(other), |n| n.to_string()),
    };
    shorten(&text, SHOWN_CHARS_MAX)
}

/// The beginning of a value's debug form. Formatting stops at the limit, so that a long list is not written
/// completely.
fn beginning(val: &Val) -> String {
    struct Beginning(String);
    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.push_str(text.get(..text.floor_char_boundary(4 * SHOWN_CHARS_MAX)).unwrap_or_default());
            if self.0.len() > 4 * SHOWN_CHARS_MAX { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut out = Beginning(String::new());
    // The writer returns an error once the text is long enough. That ends the formatting early and is not a failure.
    let _ = write!(out, "{val:?}");
    out.0
}

pub(super) fn doubt(path: String, expected: impl Into<String>, got: impl Into<String>) -> Doubt {
    Doubt { path, expected: expected.into(), got: got.into(), verdict: None }
}

/// The arguments as one record, so that paths apply to them as to a result.
pub(super) fn arguments(context: &super::Context<'_>) -> Val {
    let names = context.params.iter().map(|param| param.name.clone());
    Val::Record(names.zip(context.args.iter().cloned()).collect())
}
