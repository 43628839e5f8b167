//! Holds: which calls wait for a person, who may answer, and who is told.
//!
//! Owns `[[holds]]`, `hold` of a tool's entry and `[approval]`, and their errors. What an expression says is checked where the
//! contract of its tool is known. Must not know how a call is held.

mod problems;

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use super::{Config, Functions};
use crate::caller::ToolPattern;
use airlock_contract::manifest;
use airlock_types::duration;
use airlock_types::effect::Effect;
use airlock_types::grant::http::Network;
pub(super) use problems::problems;

/// For how long a hold can be open: a minute is too short to find a person, and after a month nobody knows what it was about.
const EXPIRES_MS: std::ops::RangeInclusive<u64> = 1_000..=30 * duration::DAY_MS;

/// A rule over tools that holds calls. All of its conditions must be met.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HoldConfig {
    /// Tools of at least this effect class. Default every class, and `write` with `suspect`.
    #[serde(default)]
    pub effect: Option<Effect>,
    /// Calls of this caller, by its entry. Default of every caller.
    #[serde(default)]
    pub caller: Option<Spanned<String>>,
    /// These tools: public names, or prefixes that end in `*`. Default every tool.
    #[serde(default)]
    pub tools: Option<Vec<Spanned<ToolPattern>>>,
    /// Calls of a component of which no approved call has run. Default false.
    #[serde(default)]
    pub first_use: bool,
    /// Calls with a value that a suspect result of the same session gave. Default false.
    #[serde(default)]
    pub suspect: bool,
    /// What people read. Default none.
    #[serde(default)]
    pub message: Option<String>,
    /// How many must approve. Default 1, at most 16.
    #[serde(default)]
    pub approvals: Approvals,
    /// Who may approve: callers with `approve`, and `operator`. Default each of them.
    #[serde(default)]
    pub approvers: Vec<Spanned<String>>,
}

/// A rule of a tool's entry that holds calls.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolHoldConfig {
    /// What holds a call: CEL over `args`, `facts` and the terms of the contract.
    pub when: Spanned<String>,
    /// The WIT name of the function that it is about. Default every function of the entry.
    #[serde(default)]
    pub function: Option<Spanned<String>>,
    /// What people read. Default none.
    #[serde(default)]
    pub message: Option<String>,
    /// How many must approve. Default 1, at most 16.
    #[serde(default)]
    pub approvals: Approvals,
    /// Who may approve: callers with `approve`, and `operator`. Default each of them.
    #[serde(default)]
    pub approvers: Vec<Spanned<String>>,
}

/// How many must approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Approvals(pub u32);

impl Default for Approvals {
    fn default() -> Approvals {
        Approvals(1)
    }
}

impl TryFrom<u32> for Approvals {
    type Error = String;

    fn try_from(number: u32) -> Result<Approvals, String> {
        manifest::approvals(number).map(Approvals)
    }
}

/// For how long a call waits for a person, and who is told of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ApprovalConfig {
    /// After this time without a decision the answer is no. Default `15m`.
    pub expires: Expires,
    /// Where each hold is announced when it opens and when it ends. Default nowhere.
    pub webhook: Option<Spanned<WebhookConfig>>,
}

/// A time in which a hold can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Expires(u64);

impl Expires {
    /// In milliseconds.
    pub fn ms(self) -> u64 {
        self.0
    }
}

impl Default for Expires {
    fn default() -> Expires {
        Expires(15 * 60_000)
    }
}

impl TryFrom<String> for Expires {
    type Error = String;

    fn try_from(text: String) -> Result<Expires, String> {
        let ms = duration::parse(&text).filter(|ms| EXPIRES_MS.contains(ms));
        ms.map(Expires).ok_or_else(|| format!("`{text}` is not a time from `1s` to `30d`, such as `15m`"))
    }
}

/// Where holds are announced.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// An `https` URL, or `http` to a loopback address that `allow` has. No default.
    pub url: WebhookUrl,
    /// The secret that signs what is sent, by its name under `[secrets]`. No default.
    pub secret: String,
    /// Networks that are not public and may be reached: `10.0.0.0/8`. Default none.
    #[serde(default)]
    pub allow: Vec<Network>,
}

/// The URL of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct WebhookUrl(pub Url);

impl TryFrom<String> for WebhookUrl {
    type Error = String;

    fn try_from(text: String) -> Result<WebhookUrl, String> {
        Url::parse(&text).map(WebhookUrl).map_err(|err| format!("`{text}` is not a URL: {err}"))
    }
}

impl Config {
    /// Whether an entry may show a tool that a pattern matches. Known without components.
    pub(crate) fn may_have(&self, pattern: &ToolPattern) -> bool {
        let name = pattern.to_string();
        match name.strip_suffix('*') {
            // A prefix may be that of a key, or of the names that an entry makes.
            Some("") => true,
            Some(prefix) => self.tools.iter().any(|(key, tool)| {
                let key = key.get_ref().as_str();
                match tool.functions.as_ref().map(Spanned::get_ref) {
                    Some(Functions::Named(names)) => names.values().any(|name| name.starts_with(prefix)),
                    Some(Functions::Listed(_)) | None => key.starts_with(prefix) || prefix.starts_with(key),
                }
            }),
            None => self.tools.iter().any(|(key, tool)| tool.may_show(key.get_ref(), &name)),
        }
    }

    /// Leaves out of rules over tools the names that these entries cannot show, for a part of a registry.
    pub(super) fn only_possible_holds(&mut self) {
        let whole = self.clone();
        self.holds.retain_mut(|rule| {
            let Some(tools) = &mut rule.as_mut().tools else { return true };
            tools.retain(|pattern| whole.may_have(pattern.get_ref()));
            !tools.is_empty()
        });
    }
}
