//! `wasi:keyvalue/batch`: several keys at once. A batch of changes is made as a whole or not at all.
//!
//! The second draft changed the result of `get-many` without changing its version: from a pair for each key that is there
//! to every key with its value. Components of both are in use, so that function follows the type that a component has.

use wasmtime::StoreContextMut;
use wasmtime::component::Resource;
use wasmtime::component::types::{ComponentFunc, Type};

use airlock_contract::Val;
use airlock_journal::keyvalue::Change;

use super::{Answer, Functions, bucket, change};
use crate::capability::State;
use crate::capability::keyvalue::types::{Bucket, Error};

type Found = Vec<(String, Option<Vec<u8>>)>;

/// A key with its value.
type Pair = (String, Vec<u8>);

pub(super) fn link(functions: &mut Functions<'_>, is_first: bool) -> wasmtime::Result<()> {
    functions.func_wrap_async("set-many", |mut store, args| {
        let (handle, pairs): (Resource<Bucket>, Vec<(String, Vec<u8>)>) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            let changes = pairs.into_iter().map(|(key, value)| Change::Set(key, value));
            change(store, bucket, changes.collect()).await
        })
    })?;
    functions.func_wrap_async("delete-many", |mut store, args| {
        let (handle, keys): (Resource<Bucket>, Vec<String>) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            change(store, bucket, keys.into_iter().map(Change::Delete).collect()).await
        })
    })?;
    if is_first { link_first(functions) } else { link_second(functions) }
}

fn link_first(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.func_wrap_async("get-many", |mut store, args| {
        let (handle, keys): (Resource<Bucket>, Vec<String>) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            let found = find(&mut store, bucket, keys).await;
            let there = |found: Found| found.into_iter().map(|(key, value)| Some((key, value?))).collect();
            let answer: Answer<Vec<Option<Pair>>> = Ok((found.map(there),));
            answer
        })
    })
}

fn link_second(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.func_new_async("get-many", |mut store, ty, args, results| {
        Box::new(async move {
            let lists_pairs = lists_pairs(&ty);
            let [Val::Resource(handle), Val::List(keys)] = args else { return Err(other_signature()) };
            let handle = Resource::<Bucket>::try_from_resource_any(*handle, &mut store)?;
            let bucket = bucket(&mut store, &handle)?;
            let text = |key: &Val| if let Val::String(key) = key { Some(key.clone()) } else { None };
            let keys: Option<Vec<String>> = keys.iter().map(text).collect();
            let found = find(&mut store, bucket, keys.ok_or_else(other_signature)?).await;
            let found = found.map(|found| found.into_iter().map(|pair| shown(pair, lists_pairs)).collect());
            let [result] = results else { return Err(other_signature()) };
            *result = Val::Result(match found {
                Ok(list) => Ok(Some(Box::new(Val::List(list)))),
                Err(error) => Err(Some(Box::new(variant(error)))),
            });
            Ok(())
        })
    })
}

/// Whether a component's `get-many` lists only the pairs that are there, as an option for each key.
fn lists_pairs(ty: &ComponentFunc) -> bool {
    let result = ty.results().next();
    let list = if let Some(Type::Result(result)) = result { result.ok() } else { None };
    matches!(list, Some(Type::List(list)) if matches!(list.ty(), Type::Option(_)))
}

fn other_signature() -> wasmtime::Error {
    wasmtime::format_err!("`get-many` has another signature than the host's")
}

/// One key of the result, in the form of the component.
fn shown((key, value): (String, Option<Vec<u8>>), lists_pairs: bool) -> Val {
    let bytes = |value: Vec<u8>| Val::List(value.into_iter().map(Val::U8).collect());
    let pair = |key, value| Val::Tuple(vec![Val::String(key), value]);
    if lists_pairs {
        Val::Option(value.map(|value| Box::new(pair(key, bytes(value)))))
    } else {
        pair(key, Val::Option(value.map(|value| Box::new(bytes(value)))))
    }
}

fn variant(error: Error) -> Val {
    let (name, payload) = match error {
        Error::NoSuchStore => ("no-such-store", None),
        Error::AccessDenied => ("access-denied", None),
        Error::Other(text) => ("other", Some(Box::new(Val::String(text)))),
    };
    Val::Variant(name.into(), payload)
}

/// The keys with their values, in their order.
async fn find(
    store: &mut StoreContextMut<'_, State>,
    bucket: Bucket,
    keys: Vec<String>,
) -> Result<Found, Error> {
    let read = store.data_mut().read_pairs(
        move |store| {
            let found = store.get(&bucket, &keys)?;
            Ok(keys.into_iter().zip(found).collect::<Vec<_>>())
        },
        |found, usage| usage.read(found.iter().map(|(_, pair)| pair.as_ref())),
    );
    let found = read.await?;
    Ok(found.into_iter().map(|(key, pair)| (key, pair.map(|pair| pair.value))).collect())
}
