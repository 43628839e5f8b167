//! The order of grants: ∩, ⊆, and whether one use is allowed. All of it is exact.
//!
//! One implementation for decisions, differences and suggestions. What an entry of one capability means is that
//! capability's; here are the lists, and the table of all capabilities.

mod changes;

use core::net::IpAddr;

pub use changes::{Change, Turn};

use super::http::{Network, Target, address};
use super::{Access, Asked, Effective, FilesGrant, Grants, HttpGrant, Requests, Values, files, http, modal};

impl Grants {
    /// ∩: what both allow.
    #[must_use]
    pub fn meet(&self, other: &Grants) -> Grants {
        // Destructured without `..`, here and below: a new capability does not compile until it has its order.
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = self;
        let mode = |meet: Option<_>| meet.map_or_else(Default::default, super::ModeGrant::In);
        let random_mode = random.mode().and_then(|mode| other.random.meet(mode));
        Grants {
            files: files
                .iter()
                .flat_map(|one| other.files.iter().filter_map(|with| one.meet(with)))
                .collect(),
            http: http::meet(http, &other.http),
            keyvalue: keyvalue.as_ref().zip(other.keyvalue.as_ref()).and_then(|(one, with)| one.meet(with)),
            config: values_meet(config, &other.config),
            env: values_meet(env, &other.env),
            clock: mode(clock.mode().and_then(|mode| other.clock.meet(mode))),
            random: random_mode.map_or_else(Default::default, super::ModeGrant::In),
            custom: custom
                .iter()
                .filter(|(name, granted)| **granted && other.custom.get(*name) == Some(&true))
                .map(|(name, _)| (name.clone(), true))
                .collect(),
        }
    }

    /// ∪: what one of both allows. Of two values of one key the own one counts.
    #[must_use]
    pub fn with(&self, more: &Grants) -> Grants {
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = self.clone();
        let joined = |own: Values, more: &Values| more.clone().into_iter().chain(own).collect();
        Grants {
            files: files.into_iter().chain(more.files.iter().cloned()).collect(),
            http: http.into_iter().chain(more.http.iter().cloned()).collect(),
            keyvalue: keyvalue.or_else(|| more.keyvalue.clone()),
            config: joined(config, &more.config),
            env: joined(env, &more.env),
            clock: if modal::is_within(clock.mode(), more.clock.mode()) { more.clock } else { clock },
            random: if modal::is_within(random.mode(), more.random.mode()) { more.random } else { random },
            custom: custom
                .iter()
                .chain(&more.custom)
                .map(|(name, _)| {
                    let is_granted = |grants: &Grants| grants.custom.get(name) == Some(&true);
                    (name.clone(), is_granted(self) || is_granted(more))
                })
                .collect(),
        }
    }

    /// ⊆: whether all that it allows is allowed by the other.
    pub fn is_within(&self, other: &Grants) -> bool {
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = self;
        let keyvalue_is_within = || match (keyvalue, &other.keyvalue) {
            (None, _) => true,
            (Some(one), Some(with)) => one.is_within(with),
            (Some(_), None) => false,
        };
        files.iter().all(|one| other.files.iter().any(|with| one.is_within(with)))
            && http.iter().all(|one| http::is_within(one, &other.http))
            && keyvalue_is_within()
            && values_are_within(config, &other.config)
            && values_are_within(env, &other.env)
            && modal::is_within(clock.mode(), other.clock.mode())
            && modal::is_within(random.mode(), other.random.mode())
            && custom.iter().all(|(name, granted)| !granted || other.custom.get(name) == Some(&true))
    }

    /// Whether they allow a use.
    pub fn admits(&self, asked: &Asked) -> bool {
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = self;
        match asked {
            Asked::Http(target, address) => http_admits(http.iter(), target, *address),
            Asked::Files(access, path) => files.iter().any(|one| one.admits(*access, path)),
            Asked::Keyvalue(bucket) => keyvalue.as_ref().is_some_and(|one| one.buckets.contains(bucket)),
            Asked::Config(key) => config.contains_key(key),
            Asked::Env(key) => env.contains_key(key),
            Asked::Clock => clock.mode().is_some(),
            Asked::Random => random.mode().is_some(),
            Asked::Custom(name) => custom.get(name) == Some(&true),
        }
    }
}

