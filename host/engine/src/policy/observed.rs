//! What the tools of an entry used, from records: the least grants that cover it, and the grants that nothing used.
//!
//! Must not know the journal. What cannot be seen in records is kept: variables, which a runtime reads all at once.

use std::collections::{BTreeMap, BTreeSet};

use super::PolicySource;
use airlock_types::grant::http::{HostPattern, Method, PathPrefix, Scheme, Target};
use airlock_types::grant::{Access, Asked, Grants, HttpGrant, KeyvalueGrant, files, http, keyvalue};
use airlock_types::record::Record;

/// Distinct hosts from which on a wildcard is suggested, and only where one is granted already.
pub const WILDCARD_FROM: usize = 5;

/// The uses of one entry.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Attempts that were looked at.
    pub attempts: u64,
    /// What was used, with how often.
    pub uses: BTreeMap<Asked, u64>,
}

/// One line of a suggestion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggested {
    /// The setting with its value, or the entry of a list.
    pub line: String,
    /// How often it was used; `None` for what cannot be seen in records.
    pub uses: Option<u64>,
}

/// A suggestion for one entry: the grants, and the lines that explain them.
#[derive(Clone, Debug, Default)]
pub struct Suggestion {
    /// The least grants.
    pub grants: Grants,
    /// Each part of them, with its uses.
    pub parts: Vec<Suggested>,
}

impl Observed {
    /// Adds the attempts of a record on the tools whose entry is this one.
    pub fn add(&mut self, record: &Record, is_own: impl Fn(&str) -> bool) {
        for attempt in record.attempts.iter().filter(|attempt| is_own(&attempt.route)) {
            self.attempts += 1;
            for used in &attempt.uses {
                // A use of a later version is unknown to this one.
                if let Ok(asked) = Asked::read(&used.capability, &used.what) {
                    *self.uses.entry(asked).or_default() += used.times;
                }
            }
        }
    }

    fn times(&self, is: impl Fn(&Asked) -> bool) -> u64 {
        self.uses.iter().filter(|(asked, _)| is(asked)).map(|(_, times)| times).sum()
    }
}

/// The least grants that cover what was used. Bounds, addresses, secrets and values are those that are granted.
pub fn suggest(source: &PolicySource, observed: &Observed, wildcard_from: usize) -> Suggestion {
    let Grants { files, http: _, keyvalue, config, env, clock, random, custom } = &source.grants;
    let mut found = Suggestion::default();
    for (grant, uses) in hosts(source, observed, wildcard_from) {
        found.parts.push(Suggested { line: format!("{}: {}", http::NAME, grant.line()), uses: Some(uses) });
        found.grants.http.push(grant);
    }
    for folder in files {
        let of =
            |access: Access| observed.times(|asked| *asked == Asked::Files(access, folder.guest.clone()));
        let (reads, writes) = (of(Access::Read), of(Access::ReadWrite));
        let kept = match (reads, writes) {
            (0, 0) => continue,
            (_, 0) => folder.clone().reading(),
            _ => folder.clone(),
        };
        found.parts.push(Suggested {
            line: format!("{}: {}", files::NAME, kept.line()),
            uses: Some(reads + writes),
        });
        found.grants.files.push(kept);
    }
    let buckets: BTreeSet<String> = observed.uses.keys().filter_map(bucket).cloned().collect();
    if let Some(kept) = keyvalue.as_ref().and_then(|grant| grant.within(&buckets)) {
        let uses = observed.times(|asked| matches!(asked, Asked::Keyvalue(_)));
        found
            .parts
            .push(Suggested { line: format!("{} = {}", keyvalue::NAME, kept.line()), uses: Some(uses) });
        found.grants.keyvalue = Some(kept);
    }
    for (key, value) in config {
        let uses = observed.times(|asked| *asked == Asked::Config(key.clone()));
        if uses > 0 {
            found.parts.push(Suggested { line: format!("config.{key}"), uses: Some(uses) });
            found.grants.config.insert(key.clone(), value.clone());
        }
    }
    if !env.is_empty() {
        found.parts.push(Suggested { line: "env".to_owned(), uses: None });
        found.grants.env.clone_from(env);
    }
    let (clocks, randoms) =
        (observed.times(|asked| *asked == Asked::Clock), observed.times(|asked| *asked == Asked::Random));
    if clocks > 0 {
        found.parts.push(Suggested { line: "clock".to_owned(), uses: Some(clocks) });
        found.grants.clock = *clock;
    }
    if randoms > 0 {
        found.parts.push(Suggested { line: "random".to_owned(), uses: Some(randoms) });
        found.grants.random = *random;
    }
    // Only effects of these are seen, so that a granted one may be used all the same.
    for (name, granted) in custom.iter().filter(|(_, granted)| **granted) {
        found.parts.push(Suggested { line: format!("custom.{name}"), uses: None });
        found.grants.custom.insert(name.clone(), *granted);
    }
    found
}

fn bucket(asked: &Asked) -> Option<&String> {
    if let Asked::Keyvalue(bucket) = asked { Some(bucket) } else { None }
}

