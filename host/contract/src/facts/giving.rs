//! Which parts of a result are facts, as a contract says it, and how they are read.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{FIELDS_MAX, FactTy, is_key, key_of};
use crate::Val;
use crate::confidential::Confidential;
use crate::lift::lift;
use crate::path::{Path, through};
use crate::ty::{Field, FunctionTy, Ty};
use airlock_types::duration::{DAY_MS, parse};
use airlock_types::words::{GOT_CHARS_MAX, one_line};

/// Shortest and longest time for which a fact counts.
const TTL_MS: std::ops::RangeInclusive<u64> = 1_000..=30 * DAY_MS;

/// Facts that results of a tool give, as a contract writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenFact {
    key: Keys,
    fields: Vec<String>,
    ttl: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "`key` is a place in the result, or a list of places that make a key together")]
enum Keys {
    One(String),
    Parts(Vec<String>),
}

/// Facts that the results of a function give, under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Gives {
    /// Their name.
    pub name: Arc<str>,
    /// Their types.
    pub ty: Arc<FactTy>,
    /// For how long each counts, in milliseconds.
    pub ttl_ms: u64,
    /// The place of each fact in the result.
    item: Path,
    key: Vec<Source>,
    fields: Vec<Source>,
}

/// Where a part of a fact comes from.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    /// The item of the result that the fact is about.
    Item(Path),
    /// The result as a whole.
    Result(Path),
    /// The arguments of the call.
    Args(Path),
}

/// A fact as it was read from a result.
#[derive(Clone, Debug)]
pub struct ReadFact {
    /// Its key, as text.
    pub key: String,
    /// The record of its fields.
    pub value: Val,
    /// The same as JSON.
    pub json: Value,
}

/// What sources are looked for in.
struct Given<'t> {
    seen: &'t FunctionTy,
    result: &'t Ty,
    item: Path,
    confidential: &'t Confidential,
}

impl Gives {
    /// Checks what a contract says against the types of its function, as agents see them.
    ///
    /// # Errors
    /// When a place does not exist, is confidential, or is not of one value where one is needed.
    pub fn new(
        name: &str,
        written: &WrittenFact,
        seen: &FunctionTy,
        confidential: &Confidential,
    ) -> Result<Gives, String> {
        let WrittenFact { key, fields, ttl } = written;
        let keys = match key {
            Keys::One(key) => std::slice::from_ref(key),
            Keys::Parts(keys) => keys.as_slice(),
        };
        if keys.len() > FIELDS_MAX || fields.len() > FIELDS_MAX {
            return Err(format!("more than {FIELDS_MAX} fields"));
        }
        let ttl_ms = parse(ttl).filter(|ms| TTL_MS.contains(ms));
        let ttl_ms = ttl_ms.ok_or_else(|| format!("`{}` is not a time from `1s` to `30d`", shown(ttl)))?;
        if keys.is_empty() {
            return Err("`key` has no part: name a place in the result, as in `result.rows[].id`".to_owned());
        }
        let result = seen.result.as_ref().ok_or("the function returns nothing that could be a fact")?;
        // A key of arguments alone is of the result as a whole.
        let place = keys.iter().find_map(|key| below(key, "result")).unwrap_or_default();
        let item = Path::parse(place).map_err(|err| err.to_string())?.to_item();
        let given = Given { seen, result, item, confidential };
        let keys = keys.iter().map(|key| given.source(key)).collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<_> = fields.iter().map(|field| given.source(field)).collect::<Result<_, _>>()?;
        let ty = FactTy { key: key_ty(&keys)?, value: value_ty(&fields)? };
        let [keys, fields] = [keys, fields].map(|all| all.into_iter().map(|(source, _)| source).collect());
        Ok(Gives { name: name.into(), ty: Arc::new(ty), ttl_ms, item: given.item, key: keys, fields })
    }

    /// The facts of a result, at most so many. An item without a key gives none.
    pub fn read(&self, params: &[Field], args: &[Val], result: &Val, max: usize) -> Vec<ReadFact> {
        let items = self.item.select(result).into_iter().take(max);
        items.filter_map(|(_, item)| self.fact(params, args, (result, item))).collect()
    }

