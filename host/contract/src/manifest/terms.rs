//! The named terms of a tool, and the two that `answers` stands for.
//!
//! Owns what its rules may name. Must not know what a rule says.

use std::collections::BTreeSet;

use toml::Spanned;

use super::bind::Bind;
use super::{WrittenAnswers, WrittenTerms, WrittenTool};
use crate::check;
use crate::check::Rule;
use crate::expression::{Bounds, Scope, Terms};
use crate::facts::Reading;
use airlock_types::diagnostic::Diagnostic;

/// The terms that no rule of the tool names.
pub(super) fn unused(written: &WrittenTool, expect: &[Spanned<Rule>], scope: &Scope) -> Vec<String> {
    let required = written.require.iter().map(|require| require.that.get_ref().as_str());
    let required = required.chain(written.hold.iter().map(|hold| hold.when.get_ref().as_str()));
    let expected = expect.iter().flat_map(|rule| rule.get_ref().expressions());
    let used: BTreeSet<&str> =
        required.chain(expected).flat_map(|text| scope.terms.used(text).into_keys()).collect();
    let names = written.terms.keys().map(|name| name.get_ref().as_str());
    names.filter(|name| !used.contains(name)).map(str::to_owned).collect()
}

impl Bind<'_> {
    /// The terms and checks of a tool, with those that its `answers` stands for: two terms, and an `echo` of both.
    pub(super) fn answers(
        &mut self,
        answers: Option<&WrittenAnswers>,
        terms: &WrittenTerms,
        expect: &[Spanned<Rule>],
    ) -> (WrittenTerms, Vec<Spanned<Rule>>) {
        let (mut terms, mut expect) = (terms.clone(), expect.to_vec());
        let Some(WrittenAnswers { asked, answered }) = answers else { return (terms, expect) };
        for (name, text) in [("asked", asked), ("answered", answered)] {
            if let Some((taken, _)) = terms.iter().find(|(taken, _)| taken.get_ref() == name) {
                let message = format!("`{name}` is a term of `answers`");
                self.problems
                    .add(|| self.manifest.plain(taken.span(), message, "call this one something else"));
            }
            terms.insert(Spanned::new(text.span(), name.to_owned()), text.clone());
        }
        expect.insert(0, Spanned::new(asked.span(), Rule::answers()));
        (terms, expect)
    }

    /// What rules may name: arguments, result, facts and the terms of the tool.
    pub(super) fn scope(&mut self, written: &WrittenTerms, bounds: Bounds, facts: Vec<Reading>) -> Scope {
        // Terms and facts are read out of rules, which are parsed for it.
        let is_known = self.manifest.is_known && written.is_empty() && facts.is_empty();
        let scope = Scope { facts, is_known, ..check::scope(self.seen, bounds, Terms::default()) };
        let texts = written.iter().map(|(name, text)| (name.get_ref().as_str(), text.get_ref().as_str()));
        let (terms, problems) = Terms::compile(&texts.collect(), &scope);
        for (name, err) in problems {
            let Some((_, text)) = written.iter().find(|(written, _)| *written.get_ref() == name) else {
                continue;
            };
            let hint = self.unpublished(&err.message).or(err.hint);
            let problem = self.manifest.plain(self.inside(text, err.span), err.message, "here");
            self.problems.add(|| Diagnostic { hint, ..problem });
        }
        Scope { terms, ..scope }
    }
}
