//! What is odd about the grants of a tool, for a reviewer: each finding has a name, a place and a sentence.
//!
//! Must not decide anything: each grant here is in force as it is written. To add a finding: a function, its line in
//! [`lint`], and a row in docs/settings.md.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::PolicySource;
use airlock_types::grant::http::{HostPattern, address};
use airlock_types::grant::{
    Effective, Grants, HttpGrant, Missing, Requests, custom, files, http, keyvalue, values,
};

/// Most characters of a host name, from DNS. A wildcard has one label and a dot more than what is written.
const HOST_CHARS_MAX: usize = 253;

/// Names that are this machine in every resolver (RFC 6761).
const LOCALHOST: &str = "localhost";

/// Names that no resolver has (RFC 6761).
const INVALID: &str = "invalid";

/// The table of what is granted, below that of the tool.
const GRANTS: &str = "grants";

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lint {
    /// The name of the kind: `wildcard-without-reason`.
    pub kind: &'static str,
    /// The setting: `tools.web.grants.http[0]`.
    pub rule: String,
    /// Its file and line.
    pub at: String,
    /// What is odd, and how it is mended.
    pub message: String,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lint { kind, rule: _, at, message } = self;
        write!(f, "{message} ({kind}, {at})")
    }
}

/// The entries of callers that leave something which none of these tools has. `folder` makes a folder of the host, as
/// written, what it is on this machine.
pub fn idle_callers<'t, T>(tools: impl Fn() -> T, folder: impl Fn(&Path) -> PathBuf) -> Vec<Lint>
where
    T: Iterator<Item = (&'t PolicySource, &'t Effective)>,
{
    let Some((source, _)) = tools().next() else { return Vec::new() };
    let mut found = Vec::new();
    for (caller, narrowing) in &source.callers {
        for (setting, mut one) in narrowing.parts() {
            one.resolve(&folder);
            let is_idle = |(_, effective): (&PolicySource, &Effective)| {
                effective.narrowed(&one).names().next().is_none()
            };
            if tools().all(is_idle) {
                let rule = format!("callers.{caller}.{setting}");
                let message =
                    format!("`{rule}` matches nothing that any tool is granted, so that it leaves nothing");
                found.push(source.finding_at(
                    "caller-grant-idle",
                    rule,
                    &format!("callers.{caller}"),
                    message,
                ));
            }
        }
    }
    found
}

/// The findings about the grants of an entry, in the order of its settings.
pub fn lint(source: &PolicySource, requests: &Requests) -> Vec<Lint> {
    let grants = &source.grants;
    let mut found = unrequested(source, requests);
    found.extend(ungranted(source, requests));
    found.extend(of_hosts(source, GRANTS, &grants.http));
    let tried = source.tried.iter();
    found.extend(tried.flat_map(|(tried, _)| of_hosts(source, "report.grants", &tried.http)));
    for (place, grant) in grants.files.iter().enumerate() {
        let normal = files::normal(&grant.guest);
        if normal != grant.guest {
            let message = format!("`guest = \"{}\"` is read as `{normal}`: write that", grant.guest);
            found.push(source.finding(
                "path-normalized",
                format!("grants.{}[{place}]", files::NAME),
                message,
            ));
        }
    }
    found
}

/// The findings about a list of hosts below this table.
fn of_hosts(source: &PolicySource, table: &str, hosts: &[HttpGrant]) -> Vec<Lint> {
    let mut found = Vec::new();
    for (place, grant) in hosts.iter().enumerate() {
        let setting = format!("{table}.{}[{place}]", http::NAME);
        let of = |kind, message| source.finding(kind, setting.clone(), message);
        found.extend(unmatchable(grant).map(|message| of("host-unmatchable", message)));
        // What is tried has no network of its own.
        let private = private(grant).filter(|_| table == GRANTS);
        found.extend(private.map(|message| of("private-without-cidr", message)));
        found.extend(wildcard(grant).map(|message| of("wildcard-without-reason", message)));
        let earlier = hosts.iter().take(place);
        found.extend(shadowed(grant, earlier).map(|message| of("grant-shadowed", message)));
        found.extend(glob(grant).map(|message| of("path-glob", message)));
        found.extend(respelled(source, &setting, grant).map(|message| of("path-normalized", message)));
    }
    found
}

