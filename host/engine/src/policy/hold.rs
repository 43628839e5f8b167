//! Rules of a registry over tools that hold calls until a person has decided.
//!
//! Owns which of them are met by a call. Rules over arguments are the contract's and are judged with the arguments. To add a
//! condition: a field of `HoldConfig`, its line in [`HoldOver::met`], and its row in `docs/settings.md`.

use std::collections::BTreeSet;

use airlock_types::caller::Caller;
use airlock_types::effect::Effect;
use airlock_types::hold::HoldRule;

use crate::caller::ToolPattern;
use crate::caller::suspects::Suspects;
use crate::config::{Config, HoldConfig};
use airlock_contract::tool::ValidArgs;
use airlock_contract::ty::Field;
use toml::Spanned;

/// The rules over tools of one registry.
#[derive(Debug, Default)]
pub struct HoldRules(Vec<HoldOver>);

/// One rule. All of its conditions must be met.
#[derive(Debug)]
struct HoldOver {
    effect: Option<Effect>,
    caller: Option<String>,
    tools: Option<Vec<ToolPattern>>,
    is_first_use: bool,
    is_suspect: bool,
    message: Option<String>,
    approvals: u32,
    approvers: Vec<String>,
}

/// What rules over tools ask of a call beside its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    /// The rules of the registry.
    pub rules: &'a HoldRules,
    /// The effect class of the tool.
    pub effect: Effect,
    /// SHA-256 of its component, hex.
    pub component: &'a str,
    /// Which components ran with the yes of those that a rule asks, by [`HoldRule::known_as`].
    pub known: &'a BTreeSet<String>,
    /// The parameters of the tool.
    pub params: &'a [Field],
    /// The values of suspect results of the session. None without a session.
    pub(crate) suspects: Option<&'a Suspects>,
}

impl HoldRules {
    /// The rules of a registry.
    pub fn of(config: &Config) -> HoldRules {
        HoldRules(config.holds.iter().map(|rule| HoldOver::of(rule.get_ref())).collect())
    }

    /// Whether there are none, as in most registries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a call of a tool may be held by one of them.
    pub fn are_about(&self, caller: &Caller, tool: &str, effect: Effect) -> bool {
        self.0.iter().any(|rule| rule.is_about(caller.entry(), tool, effect))
    }

    /// Whether any rule asks for the values of suspect results, so that sessions have to remember them.
    pub fn know_suspects(&self) -> bool {
        self.0.iter().any(|rule| rule.is_suspect)
    }

    /// Whether a call of a tool may be held for a suspect value.
    pub fn ask_suspects(&self, caller: &Caller, tool: &str, effect: Effect) -> bool {
        self.0.iter().any(|rule| rule.is_suspect && rule.is_about(caller.entry(), tool, effect))
    }

    /// The first rule that holds every call of a tool by a caller, by its place in the registry.
    pub(super) fn always(&self, caller: &str, tool: &str, effect: Effect) -> Option<usize> {
        let holds =
            |rule: &HoldOver| !rule.is_first_use && !rule.is_suspect && rule.is_about(caller, tool, effect);
        self.0.iter().position(holds)
    }

    /// The rules that a call meets.
    pub(super) fn met(
        &self,
        caller: &Caller,
        tool: &str,
        (args, holding): (&ValidArgs, &Holding<'_>),
    ) -> Vec<HoldRule> {
        self.0.iter().filter_map(|rule| rule.met(caller, tool, (args, holding))).collect()
    }
}

impl HoldOver {
    fn of(config: &HoldConfig) -> HoldOver {
        // Destructured without `..`, so that a condition cannot be read and not be asked for.
        let HoldConfig { effect, caller, tools, first_use, suspect, message, approvals, approvers } =
            config.clone();
        HoldOver {
            // What only reads does no harm with a wrong value.
            effect: effect.or(suspect.then_some(Effect::Write)),
            caller: caller.map(Spanned::into_inner),
            tools: tools.map(|tools| tools.into_iter().map(Spanned::into_inner).collect()),
            is_first_use: first_use,
            is_suspect: suspect,
            message,
            approvals: approvals.0,
            approvers: approvers.into_iter().map(Spanned::into_inner).collect(),
        }
    }

    /// Whether the rule is about calls of a tool by a caller, whatever else it asks.
    fn is_about(&self, caller: &str, tool: &str, effect: Effect) -> bool {
        self.effect.is_none_or(|least| effect >= least)
            && self.caller.as_deref().is_none_or(|only| only == caller)
            && self.tools.as_ref().is_none_or(|tools| tools.iter().any(|pattern| pattern.matches(tool)))
    }

    /// The rule with what it met. None if one of its conditions is not met.
    fn met(
        &self,
        caller: &Caller,
        tool: &str,
        (args, holding): (&ValidArgs, &Holding<'_>),
    ) -> Option<HoldRule> {
        let Holding { rules: _, effect, component, known, params, suspects } = *holding;
        if !self.is_about(caller.entry(), tool, effect) {
            return None;
        }
        let suspect = match (self.is_suspect, suspects) {
            (false, _) => Vec::new(),
            (true, suspects) => {
                suspects.map(|suspects| suspects.met(params, args.values())).unwrap_or_default()
            }
        };
        if self.is_suspect && suspect.is_empty() {
            return None;
        }
        let first = component.get(..12).unwrap_or(component);
        let words = [
            (self.effect.is_some() && !self.is_suspect)
                .then(|| ("effect", vec![format!("its effect class is `{}`", effect.as_str())])),
            self.caller.as_ref().map(|caller| ("caller", vec![format!("the caller is `{caller}`")])),
            self.tools.as_ref().map(|_| ("tool", vec![format!("the tool is `{tool}`")])),
            self.is_first_use
                .then(|| ("first-use", vec![format!("no approved call of the component {first} has run")])),
            self.is_suspect.then_some(("suspect", suspect)),
        ];
        let (names, values): (Vec<&str>, Vec<Vec<String>>) = words.into_iter().flatten().unzip();
        let rule = HoldRule {
            is_first_use: self.is_first_use,
            rule: names.join(", "),
            message: self.message.clone(),
            values: values.concat(),
            approvals: self.approvals,
            approvers: self.approvers.clone(),
        };
        (!self.is_first_use || !known.contains(&rule.known_as(component))).then_some(rule)
    }
}
