//! Compares two answers of one type, place by place.
//!
//! Owns the kinds of comparators, which types each is for, and the walk over both answers. Must not know which answers are
//! compared, or why; contracts and shadow suites declare comparators. To add a comparator: a variant of [`Comparator`], its line in `Comparator::fits` and its arm in
//! `Walk::compare`.

mod walk;

use std::collections::BTreeMap;

use crate::path::{Path, PathError};
use crate::ty::Ty;
use airlock_types::cassette::End;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use walk::Walk;

/// Most places of one tool that may be ignored. Who ignores more compares something else than the answer.
pub const IGNORED_MAX: usize = 8;

/// Most comparators of one tool.
pub const COMPARATORS_MAX: usize = 256;

/// Most differences of one comparison that are kept. More are counted.
pub const DIFFERENCES_MAX: usize = 100;

/// How the values at one place are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", deny_unknown_fields)]
pub enum Comparator {
    /// They are equal. What has no other comparator is compared like this, flags as a set.
    Exact,
    /// Numbers that are at most `within` apart.
    Absolute {
        /// The greatest distance.
        within: f64,
    },
    /// Numbers that are apart by at most the part `within` of the greater one: 0.01 is a percent.
    Relative {
        /// The greatest distance, as a part.
        within: f64,
    },
    /// Lists with the same items, in any order.
    Set,
    /// Lists of records, of which those with the same `key` are compared, in any order.
    Keyed {
        /// The field that tells records apart.
        key: String,
    },
    /// They are not compared.
    Ignore,
}

/// A comparator and where it holds: at a place, or for every value of a type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The tool.
    pub tool: String,
    /// The place in the answer, as in a contract: `rows[].price`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
    /// Or the type: `f64`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub ty: Option<String>,
    /// How they are compared.
    #[serde(deserialize_with = "airlock_types::tables::table")]
    pub with: Comparator,
}

/// Why a comparator cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// It names no place, or two.
    #[error("a comparator has either `at`, a place such as `rows[].price`, or `type`, a type such as `f64`")]
    Where,
    /// The place is none of the answer.
    #[error("`{at}` is no place of the answer: {err}")]
    Place {
        /// The place.
        at: String,
        /// Why.
        err: PathError,
    },
    /// The comparator is not one for the type.
    #[error("`{at}` is `{ty}`: {needs}")]
    Type {
        /// The place or type.
        at: String,
        /// The type there.
        ty: String,
        /// What the comparator is for.
        needs: &'static str,
    },
    /// The distance is none.
    #[error("`within` of `{0}` is a number of at least 0")]
    Within(String),
    /// All of the answer is ignored.
    #[error("the whole answer cannot be ignored: name the places that differ by themselves")]
    Whole,
    /// Too many places are ignored.
    #[error("{0} places are ignored, and at most {IGNORED_MAX} may be: what is left would be no comparison")]
    Ignored(usize),
    /// Too many comparators.
    #[error("there are {0} comparators, and at most {COMPARATORS_MAX} may be")]
    Many(usize),
    /// Two for one place.
    #[error("`{0}` has two comparators")]
    Twice(String),
}

/// The comparators of one tool.
#[derive(Clone, Debug, Default)]
pub struct Comparators {
    ty: Option<Ty>,
    by_place: BTreeMap<String, Comparator>,
    by_type: BTreeMap<String, Comparator>,
}

/// One place at which two answers differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The place: `rows[3].price`; empty for the whole.
    pub at: String,
    /// The place without numbers: `rows[].price`.
    pub pattern: String,
    /// What was there, shortened.
    pub was: String,
    /// What is there now, shortened.
    pub is: String,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The first differences.
    pub differences: Vec<Difference>,
    /// How many there are beside these.
    pub more: usize,
    /// Values that were not compared.
    pub ignored: usize,
}

impl Compared {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    /// The same without what differs by itself: places, without their numbers, at which two answers of one moment differ.
    #[must_use]
    pub fn beyond(mut self, noise: &Compared) -> Compared {
        let is_noise = |one: &Difference| noise.differences.iter().any(|noisy| noisy.pattern == one.pattern);
        self.differences.retain(|one| !is_noise(one));
        self
    }
}

impl Comparator {
    /// Whether it is for values of this type, or what it is for.
    fn fits(&self, ty: &Ty) -> Result<(), &'static str> {
        let list = matches!(ty, Ty::List(_) | Ty::FixedList(..) | Ty::Map(..)) && !is_bytes(ty);
        match self {
            Comparator::Exact | Comparator::Ignore => Ok(()),
            Comparator::Absolute { .. } | Comparator::Relative { .. } if is_number(ty) => Ok(()),
            Comparator::Absolute { .. } => Err("`absolute` is for numbers"),
            Comparator::Relative { .. } => Err("`relative` is for numbers"),
            Comparator::Set if list || matches!(ty, Ty::Flags(_)) => Ok(()),
            Comparator::Set => Err("`set` is for lists and flags"),
            Comparator::Keyed { key } if has_field(ty, key) => Ok(()),
            Comparator::Keyed { .. } => Err("`keyed` is for lists of records that have the field `key`"),
        }
    }
}