impl PolicySource {
    fn finding(&self, kind: &'static str, setting: String, message: String) -> Lint {
        let below = format!("tools.{}", self.key);
        self.finding_at(kind, format!("{below}.{setting}"), &below, message)
    }

    fn finding_at(&self, kind: &'static str, rule: String, below: &str, message: String) -> Lint {
        // A table that is written as one dotted key has the place of its own name, or of the one that it is in.
        let outer = [rule.as_str(), rule.rsplit_once('.').map_or("", |(outer, _)| outer), below]
            .into_iter()
            .find_map(|name| self.lines.get(name));
        Lint { kind, at: format!("{}:{}", self.file, outer.copied().unwrap_or(1)), rule, message }
    }
}

/// Grants that nothing asks for: the tool does not get them.
fn unrequested(source: &PolicySource, requests: &Requests) -> Vec<Lint> {
    let who = if source.asks.is_some() {
        "its contract does not ask for it"
    } else {
        "its component does not import it"
    };
    let finding = |setting: String, what: String| {
        source.finding(
            "grant-unrequested",
            setting,
            format!("`{}` is granted {what}, and {who}: it does not get it", source.key),
        )
    };
    let Grants { files, http, keyvalue, config, env, clock, random, custom } = &source.grants;
    let mut found = Vec::new();
    for (place, grant) in files.iter().enumerate() {
        let one = Grants { files: vec![grant.clone()], ..Grants::default() };
        if Effective::of(requests, &one).0.files.is_empty() {
            found.push(finding(
                format!("grants.{}[{place}]", files::NAME),
                format!("the folder `{}`", grant.guest),
            ));
        }
    }
    for (place, grant) in http.iter().enumerate() {
        let is_asked = requests.http.iter().any(|request| request.extent().meet(&grant.extent()).is_some());
        if !is_asked {
            found.push(finding(format!("grants.{}[{place}]", http::NAME), format!("`{}`", grant.extent())));
        }
    }
    let buckets = keyvalue.as_ref().filter(|grant| {
        let asked = requests.keyvalue.as_ref().map(|request| &request.buckets);
        asked.is_none_or(|asked| asked.is_disjoint(&grant.buckets))
    });
    found.extend(
        buckets.map(|_| finding(format!("grants.{}", keyvalue::NAME), "what it may keep".to_owned())),
    );
    for (name, granted, asked) in
        [(values::CONFIG, config, &requests.config), (values::ENV, env, &requests.env)]
    {
        let asked: BTreeSet<&String> = asked.iter().map(|request| &request.key).collect();
        let more = granted.keys().filter(|key| !asked.contains(key));
        found.extend(more.map(|key| finding(format!("grants.{name}.{key}"), format!("the value `{key}`"))));
    }
    let modes = [
        ("clock", clock.mode().is_some(), requests.clock.is_some()),
        ("random", random.mode().is_some(), requests.random.is_some()),
    ];
    let more = modes.into_iter().filter(|(_, granted, asked)| *granted && !asked);
    found.extend(more.map(|(name, ..)| finding(format!("grants.{name}"), format!("`{name}`"))));
    let more = custom.iter().filter(|(name, granted)| **granted && !requests.custom.contains_key(*name));
    found.extend(
        more.map(|(name, _)| finding(format!("grants.{}.{name}", custom::TABLE), format!("`{name}`"))),
    );
    found
}