/// Requests to one place, of methods that read or of methods that write.
#[derive(Clone, Debug, Default)]
struct Group {
    hosts: BTreeSet<String>,
    methods: BTreeSet<Method>,
    path: Option<PathPrefix>,
    uses: u64,
}

impl Group {
    fn add(&mut self, target: &Target, uses: u64) {
        let path = PathPrefix::longest(&target.path);
        self.path = Some(self.path.take().map_or(path.clone(), |own| own.common(&path)));
        self.methods.extend(Method::try_from(target.method.clone()).ok());
        self.hosts.insert(target.host.clone());
        self.uses += uses;
    }
}

/// The least grants for the requests that were sent, with how many there were.
fn hosts(source: &PolicySource, observed: &Observed, wildcard_from: usize) -> Vec<(HttpGrant, u64)> {
    let requests = || {
        observed.uses.iter().filter_map(|(asked, uses)| match asked {
            Asked::Http(target, _) => Some((target, *uses)),
            Asked::Files(..)
            | Asked::Keyvalue(_)
            | Asked::Config(_)
            | Asked::Env(_)
            | Asked::Clock
            | Asked::Random
            | Asked::Custom(_) => None,
        })
    };
    // Each under the grant that admits it first, as for requests: what is left of one grant lies within it, and keeps its
    // secret, its addresses and its bounds.
    let grants = granted(source);
    let by = |target: &Target| grants.iter().position(|grant| grant.admits(target));
    let wildcard = |by: usize| match &grants.get(by)?.host {
        HostPattern::OneLabelOf(_) => Some(&grants.get(by)?.host),
        HostPattern::Exact(_) => None,
    };
    let mut hosts_of: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (target, _) in requests() {
        hosts_of.entry(by(target).unwrap_or(usize::MAX)).or_default().insert(&target.host);
    }
    let mut groups: BTreeMap<(usize, String, Scheme, u16, bool), Group> = BTreeMap::new();
    for (target, uses) in requests() {
        let by = by(target).unwrap_or(usize::MAX);
        let is_many = hosts_of.get(&by).is_some_and(|hosts| hosts.len() >= wildcard_from);
        let pattern = wildcard(by).filter(|_| is_many);
        let place = pattern.map_or_else(|| target.host.clone(), ToString::to_string);
        let reads = http::method::reads(&target.method);
        groups.entry((by, place, target.scheme, target.port, reads)).or_default().add(target, uses);
    }
    let kept = |((by, place, scheme, port, _), group)| grant(grants.get(by), place, (scheme, port), group);
    groups.into_iter().filter_map(kept).collect()
}

/// The grants of other hosts, and behind them those that are tried.
fn granted(source: &PolicySource) -> Vec<HttpGrant> {
    let tried = source.tried.iter().flat_map(|(grants, _)| &grants.http);
    source.grants.http.iter().chain(tried).cloned().collect()
}

fn grant(
    granted: Option<&HttpGrant>,
    place: String,
    (scheme, port): (Scheme, u16),
    Group { hosts, methods, path, uses }: Group,
) -> Option<(HttpGrant, u64)> {
    let first = hosts.first()?.clone();
    let method = methods.first()?.as_str().to_owned();
    let path = path.unwrap_or_default();
    let target = Target { scheme, host: first, port, method, path: path.to_string() };
    let least = http::least(&target, None)?;
    let least = HttpGrant { host: HostPattern::try_from(place).ok()?, methods, path, ..least };
    let granted = granted.and_then(|grant| grant.within(&least.extent()));
    let reason = matches!(least.host, HostPattern::OneLabelOf(_))
        .then(|| format!("{} hosts of it were used", hosts.len()));
    let grant = granted.unwrap_or(least);
    Some((HttpGrant { reason: grant.reason.clone().or(reason), ..grant }, uses))
}

/// The grants that nothing used: the setting, and its file and line.
pub fn unused(source: &PolicySource, observed: &Observed) -> Vec<(String, String)> {
    let mut used: BTreeSet<String> = observed.uses.keys().map(|asked| used_entry(source, asked)).collect();
    used.extend(
        observed.uses.keys().filter_map(bucket).map(|bucket| format!("grants.keyvalue.buckets.{bucket}")),
    );
    let Grants { files, http, keyvalue, config, env: _, clock, random, custom: _ } = &source.grants;
    let list =
        |name: &'static str, count: usize| (0..count).map(move |place| format!("grants.{name}[{place}]"));
    let whole = [
        ("keyvalue", keyvalue.is_some()),
        ("clock", clock.mode().is_some()),
        ("random", random.mode().is_some()),
    ];
    let settings = list(files::NAME, files.len())
        .chain(list(http::NAME, http.len()))
        .chain(config.keys().map(|key| format!("grants.config.{key}")))
        .chain(whole.into_iter().filter(|(_, granted)| *granted).map(|(name, _)| format!("grants.{name}")))
        .chain(keyvalue.iter().flat_map(buckets));
    let unused = settings.filter(|setting| !used.contains(setting));
    let place = |setting: String| {
        let (below, table) =
            (format!("tools.{}", source.key), setting.split(['[', '.']).nth(1).unwrap_or_default());
        let rules = [vec![format!("{below}.{setting}")], source.tables(&below, table)].concat();
        (format!("{below}.{setting}"), source.place(&rules).1)
    };
    unused.map(place).collect()
}

