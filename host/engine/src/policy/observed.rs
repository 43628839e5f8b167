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
    /// What of it passed by grants of `report`.
    pub tried: BTreeSet<Asked>,
}

/// Where a use has its grant from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is granted.
    Granted,
    /// It passed by a grant of `report`, and is not granted.
    Tried,
    /// It was granted once, and is denied now.
    NotGranted,
}

/// One line of a suggestion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggested {
    /// The setting with its value, or the entry of a list.
    pub line: String,
    /// How often it was used; `None` for what cannot be seen in records.
    pub uses: Option<u64>,
    /// Where its grant is from.
    pub standing: Standing,
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
            let tried = attempt.denied.iter().filter(|denial| denial.reported);
            self.tried.extend(tried.filter_map(|denial| Asked::read(&denial.capability, &denial.asked).ok()));
        }
    }

    fn times(&self, is: impl Fn(&Asked) -> bool) -> u64 {
        self.uses.iter().filter(|(asked, _)| is(asked)).map(|(_, times)| times).sum()
    }
}

/// The least grants that cover what was used, of those that are granted and those that are tried. Bounds, addresses, secrets
/// and values are those that are granted. What is neither granted nor was tried is only named: it is denied now.
pub fn suggest(source: &PolicySource, observed: &Observed, wildcard_from: usize) -> Suggestion {
    let mut found = Suggestion::default();
    for (grant, uses, standing) in hosts(source, observed, wildcard_from) {
        found.add(format!("{}: {}", http::NAME, grant.line()), Some(uses), standing);
        found.grants.http.push(grant);
    }
    for (standing, grants) in sides(source) {
        found.folders(grants, observed, standing);
        found.values(grants, observed, standing);
    }
    if let Some(kept) = source.grants.keyvalue.as_ref().and_then(|grant| grant.within(&buckets_of(observed)))
    {
        let uses = observed.times(|asked| matches!(asked, Asked::Keyvalue(_)));
        found.add(format!("{} = {}", keyvalue::NAME, kept.line()), Some(uses), Standing::Granted);
        found.grants.keyvalue = Some(kept);
    }
    found.unseen(&source.grants);
    found.beyond(source, observed);
    found
}

/// What is granted, and what is tried.
fn sides(source: &PolicySource) -> impl Iterator<Item = (Standing, &Grants)> {
    let tried = source.tried.iter().map(|(grants, _)| (Standing::Tried, grants));
    [(Standing::Granted, &source.grants)].into_iter().chain(tried)
}

impl Suggestion {
    fn add(&mut self, line: String, uses: Option<u64>, standing: Standing) {
        self.parts.push(Suggested { line, uses, standing });
    }

    /// The folders that were used. One that is granted is not tried, too.
    fn folders(&mut self, grants: &Grants, observed: &Observed, standing: Standing) {
        for folder in &grants.files {
            let is_there = self.grants.files.iter().any(|other| files::is_same(&other.guest, &folder.guest));
            let of = |access: Access| {
                observed.times(|asked| {
                    matches!(asked, Asked::Files(own, path) if *own == access && files::is_same(path, &folder.guest))
                })
            };
            let (reads, writes) = (of(Access::Read), of(Access::ReadWrite));
            let kept = match (reads, writes) {
                (0, 0) => continue,
                _ if is_there => continue,
                (_, 0) => folder.clone().reading(),
                _ => folder.clone(),
            };
            self.add(format!("{}: {}", files::NAME, kept.line()), Some(reads + writes), standing);
            self.grants.files.push(kept);
        }
    }

    /// The values and modes that were used.
    fn values(&mut self, grants: &Grants, observed: &Observed, standing: Standing) {
        for (key, value) in &grants.config {
            let uses = observed.times(|asked| *asked == Asked::Config(key.clone()));
            if uses > 0 && !self.grants.config.contains_key(key) {
                self.add(format!("config.{key}"), Some(uses), standing);
                self.grants.config.insert(key.clone(), value.clone());
            }
        }
        let clocks = observed.times(|asked| *asked == Asked::Clock);
        if clocks > 0 && grants.clock.mode().is_some() && self.grants.clock.mode().is_none() {
            self.add("clock".to_owned(), Some(clocks), standing);
            self.grants.clock = grants.clock;
        }
        let randoms = observed.times(|asked| *asked == Asked::Random);
        if randoms > 0 && grants.random.mode().is_some() && self.grants.random.mode().is_none() {
            self.add("random".to_owned(), Some(randoms), standing);
            self.grants.random = grants.random;
        }
    }

