//! What one call has left of the bounds of its grants.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};

use airlock_types::digest::sha256;
use airlock_types::grant::HttpAccess;

/// The bounds of one call on one tool. Its attempts share them, or retries would multiply what was granted.
#[derive(Debug)]
pub(crate) struct Allotment {
    /// By the place of the grant in the registry's list.
    grants: BTreeMap<usize, Left>,
    /// The beginning of the idempotency keys of the call, for a tool whose effects may be repeated under one.
    key: Option<String>,
}

/// What is left of one grant.
#[derive(Debug)]
struct Left {
    requests: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
}

impl Left {
    /// Lowers each bound to that of the other, if that is less.
    fn lower(&self, other: &Left) {
        let Left { requests, up_bytes, down_bytes } = self;
        for (own, other) in
            [(requests, &other.requests), (up_bytes, &other.up_bytes), (down_bytes, &other.down_bytes)]
        {
            own.fetch_min(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl Allotment {
    /// All that the accesses of a tool grant to one call. `None` for a tool without one.
    pub(crate) fn new(accesses: &[HttpAccess], key: Option<String>) -> Option<Allotment> {
        let left = |HttpAccess { grant, is_tried: _, allowed }: &HttpAccess| {
            let left = Left {
                requests: u64::from(allowed.requests_max).into(),
                up_bytes: allowed.up_bytes_max.into(),
                down_bytes: allowed.down_bytes_max.into(),
            };
            (*grant, left)
        };
        // Of several parts of a grant the least bounds count: a caller's entries may bound them differently.
        let mut grants: BTreeMap<usize, Left> = BTreeMap::new();
        for (grant, part) in accesses.iter().map(left) {
            match grants.entry(grant) {
                Entry::Vacant(place) => drop(place.insert(part)),
                Entry::Occupied(place) => place.get().lower(&part),
            }
        }
        (!accesses.is_empty()).then_some(Allotment { grants, key })
    }

    /// The beginning of the idempotency keys of a call: the same for each of its attempts, and of no other call.
    pub(crate) fn key(call: &str, tool: &str) -> String {
        let digest = sha256(format!("idempotency\n{call}\n{tool}").as_bytes());
        // 128 bits: no two calls share them, and services store keys of this length.
        digest[..32].to_owned()
    }

    /// The idempotency key of the n-th effect of an attempt.
    pub(super) fn key_of(&self, number: u32) -> Option<String> {
        self.key.as_ref().map(|key| format!("{key}-{number}"))
    }

    /// Takes one request of a grant.
    pub(super) fn take_request(&self, grant: usize) -> bool {
        self.grants.get(&grant).is_some_and(|left| take(&left.requests, 1))
    }

    /// Gives back a request of which nothing has left, with the bytes that were taken for it.
    pub(super) fn give_back(&self, grant: usize, bytes: u64) {
        if let Some(Left { requests, up_bytes, down_bytes: _ }) = self.grants.get(&grant) {
            requests.fetch_add(1, Ordering::Relaxed);
            up_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Takes bytes to be sent.
    pub(super) fn take_up(&self, grant: usize, bytes: u64) -> bool {
        self.grants.get(&grant).is_some_and(|left| take(&left.up_bytes, bytes))
    }

    /// Takes bytes that were received. They did arrive, so with more than is left nothing is left.
    pub(super) fn take_down(&self, grant: usize, bytes: u64) -> bool {
        let take = |left: u64| Some(left.saturating_sub(bytes));
        let had = |Left { down_bytes, .. }: &Left| {
            down_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_default()
        };
        self.grants.get(&grant).is_some_and(|left| had(left) >= bytes)
    }
}

/// Takes all of it or nothing.
fn take(left: &AtomicU64, amount: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_of_one_grant_share_its_bounds() {
        let grant = serde_json::json!({"host": "a.example", "requests_max": 2, "up_bytes_max": 10});
        let allowed: airlock_types::grant::HttpGrant = serde_json::from_value(grant).unwrap();
        let access = |grant| HttpAccess { grant, is_tried: false, allowed: allowed.clone() };
        let allotment = Allotment::new(&[access(3), access(3)], None).unwrap();
        assert_eq!([(); 3].map(|()| allotment.take_request(3)), [true, true, false]);
        assert!(allotment.take_up(3, 10) && !allotment.take_up(3, 1) && allotment.take_down(3, 1));
        assert!(!allotment.take_request(0));
        let lot = airlock_types::grant::http::DOWN_BYTES_MAX;
        assert!(!allotment.take_down(3, lot) && !allotment.take_down(3, 1), "nothing is left of it");
        assert!(Allotment::new(&[], None).is_none());
    }

    #[test]
    fn a_key_is_of_one_call_one_tool_and_one_effect() {
        let key = Allotment::key("call", "tool");
        assert_eq!(key, Allotment::key("call", "tool"));
        assert_ne!(key, Allotment::key("call", "other"));
        assert_ne!(key, Allotment::key("later", "tool"));
    }
}
