//! The facts that one session has seen.
//!
//! Owns how many are kept, which tool's facts are whose, and what becomes of facts that a call may have changed. Must not
//! know which results give facts, nor how relations use them: the contract has both.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use airlock_contract::Val;
use airlock_contract::facts::{Fact, FactTy, Facts, Looked, Named, Reading};
use airlock_contract::lower::lower_value;
use airlock_contract::path::snake;
use airlock_contract::ty::Ty;
use airlock_types::record::v3;

/// Bytes that a fact counts for beside its key and its fields.
const OVERHEAD_BYTES: u64 = 128;

/// How many facts a session keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FactLimits {
    pub(crate) facts_max: u64,
    pub(crate) facts_bytes_max: u64,
}

/// Where facts of one name come from.
#[derive(Clone, Debug)]
pub struct FactSource {
    /// Their name.
    pub name: String,
    /// Whose they are.
    pub giver: FactGiver,
    /// The tools that give them, by public name.
    pub givers: Vec<Arc<str>>,
}

/// Whose facts a relation is held against.
#[derive(Clone, Debug)]
pub enum FactGiver {
    /// Those of the tool's own entry.
    Own,
    /// Those of a tool that the registry names.
    Tool {
        /// Its public name.
        name: Arc<str>,
        /// SHA-256 of its component, hex.
        digest: Arc<str>,
    },
}

/// The tool that gives or reads facts.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Its public name.
    pub(crate) tool: Arc<str>,
    /// The key of its entry.
    pub(crate) entry: String,
    /// SHA-256 of its component, hex.
    pub(crate) digest: Arc<str>,
}

/// What a tool may look up: its readings, each with its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'t> {
    pub(crate) reads: &'t [Reading],
    pub(crate) sources: &'t [FactSource],
}

/// A fact as a session keeps it.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The tool that gave it.
    pub(crate) origin: Arc<Origin>,
    pub(crate) name: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) ty: Arc<FactTy>,
    pub(crate) fact: Arc<Fact>,
}

/// The facts of one session, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct SessionFacts {
    stored: VecDeque<(Stored, u64)>,
    bytes: u64,
    /// For a recorded call that is tested: what its session had seen, in place of all that.
    recorded: Option<Box<Recorded>>,
}

/// What a recorded call looked up.
#[derive(Debug)]
struct Recorded {
    facts: v3::Facts,
    /// What was looked up beyond it.
    lacks: Option<String>,
}

