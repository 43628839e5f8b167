//! Fair shares: no caller gets more than half of a total.
//!
//! Owns the counting. A share is held until it is dropped. Must not know the resource that is shared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airlock_types::caller::Caller;

/// Half of the total, so that one caller cannot exclude the others. At least two, because a smaller share is useless.
pub(super) fn half(all: usize) -> usize {
    all.div_ceil(2).max(2)
}

/// A total that callers share.
#[derive(Debug)]
pub(super) struct Shares {
    all_max: usize,
    each_max: usize,
    taken: Mutex<BTreeMap<Caller, usize>>,
}

/// The amount that a caller holds. Dropping it returns the amount.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    who: Caller,
    amount: usize,
}

/// The reason that no share is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoShare {
    /// The caller is at its own limit.
    ByCaller,
    /// All callers together use the total.
    ByAll,
}

impl Shares {
    pub(super) fn new(all_max: usize) -> Arc<Shares> {
        Arc::new(Shares { all_max, each_max: half(all_max), taken: Mutex::default() })
    }

    /// Takes an amount for a caller, if it is available.
    pub(super) fn take(self: &Arc<Shares>, who: &Caller, amount: usize) -> Result<Share, NoShare> {
        let mut share = Share { shares: self.clone(), who: who.clone(), amount: 0 };
        share.cover(amount)?;
        Ok(share)
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Caller, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Grows the share to an amount, if it is smaller and the difference is available.
    pub(super) fn cover(&mut self, amount: usize) -> Result<(), NoShare> {
        let Some(more) = amount.checked_sub(self.amount).filter(|more| *more > 0) else { return Ok(()) };
        let mut taken = self.shares.taken();
        // The caller's own limit first: its error tells the caller to use less, where the other tells it to wait.
        if taken.get(&self.who).copied().unwrap_or_default() + more > self.shares.each_max {
            return Err(NoShare::ByCaller);
        }
        if taken.values().sum::<usize>() + more > self.shares.all_max {
            return Err(NoShare::ByAll);
        }
        *taken.entry(self.who.clone()).or_default() += more;
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        let left = taken.get(&self.who).copied().unwrap_or_default().saturating_sub(self.amount);
        if left == 0 {
            taken.remove(&self.who);
        } else {
            taken.insert(self.who.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_half_and_all_together_not_more_than_there_is() {
        let shares = Shares::new(8);
        let take = |who: &str, amount| shares.take(&Caller::named(who), amount);
        let held = [take("a", 4), take("b", 3)];
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(take("a", 1).unwrap_err(), NoShare::ByCaller);
        assert_eq!(take("c", 2).unwrap_err(), NoShare::ByAll);
        let mut last = take("c", 1).unwrap();
        assert_eq!((last.cover(1), last.cover(2)), (Ok(()), Err(NoShare::ByAll)));
        drop(held);
        assert!(take("a", 4).is_ok(), "what is dropped is free again");
        drop(last);
        assert!(shares.taken().is_empty());
    }
}