    fn fact(&self, params: &[Field], args: &[Val], (result, item): (&Val, &Val)) -> Option<ReadFact> {
        let find = |source: &Source| match source {
            Source::Item(path) => first(path, item),
            Source::Result(path) => first(path, result),
            Source::Args(path) => {
                let mut found = None;
                path.visit_params(params, args, &mut |_, val| {
                    found = Some(val.clone());
                    std::ops::ControlFlow::Break(())
                });
                found
            }
        };
        let key = self.key.iter().map(|source| key_of(&find(source)?)).collect::<Option<Vec<_>>>()?.join(" ");
        let Ty::Record(types) = &self.ty.value else { return None };
        let fields = self.fields.iter().zip(types).map(|(source, field)| {
            let found = find(source);
            let val = match field.ty.as_option() {
                Some(_) => Val::Option(found.map(Box::new)),
                None => found?,
            };
            Some((field.name.clone(), val))
        });
        let value = Val::Record(fields.collect::<Option<_>>()?);
        let json = lift(&self.ty.value, &value).ok()?;
        Some(ReadFact { key, value, json })
    }
}

fn first(path: &Path, val: &Val) -> Option<Val> {
    path.select(val).first().map(|(_, val)| (*val).clone())
}

impl Given<'_> {
    /// Where a part comes from, with its name and type.
    fn source(&self, text: &str) -> Result<(Source, Field), String> {
        let read = |text: &str| Path::parse(text).map_err(|err| err.to_string());
        let found = |ty: Result<&Ty, _>| ty.cloned().map_err(|err: crate::path::PathError| err.to_string());
        let item = || self.item.resolve(self.result);
        let (source, ty, whole) = if let Some(path) = below(text, "args") {
            let path = read(path)?;
            let ty = found(path.resolve_params(&self.seen.params))?;
            (Source::Args(path.clone()), ty, (true, path))
        } else {
            let path = match below(text, "result") {
                Some(path) => read(path)?,
                None => self.item.joined(&read(text)?),
            };
            let ty = found(path.resolve(self.result))?;
            found(item())?;
            let source = match path.inside(&self.item) {
                Some(rest) => Source::Item(rest),
                None => Source::Result(path.clone()),
            };
            (source, ty, (false, path))
        };
        let (Source::Item(path) | Source::Result(path) | Source::Args(path)) = &source;
        if path.has_items() {
            return Err(format!("`{}` is not one value of each fact", shown(text)));
        }
        if self.confidential.touches(whole.0, &whole.1) {
            return Err(format!("`{}` is confidential, and facts are quoted in errors", shown(text)));
        }
        let name = path.names().last().ok_or_else(|| format!("`{}` has no name", shown(text)))?.to_owned();
        Ok((source, Field { name, ty }))
    }
}

fn key_ty(keys: &[(Source, Field)]) -> Result<Ty, String> {
    for (_, Field { name, ty }) in keys {
        if !is_key(through(ty)) {
            return Err(format!("a key is text or a whole number, and `{name}` is `{ty}`"));
        }
    }
    match keys {
        [(_, only)] => Ok(through(&only.ty).clone()),
        _ => Ok(Ty::String),
    }
}

fn value_ty(fields: &[(Source, Field)]) -> Result<Ty, String> {
    let fields: Vec<Field> = fields.iter().map(|(_, field)| field.clone()).collect();
    let twice =
        fields.iter().enumerate().find(|(at, field)| fields[..*at].iter().any(|it| it.name == field.name));
    match twice {
        Some((_, field)) => Err(format!("two fields would be called `{}`", field.name)),
        None => Ok(Ty::Record(fields)),
    }
}

/// What follows `args` or `result` in a place.
fn below<'t>(text: &'t str, side: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(side)?;
    if rest.starts_with('[') { Some(rest) } else { rest.strip_prefix('.') }
}

fn shown(text: &str) -> String {
    one_line(text, GOT_CHARS_MAX)
}
