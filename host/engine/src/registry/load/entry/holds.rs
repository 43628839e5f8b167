//! The operator's rules of an entry that hold calls, typed against the contracts of its functions.

use std::ops::Range;

use toml::Spanned;

use super::Entry;
use crate::config::ToolHoldConfig;
use crate::registry::name;
use airlock_contract::component::{Function, addressed};
use airlock_contract::manifest::{HoldAsks, ToolContract};
use airlock_types::diagnostic::{Diagnostic, Diagnostics};

impl Entry {
    /// Adds the rules about a function to its contract. All of their problems are reported.
    pub(super) fn hold(&self, function: &Function, said: &mut ToolContract) -> Result<(), Diagnostics> {
        let is_about = |hold: &&ToolHoldConfig| {
            let only = hold.function.as_ref().map(|name| name.get_ref().as_str());
            only.is_none_or(|name| addressed(name, std::slice::from_ref(function)).is_ok())
        };
        let mut problems: Vec<Diagnostic> = Vec::new();
        for hold in self.config.hold.iter().filter(is_about) {
            // Destructured without `..`, so that a setting cannot be read and do nothing.
            let ToolHoldConfig { when, function: _, message, approvals, approvers } = hold;
            let asks = HoldAsks {
                message: message.clone(),
                approvals: approvals.0,
                approvers: approvers.iter().map(|name| name.get_ref().clone()).collect(),
                is_authors: false,
            };
            if let Err(err) = said.hold(function, when.get_ref(), asks) {
                let message = format!("a rule that holds `{}`: {}", function.name, err.message);
                problems.push(self.file.error(self.inside(when, err.span), message, "here", err.hint));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Diagnostics(problems)) }
    }

    /// Checks that each rule names a function that the entry shows.
    pub(super) fn held_functions(&self, shown: &[Function]) -> Result<(), Diagnostics> {
        for function in self.config.hold.iter().filter_map(|hold| hold.function.as_ref()) {
            name::find(function.get_ref(), shown).map_err(|err| {
                Diagnostics::from(self.file.error(function.span(), err, "this function", None))
            })?;
        }
        Ok(())
    }

    /// The span of a part of an expression in the file. With escapes in the text the offsets differ; then it is the span of
    /// the whole text.
    fn inside(&self, text: &Spanned<String>, part: Range<usize>) -> Range<usize> {
        let span = text.span();
        // Behind the opening quote.
        let start = span.start + 1;
        let verbatim = self.file.source.get(start..start + text.get_ref().len());
        if verbatim == Some(text.get_ref().as_str()) { start + part.start..start + part.end } else { span }
    }
}
