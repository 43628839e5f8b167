//! What is wrong with rules that hold calls and with a webhook, before any component is known.

use std::collections::BTreeSet;
use std::net::IpAddr;

use toml::Spanned;
use url::Host;

use super::{Approvals, HoldConfig, WebhookConfig, WebhookUrl};
use crate::caller::ApproveAccess;
use crate::config::{Config, ConfigFile};
use airlock_types::caller::{ANONYMOUS, LOCAL};
use airlock_types::diagnostic::Diagnostic;
use airlock_types::grant::http::EVERYWHERE_HINT;
use airlock_types::grant::http::address::{cover_a_family, is_allowed};
use airlock_types::hold::Approver;
use airlock_types::words::did_you_mean;

/// Rules over tools: each is asked for every call of a tool that it is about.
const RULES_MAX: usize = 100;

/// Characters of what people read.
const MESSAGE_CHARS_MAX: usize = 600;

/// Problems of all rules, with their places.
pub(in crate::config) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let Config { holds, approval, tools, secrets, .. } = &file.config;
    let mut problems = Vec::new();
    if let Some(one_too_many) = holds.get(RULES_MAX) {
        let message = format!("at most {RULES_MAX} rules over tools");
        problems.push(file.error(one_too_many.span(), message, "one too many", None));
    }
    for rule in holds {
        problems.extend(rule_problems(file, rule));
    }
    for hold in tools.values().flat_map(|tool| &tool.hold) {
        problems.extend(approver_problems(file, &hold.approvers, hold.approvals));
        problems.extend(long_message(hold.message.as_ref(), || {
            file.error(hold.when.span(), LONG, "of this rule", None)
        }));
    }
    if let Some(webhook) = &approval.webhook {
        let config = webhook.get_ref();
        let known = secrets.keys().map(|name| name.get_ref().as_str());
        if !known.clone().any(|name| name == config.secret) {
            let hint = did_you_mean(&config.secret, known)
                .unwrap_or_else(|| "declare it: `[secrets]` says where its value is".to_owned());
            let message = "the secret of the webhook is not declared under `[secrets]`";
            problems.push(file.error(webhook.span(), message, "names it", Some(hint)));
        }
        if let Err((message, hint)) = sendable(config) {
            problems.push(file.error(webhook.span(), message, "this webhook", Some(hint.to_owned())));
        }
    }
    problems
}

/// The message is longer than people read.
const LONG: &str = "the message has more than 600 characters";

fn long_message(message: Option<&String>, problem: impl FnOnce() -> Diagnostic) -> Option<Diagnostic> {
    message.filter(|text| text.chars().count() > MESSAGE_CHARS_MAX).map(|_| problem())
}

fn rule_problems(file: &ConfigFile, rule: &Spanned<HoldConfig>) -> Vec<Diagnostic> {
    // Destructured without `..`, so that a new condition cannot parse without being asked for here.
    let HoldConfig { effect, caller, tools, first_use, suspect, message, approvals, approvers } =
        rule.get_ref();
    let mut problems = Vec::new();
    if effect.is_none() && caller.is_none() && tools.is_none() && !first_use && !suspect {
        let hint = "write `effect`, `caller`, `tools`, `first_use = true` or `suspect = true`; `effect = \"pure\"` is every call";
        let message = "the rule has no condition, so that it would hold every call";
        problems.push(file.error(rule.span(), message, "this rule", Some(hint.to_owned())));
    }
    if let Some(caller) = caller
        && !is_caller(&file.config, caller.get_ref())
    {
        let hint = did_you_mean(caller.get_ref(), callers(&file.config));
        let message = format!("the registry has no caller `{}`", caller.get_ref());
        problems.push(file.error(caller.span(), message, "this name", hint));
    }
    if tools.as_ref().is_some_and(Vec::is_empty) {
        problems.push(file.error(
            rule.span(),
            "`tools` names no tool, so that the rule holds nothing",
            "this rule",
            None,
        ));
    }
    for pattern in tools.iter().flatten().filter(|pattern| !file.config.may_have(pattern.get_ref())) {
        let message = format!("no entry of the registry can show a tool `{}`", pattern.get_ref());
        let names = file.config.tools.keys().map(|key| key.get_ref().as_str());
        let hint = did_you_mean(&pattern.get_ref().to_string(), names);
        problems.push(file.error(pattern.span(), message, "this name", hint));
    }
    problems.extend(approver_problems(file, approvers, *approvals));
    problems.extend(long_message(message.as_ref(), || file.error(rule.span(), LONG, "of this rule", None)));
    problems
}

