//! What the entry of a caller leaves of the grants of each tool: `callers.NAME.grants`.
//!
//! Effective = requested ∩ granted ∩ the caller's. An entry here gives nothing: it has the form of a grant, and what it does
//! not name, a caller's calls do not have. A part of an entry that is left out narrows nothing.

mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::http::{
    Extent, GuestHeader, HostPattern, HttpAccess, Method, Network, PathPrefix, Scheme, Target, address,
    method,
};
use super::keyvalue::Scope;
use super::{
    Access, Asked, Change, ClockMode, CustomGrants, Effective, FilesGrant, Grants, HttpGrant, KeyvalueGrant,
    ModeGrant, RandomMode, Values, files,
};

/// A bound that bounds nothing, as large as TOML can write it.
const BOUND_TOP: u64 = i64::MAX as u64;

/// What stands for any value and any folder where narrowings are compared.
const ANY: &str = "*";

/// A value or a folder that is named: never equal to [`ANY`].
fn told(named: &str) -> String {
    if named.starts_with(ANY) { format!("{ANY}{named}") } else { named.to_owned() }
}

/// What a caller's calls may have of the grants of a tool. What is not named they do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Narrowing {
    /// Folders.
    pub files: Vec<FilesNarrowing>,
    /// Hosts.
    pub http: Vec<HttpNarrowing>,
    /// Pairs of keys and values.
    pub keyvalue: Option<KeyvalueNarrowing>,
    /// Values of the operator.
    pub config: Keys,
    /// Variables.
    pub env: Keys,
    /// The clocks.
    pub clock: ModeGrant<ClockMode>,
    /// Random bytes.
    pub random: ModeGrant<RandomMode>,
    /// Capabilities of the embedding program.
    pub custom: CustomGrants,
}

/// A folder that the calls may use, with what is beneath it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of the grant")]
pub struct FilesNarrowing {
    pub guest: String,
    #[serde(default)]
    pub access: Access,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes_max: Option<u64>,
}

/// A host that the calls may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of the grant")]
pub struct HttpNarrowing {
    pub host: HostPattern,
    #[serde(default)]
    pub scheme: Scheme,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(default = "method::reading")]
    pub methods: BTreeSet<Method>,
    #[serde(default)]
    pub path: PathPrefix,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeSet<GuestHeader>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Network>>,
}

/// The buckets that the calls may open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of the grant")]
pub struct KeyvalueNarrowing {
    #[serde(default = "super::keyvalue::buckets")]
    pub buckets: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spaces_max: Option<u64>,
}

/// The keys of values that the calls may read: a list of keys, or a table with the value that each must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "values are a list of keys, or a table of keys and values")]
pub enum Keys {
    /// These, whatever their values are.
    Listed(BTreeSet<String>),
    /// These, with these values.
    Valued(BTreeMap<String, String>),
}

impl Default for Keys {
    fn default() -> Keys {
        Keys::Listed(BTreeSet::new())
    }
}

impl Keys {
    /// As values to be compared: [`ANY`] for one that may be any.
    fn as_values(&self) -> Values {
        match self {
            Keys::Listed(keys) => keys.iter().map(|key| (key.clone(), ANY.to_owned())).collect(),
            Keys::Valued(values) => values.iter().map(|(key, value)| (key.clone(), told(value))).collect(),
        }
    }

