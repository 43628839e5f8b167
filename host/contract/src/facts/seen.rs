//! The facts that one call may be held against, and which of them its relations looked up.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::Val;
use airlock_types::duration;
use airlock_types::words::quoted_list;

/// Most facts that are noted as looked up in one call. Far more than relations over one call's arguments need.
const LOOKED_MAX: usize = 256;

/// A fact that a session has seen.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The record of its fields.
    pub value: Val,
    /// The same as JSON.
    pub json: Value,
    /// The time that it is about, since 1970 in milliseconds.
    pub as_of_unix_ms: u64,
    /// The time from which on it does not count any more.
    pub until_unix_ms: u64,
    /// The record of the call that gave it.
    pub record: Arc<str>,
    /// SHA-256 of the component that gave it, hex.
    pub component: Arc<str>,
}

/// The facts of one name.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Their name.
    pub name: String,
    /// The tools that give them, by public name.
    pub givers: Vec<Arc<str>>,
    /// The facts, by key.
    pub facts: BTreeMap<Arc<str>, Arc<Fact>>,
}

/// The facts that one call may be held against, in the order of [`super::FactRules::reads`].
#[derive(Debug)]
pub struct Facts {
    now_unix_ms: u64,
    named: Vec<Named>,
    looked: RefCell<BTreeSet<(usize, String)>>,
}

/// A fact that was looked up.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// The fact, if the session has seen it, also one that does not count any more.
    pub fact: Option<Arc<Fact>>,
}

/// What there is under a key.
pub(crate) enum Found<'f> {
    Fact(&'f Fact),
    /// There is none that counts, and why, in words.
    Nothing(String),
}

impl Facts {
    /// The facts that a session has seen, as at this time.
    pub fn new(named: Vec<Named>, now_unix_ms: u64) -> Facts {
        Facts { now_unix_ms, named, looked: RefCell::default() }
    }

    /// Looks a fact up, and notes it. What was noted is the same whenever the call is judged again.
    pub(crate) fn look(&self, at: usize, key: &str) -> Found<'_> {
        let mut looked = self.looked.borrow_mut();
        // One more than the bound, by which it is known that some are missing.
        if looked.len() <= LOOKED_MAX {
            looked.insert((at, key.to_owned()));
        }
        let Some(named) = self.named.get(at) else {
            return Found::Nothing("there is no such fact".to_owned());
        };
        let name = &named.name;
        match named.facts.get(key) {
            Some(fact) if self.now_unix_ms < fact.until_unix_ms => Found::Fact(fact),
            Some(fact) => {
                let age = duration::about(self.now_unix_ms.saturating_sub(fact.as_of_unix_ms));
                Found::Nothing(format!(
                    "the `{name}` {} is from {age} ago and does not count any more",
                    quoted(key)
                ))
            }
            None => Found::Nothing(format!("this session has seen no `{name}` {}", quoted(key))),
        }
    }

    /// What was looked up, and whether there was more than is noted.
    pub fn looked(&self) -> (Vec<Looked>, bool) {
        let looked = self.looked.borrow();
        let one = |(at, key): &(usize, String)| {
            let named = self.named.get(*at)?;
            let fact = named.facts.get(key.as_str()).cloned();
            Some(Looked { name: named.name.clone(), key: key.clone(), fact })
        };
        (looked.iter().take(LOOKED_MAX).filter_map(one).collect(), looked.len() > LOOKED_MAX)
    }

    /// Where these facts come from, in words. None if each that was looked up was there.
    pub(crate) fn sources(&self, at: impl Iterator<Item = usize>) -> Option<String> {
        let looked = self.looked.borrow();
        let lacks = |at: &usize| {
            let facts = self.named.get(*at).map(|named| &named.facts);
            let counts = |key: &str| {
                let fact = facts.and_then(|facts| facts.get(key));
                fact.is_some_and(|fact| self.now_unix_ms < fact.until_unix_ms)
            };
            looked.iter().any(|(of, key)| of == at && !counts(key))
        };
        let lacking = at.filter(lacks).filter_map(|at| self.named.get(at));
        let givers: BTreeSet<&str> = lacking.flat_map(|named| &named.givers).map(|name| &**name).collect();
        let named = || quoted_list(givers.iter().copied());
        (!givers.is_empty()).then(|| format!("call {} first, and then this again", named()))
    }
}

fn quoted(key: &str) -> String {
    use airlock_types::shorten::{clean_lines, shorten};
    Value::from(clean_lines(&shorten(key, 60))).to_string()
}

/// The key that a value stands for.
pub(crate) fn key_of(val: &Val) -> Option<String> {
    Some(match val {
        Val::String(text) | Val::Enum(text) => text.clone(),
        Val::Char(c) => c.to_string(),
        Val::S8(n) => n.to_string(),
        Val::U8(n) => n.to_string(),
        Val::S16(n) => n.to_string(),
        Val::U16(n) => n.to_string(),
        Val::S32(n) => n.to_string(),
        Val::U32(n) => n.to_string(),
        Val::S64(n) => n.to_string(),
        Val::U64(n) => n.to_string(),
        Val::Option(Some(inner)) => return key_of(inner),
        _ => return None,
    })
}
