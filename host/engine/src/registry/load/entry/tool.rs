//! One tool of an entry: what its author and its operator say of one function.

use std::sync::Arc;

use super::{Entry, notes};
use crate::config::{Approval, RetryConfig};
use crate::policy::{Allowances, PolicySource};
use crate::registry::name;
use crate::registry::tool::{Component, Record, Tool, USEFUL_MS_MIN};
use airlock_contract::component::{Function, FunctionDocs};
use airlock_contract::manifest::{Manifest, ToolContract};
use airlock_contract::tool::Contract;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::effect::Effect;
use airlock_types::grant::{Grants, Requests};
use airlock_types::plan::RetryPolicy;

/// What all tools of an entry have in common.
pub(super) struct Agreed<'a> {
    pub(super) component: &'a Arc<Component>,
    pub(super) author: &'a Manifest,
    pub(super) requests: &'a Requests,
    pub(super) grants: &'a Arc<Grants>,
    pub(super) allowances: &'a Arc<Allowances>,
    pub(super) source: &'a Arc<PolicySource>,
    /// What is recorded of the imports.
    pub(super) record: &'a Record,
    /// The strongest effect that the grants make possible.
    pub(super) possible: Effect,
    pub(super) is_open_world: bool,
}

impl Entry {
    /// Prepares a tool without its code, with its notes. `of_entry` are those of its entry, which stand once.
    pub(super) fn tool(
        &self,
        agreed: &Agreed<'_>,
        (public, function): (String, &Function),
        mut said: ToolContract,
        of_entry: Vec<String>,
    ) -> Result<(Tool, Vec<String>), Diagnostics> {
        let Entry { file, key, config, .. } = self;
        let Agreed {
            component,
            author,
            requests,
            grants,
            allowances,
            source,
            record,
            possible,
            is_open_world,
        } = agreed;
        let none = Default::default();
        let docs = component.info.docs_of(function).unwrap_or(&none);
        // Before the contract is prepared: its rules and the operator's are judged together.
        self.hold(function, &mut said)?;
        let contract = self.contract(agreed, (function, said, docs))?;
        let allowance = allowances.usual();
        let (effect, warnings) = notes::effect(file, &public, config, &contract, *possible)?;
        self.reads_only(&public, &contract, effect)?;
        let is_effect_declared = config.effects.is_some() || contract.effect.is_some();
        let warnings = [
            warnings,
            notes::missing(&public, allowance.missing(), source),
            of_entry,
            notes::undescribed(&public, &contract),
            notes::ageless(&public, &contract),
            notes::unused_terms(&public, &contract),
            notes::never_useful(&public, config.useful_ms_min, allowance.limits().deadline_ms),
            notes::waived(&public, config.approval, effect),
        ];
        let fallback = name::fallbacks(&config.fallback, function);
        let tool = Tool {
            name: public.into(),
            component: Arc::clone(component),
            contract,
            effect,
            is_effect_declared,
            is_open_world: *is_open_world,
            requests: (*requests).clone(),
            author_limits: author.limits.clone(),
            author_useful_ms_min: author.useful_ms_min,
            allowance: allowance.clone(),
            allowances: Arc::clone(allowances),
            granted: Arc::clone(grants),
            source: Arc::clone(source),
            key: key.get_ref().clone(),
            retry: retry(&config.retry),
            fallback: fallback.iter().map(|fallback| fallback.get_ref().clone()).collect(),
            // Found once all tools are known.
            verify: None,
            holds: config.hold.clone().into(),
            is_approval_waived: config.approval == Some(Approval::Waived),
            facts: Box::default(),
            useful_ms_min: config.useful_ms_min.or(author.useful_ms_min).unwrap_or(USEFUL_MS_MIN),
            bulkhead_run: config.bulkhead.run,
            bulkhead_wait: config.bulkhead.wait,
            record: Record::clone(record),
            runnable: None,
        };
        Ok((tool, warnings.concat()))
    }

    fn contract(
        &self,
        Agreed { component, author, .. }: &Agreed<'_>,
        (function, said, docs): (&Function, ToolContract, &FunctionDocs),
    ) -> Result<Contract, Diagnostics> {
        Contract::of(author, function, said, docs).map_err(|err| match err.0.as_slice() {
            // A component without a contract is named by its entry.
            [Diagnostic { span: None, message, .. }] => {
                self.here(format!("the contract of `{}`: {message}", component.path.display()), None)
            }
            _ => err,
        })
    }

    /// Refuses `cache` of a tool that may have effects, whoever says so.
    fn reads_only(&self, public: &str, contract: &Contract, effect: Effect) -> Result<(), Diagnostics> {
        if contract.cache_ms_max.is_none() || effect.repeatable() {
            return Ok(());
        }
        let message = format!(
            "the contract of `{public}` has `cache`, which is for tools that only read, and it is `{}`",
            effect.as_str()
        );
        let hint = "declare `effects = \"read\"` if it changes nothing, or remove `cache`".to_owned();
        Err(self.here(message, Some(hint)))
    }
}

fn retry(config: &RetryConfig) -> RetryPolicy {
    let RetryConfig { attempts, implausible } = config;
    let default = RetryPolicy::default();
    RetryPolicy {
        attempts_max: attempts.as_ref().map_or(default.attempts_max, |attempts| *attempts.get_ref()),
        implausible: *implausible,
        ..default
    }
}
