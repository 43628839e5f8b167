//! Which recorded attempts become cases.
//!
//! Owns the strata and the choice among them: the same attempts and seed give the same cases, in whatever order they come.
//! Incidents are kept first, then each stratum has its first case, its second, and so on. Must not know what a case is made of.

use std::collections::{BTreeMap, BTreeSet};

use airlock_types::digest::sha256_of;

use crate::case::Stratum;

/// Most strata that are told apart. Arguments of further ones fall into one bucket of their tool and code.
const STRATA_MAX: usize = 10_000;

/// Most incidents of one tool and code.
const INCIDENTS_MAX: usize = 20;

/// An attempt that could become a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The id of its call.
    pub call: String,
    /// Its place among the attempts of the call.
    pub at: usize,
}

/// Chooses among attempts.
#[derive(Debug)]
pub struct Sampler {
    seed: u64,
    cases_max: usize,
    strata: BTreeMap<Stratum, Best>,
    incidents: BTreeMap<(String, String), Best>,
    seen: u64,
}

/// The candidates with the least ranks.
type Best = BTreeSet<([u8; 32], Candidate)>;

impl Sampler {
    /// Chooses at most so many cases.
    pub fn new(seed: u64, cases_max: usize) -> Sampler {
        Sampler { seed, cases_max, strata: BTreeMap::new(), incidents: BTreeMap::new(), seen: 0 }
    }

    /// Takes in an attempt.
    pub fn add(&mut self, mut stratum: Stratum, candidate: Candidate, is_incident: bool) {
        self.seen += 1;
        let rank = self.rank(&candidate);
        if is_incident {
            let of = (stratum.tool.clone(), stratum.code.clone());
            keep(self.incidents.entry(of).or_default(), (rank, candidate), INCIDENTS_MAX);
            return;
        }
        if self.strata.len() >= STRATA_MAX && !self.strata.contains_key(&stratum) {
            stratum.args = "other".to_owned();
        }
        keep(self.strata.entry(stratum).or_default(), (rank, candidate), self.cases_max);
    }

    /// How many attempts it saw.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many strata there are.
    pub fn strata(&self) -> usize {
        self.strata.len()
    }

    /// What was chosen, the most important first.
    pub fn chosen(self) -> Vec<Candidate> {
        let rounds = |of: Vec<Best>| {
            let ranked = of.into_iter().flat_map(|best| best.into_iter().enumerate());
            let mut ranked: Vec<_> = ranked.collect();
            // First the first of each, by rank and not by name: no tool is favored for its name.
            ranked.sort();
            ranked.into_iter().map(|(_, (_, candidate))| candidate)
        };
        let incidents = rounds(self.incidents.into_values().collect());
        incidents.chain(rounds(self.strata.into_values().collect())).take(self.cases_max).collect()
    }

    /// The place of an attempt in the order of chance.
    fn rank(&self, candidate: &Candidate) -> [u8; 32] {
        sha256_of(&[&self.seed.to_le_bytes(), candidate.call.as_bytes(), &candidate.at.to_le_bytes()])
    }
}

fn keep(best: &mut Best, candidate: ([u8; 32], Candidate), most: usize) {
    best.insert(candidate);
    if best.len() > most {
        best.pop_last();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stratum(tool: &str, args: &str) -> Stratum {
        Stratum { tool: tool.into(), code: "ok".into(), args: args.into() }
    }

    fn candidate(n: usize) -> Candidate {
        Candidate { call: format!("call-{n}"), at: 0 }
    }

    #[test]
    fn each_stratum_is_there_before_one_has_two_and_incidents_are_first() {
        let mut sampler = Sampler::new(1, 6);
        (0..1_000).for_each(|n| sampler.add(stratum("common", "a"), candidate(n), false));
        sampler.add(stratum("rare", "a"), candidate(2_000), false);
        sampler.add(stratum("common", "rare"), candidate(2_001), false);
        sampler.add(Stratum { code: "trap".into(), ..stratum("common", "a") }, candidate(2_002), true);
        let chosen = sampler.chosen();
        assert_eq!(chosen.len(), 6);
        assert_eq!(chosen[0], candidate(2_002));
        assert!(chosen.contains(&candidate(2_000)) && chosen.contains(&candidate(2_001)), "{chosen:?}");
    }

    #[test]
    fn strata_and_incidents_are_bounded() {
        let mut sampler = Sampler::new(1, 50_000);
        (0..STRATA_MAX + 100).for_each(|n| sampler.add(stratum("t", &n.to_string()), candidate(n), false));
        assert_eq!(sampler.strata(), STRATA_MAX + 1);
        (0..100).for_each(|n| sampler.add(stratum("t", ""), candidate(100_000 + n), true));
        let incidents = sampler.chosen().into_iter().filter(|one| one.call.len() == 11).count();
        assert_eq!(incidents, INCIDENTS_MAX);
    }

    proptest! {
        #[test]
        fn the_order_of_attempts_does_not_matter(seed in any::<u64>(), most in 1usize..20, count in 1usize..60) {
            let chosen = |order: &mut dyn Iterator<Item = usize>| {
                let mut sampler = Sampler::new(seed, most);
                order.for_each(|n| sampler.add(stratum(["a", "b"][n % 2], &(n % 5).to_string()), candidate(n), n.is_multiple_of(7)));
                sampler.chosen()
            };
            let there = chosen(&mut (0..count));
            prop_assert_eq!(&there, &chosen(&mut (0..count).rev()));
            prop_assert_eq!(there.len(), most.min(count));
        }
    }
}