    fn of(&self, values: &Values) -> Arc<Values> {
        let is_kept = |(key, value): &(&String, &String)| self.admits(key, Some(value));
        Arc::new(values.iter().filter(is_kept).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn admits(&self, key: &str, value: Option<&String>) -> bool {
        match self {
            Keys::Listed(keys) => keys.contains(key),
            Keys::Valued(values) => values.get(key).is_some_and(|own| value.is_none_or(|value| own == value)),
        }
    }
}

impl HttpNarrowing {
    fn as_grant(&self) -> HttpGrant {
        let HttpNarrowing {
            host,
            scheme,
            port,
            methods,
            path,
            requests_max,
            up_bytes_max,
            down_bytes_max,
            headers,
            addresses,
        } = self.clone();
        HttpGrant {
            host,
            scheme,
            port,
            methods,
            path,
            requests_max: requests_max.unwrap_or(u32::MAX),
            up_bytes_max: up_bytes_max.unwrap_or(BOUND_TOP),
            down_bytes_max: down_bytes_max.unwrap_or(BOUND_TOP),
            headers: headers.unwrap_or_else(|| [GuestHeader::Authorization, GuestHeader::Cookie].into()),
            addresses: addresses.unwrap_or_else(address::everywhere),
            secret: None,
            reason: None,
        }
    }

    /// Whether an outgoing request lies within it.
    pub fn admits(&self, target: &Target) -> bool {
        self.extent().admits(target)
    }

    fn extent(&self) -> Extent<'_> {
        let HttpNarrowing { host, scheme, port, methods, path, .. } = self;
        Extent::new(host, *scheme, *port, methods, path)
    }

    /// ∩: what it leaves of a grant.
    fn of(&self, grant: &HttpGrant) -> Option<HttpGrant> {
        let kept = grant.within(&self.extent())?;
        let HttpNarrowing { requests_max, up_bytes_max, down_bytes_max, headers, addresses, .. } = self;
        let least = |own: u64, other: &Option<u64>| other.map_or(own, |other| own.min(other));
        Some(HttpGrant {
            requests_max: requests_max.map_or(kept.requests_max, |own| own.min(kept.requests_max)),
            up_bytes_max: least(kept.up_bytes_max, up_bytes_max),
            down_bytes_max: least(kept.down_bytes_max, down_bytes_max),
            headers: match headers {
                Some(headers) => kept.headers.intersection(headers).copied().collect(),
                None => kept.headers,
            },
            addresses: match addresses {
                Some(addresses) => address::shared(&kept.addresses, addresses),
                None => kept.addresses,
            },
            ..kept
        })
    }
}

impl FilesNarrowing {
    fn as_grant(&self) -> FilesGrant {
        let FilesNarrowing { guest, access, host, bytes_max, files_max, file_bytes_max } = self.clone();
        FilesGrant {
            // Beneath any folder is the same path as beneath the guest's, so that one lies beneath the other.
            host: match host {
                Some(host) => told(&host.to_string_lossy()).into(),
                None => Path::new(ANY).join(guest.trim_start_matches('/')),
            },
            guest,
            access,
            bytes_max: bytes_max.or(Some(BOUND_TOP)),
            files_max: files_max.or(Some(u32::MAX)),
            file_bytes_max: file_bytes_max.or(Some(BOUND_TOP)),
        }
    }

    /// Whether a use of a guest's path lies within it.
    pub fn admits(&self, access: Access, path: &str) -> bool {
        files::admits((&self.guest, self.access), (access, path))
    }

    /// ∩: what it leaves of a granted folder. A folder is used whole or not at all.
    fn of(&self, grant: &FilesGrant) -> Option<FilesGrant> {
        let FilesNarrowing { guest, access, host, bytes_max, files_max, file_bytes_max } = self;
        let rest = files::below(guest, &grant.guest)?;
        let is_there = host.as_ref().is_none_or(|host| host.join(rest) == grant.host);
        let Some(bounds) = grant.bounds().filter(|_| *access == Access::ReadWrite) else {
            return is_there.then(|| grant.clone().reading());
        };
        let least = |own: u64, other: &Option<u64>| Some(other.map_or(own, |other| own.min(other)));
        is_there.then(|| FilesGrant {
            bytes_max: least(bounds.bytes_max, bytes_max),
            files_max: Some(files_max.map_or(bounds.files_max, |own| own.min(bounds.files_max))),
            file_bytes_max: least(bounds.file_bytes_max, file_bytes_max),
            ..grant.clone()
        })
    }
}

impl KeyvalueNarrowing {
    fn as_grant(&self) -> KeyvalueGrant {
        let KeyvalueNarrowing { buckets, scope, keys_max, bytes_max, value_bytes_max, spaces_max } =
            self.clone();
        KeyvalueGrant {
            buckets,
            scope: scope.unwrap_or_default(),
            keys_max: keys_max.unwrap_or(BOUND_TOP),
            bytes_max: bytes_max.unwrap_or(BOUND_TOP),
            value_bytes_max: value_bytes_max.unwrap_or(BOUND_TOP),
            spaces_max: spaces_max.unwrap_or(BOUND_TOP),
        }
    }