/// The buckets of a grant, each as a setting of its own where there are several.
fn buckets(grant: &KeyvalueGrant) -> impl Iterator<Item = String> {
    let several = grant.buckets.len() > 1;
    grant.buckets.iter().filter(move |_| several).map(|bucket| format!("grants.keyvalue.buckets.{bucket}"))
}

fn used_entry(source: &PolicySource, asked: &Asked) -> String {
    source.entry(asked).unwrap_or_else(|| format!("grants.{}", asked.capability()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn source(grants: Value, tried: Option<Value>) -> PolicySource {
        let read = |grants: Value| serde_json::from_value::<Grants>(grants).unwrap();
        let tried = tried.map(|grants| (read(grants), "2999-01-01".to_owned().try_into().unwrap()));
        PolicySource {
            file: "airlock.toml".into(),
            lines: Default::default(),
            texts: Default::default(),
            key: "web".into(),
            grants: read(grants),
            asks: None,
            tried,
            callers: BTreeMap::new(),
        }
    }

    fn observed(uses: &[(&str, &str)]) -> Observed {
        let uses = uses.iter().map(|(capability, what)| (Asked::read(capability, what).unwrap(), 1));
        Observed { attempts: 1, uses: uses.collect() }
    }

    /// What is suggested for requests lies within what is granted, and covers them.
    #[track_caller]
    fn check(grants: Value, requests: &[&str], expect: Value) {
        let source = source(json!({"http": grants}), None);
        let uses: Vec<(&str, &str)> = requests.iter().map(|what| ("http", *what)).collect();
        let observed = observed(&uses);
        let found = suggest(&source, &observed, WILDCARD_FROM).grants;
        let expect: Grants = serde_json::from_value(json!({"http": expect})).unwrap();
        assert_eq!(found, expect, "{found}");
        assert!(found.is_within(&source.grants), "{found} and {}", source.grants);
        assert!(observed.uses.keys().all(|asked| found.admits(asked)), "{found}");
    }

    #[test]
    fn what_is_left_of_a_grant_lies_within_it_and_keeps_its_secret() {
        let of = |path: &str, secret: &str| json!({"host": "a.example", "path": path, "secret": {"name": secret, "header": "x-key"}, "requests_max": 3});
        let read = |mut grant: Value| {
            grant["methods"] = json!(["GET"]);
            grant
        };
        check(
            json!([of("/v1", "ONE"), of("/v2", "TWO")]),
            &["GET https://a.example/v1/x", "GET https://a.example/v2/y"],
            json!([read(of("/v1/x", "ONE")), read(of("/v2/y", "TWO"))]),
        );
        check(
            json!([of("/v1", "ONE")]),
            &["GET https://a.example/v1/x/1", "GET https://a.example/v1/x/2"],
            json!([read(of("/v1/x", "ONE"))]),
        );
        check(
            json!([{"host": "db", "scheme": "http", "addresses": ["10.0.0.0/8"]}]),
            &["GET http://db/a", "GET http://db/b"],
            json!([{"host": "db", "scheme": "http", "addresses": ["10.0.0.0/8"], "methods": ["GET"]}]),
        );
    }

    #[test]
    fn a_wildcard_stays_one_where_many_of_its_hosts_were_used() {
        let requests: Vec<String> =
            (0..WILDCARD_FROM).map(|n| format!("GET https://h{n}.x.example/")).collect();
        let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
        let wild = json!([{"host": "*.x.example"}]);
        let kept = json!([{"host": "*.x.example", "methods": ["GET"], "reason": "5 hosts of it were used"}]);
        check(wild.clone(), &requests, kept);
        let few = json!([{"host": "h0.x.example", "methods": ["GET"]}, {"host": "h1.x.example", "methods": ["GET"]}]);
        check(wild, &requests[..2], few);
    }

    #[test]
    fn what_was_tried_is_suggested_as_it_was_tried() {
        let source = source(json!({}), Some(json!({"http": [{"host": "b.example", "requests_max": 3}]})));
        let found = suggest(&source, &observed(&[("http", "GET https://b.example/x")]), WILDCARD_FROM).grants;
        let expect =
            json!({"http": [{"host": "b.example", "requests_max": 3, "path": "/x", "methods": ["GET"]}]});
        assert_eq!(found, serde_json::from_value(expect).unwrap(), "{found}");
    }

    #[test]
    fn a_folder_whose_name_begins_like_another_one_is_another_one() {
        let folder = |guest: &str| json!({"host": "d", "guest": guest});
        let source = source(json!({"files": [folder("/data"), folder("/database")]}), None);
        let found = unused(&source, &observed(&[("files", "read /database")]));
        let rules: Vec<&str> = found.iter().map(|(rule, _)| rule.as_str()).collect();
        assert_eq!(rules, ["tools.web.grants.files[0]"]);
    }
}