    /// What is granted and is not seen in records.
    fn unseen(&mut self, grants: &Grants) {
        let Grants { files: _, http: _, keyvalue: _, config: _, env, clock: _, random: _, custom } = grants;
        if !env.is_empty() {
            self.add("env".to_owned(), None, Standing::Granted);
            self.grants.env.clone_from(env);
        }
        // Only effects of these are seen, so that a granted one may be used all the same.
        for (name, granted) in custom.iter().filter(|(_, granted)| **granted) {
            self.add(format!("custom.{name}"), None, Standing::Granted);
            self.grants.custom.insert(name.clone(), *granted);
        }
    }

    /// What was used and is neither granted nor tried now: suggested if it passed by grants of `report` that have gone.
    fn beyond(&mut self, source: &PolicySource, observed: &Observed) {
        let is_covered = |asked: &Asked| sides(source).any(|(_, grants)| grants.admits(asked));
        for (asked, uses) in observed.uses.iter().filter(|(asked, _)| !is_covered(asked)) {
            let was_tried = observed.tried.contains(asked);
            match Grants::least(asked).filter(|_| was_tried) {
                // These are with the other requests.
                Some(_) if matches!(asked, Asked::Http(..)) => {}
                // Of keyvalue and custom nothing can be tried.
                Some(Grants { files, http: _, keyvalue: _, config, env, clock, random, custom: _ }) => {
                    self.add(format!("{}: {asked}", asked.capability()), Some(*uses), Standing::Tried);
                    self.grants.files.extend(files);
                    self.grants.config.extend(config);
                    self.grants.env.extend(env);
                    let own = &mut self.grants;
                    own.clock = if clock.mode().is_some() { clock } else { own.clock };
                    own.random = if random.mode().is_some() { random } else { own.random };
                }
                None => {
                    self.add(format!("{}: {asked}", asked.capability()), Some(*uses), Standing::NotGranted);
                }
            }
        }
    }
}

fn buckets_of(observed: &Observed) -> BTreeSet<String> {
    observed.uses.keys().filter_map(bucket).cloned().collect()
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
fn hosts(
    source: &PolicySource,
    observed: &Observed,
    wildcard_from: usize,
) -> Vec<(HttpGrant, u64, Standing)> {
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
    // Behind all of them: what passed by a grant of `report` that is gone.
    let by = |target: &Target| grants.iter().position(|grant| grant.admits(target)).unwrap_or(grants.len());
    let was_tried = |target: &Target| observed.tried.contains(&Asked::Http(target.clone(), None));
    let requests = || requests().filter(|(target, _)| by(target) < grants.len() || was_tried(target));
    let wildcard = |by: usize| match &grants.get(by)?.host {
        HostPattern::OneLabelOf(_) => Some(&grants.get(by)?.host),
        HostPattern::Exact(_) => None,
    };
    let mut hosts_of: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (target, _) in requests() {
        hosts_of.entry(by(target)).or_default().insert(&target.host);
    }
    let mut groups: BTreeMap<(usize, String, Scheme, u16, bool), Group> = BTreeMap::new();
    for (target, uses) in requests() {
        let by = by(target);
        let is_many = hosts_of.get(&by).is_some_and(|hosts| hosts.len() >= wildcard_from);
        let pattern = wildcard(by).filter(|_| is_many);
        let place = pattern.map_or_else(|| target.host.clone(), ToString::to_string);
        let reads = http::method::reads(&target.method);
        groups.entry((by, place, target.scheme, target.port, reads)).or_default().add(target, uses);
    }
    let standing = |by| if by < source.grants.http.len() { Standing::Granted } else { Standing::Tried };
    let kept = |((by, place, scheme, port, _), group)| {
        let (grant, uses) = grant(grants.get(by), place, (scheme, port), group)?;
        Some((grant, uses, standing(by)))
    };
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
mod tests;
