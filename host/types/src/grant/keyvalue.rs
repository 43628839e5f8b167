//! `keyvalue`: pairs of keys and values that a tool keeps from one call to the next.
//!
//! The pure part: which buckets a tool may open, whose pairs it sees, and how many. The store is the journal's crate,
//! the host functions are the engine's.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{GrantProblem, IMPLIED, Missing, written};
use crate::difference::Difference;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "keyvalue";

/// The bucket of tools that need only one. The empty identifier opens it, too, because components open either.
pub const DEFAULT_BUCKET: &str = "default";

/// Default of `keys_max`: far more than a tool needs that remembers what agents told it.
const KEYS_MAX: u64 = 10_000;

/// Default of `bytes_max`.
const BYTES_MAX: u64 = 8 << 20;

/// Default of `value_bytes_max`: below what crosses from a guest in one step.
const VALUE_BYTES_MAX: u64 = 256 << 10;

/// Default of `spaces_max`. With the other defaults 8 GB, should each of so many callers fill what is its own.
const SPACES_MAX: u64 = 1_000;

/// Largest `value_bytes_max`. A value is in memory as a whole, several times.
const VALUE_BYTES_TOP: u64 = 16 << 20;

/// Longest name of a bucket, as of a file.
const BUCKET_BYTES_MAX: usize = 255;

/// A request to keep pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyvalueRequest {
    /// The buckets that it opens.
    #[serde(default = "buckets")]
    pub buckets: BTreeSet<String>,
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool runs without it.
    #[serde(default)]
    pub optional: bool,
}

/// Pairs that a tool may keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyvalueGrant {
    /// The buckets that it may open.
    #[serde(default = "buckets")]
    pub buckets: BTreeSet<String>,
    /// Whose pairs a call sees.
    #[serde(default)]
    pub scope: Scope,
    /// Most keys of one space, in all its buckets.
    #[serde(default = "keys_max")]
    pub keys_max: u64,
    /// Most bytes of the keys and values of one space.
    #[serde(default = "bytes_max")]
    pub bytes_max: u64,
    /// Most bytes of one value.
    #[serde(default = "value_bytes_max")]
    pub value_bytes_max: u64,
    /// Most callers or sessions that have pairs at the same time.
    #[serde(default = "spaces_max")]
    pub spaces_max: u64,
}

/// Whose pairs a call sees: what the spaces are that pairs are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    // Ordered, the widest first: the later one of two is narrower, since fewer calls share a space.
    /// One space for all calls of the tool.
    #[default]
    Tool,
    /// One for each caller.
    Caller,
    /// One for each session of each caller.
    Session,
}

/// The buckets of a grant or request that names none: the default one.
pub fn buckets() -> BTreeSet<String> {
    [DEFAULT_BUCKET.to_owned()].into()
}

fn keys_max() -> u64 {
    KEYS_MAX
}

fn bytes_max() -> u64 {
    BYTES_MAX
}

fn value_bytes_max() -> u64 {
    VALUE_BYTES_MAX
}

fn spaces_max() -> u64 {
    SPACES_MAX
}

impl KeyvalueGrant {
    /// A grant of these buckets that says nothing else.
    pub fn with_defaults(buckets: BTreeSet<String>) -> KeyvalueGrant {
        let (scope, keys_max, bytes_max) = (Scope::default(), KEYS_MAX, BYTES_MAX);
        let (value_bytes_max, spaces_max) = (VALUE_BYTES_MAX, SPACES_MAX);
        KeyvalueGrant { buckets, scope, keys_max, bytes_max, value_bytes_max, spaces_max }
    }

    /// ∩: the grant with those of its buckets that are also among others. `None` without one.
    pub fn within(&self, others: &BTreeSet<String>) -> Option<KeyvalueGrant> {
        let buckets: BTreeSet<String> = self.buckets.intersection(others).cloned().collect();
        (!buckets.is_empty()).then(|| KeyvalueGrant { buckets, ..self.clone() })
    }

    /// ∩: what both allow.
    pub(super) fn meet(&self, other: &KeyvalueGrant) -> Option<KeyvalueGrant> {
        // Destructured without `..`, here and below: a new part must be compared.
        let KeyvalueGrant { buckets, scope, keys_max, bytes_max, value_bytes_max, spaces_max } = other;
        self.within(buckets).map(|shared| KeyvalueGrant {
            buckets: shared.buckets,
            scope: shared.scope.max(*scope),
            keys_max: shared.keys_max.min(*keys_max),
            bytes_max: shared.bytes_max.min(*bytes_max),
            value_bytes_max: shared.value_bytes_max.min(*value_bytes_max),
            spaces_max: shared.spaces_max.min(*spaces_max),
        })
    }

