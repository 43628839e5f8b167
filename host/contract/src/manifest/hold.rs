//! Rules that hold a call until a person has decided, as a contract states them and as a registry adds them.
//!
//! Owns their form, and how they are compiled over the names that the relations of the function may use. Must not know what
//! they came to for a call, nor who decides. One door for both sides: a rule of a registry is typed against the contract
//! that it is added to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::bind::Bind;
use super::bound::Problems;
use super::facts::Given;
use super::{Manifest, ToolContract, WrittenTool};
use crate::answer::Shape;
use crate::check;
use crate::component::Function;
use crate::expression::{Bounds, COST_CALL_MAX, Expression, ExpressionError, Scope, Terms};
use crate::facts::FactRules;
use crate::ty::FunctionTy;
use airlock_types::diagnostic::Diagnostic;

/// Most approvals that a rule can ask for: more people than look at one call.
pub const APPROVALS_MAX: u32 = 16;

/// A rule that holds a call.
#[derive(Debug)]
pub struct HoldWhen {
    /// What holds it.
    pub rule: Expression,
    /// The expression as it was written.
    pub text: String,
    /// The terms that it names, directly or through others, with their texts.
    pub terms: BTreeMap<String, String>,
    /// What the rest of the rule says.
    pub asks: HoldAsks,
}

/// What a rule asks for where it holds a call.
#[derive(Clone, Debug)]
pub struct HoldAsks {
    /// What people read.
    pub message: Option<String>,
    /// How many must approve.
    pub approvals: u32,
    /// Who may approve. Empty: every approver.
    pub approvers: Vec<String>,
    /// Whether the author of the tool states it, and not its operator.
    pub is_authors: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenHold {
    pub(super) when: Spanned<String>,
    message: Option<String>,
    #[serde(default = "one")]
    approvals: Spanned<u32>,
}

fn one() -> Spanned<u32> {
    Spanned::new(0..0, 1)
}

/// A number of approvals that a rule can ask for.
///
/// # Errors
/// With the sentence about another number.
pub fn approvals(number: u32) -> Result<u32, String> {
    let fits = (1..=APPROVALS_MAX).contains(&number);
    fits.then_some(number)
        .ok_or_else(|| format!("`approvals` is {number}; it must be between 1 and {APPROVALS_MAX}"))
}

impl HoldWhen {
    fn compile(text: &str, scope: &Arc<Scope>, asks: HoldAsks) -> Result<HoldWhen, ExpressionError> {
        let rule = Expression::compile_bool(text, scope)?;
        let used = scope.terms.used(text).into_iter();
        let terms = used.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        Ok(HoldWhen { rule, text: text.to_owned(), terms, asks })
    }
}

impl ToolContract {
    /// Adds a rule of the operator, over the same names as the author's own.
    ///
    /// # Errors
    /// When the expression cannot be used, or all rules of the function together may cost too much.
    pub fn hold(&mut self, function: &Function, when: &str, asks: HoldAsks) -> Result<(), ExpressionError> {
        let scope = self.scope.get_or_insert_with(|| Arc::new(bare_scope(function)));
        if scope.is_known {
            // Of the author's rules alone.
            *scope = Arc::new(Scope { is_known: false, ..(**scope).clone() });
        }
        let hold = HoldWhen::compile(when, scope, asks)?;
        let reads = (hold.rule.facts().next().is_some()).then(|| scope.facts.clone());
        let rules = self.requires.iter().map(|require| &require.rule);
        let rules = rules.chain(self.holds.iter().map(|hold| &hold.rule)).chain([&hold.rule]);
        let cost = rules.fold(0_u64, |sum, rule| sum.saturating_add(rule.cost()));
        if cost > COST_CALL_MAX {
            let message = format!("with it the rules of a call may cost {cost}; at most {COST_CALL_MAX}");
            return Err(ExpressionError { message, span: 0..when.len(), hint: None });
        }
        // The facts of the session are found for a call only where a rule reads some.
        if let Some(reads) = reads {
            let facts = self.facts.get_or_insert_with(|| Box::new(FactRules::default()));
            facts.reads = reads;
        }
        self.unused_terms.retain(|term| !hold.terms.contains_key(term));
        self.holds.push(hold);
        Ok(())
    }
}

/// What rules about a function without a contract may name.
fn bare_scope(function: &Function) -> Scope {
    let params = function.ty.params.clone();
    let seen = FunctionTy { params, result: Shape::of(&function.ty).value_ty().cloned() };
    Scope { result: None, ..check::scope(&seen, Bounds::default(), Terms::default()) }
}

/// The contract of a function without a table.
pub(super) fn bare(
    manifest: &Manifest,
    function: &Function,
    given: &Given,
    problems: &mut Problems,
) -> ToolContract {
    let facts = given.readable(manifest, &WrittenTool::default(), problems);
    let scope = Scope { facts, ..bare_scope(function) };
    ToolContract {
        effect: manifest.effects,
        scope: Some(Arc::new(scope)),
        is_known: manifest.is_known,
        ..ToolContract::default()
    }
}

impl Bind<'_> {
    /// The author's rules. `cost` is that of the relations, which run for the same call.
    pub(super) fn holds(
        &mut self,
        written: &[WrittenHold],
        scope: &Arc<Scope>,
        mut cost: u64,
    ) -> Vec<HoldWhen> {
        let mut holds = Vec::new();
        for WrittenHold { when, message, approvals: number } in written {
            if let Err(message) = approvals(*number.get_ref()) {
                self.problems.add(|| self.manifest.plain(number.span(), message, "this number"));
            }
            let asks = HoldAsks {
                message: message.clone(),
                approvals: *number.get_ref(),
                approvers: Vec::new(),
                is_authors: true,
            };
            match HoldWhen::compile(when.get_ref(), scope, asks) {
                Ok(hold) => {
                    cost = cost.saturating_add(hold.rule.new_cost());
                    holds.push(hold);
                }
                Err(err) => {
                    let problem = self.manifest.plain(self.inside(when, err.span), err.message, "here");
                    self.problems.add(|| Diagnostic { hint: err.hint, ..problem });
                }
            }
            if cost > COST_CALL_MAX {
                let message = format!(
                    "relations and rules that hold may cost {cost} together; at most {COST_CALL_MAX} for a call"
                );
                self.problems.add(|| self.manifest.plain(when.span(), message, "up to here"));
                break;
            }
        }
        holds
    }
}
