//! Detects NaN and infinities anywhere in a result. Applies without being declared.

use serde::{Deserialize, Serialize};

use super::Check;
use super::Doubts;
use super::scalar::{doubt, shown};
use crate::Val;
use crate::number::Number;
use crate::path::snake;
use crate::ty::FunctionTy;
use airlock_types::place::Place;

/// No settings. A declared rule only changes the verdict.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

pub(super) fn compile(_: &Settings, _: &FunctionTy) -> Result<Check, String> {
    Ok(Box::new(|context| {
        let mut found = Doubts::default();
        walk(&Place::Root, context.result, &mut found);
        found
    }))
}

fn walk(at: &Place<'_>, val: &Val, found: &mut Doubts) {
    match val {
        Val::Record(fields) => {
            fields.iter().for_each(|(name, val)| walk(&at.key(&snake(name)), val, found));
        }
        Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items) => {
            items.iter().enumerate().for_each(|(i, val)| walk(&at.index(i), val, found));
        }
        Val::Option(Some(val)) | Val::Variant(_, Some(val)) => walk(at, val, found),
        Val::Result(Ok(Some(val)) | Err(Some(val))) => walk(at, val, found),
        // Keys of a map cannot be floats, so only the values are visited.
        Val::Map(entries) => entries.iter().for_each(|(_, val)| walk(at, val, found)),
        other if Number::of(other).is_some_and(|n| !n.is_finite()) => {
            found.push(|| doubt(at.path(), "a finite number", shown(other)));
        }
        _ => {}
    }
}
