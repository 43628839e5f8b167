//! A set of numbers as ranges, which is small where numbers follow each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A set of numbers. Its JSON is a list of pairs, the first and the last number of each range, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    pub(crate) fn insert(&mut self, number: u64) {
        self.extend(number, number);
    }

    /// Adds the numbers of another set.
    pub(crate) fn add(&mut self, other: &Ranges) {
        other.iter().for_each(|(first, last)| self.extend(first, last));
    }

    /// Each range, its first and its last number, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(first, last)| (*first, *last))
    }

    /// Number of numbers, as far as that can be counted.
    pub(crate) fn count(&self) -> u64 {
        self.iter().fold(0, |count: u64, (first, last)| count.saturating_add(last - first).saturating_add(1))
    }

    /// The greatest number.
    pub(crate) fn last(&self) -> Option<u64> {
        self.0.values().next_back().copied()
    }

    fn extend(&mut self, mut first: u64, mut last: u64) {
        // All ranges that touch the new one become one with it.
        while let Some((from, to)) =
            self.0.range(..=last.saturating_add(1)).next_back().map(|(a, b)| (*a, *b))
            && to.saturating_add(1) >= first
        {
            self.0.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.0.insert(first, last);
    }
}

impl TryFrom<Vec<(u64, u64)>> for Ranges {
    type Error = &'static str;

    fn try_from(pairs: Vec<(u64, u64)>) -> Result<Ranges, &'static str> {
        let mut ranges = Ranges::default();
        for (first, last) in pairs {
            if first > last {
                return Err("a range begins with its smaller number");
            }
            ranges.extend(first, last);
        }
        Ok(ranges)
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(Ranges(ranges): Ranges) -> Vec<(u64, u64)> {
        ranges.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_is_as_few_ranges_as_there_are_gaps() {
        let mut ranges = Ranges::default();
        for number in [5, 3, 9, 4, 4, 0, 8] {
            ranges.insert(number);
        }
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[[0,0],[3,5],[8,9]]");
        assert!(serde_json::from_str::<Ranges>("[[2,1]]").is_err());
        assert_eq!((ranges.count(), ranges.last()), (6, Some(9)));
        let all: Ranges = serde_json::from_str("[[0,18446744073709551615]]").unwrap();
        assert_eq!((all.count(), Ranges::default().count(), Ranges::default().last()), (u64::MAX, 0, None));
        let other: Ranges = serde_json::from_str("[[1,2],[6,6],[20,30]]").unwrap();
        ranges.add(&other);
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[[0,6],[8,9],[20,30]]");
    }

    #[test]
    fn it_holds_what_was_inserted_in_any_order() {
        // A full cycle of a linear generator modulo 257.
        let numbers: Vec<u64> =
            std::iter::successors(Some(1_u64), |number| Some(number * 3 % 257)).take(120).collect();
        let (mut ranges, mut all) = (Ranges::default(), BTreeSet::new());
        for number in numbers {
            ranges.insert(number);
            all.insert(number);
            assert!((0..300).all(|number| ranges.contains(number) == all.contains(&number)));
        }
    }
}
