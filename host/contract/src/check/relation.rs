//! Detects a violated relation between fields of the result, or between result and arguments.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scalar::{CONSTANT, doubt};
use super::{Check, Doubts};
use crate::expression::{Expression, Judgement, Scope};

/// A CEL expression over `args` and `result` that must be true.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub that: String,
    pub message: Option<String>,
}

pub(super) fn compile(settings: &Settings, scope: &Arc<Scope>) -> Result<Check, String> {
    let expression = Expression::compile_bool(&settings.that, scope).map_err(|error| error.message)?;
    if !scope.is_known && expression.is_constant() {
        return Err(format!("`that` {CONSTANT}"));
    }
    let expression = expression.resting();
    let expected = settings.message.clone().unwrap_or_else(|| settings.that.clone());
    Ok(Box::new(move |context| {
        match expression.eval(&context.bindings()) {
            Judgement::Holds => Doubts::default(),
            // An expression without a value is a doubt as well: the relation was not shown to hold.
            Judgement::Fails(why) | Judgement::Error(why) => {
                Doubts::from_iter([doubt(String::new(), expected.as_str(), why.to_string())])
            }
        }
    }))
}
