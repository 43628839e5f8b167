//! Who made a component: signatures of it, and what they say.
//!
//! Owns which signatures count and whether what they state holds: an in-toto statement in a DSSE envelope, or a file of
//! minisign. Reads files beside a component and nothing else: no network, no key that the operator did not name. Must not
//! know the registry or the lock. To add a part that is signed: `airlock_contract::surface`.

mod envelope;
mod evidence;
mod fault;
mod key;
mod sign;
mod statement;

pub use envelope::Envelope;
pub use evidence::{Authentic, Evidence, envelope_path, minisign_path};
pub use fault::Fault;
pub use key::{Key, KeyError};
pub use sign::{SigningError, SigningKey};
pub use statement::{Component, Predicate, Statement};

/// What the operator wants of the signatures of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The keys of which some must have signed it.
    pub require: Vec<Key>,
    /// How many of them.
    pub threshold: usize,
    /// Further keys whose signatures count where they are there.
    pub trust: Vec<Key>,
    /// The name that statements about it must have.
    pub name: String,
    /// The least serial of a statement.
    pub serial_min: u64,
}

impl Signer {
    /// The key with what its signature says, in words. A serial of minisign is the time of signing.
    pub fn text(&self) -> String {
        let Signer { key, serial, expires } = self;
        let end = expires.as_ref().map_or_else(String::new, |end| format!(", until {end}"));
        let serial = match key.is_minisign() {
            true => format!("signed at {serial} (seconds since 1970, its serial)"),
            false => format!("serial {serial}"),
        };
        format!("{key}, {serial}{end}")
    }
}

/// One signature that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// By whom.
    pub key: Key,
    /// The serial of the statement; the time of signing in a file of minisign.
    pub serial: u64,
    /// When the statement ends.
    pub expires: Option<String>,
}

/// What is known of who made a component. The third state, failed, is a [`Fault`]: such a component is never loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signed {
    /// The keys signed exactly this component, ordered. There is at least one.
    Verified(Vec<Signer>),
    /// Nothing must be known, and nothing is. Holds the number of signatures by keys that nothing here trusts.
    Unverified(usize),
    /// Nothing was asked: the component belongs to no registry.
    #[default]
    Unasked,
}

impl Signed {
    /// Holds what is known now against the signature that was accepted.
    ///
    /// # Errors
    /// When the key no longer signed it, or signed an older version.
    pub fn since(&self, key: &Key, serial: u64) -> Result<(), Fault> {
        match self.signers().iter().find(|signer| signer.key == *key) {
            None => Err(Fault::Stripped),
            Some(signer) if signer.serial < serial => {
                Err(Fault::Rollback { serial: signer.serial, least: serial })
            }
            Some(_) => Ok(()),
        }
    }

    /// The signatures that count.
    pub fn signers(&self) -> &[Signer] {
        match self {
            Signed::Verified(signers) => signers,
            Signed::Unverified(_) | Signed::Unasked => &[],
        }
    }

    /// Whether what was verified earlier is still enough for a policy that may have changed since, at this time since 1970
    /// in seconds.
    pub fn satisfies(&self, policy: &Policy, now_s: u64) -> bool {
        let counts = |signer: &&Signer| {
            let Signer { key: _, serial, expires } = signer;
            *serial >= policy.serial_min && expires.as_ref().is_none_or(|end| !statement::is_over(end, now_s))
        };
        self.ends_s(policy).is_none_or(|end| now_s < end)
            && policy.suffices(self.signers().iter().filter(counts).map(|signer| &signer.key)).is_ok()
    }

    /// The time since 1970 in seconds from which on it does not satisfy this policy any more; `None` if it always does.
    pub fn ends_s(&self, policy: &Policy) -> Option<u64> {
        let end = |signer: &Signer| signer.expires.as_deref().map_or(u64::MAX, statement::end_s);
        let is_of = |keys: &[Key], signer: &&Signer| keys.iter().any(|key| key.is_same(&signer.key));
        // So many of the required keys must have signed: those that end last.
        let required = self.signers().iter().filter(|signer| is_of(&policy.require, signer));
        let mut required: Vec<u64> = required.map(end).collect();
        required.sort_unstable_by(|a, b| b.cmp(a));
        let least = policy.threshold.checked_sub(1).and_then(|last| required.get(last).copied());
        // And what a trusted key signed must hold.
        let trusted = self.signers().iter().filter(|signer| is_of(&policy.trust, signer)).map(end).min();
        least.into_iter().chain(trusted).min().filter(|end| *end < u64::MAX)
    }

    /// The state, in one word.
    pub fn state(&self) -> &'static str {
        match self {
            Signed::Verified(_) => "verified",
            Signed::Unverified(_) | Signed::Unasked => "unverified",
        }
    }
}

impl Policy {
    /// All keys whose signatures count.
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.require.iter().chain(&self.trust)
    }

    /// Whether these signers are enough.
    ///
    /// # Errors
    /// With how many are missing.
    fn suffices<'k>(&self, signers: impl Iterator<Item = &'k Key> + Clone) -> Result<(), Fault> {
        // One key signs once, whatever the forms in which it is written, and however often it is named.
        let is_first = |at: usize, key: &Key| !self.require[..at].iter().any(|before| before.is_same(key));
        let signed = |(at, required): &(usize, &Key)| {
            is_first(*at, required) && signers.clone().any(|signer| signer.is_same(required))
        };
        match self.require.iter().enumerate().filter(signed).count() {
            found if found >= self.threshold => Ok(()),
            0 => Err(Fault::Key(self.require.clone())),
            found => Err(Fault::Threshold { found, wanted: self.threshold }),
        }
    }
}

#[cfg(test)]
mod tests;