/// Requests that nothing grants and that the tool can do without. What it needs has a warning of its own.
fn ungranted(source: &PolicySource, requests: &Requests) -> Vec<Lint> {
    let Some(_) = &source.asks else { return Vec::new() };
    let (_, missing) = Effective::of(requests, &source.grants);
    let optional = missing.into_iter().filter(|missing| missing.optional);
    let finding = |Missing { capability: _, asked, reason, grant, optional: _ }: Missing| {
        let message = format!(
            "`{}` can do without {asked} ({reason}), which is not granted; to grant it: {}",
            source.key,
            source.granting(&grant)
        );
        source.finding("request-ungranted", "grants".to_owned(), message)
    };
    optional.map(finding).collect()
}

/// A host that no request can have.
fn unmatchable(grant: &HttpGrant) -> Option<String> {
    let host = grant.host.to_string();
    let is_too_long = host.len() > HOST_CHARS_MAX;
    let is_invalid = host.rsplit('.').next() == Some(INVALID);
    (is_too_long || is_invalid).then(|| format!("`{host}` can never match: no host has such a name"))
}

/// Private places without a network that allows them: each request there is refused.
fn private(grant: &HttpGrant) -> Option<String> {
    let HostPattern::Exact(host) = &grant.host else { return None };
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let is_here = host == LOCALHOST || host.ends_with(".localhost");
    let example = match literal {
        Some(address) if !address::is_allowed(address, &grant.addresses) => address.to_string(),
        None if is_here && grant.addresses.is_empty() => "127.0.0.1\", \"::1".to_owned(),
        _ => return None,
    };
    Some(format!(
        "`{host}` is not a public address, and every request there is refused: write `addresses = [\"{example}\"]`, or the network that has it"
    ))
}

/// A wildcard of which a reviewer cannot tell why it is one.
fn wildcard(grant: &HttpGrant) -> Option<String> {
    let has_reason = grant.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
    let is_unexplained = matches!(grant.host, HostPattern::OneLabelOf(_)) && !has_reason;
    is_unexplained.then(|| {
        format!("`{}` is a wildcard without a `reason`: say why no list of hosts will do", grant.host)
    })
}

/// A grant whose requests others admit first, each with what that one has.
fn shadowed<'g>(grant: &HttpGrant, earlier: impl Iterator<Item = &'g HttpGrant> + Clone) -> Option<String> {
    let others = grant.shadowed_by(earlier)?;
    let differs = |other: &&&HttpGrant| other.secret != grant.secret;
    let count = others.iter().filter(differs).count();
    let other = others.iter().find(differs).or_else(|| others.first())?;
    let is_beyond = |other: &&HttpGrant| grant.addresses.iter().any(|own| !other.addresses.contains(own));
    let what = match &grant.secret {
        // The addresses of all grants that admit a request count together.
        _ if count == 0 && others.iter().any(is_beyond) => return None,
        _ if count == 0 => "it counts only once that one has no request left".to_owned(),
        Some(secret) if count == others.len() => format!("its secret `{}` is never sent", secret.name),
        Some(secret) => format!("its secret `{}` is not sent by each of its methods", secret.name),
        None => "its requests carry the secret of that one".to_owned(),
    };
    let other = other.extent();
    let is_one = others.iter().all(|each| each.extent() == other);
    let of = if is_one { "one of the grant of" } else { "one of the grants before it, such as that of" };
    let before = if is_one { " before it" } else { "" };
    Some(format!(
        "each request of `{}` is {of} `{other}`{before}, so that {what}: write the narrower one first, or one of them",
        grant.extent(),
    ))
}

/// A path with a character that other programs read as a pattern.
fn glob(grant: &HttpGrant) -> Option<String> {
    let path = grant.path.to_string();
    let above = path.split('*').next().filter(|above| above.len() < path.len())?;
    let above = above.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
    Some(format!(
        "the `*` in `path = \"{path}\"` is that character: `{above}` admits itself and all below it"
    ))
}

/// A path that is written in another way than it is read.
fn respelled(source: &PolicySource, setting: &str, grant: &HttpGrant) -> Option<String> {
    let written = source.texts.get(&format!("tools.{}.{setting}.path", source.key))?;
    let read = grant.path.to_string();
    (*written != read).then(|| format!("`path = \"{written}\"` is read as `{read}`: write that"))
}
