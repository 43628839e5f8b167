//! Which calls wait for a person, and for whom.

use std::collections::BTreeSet;

use toml::Spanned;

use super::Found;
use crate::config::{
    ApprovalConfig, Approvals, Config, HoldConfig, ToolHoldConfig, WebhookConfig, WebhookUrl,
};
use airlock_types::grant::Turn;

/// A rule, as far as a change of it allows more.
struct Rule {
    /// What it holds.
    about: String,
    approvals: u32,
    approvers: BTreeSet<String>,
}

impl Rule {
    fn new(about: String, Approvals(approvals): Approvals, approvers: &[Spanned<String>]) -> Rule {
        let approvers = approvers.iter().map(|name| name.get_ref().clone()).collect();
        Rule { about, approvals, approvers }
    }

    fn over_tools(rule: &HoldConfig) -> Rule {
        // What people read allows nothing.
        let HoldConfig { effect, caller, tools, first_use, suspect, message: _, approvals, approvers } = rule;
        let tools = tools.as_ref().map(|tools| {
            let names: Vec<String> = tools.iter().map(|name| name.get_ref().to_string()).collect();
            format!("tools {}", names.join(", "))
        });
        let about = [
            effect.map(|effect| format!("effect {}", effect.as_str())),
            caller.as_ref().map(|caller| format!("caller {}", caller.get_ref())),
            tools,
            first_use.then(|| "first_use".to_owned()),
            suspect.then(|| "suspect".to_owned()),
        ];
        Rule::new(about.into_iter().flatten().collect::<Vec<_>>().join("; "), *approvals, approvers)
    }

    fn of_tool(rule: &ToolHoldConfig) -> Rule {
        let ToolHoldConfig { when, function, message: _, approvals, approvers } = rule;
        let of = function.as_ref().map(|name| format!("{}: ", name.get_ref())).unwrap_or_default();
        Rule::new(format!("{of}{}", when.get_ref()), *approvals, approvers)
    }

    fn text(&self) -> String {
        let Rule { about, approvals, approvers } = self;
        let of: Vec<&str> = approvers.iter().map(String::as_str).collect();
        let of = if of.is_empty() { String::new() } else { format!(" of {}", of.join(", ")) };
        format!("{about}: {approvals} to approve{of}")
    }

    /// Whether it asks for at least what the other one asks for.
    fn is_within(&self, other: &Rule) -> bool {
        let is_named = other.approvers.is_empty()
            || (!self.approvers.is_empty() && self.approvers.is_subset(&other.approvers));
        self.approvals >= other.approvals && is_named
    }
}

/// A call that is not held any more runs unseen.
fn rules(found: &mut Found, place: &str, old: &[Rule], new: &[Rule]) {
    for before in old {
        match new.iter().find(|after| after.about == before.about) {
            Some(after) => found.value(place, before.text(), after.text(), after.is_within(before)),
            None => found.turn(Turn::Widened, place, Some(before.text()), None),
        }
    }
    for after in new.iter().filter(|after| old.iter().all(|before| before.about != after.about)) {
        found.turn(Turn::Narrowed, place, None, Some(after.text()));
    }
}

pub(super) fn of_tool(found: &mut Found, place: &str, old: &[ToolHoldConfig], new: &[ToolHoldConfig]) {
    let all = |rules: &[ToolHoldConfig]| rules.iter().map(Rule::of_tool).collect::<Vec<_>>();
    rules(found, place, &all(old), &all(new));
}

pub(super) fn over_tools(found: &mut Found, old: &Config, new: &Config) {
    let all = |config: &Config| {
        config.holds.iter().map(|rule| Rule::over_tools(rule.get_ref())).collect::<Vec<_>>()
    };
    rules(found, "holds", &all(old), &all(new));
    let ApprovalConfig { expires, webhook } = &old.approval;
    found.bound("approval.expires", expires.ms(), new.approval.expires.ms());
    // Who learns of held calls and their arguments.
    let text = |webhook: &Spanned<WebhookConfig>| {
        let WebhookConfig { url: WebhookUrl(url), secret, allow } = webhook.get_ref();
        let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
        format!("{url}\nsecret {secret}\nallow {}", allow.join(", "))
    };
    found.entry("approval.webhook", webhook.as_ref().map(text), new.approval.webhook.as_ref().map(text));
}