impl SessionFacts {
    /// Adds a fact in place of an older one with its key. The oldest ones give way.
    pub(crate) fn add(&mut self, stored: Stored, limits: FactLimits) {
        let is_same = |(other, _): &(Stored, u64)| {
            other.key == stored.key && other.name == stored.name && other.origin.tool == stored.origin.tool
        };
        if let Some(at) = self.stored.iter().position(is_same) {
            self.remove(at);
        }
        let json = serde_json::to_vec(&stored.fact.json).map_or(0, |text| text.len());
        let bytes = (json + stored.key.len()) as u64 + OVERHEAD_BYTES;
        // One that is larger than all together may be is not kept, and takes no other one away.
        if bytes > limits.facts_bytes_max {
            return;
        }
        self.bytes += bytes;
        self.stored.push_back((stored, bytes));
        while self.stored.len() as u64 > limits.facts_max || self.bytes > limits.facts_bytes_max {
            self.remove(0);
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some((_, bytes)) = self.stored.remove(at) {
            self.bytes -= bytes;
        }
    }

    /// Forgets the facts of these names that come from the component of a tool, but for those from after a time.
    pub(crate) fn forget(&mut self, tool: &Origin, names: &[String], until_unix_ms: u64) {
        let is_changed = |stored: &Stored| {
            is_own(&stored.origin, tool)
                && stored.fact.as_of_unix_ms <= until_unix_ms
                && names.iter().any(|name| **name == *stored.name)
        };
        while let Some(at) = self.stored.iter().position(|(stored, _)| is_changed(stored)) {
            self.remove(at);
        }
    }

    /// The facts that relations of a tool may look up, as at a time.
    pub(crate) fn seen(&self, tool: &Origin, wanted: Wanted<'_>, now_unix_ms: u64) -> Facts {
        let Wanted { reads, sources } = wanted;
        if let Some(recorded) = &self.recorded {
            return recalled(reads, &recorded.facts, now_unix_ms);
        }
        let named = reads.iter().zip(sources).map(|(reading, from)| {
            let fits = |stored: &&Stored| {
                *stored.name == *reading.name
                    && match &from.giver {
                        FactGiver::Own => is_own(&stored.origin, tool),
                        FactGiver::Tool { name, digest } => {
                            stored.origin.tool == *name && stored.origin.digest == *digest
                        }
                    }
                    // A contract beside its component can change without it.
                    && stored.ty.serves(&reading.ty).is_ok()
            };
            // In order, so that the newest of a key stays.
            let facts = self.stored.iter().map(|(stored, _)| stored).filter(fits);
            let facts = facts.map(|stored| (stored.key.clone(), stored.fact.clone())).collect();
            Named { name: reading.name.clone(), givers: from.givers.clone(), facts }
        });
        Facts::new(named.collect(), now_unix_ms)
    }

    /// Has a recorded call see what it saw then, and nothing else.
    pub(crate) fn recall(&mut self, facts: v3::Facts) {
        self.recorded = Some(Box::new(Recorded { facts, lacks: None }));
    }

    /// Notes what was looked up, to find what is not on record.
    pub(crate) fn note(&mut self, looked: &[Looked]) {
        let Some(recorded) = &mut self.recorded else { return };
        let is_known = |one: &&Looked| {
            let Looked { name, key, fact: _ } = one;
            recorded.facts.looked.iter().any(|known| known.name == *name && known.key == *key)
        };
        let new = looked.iter().find(|one| !is_known(one));
        recorded.lacks = new.map(|one| {
            format!("whether its session had seen `{}` \"{}\" is not on record", one.name, one.key)
        });
    }

    /// What was looked up for a recorded call, and is not on its record.
    pub(crate) fn lacks(&self) -> Option<String> {
        self.recorded.as_ref()?.lacks.clone()
    }
}

/// Whether facts of one tool are those of another one's own component: of the same entry, and of the same bytes.
fn is_own(giver: &Origin, tool: &Origin) -> bool {
    giver.entry == tool.entry && giver.digest == tool.digest
}

/// The facts that a recorded call looked up.
pub(crate) fn recalled(reads: &[Reading], facts: &v3::Facts, now_unix_ms: u64) -> Facts {
    let named = reads.iter().map(|reading| {
        let of = facts.looked.iter().filter(|looked| looked.name == reading.name);
        let known = of.filter_map(|looked| {
            let seen = looked.seen.as_ref()?;
            let fact = Fact {
                value: value(&reading.ty.value, &seen.value)?,
                json: seen.value.clone(),
                as_of_unix_ms: seen.as_of_unix_ms,
                until_unix_ms: seen.until_unix_ms,
                record: seen.record.clone(),
                component: seen.component.clone(),
            };
            Some((looked.key.as_str().into(), Arc::new(fact)))
        });
        Named { name: reading.name.clone(), givers: Vec::new(), facts: known.collect() }
    });
    Facts::new(named.collect(), now_unix_ms)
}

/// The record of fields that JSON stands for. One that needs fewer fields than there are reads those alone.
fn value(ty: &Ty, json: &Value) -> Option<Val> {
    let Ty::Record(fields) = ty else { return None };
    let field = |field: &airlock_contract::ty::Field| {
        let found = json.get(&*snake(&field.name)).cloned().unwrap_or_default();
        let value = if found.is_null() { Val::Option(None) } else { lower_value(&field.ty, found).ok()? };
        Some((field.name.clone(), value))
    };
    Some(Val::Record(fields.iter().map(field).collect::<Option<_>>()?))
}

/// What was looked up, as it goes on record. None if nothing was.
pub(crate) fn on_record(facts: &Facts) -> Option<Box<v3::Facts>> {
    let (looked, cut) = facts.looked();
    let one = |Looked { name, key, fact }: Looked| {
        let seen = fact.map(|fact| v3::SeenFact {
            value: fact.json.clone(),
            as_of_unix_ms: fact.as_of_unix_ms,
            until_unix_ms: fact.until_unix_ms,
            record: fact.record.clone(),
            component: fact.component.clone(),
        });
        v3::LookedFact { name, key, seen }
    };
    let looked: Vec<_> = looked.into_iter().map(one).collect();
    (!looked.is_empty()).then(|| Box::new(v3::Facts { looked, cut }))
}