impl Comparators {
    /// The comparators of a tool whose function returns this type.
    ///
    /// # Errors
    /// Says which one cannot be used, and why.
    pub fn of<'r>(
        ty: Option<&Ty>,
        rules: impl IntoIterator<Item = &'r Rule>,
    ) -> Result<Comparators, CompareError> {
        let mut made = Comparators { ty: ty.cloned(), ..Comparators::default() };
        for rule in rules {
            made.add(rule)?;
        }
        let ignored = made.by_place.values().filter(|one| **one == Comparator::Ignore).count();
        if ignored > IGNORED_MAX {
            return Err(CompareError::Ignored(ignored));
        }
        match made.by_place.len() + made.by_type.len() {
            many if many > COMPARATORS_MAX => Err(CompareError::Many(many)),
            _ => Ok(made),
        }
    }

    fn add(&mut self, rule: &Rule) -> Result<(), CompareError> {
        let (name, ty, is_place) = match (&rule.at, &rule.ty) {
            (Some(at), None) => (at, self.ty_at(at)?.to_string(), true),
            (None, Some(ty)) => (ty, ty.clone(), false),
            _ => return Err(CompareError::Where),
        };
        if let Comparator::Absolute { within } | Comparator::Relative { within } = rule.with
            && !(within.is_finite() && within >= 0.0)
        {
            return Err(CompareError::Within(name.clone()));
        }
        let wrong = |needs| CompareError::Type { at: name.clone(), ty: ty.clone(), needs };
        match is_place {
            true => rule.with.fits(self.ty_at(name)?).map_err(wrong)?,
            false => fits_named(&rule.with, &ty).map_err(wrong)?,
        }
        if is_place && name.is_empty() && rule.with == Comparator::Ignore {
            return Err(CompareError::Whole);
        }
        let rules = if is_place { &mut self.by_place } else { &mut self.by_type };
        match rules.insert(name.clone(), rule.with.clone()) {
            Some(_) => Err(CompareError::Twice(name.clone())),
            None => Ok(()),
        }
    }

    /// The type at a place of the answer, options looked through.
    fn ty_at(&self, at: &str) -> Result<&Ty, CompareError> {
        let wrong = |err| CompareError::Place { at: at.to_owned(), err };
        let path = Path::parse(at).map_err(wrong)?;
        let found = path.resolve(self.answer_ty().unwrap_or(&Ty::Bool)).map_err(wrong)?;
        Ok(found.as_option().unwrap_or(found))
    }

    /// The type of the answer: the payload of an `ok`, or the type itself.
    fn answer_ty(&self) -> Option<&Ty> {
        match self.ty.as_ref()? {
            Ty::Result(ok, _) => ok.as_deref(),
            other => Some(other),
        }
    }

    /// How many places are ignored.
    pub fn ignored(&self) -> usize {
        self.by_place.values().filter(|one| **one == Comparator::Ignore).count()
    }

    /// Compares how two attempts ended. Fuel is no part of it: a replay compares it where it must be the same.
    pub fn compare(&self, was: &End, is: &End) -> Compared {
        if was.kind != is.kind {
            let side = |end: &End| format!("{} {}", end.kind, end.detail);
            return Compared {
                differences: vec![difference("", "", &side(was), &side(is))],
                ..Compared::default()
            };
        }
        self.compare_values(&was.detail, &is.detail)
    }

    /// Compares what two attempts returned, as JSON.
    pub fn compare_values(&self, was: &Value, is: &Value) -> Compared {
        let mut walk = Walk::new(&self.by_place, &self.by_type);
        walk.answer(self.ty.as_ref(), was, is);
        walk.done()
    }
}

/// Most characters of a value in a difference.
const SHOWN_CHARS_MAX: usize = 120;

fn difference(at: &str, pattern: &str, was: &str, is: &str) -> Difference {
    let (was, is) = airlock_types::shorten::apart(was, is, SHOWN_CHARS_MAX);
    Difference { at: at.to_owned(), pattern: pattern.to_owned(), was, is }
}

fn is_number(ty: &Ty) -> bool {
    NUMBERS.contains(&ty.to_string().as_str())
}

/// The names of the types of numbers.
const NUMBERS: [&str; 10] = ["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64"];

/// Bytes are one text in JSON.
fn is_bytes(ty: &Ty) -> bool {
    matches!(ty, Ty::List(item) if **item == Ty::U8)
}

fn has_field(ty: &Ty, key: &str) -> bool {
    let (Ty::List(item) | Ty::FixedList(item, _)) = ty else { return false };
    let Ty::Record(fields) = &**item else { return false };
    fields.iter().any(|field| crate::path::snake(&field.name) == key)
}

/// The same as `Comparator::fits`, for a type that is named.
fn fits_named(with: &Comparator, ty: &str) -> Result<(), &'static str> {
    match with {
        Comparator::Exact => Ok(()),
        Comparator::Absolute { .. } | Comparator::Relative { .. } if NUMBERS.contains(&ty) => Ok(()),
        Comparator::Absolute { .. } | Comparator::Relative { .. } => {
            Err("`absolute` and `relative` are for numbers")
        }
        Comparator::Set if ty.starts_with("list<") && ty != "list<u8>" => Ok(()),
        Comparator::Set => Err("`set` is for lists and flags, which are compared as sets anyway"),
        Comparator::Keyed { .. } => Err("`keyed` goes by a place: give `at`"),
        Comparator::Ignore => Err("`ignore` goes by a place, so that it is seen what is left out: give `at`"),
    }
}

#[cfg(test)]
mod tests;