impl Effective {
    /// Whether a use is allowed.
    pub fn admits(&self, asked: &Asked) -> bool {
        let Effective { files, http, keyvalue, config, env, clock, random, custom } = self;
        match asked {
            Asked::Http(target, address) => {
                http_admits(http.iter().map(|access| &access.allowed), target, *address)
            }
            Asked::Files(access, path) => files.iter().any(|one| one.admits(*access, path)),
            Asked::Keyvalue(bucket) => keyvalue.as_ref().is_some_and(|one| one.buckets.contains(bucket)),
            Asked::Config(key) => config.contains_key(key),
            Asked::Env(key) => env.contains_key(key),
            Asked::Clock => clock.is_some(),
            Asked::Random => random.is_some(),
            Asked::Custom(name) => custom.contains(name),
        }
    }
}

impl Requests {
    /// Whether they ask for a use.
    pub fn admits(&self, asked: &Asked) -> bool {
        let Requests { files, http, keyvalue, config, env, clock, random, custom } = self;
        match asked {
            Asked::Http(target, _) => http.iter().any(|one| one.extent().admits(target)),
            Asked::Files(access, path) => {
                files.iter().any(|one| files::admits((&one.path, one.access), (*access, path)))
            }
            Asked::Keyvalue(bucket) => keyvalue.as_ref().is_some_and(|one| one.buckets.contains(bucket)),
            Asked::Config(key) => config.iter().any(|one| one.key == *key),
            Asked::Env(key) => env.iter().any(|one| one.key == *key),
            Asked::Clock => clock.is_some(),
            Asked::Random => random.is_some(),
            Asked::Custom(name) => custom.contains_key(name),
        }
    }
}

/// Whether grants admit a request. The addresses of all that admit it count together.
fn http_admits<'g>(
    grants: impl Iterator<Item = &'g HttpGrant>,
    target: &Target,
    address: Option<IpAddr>,
) -> bool {
    let mut admitting = grants.filter(|grant| grant.admits(target)).peekable();
    let is_admitted = admitting.peek().is_some();
    let networks: Vec<Network> = admitting.flat_map(|grant| grant.addresses.iter().copied()).collect();
    // A host that is an address has no other one.
    let address = address.or_else(|| target.address());
    is_admitted && address.is_none_or(|address| address::is_allowed(address, &networks))
}

fn values_meet(one: &Values, other: &Values) -> Values {
    let shared = one.iter().filter(|(key, value)| other.get(*key) == Some(value));
    shared.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn values_are_within(one: &Values, other: &Values) -> bool {
    one.iter().all(|(key, value)| other.get(key) == Some(value))
}

impl FilesGrant {
    /// Whether it allows a use of a guest's path.
    pub fn admits(&self, access: Access, path: &str) -> bool {
        files::admits((&self.guest, self.access), (access, path))
    }

    /// ∩: of two folders of which one lies in the other, the inner one, with the lesser of both accesses and bounds.
    fn meet(&self, other: &FilesGrant) -> Option<FilesGrant> {
        let inner =
            if self.lies_beneath(other) { self } else { other.lies_beneath(self).then_some(other)? };
        let (Some(one), Some(with)) = (self.bounds(), other.bounds()) else {
            return Some(inner.clone().reading());
        };
        Some(FilesGrant {
            bytes_max: Some(one.bytes_max.min(with.bytes_max)),
            files_max: Some(one.files_max.min(with.files_max)),
            file_bytes_max: Some(one.file_bytes_max.min(with.file_bytes_max)),
            ..inner.clone()
        })
    }

    /// ⊆: whether all that it allows is allowed by the other.
    pub(super) fn is_within(&self, other: &FilesGrant) -> bool {
        let bounds_are_within = || match (self.bounds(), other.bounds()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(one), Some(with)) => {
                one.bytes_max <= with.bytes_max
                    && one.files_max <= with.files_max
                    && one.file_bytes_max <= with.file_bytes_max
            }
        };
        self.lies_beneath(other) && bounds_are_within()
    }

    /// Whether it shows a folder of the other, at the same place of it: the same path beneath both, for the guest and on
    /// the host.
    fn lies_beneath(&self, other: &FilesGrant) -> bool {
        files::below(&other.guest, &self.guest).is_some_and(|rest| {
            let inner = if rest.is_empty() { other.host.clone() } else { other.host.join(rest) };
            inner.components().eq(self.host.components())
        })
    }
}

#[cfg(test)]
mod tests;
