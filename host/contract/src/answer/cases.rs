//! What a contract states about the cases by which a tool fails.

use crate::Val;
use crate::compact::Texts;

/// The cases by which a tool fails, by name, and what its author says about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorCases {
    /// Those that are worth a retry.
    pub transient: Vec<String>,
    /// Those for which the arguments are to blame.
    pub caller_errors: Vec<String>,
    /// Cases of the result that are failures, not values.
    pub failures: Vec<String>,
    /// The doc comments of cases.
    pub docs: Texts,
}

impl ErrorCases {
    /// Whether a returned value is a failure by its case.
    pub(super) fn is_failure(&self, value: Option<&Val>) -> bool {
        // Most tools declare no failures; their values are not looked at.
        !self.failures.is_empty() && value.and_then(name).is_some_and(|name| self.failures.contains(name))
    }
}

/// The name of a value's case, for a type with cases.
pub(super) fn name(value: &Val) -> Option<&String> {
    match value {
        Val::Variant(name, _) | Val::Enum(name) => Some(name),
        _ => None,
    }
}
