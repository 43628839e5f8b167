//! Detects an answer to a different question: what was answered is not what was asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scalar::{argument, arguments, doubt, field, shown};
use super::{Check, Doubt, Doubts};
use crate::expression::{Expression, Scope};
use crate::number::Number;
use crate::ty::FunctionTy;
use airlock_types::finding::Verdict;

/// What was asked and what was answered: as an argument that a result field must repeat, or as two expressions, for
/// what has to be derived from the arguments and the result first.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the result field that repeats `arg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Path of the argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arg: Option<String>,
    /// A CEL expression of what was asked. Null if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// A CEL expression of what was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<String>,
}

pub(super) fn compile(
    settings: &Settings,
    function: &FunctionTy,
    scope: &Arc<Scope>,
) -> Result<Check, String> {
    // Destructured without `..`, so that no setting is read and not used.
    match settings {
        Settings { field: Some(field), arg: Some(arg), asked: None, answered: None } => {
            repeated(field, arg, function)
        }
        Settings { field: None, arg: None, asked: Some(asked), answered: Some(answered) } => {
            derived(asked, answered, scope)
        }
        Settings { field: _, arg: _, asked: _, answered: _ } => {
            Err("give `field` and `arg`, or `asked` and `answered`".into())
        }
    }
}

fn repeated(repeats: &str, arg: &str, function: &FunctionTy) -> Result<Check, String> {
    let ((path, a), (arg, b)) = (field(repeats, function)?, argument(arg, function)?);
    // Numbers of different widths compare by value. Other types must be equal, or the check could never pass.
    if a != b && !(super::scalar::is_number(a) && super::scalar::is_number(b)) {
        return Err(format!("`{a}` cannot repeat `{b}`"));
    }
    Ok(Box::new(move |context| {
        let args = arguments(context);
        // An argument that was not given asks for nothing, so every answer to it is accepted.
        let Some((_, asked)) = arg.select(&args).into_iter().next() else { return Doubts::default() };
        let repeats =
            |val| Number::of(val).zip(Number::of(asked)).is_some_and(|(val, asked)| val.repeats(asked));
        let other = |val| val != asked && !repeats(val);
        let found = path.select(context.result).into_iter().filter(|(_, val)| other(*val));
        found.map(|(at, val)| doubt(at, shown(asked), shown(val))).collect()
    }))
}

fn derived(asked: &str, answered: &str, scope: &Arc<Scope>) -> Result<Check, String> {
    let compile = |name, text| {
        Expression::compile_scalar(text, scope).map_err(|error| format!("`{name}`: {}", error.message))
    };
    let (asked, answered) = (compile("asked", asked)?, compile("answered", answered)?);
    if !scope.is_known && !asked.is_comparable(&answered) {
        return Err("`asked` and `answered` are of two kinds, and never equal".into());
    }
    if !scope.is_known && asked.is_constant() && answered.is_constant() {
        return Err("neither `asked` nor `answered` reads the call, its result or the time, so that the check says the same \
            of every result; name what is to be compared"
            .into());
    }
    let (asked, answered) = (asked.resting(), answered.resting());
    Ok(Box::new(move |context| {
        let (expected, got) = match asked.difference(&answered, &context.bindings()) {
            Ok(None) => return Doubts::default(),
            Ok(Some((asked, answered))) => {
                let got = answered.map_or_else(|| "one that names none".into(), |it| format!("one for {it}"));
                (format!("an answer for {asked}"), got)
            }
            // What was answered was not shown to be what was asked.
            Err(why) => ("an answer for what was asked".to_owned(), why.to_string()),
        };
        // Delivered and flagged: a derived value is a reading of what was asked, and an answer for a wider period can
        // be the best there is.
        Doubts::from_iter([Doubt { verdict: Some(Verdict::Suspect), ..doubt(String::new(), expected, got) }])
    }))
}
