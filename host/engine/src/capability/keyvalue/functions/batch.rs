//! `wasi:keyvalue/batch`: several keys at once. A batch of changes is made as a whole or not at all.
//!
//! The second draft changed the result of `get-many` without changing its version: from a pair for each key that is there,
//! as in the first draft, to every key with its value. Components of both are in use, so the form is that of the component.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, Linker, Resource};

use airlock_journal::keyvalue::Change;

use super::{Answer, Functions, bucket, change};
use crate::capability::State;
use crate::capability::keyvalue::SECOND;
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
    if is_first { link_pairs(functions) } else { link_every_key(functions) }
}

/// Links the older form of `get-many` for a component that was built against it.
pub(in crate::capability) fn link_older(
    linker: &mut Linker<State>,
    component: &Component,
) -> wasmtime::Result<()> {
    let import = format!("wasi:keyvalue/batch@{SECOND}");
    if !lists_pairs(component, &import) {
        return Ok(());
    }
    // It takes the place of the form of today.
    linker.allow_shadowing(true);
    link_pairs(&mut linker.instance(&import)?)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Whether a component's `get-many` gives an option of a pair for each key.
fn lists_pairs(component: &Component, import: &str) -> bool {
    let (engine, ty) = (component.engine(), component.component_type());
    let item = ty.get_import(engine, import).map(|item| item.ty);
    let Some(ComponentItem::ComponentInstance(instance)) = item else { return false };
    let function = instance.exports(engine).find(|(name, _)| *name == "get-many").map(|(_, item)| item.ty);
    let Some(ComponentItem::ComponentFunc(function)) = function else { return false };
    let result = function.results().next();
    let found = if let Some(Type::Result(result)) = result { result.ok() } else { None };
    matches!(found, Some(Type::List(found)) if matches!(found.ty(), Type::Option(_)))
}

fn link_pairs(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
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

fn link_every_key(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.func_wrap_async("get-many", |mut store, args| {
        let (handle, keys): (Resource<Bucket>, Vec<String>) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            let answer: Answer<Found> = Ok((find(&mut store, bucket, keys).await,));
            answer
        })
    })
}

/// The keys with their values, in their order.
async fn find(
    store: &mut StoreContextMut<'_, State>,
    bucket: Bucket,
    keys: Vec<String>,
) -> Result<Found, Error> {
    let args = (bucket.name.clone(), keys.clone());
    let read = store.data_mut().read_pairs(
        "wasi:keyvalue/batch#get-many",
        args,
        move |store| {
            let found = store.get(&bucket, &keys)?;
            Ok(keys.into_iter().zip(found).collect::<Vec<_>>())
        },
        |found, usage| usage.read(found.iter().map(|(_, pair)| pair.as_ref())),
    );
    let found = read.await?;
    Ok(found.into_iter().map(|(key, pair)| (key, pair.map(|pair| pair.value))).collect())
}