/// Approvers that could not approve, or too few of them.
fn approver_problems(
    file: &ConfigFile,
    approvers: &[Spanned<String>],
    Approvals(number): Approvals,
) -> Vec<Diagnostic> {
    let may = |name: &str| {
        let entry = file.config.callers.iter().find(|(key, _)| key.get_ref() == name);
        name == Approver::OPERATOR || entry.is_some_and(|(_, caller)| caller.approve == ApproveAccess::Others)
    };
    let mut problems: Vec<Diagnostic> = approvers
        .iter()
        .filter(|name| !may(name.get_ref()))
        .map(|name| {
            let message = format!("`{}` may not approve", name.get_ref());
            let hint = format!("write `callers.{}.approve = true`, or name `operator`", name.get_ref());
            file.error(name.span(), message, "this approver", Some(hint))
        })
        .collect();
    let different: BTreeSet<&str> = approvers.iter().map(|name| name.get_ref().as_str()).collect();
    if let Some(last) = approvers.last().filter(|_| different.len() < number as usize) {
        let message = format!("{number} must approve, and only {} may", different.len());
        problems.push(file.error(
            last.span(),
            message,
            "up to here",
            Some("name more approvers, or ask for fewer".to_owned()),
        ));
    }
    problems
}

fn is_caller(config: &Config, name: &str) -> bool {
    callers(config).any(|known| known == name)
}

fn callers(config: &Config) -> impl Iterator<Item = &str> {
    config.callers.keys().map(|name| name.get_ref().as_str()).chain([LOCAL, ANONYMOUS])
}

/// Whether what is sent to a webhook is safe on its way.
fn sendable(config: &WebhookConfig) -> Result<(), (String, &'static str)> {
    let WebhookConfig { url: WebhookUrl(url), secret: _, allow } = config;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        let hint = "write the URL without user, password and fragment";
        return Err(("the URL of the webhook has parts that are not sent".to_owned(), hint));
    }
    if cover_a_family(allow) {
        let message = "`allow` of the webhook has every address, which turns the check of addresses off";
        return Err((message.to_owned(), EVERYWHERE_HINT));
    }
    // A name may lead elsewhere tomorrow.
    let address: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) | None => None,
    };
    let is_local = address.is_some_and(|address| address.is_loopback() && is_allowed(address, allow));
    if url.scheme() == "https" || (url.scheme() == "http" && is_local) {
        return Ok(());
    }
    let hint = "write an `https` URL; `http` is for a loopback address that `allow` has, and not for a name: `http://127.0.0.1`, \
                `allow = [\"127.0.0.1/32\"]`";
    Err((format!("`{url}` would send holds in clear text"), hint))
}