    /// ⊆: whether all that it allows is allowed by the other.
    pub(super) fn is_within(&self, other: &KeyvalueGrant) -> bool {
        let KeyvalueGrant { buckets, scope, keys_max, bytes_max, value_bytes_max, spaces_max } = self;
        buckets.is_subset(&other.buckets)
            && *scope >= other.scope
            && *keys_max <= other.keys_max
            && *bytes_max <= other.bytes_max
            && *value_bytes_max <= other.value_bytes_max
            && *spaces_max <= other.spaces_max
    }

    /// What is wrong with the grant on every machine.
    pub(super) fn problem(&self) -> Option<GrantProblem> {
        let KeyvalueGrant { buckets, scope: _, keys_max, bytes_max, value_bytes_max, spaces_max } = self;
        let (what, hint) = if buckets.is_empty() || buckets.contains("") {
            ("has no bucket, or one without a name", "name the buckets, or leave `buckets` out for `default`")
        } else if !buckets.iter().all(|bucket| is_bucket(bucket)) {
            (
                "has a bucket whose name has control characters or more than 255 bytes",
                "write a short name of letters, such as `notes`",
            )
        } else if [keys_max, bytes_max, value_bytes_max, spaces_max].contains(&&0) {
            ("has a bound of 0", "write at least 1, or leave the grant out")
        } else if *value_bytes_max > VALUE_BYTES_TOP {
            (
                "has a `value_bytes_max` above 16 MiB",
                "write at most 16777216; what is larger belongs into a file",
            )
        } else {
            return None;
        };
        Some(GrantProblem { message: format!("`grants.{NAME}` {what}"), hint })
    }
}

/// Whether text can be the name of a bucket, which lists and errors show.
fn is_bucket(name: &str) -> bool {
    !name.is_empty() && name.len() <= BUCKET_BYTES_MAX && !name.contains(char::is_control)
}

/// A plain component does not say which buckets it opens, so it requests those that are granted.
pub(super) fn implied(grant: &KeyvalueGrant) -> KeyvalueRequest {
    KeyvalueRequest { buckets: grant.buckets.clone(), reason: IMPLIED.into(), optional: true }
}

/// ∩: the grant, with the buckets that are both requested and granted. `None` without such a bucket.
pub(super) fn effective(
    request: Option<&KeyvalueRequest>,
    grant: Option<&KeyvalueGrant>,
) -> Option<Arc<KeyvalueGrant>> {
    let (request, grant) = request.zip(grant)?;
    grant.within(&request.buckets).map(Arc::new)
}

/// What was requested and not granted.
pub(super) fn missing(
    request: Option<&KeyvalueRequest>,
    effective: Option<&KeyvalueGrant>,
) -> Option<Missing> {
    let request = request?;
    let has = |bucket: &&String| effective.is_some_and(|grant| grant.buckets.contains(*bucket));
    let lacking: Vec<String> =
        request.buckets.iter().filter(|bucket| !has(bucket)).map(|bucket| format!("{bucket:?}")).collect();
    let fields = if request.buckets == buckets() {
        String::new()
    } else {
        format!(" buckets = {} ", written::list(&request.buckets))
    };
    (!lacking.is_empty()).then(|| Missing {
        capability: NAME.into(),
        asked: format!("{NAME} ({})", lacking.join(", ")),
        reason: request.reason.clone(),
        grant: format!("grants.{NAME} = {{{fields}}}"),
        optional: request.optional,
    })
}

/// What differs between two requests.
pub(super) fn differences(old: Option<&KeyvalueRequest>, new: Option<&KeyvalueRequest>) -> Vec<Difference> {
    let (Some(old), Some(new)) = (old, new) else {
        return Difference::of(&[NAME], &old, &new, new.is_some()).into_iter().collect();
    };
    let KeyvalueRequest { buckets, reason, optional } = old;
    let more = !new.buckets.is_subset(buckets);
    let parts = [
        Difference::of(&[NAME, "buckets"], buckets, &new.buckets, more),
        Difference::of(&[NAME, "optional"], optional, &new.optional, new.optional),
        // Another reason permits nothing more.
        Difference::of(&[NAME, "reason"], reason, &new.reason, false),
    ];
    parts.into_iter().flatten().collect()
}
