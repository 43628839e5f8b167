//! Facts: parts of accepted results that later calls of the same session are held against.
//!
//! Owns what a contract says of them (which results give facts, under which key, for how long), how they are read from a
//! result, and what the relations of one call have looked up. Must not know sessions, nor which tool may use whose facts:
//! the registry decides that. A relation reaches a fact by its key alone, so that the facts that decided a call are few and
//! can be on its record.

mod giving;
mod seen;

use serde::Deserialize;

use crate::path::snake;
use crate::ty::{Field, Ty};
use airlock_types::duration;
use airlock_types::words::{GOT_CHARS_MAX, one_line};

pub use giving::{Gives, ReadFact, WrittenFact};
pub use seen::{Fact, Facts, Looked, Named};
pub(crate) use seen::{Found, key_of};

/// Most facts of one session, which a registry can lower.
pub const FACTS_MAX: u64 = 1_000;

/// Most fields of one fact, and most parts of its key.
const FIELDS_MAX: usize = 32;

/// The types of the facts of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct FactTy {
    /// The type of the key: text or a whole number. A key of several parts is a text.
    pub key: Ty,
    /// The record of its fields.
    pub value: Ty,
}

/// Facts that relations of a tool read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Their name.
    pub name: String,
    /// Their types, as far as the relations may use them.
    pub ty: FactTy,
    /// Whether the tool's own component gives them. Those of another one count only where the registry binds them.
    pub is_own: bool,
}

/// What a contract says about facts of one tool. Most tools have none of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FactRules {
    /// The facts that its results give.
    pub gives: Vec<Gives>,
    /// The facts that its relations may look up, in the order in which expressions count them. Empty if they read none.
    pub reads: Vec<Reading>,
    /// The names of facts that a call of it may make untrue.
    pub changes: Vec<String>,
}

impl FactRules {
    /// Whether there is nothing about facts.
    pub fn is_empty(&self) -> bool {
        self.gives.is_empty() && self.reads.is_empty() && self.changes.is_empty()
    }

    /// What is said of facts, a line for each name.
    pub fn told(&self) -> Vec<String> {
        let fields = |ty: &FactTy| {
            let Ty::Record(fields) = &ty.value else { return String::new() };
            fields
                .iter()
                .map(|field| format!("{}: {}", snake(&field.name), field.ty))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let gives = self.gives.iter().map(|gives| {
            let (ty, ttl) = (&gives.ty, duration::print(gives.ttl_ms));
            format!("gives `{}` by {} ({}) for {ttl}", gives.name, ty.key, fields(ty))
        });
        let reads = self.reads.iter().map(|reading| {
            let whose = if reading.is_own { "its own component" } else { "another component" };
            format!(
                "is held against `{}` of {whose}, by {} ({})",
                reading.name,
                reading.ty.key,
                fields(&reading.ty)
            )
        });
        let changes = self.changes.iter().map(|name| format!("changes `{name}`"));
        gives.chain(reads).chain(changes).collect()
    }
}

/// Facts of another component, as a contract declares that it needs them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenNeed {
    key: String,
    fields: std::collections::BTreeMap<String, String>,
}

impl WrittenNeed {
    /// The types that it needs.
    ///
    /// # Errors
    /// When a type is not one of a single value.
    pub fn ty(&self) -> Result<FactTy, String> {
        if self.fields.len() > FIELDS_MAX {
            return Err(format!("more than {FIELDS_MAX} fields"));
        }
        let key = plain(&self.key)?;
        if !is_key(&key) {
            return Err(format!("a key is text or a whole number, not `{}`", self.key));
        }
        let fields = self.fields.iter().map(|(name, ty)| Ok(Field { name: name.clone(), ty: plain(ty)? }));
        Ok(FactTy { key, value: Ty::Record(fields.collect::<Result<_, String>>()?) })
    }
}

impl FactTy {
    /// Whether facts of these types can be read as the other one says.
    ///
    /// # Errors
    /// With the first difference, as a sentence about the facts.
    pub fn serves(&self, needed: &FactTy) -> Result<(), String> {
        if self.key != needed.key {
            return Err(format!("their key is `{}`, and `{}` is needed", self.key, needed.key));
        }
        for Field { name, ty } in fields(&needed.value) {
            let given = fields(&self.value).iter().find(|field| snake(&field.name) == snake(name));
            let Some(given) = given else { return Err(format!("they have no field `{name}`")) };
            // Fields may be absent where they come from; a relation sees a null then.
            if given.ty != *ty && given.ty.as_option() != Some(ty) {
                return Err(format!("their `{name}` is `{}`, and `{ty}` is needed", given.ty));
            }
        }
        Ok(())
    }
}

fn fields(ty: &Ty) -> &[Field] {
    if let Ty::Record(fields) = ty { fields } else { &[] }
}

/// Whether values of this type can be keys.
fn is_key(ty: &Ty) -> bool {
    matches!(ty, Ty::String | Ty::Char | Ty::Enum(_)) || is_whole(ty)
}

fn is_whole(ty: &Ty) -> bool {
    matches!(ty, Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64)
}

/// The type of one value, as WIT spells it.
fn plain(text: &str) -> Result<Ty, String> {
    let known = [
        Ty::Bool,
        Ty::S8,
        Ty::U8,
        Ty::S16,
        Ty::U16,
        Ty::S32,
        Ty::U32,
        Ty::S64,
        Ty::U64,
        Ty::F32,
        Ty::F64,
        Ty::Char,
        Ty::String,
    ];
    let shown = one_line(text, GOT_CHARS_MAX);
    known.into_iter().find(|ty| ty.to_string() == text).ok_or_else(|| {
        format!(
            "`{shown}` is not a type of one value: write `string`, `bool`, `u32` or another one of WIT's own"
        )
    })
}