impl ConfigFile {
    /// What is odd about the webhook: an address that is not public and that `allow` does not have. Each message to it is
    /// refused, and a hold is there all the same.
    pub fn webhook_warning(&self) -> Option<String> {
        let WebhookConfig { url: WebhookUrl(url), secret: _, allow } =
            self.config.approval.webhook.as_ref()?.get_ref();
        let (address, example) = match url.host()? {
            Host::Ipv4(address) => (Some(IpAddr::from(address)), address.to_string()),
            Host::Ipv6(address) => (Some(address.into()), address.to_string()),
            Host::Domain(name) => {
                let is_here = name == "localhost" || name.ends_with(".localhost");
                (None, is_here.then(|| "127.0.0.1\", \"::1".to_owned())?)
            }
        };
        let is_refused = address.map_or(allow.is_empty(), |address| !is_allowed(address, allow));
        is_refused.then(|| {
            format!(
                "the webhook `{url}` is not at a public address, and every message to it is refused: write \
                 `allow = [\"{example}\"]`, or the network that has it"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOL: &str = "[tools.payment]\ncomponent = \"p.wasm\"\n";

    fn refused(text: &str) -> String {
        ConfigFile::parse(&format!("{text}\n{TOOL}"), "a.toml".as_ref()).unwrap_err().to_string()
    }

    fn parsed(text: &str) -> Config {
        ConfigFile::parse(&format!("{text}\n{TOOL}"), "a.toml".as_ref()).unwrap().config
    }

    #[test]
    fn a_rule_says_what_it_is_about() {
        assert!(refused("[[holds]]\nmessage = \"x\"").contains("no condition"));
        assert!(refused("[[holds]]\nfirst_use = false").contains("no condition"));
        assert!(refused("[[holds]]\ntools = []").contains("names no tool"));
        assert!(refused("[[holds]]\ntools = [\"paymnt\"]").contains("did you mean `payment`?"));
        assert!(refused("[[holds]]\ncaller = \"ann\"").contains("no caller `ann`"));
        assert!(refused("[[holds]]\neffects = \"write\"").contains("did you mean `effect`"));
        let rules = parsed(
            "[[holds]]\neffect = \"write\"\n[[holds]]\ntools = [\"payment\", \"pay*\"]\nfirst_use = true",
        );
        assert_eq!(rules.holds.len(), 2);
    }

    #[test]
    fn who_approves_can() {
        let rule = |approvers: &str, number: u32| {
            format!(
                "[[holds]]\neffect = \"write\"\napprovals = {number}\napprovers = [{approvers}]\n[callers.ann]\ntools = []\napprove = true\n[callers.bob]\ntools = []"
            )
        };
        assert!(refused(&rule("\"bob\"", 1)).contains("`bob` may not approve"));
        assert!(refused(&rule("\"ann\", \"ann\"", 2)).contains("only 1 may"));
        assert!(refused(&rule("\"ann\"", 0)).contains("between 1 and 16"));
        parsed(&rule("\"ann\", \"operator\"", 2));
        // The user of a client is no approver of other calls.
        let users = rule("\"ann\"", 1).replace("approve = true", "approve = \"client-user\"");
        assert!(refused(&users).contains("`ann` may not approve"));
    }

    #[test]
    fn what_a_webhook_is_told_is_not_sent_in_clear_text() {
        let webhook = |url: &str, allow: &str| {
            format!(
                "[approval]\nexpires = \"1h\"\nwebhook = {{ url = \"{url}\", secret = \"sign\", allow = [{allow}] }}\n[secrets]\nsign = {{ env = \"SIGN\" }}"
            )
        };
        for (url, allow) in [
            ("http://example.com/", ""),
            ("http://127.0.0.1/", ""),
            ("http://10.0.0.1/", "\"10.0.0.0/8\""),
            ("ftp://example.com/", ""),
            ("http://localhost/", "\"127.0.0.0/8\""),
        ] {
            assert!(refused(&webhook(url, allow)).contains("clear text"), "{url}");
        }
        assert!(refused(&webhook("https://u:p@example.com/", "")).contains("without user"));
        assert_eq!(parsed(&webhook("https://example.com/h?a=1", "")).approval.expires.ms(), 3_600_000);
        parsed(&webhook("http://127.0.0.1:9/", "\"127.0.0.1/32\""));
        assert!(refused(&webhook("http://localhost/", "\"127.0.0.1\"")).contains("`http://127.0.0.1`"));
        for (url, allow, is_odd) in [
            ("https://10.0.0.1/", "", true),
            ("https://[fd00::1]/", "", true),
            ("https://localhost/", "", true),
            ("https://10.0.0.1/", "\"10.0.0.0/8\"", false),
            ("https://10.0.0.1/", "\"192.168.0.0/16\"", true),
            ("https://localhost/", "\"127.0.0.1\"", false),
            ("https://hooks.example.com/", "", false),
        ] {
            let text = format!("{}\n{TOOL}", webhook(url, allow));
            let file = ConfigFile::parse(&text, "a.toml".as_ref()).unwrap();
            assert_eq!(file.webhook_warning().is_some(), is_odd, "{url} {allow}");
        }
        assert!(refused("[approval]\nexpires = \"0s\"").contains("such as `15m`"));
        assert!(
            refused("[approval]\nwebhook = { url = \"https://a.example/\", secret = \"s\" }")
                .contains("not declared")
        );
    }
}