    /// ∩: what it leaves of a grant.
    fn of(&self, grant: &KeyvalueGrant) -> Option<KeyvalueGrant> {
        let KeyvalueNarrowing { buckets, scope, keys_max, bytes_max, value_bytes_max, spaces_max } = self;
        let least = |own: u64, other: &Option<u64>| other.map_or(own, |other| own.min(other));
        grant.within(buckets).map(|kept| KeyvalueGrant {
            scope: scope.map_or(kept.scope, |scope| scope.max(kept.scope)),
            keys_max: least(kept.keys_max, keys_max),
            bytes_max: least(kept.bytes_max, bytes_max),
            value_bytes_max: least(kept.value_bytes_max, value_bytes_max),
            spaces_max: least(kept.spaces_max, spaces_max),
            ..kept
        })
    }
}

impl Narrowing {
    /// Replaces the host's folders, as written, by what they are on this machine.
    pub fn resolve(&mut self, folder: impl Fn(&Path) -> PathBuf) {
        for host in self.files.iter_mut().filter_map(|files| files.host.as_mut()) {
            *host = folder(host);
        }
    }

    /// What differs in a newer version.
    pub fn changes(&self, new: &Narrowing) -> Vec<Change> {
        let told = |text: Option<String>| text.map(|text| shown::without_tops(&text));
        let changes = self.as_grants().changes(&new.as_grants());
        let change =
            |change: Change| Change { before: told(change.before), after: told(change.after), ..change };
        changes.into_iter().map(change).collect()
    }

    /// The same as grants, to be compared with others: a part that is left out is the widest one there is.
    pub fn as_grants(&self) -> Grants {
        let Narrowing { files, http, keyvalue, config, env, clock, random, custom } = self;
        Grants {
            files: files.iter().map(FilesNarrowing::as_grant).collect(),
            http: http.iter().map(HttpNarrowing::as_grant).collect(),
            keyvalue: keyvalue.as_ref().map(KeyvalueNarrowing::as_grant),
            config: config.as_values(),
            env: env.as_values(),
            clock: *clock,
            random: *random,
            custom: custom.clone(),
        }
    }

    /// Whether a use lies within it, as far as its entries name what is used.
    pub fn admits(&self, asked: &Asked) -> bool {
        // Destructured without `..`: a new capability does not compile until it is narrowed.
        let Narrowing { files, http, keyvalue, config, env, clock, random, custom } = self;
        match asked {
            Asked::Http(target, _) => http.iter().any(|entry| entry.admits(target)),
            Asked::Files(access, path) => files.iter().any(|entry| entry.admits(*access, path)),
            Asked::Keyvalue(bucket) => keyvalue.as_ref().is_some_and(|entry| entry.buckets.contains(bucket)),
            Asked::Config(key) => config.admits(key, None),
            Asked::Env(key) => env.admits(key, None),
            Asked::Clock => clock.mode().is_some(),
            Asked::Random => random.mode().is_some(),
            Asked::Custom(name) => custom.get(name).copied().unwrap_or(false),
        }
    }
}

impl Effective {
    /// ∩: what the entry of a caller leaves of it.
    #[must_use]
    pub fn narrowed(&self, by: &Narrowing) -> Effective {
        let Effective { files, http, keyvalue, config, env, clock, random, custom } = self;
        let http = http.iter().flat_map(|HttpAccess { grant, is_tried, allowed }| {
            let kept = by.http.iter().filter_map(|entry| entry.of(allowed));
            kept.map(|allowed| HttpAccess { grant: *grant, is_tried: *is_tried, allowed })
        });
        // Of several entries for a folder the one that leaves more counts.
        let files = files.iter().filter_map(|grant| {
            by.files.iter().filter_map(|entry| entry.of(grant)).max_by_key(|kept| kept.access)
        });
        let keyvalue = keyvalue.as_ref().zip(by.keyvalue.as_ref());
        Effective {
            files: files.collect(),
            http: http.collect(),
            keyvalue: keyvalue.and_then(|(grant, entry)| entry.of(grant)).map(Arc::new),
            config: by.config.of(config),
            env: by.env.of(env),
            clock: clock.and_then(|mode| by.clock.meet(mode)),
            random: random.and_then(|mode| by.random.meet(mode)),
            custom: custom.iter().filter(|name| by.custom.get(*name) == Some(&true)).cloned().collect(),
        }
    }
}
