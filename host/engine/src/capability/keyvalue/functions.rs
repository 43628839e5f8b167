//! The functions of `wasi:keyvalue/store`, and which file links which interface.
//!
//! Typed in Rust, so that the engine compares the signatures of a component with them. The drafts share all but what is
//! linked for one of them by name.

mod atomics;
mod batch;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};

use airlock_journal::keyvalue::{Change, Page};

pub(in crate::capability) use batch::link_older;

use super::FIRST;
use super::types::{Bucket, Error, FirstKeys, SecondKeys};
use crate::capability::{Import, State, unlinked};
use crate::tape::brief;

/// The functions of one interface.
type Functions<'l> = LinkerInstance<'l, State>;

/// What a host function returns: the error of its interface is a value.
type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;

pub(in crate::capability) fn link(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
    let (interface, version) = import.name.split_once('@').unwrap_or((&import.name, ""));
    let is_first = version == FIRST;
    let functions = &mut linker.instance(&import.name)?;
    match interface {
        "wasi:keyvalue/store" => {
            link_store(functions)?;
            if is_first { link_first_list(functions) } else { link_second_list(functions) }
        }
        "wasi:keyvalue/atomics" => {
            if is_first {
                atomics::link_first(functions)
            } else {
                atomics::link_second(functions)
            }
        }
        "wasi:keyvalue/batch" => batch::link(functions, is_first),
        _ => Err(unlinked(interface)),
    }
}

/// The bucket behind a handle.
fn bucket(store: &mut StoreContextMut<'_, State>, handle: &Resource<Bucket>) -> wasmtime::Result<Bucket> {
    // Each function of a bucket begins here.
    let left = store.get_fuel().ok();
    store.data().tape().set_fuel(left);
    Ok(store.data_mut().table().get(handle)?.clone())
}

fn link_store(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.resource("bucket", ResourceType::host::<Bucket>(), |mut store, rep| {
        store.data_mut().table().delete(Resource::<Bucket>::new_own(rep))?;
        Ok(())
    })?;
    functions.func_wrap("open", |mut store, (identifier,): (String,)| -> Answer<Resource<Bucket>> {
        let state = store.data_mut();
        Ok((match state.open_bucket(&identifier) {
            Ok(bucket) => Ok(state.table().push(bucket)?),
            Err(error) => Err(error),
        },))
    })?;
    functions.func_wrap_async("[method]bucket.get", |store, args| Box::new(get(store, args)))?;
    functions.func_wrap_async("[method]bucket.set", |store, args| Box::new(set(store, args)))?;
    functions.func_wrap_async("[method]bucket.delete", |store, args| Box::new(delete(store, args)))?;
    functions.func_wrap_async("[method]bucket.exists", |store, args| Box::new(exists(store, args)))
}

async fn get(
    mut store: StoreContextMut<'_, State>,
    (handle, key): (Resource<Bucket>, String),
) -> Answer<Option<Vec<u8>>> {
    let bucket = bucket(&mut store, &handle)?;
    let args = (bucket.name.clone(), key.clone());
    let read = store.data_mut().read_pairs(
        "wasi:keyvalue/store#get",
        args,
        move |store| store.get(&bucket, &[key]),
        |found, usage| usage.read(found.iter().map(Option::as_ref)),
    );
    Ok((read.await.map(|found| found.into_iter().next().flatten().map(|pair| pair.value)),))
}

async fn set(
    mut store: StoreContextMut<'_, State>,
    (handle, key, value): (Resource<Bucket>, String, Vec<u8>),
) -> Answer<()> {
    let bucket = bucket(&mut store, &handle)?;
    change(store, bucket, vec![Change::Set(key, value)]).await
}

async fn delete(
    mut store: StoreContextMut<'_, State>,
    (handle, key): (Resource<Bucket>, String),
) -> Answer<()> {
    let bucket = bucket(&mut store, &handle)?;
    change(store, bucket, vec![Change::Delete(key)]).await
}

async fn exists(
    mut store: StoreContextMut<'_, State>,
    (handle, key): (Resource<Bucket>, String),
) -> Answer<bool> {
    let bucket = bucket(&mut store, &handle)?;
    let args = (bucket.name.clone(), key.clone());
    let read = store.data_mut().read_pairs(
        "wasi:keyvalue/store#exists",
        args,
        move |store| store.version(&bucket, &key),
        |_, usage| usage.keys_read += 1,
    );
    Ok((read.await.map(|version| version.is_some()),))
}

/// Makes changes as one step.
async fn change(mut store: StoreContextMut<'_, State>, bucket: Bucket, changes: Vec<Change>) -> Answer<()> {
    let keys = changes.len() as u64;
    let bytes = changes.iter().map(|change| match change {
        Change::Set(_, value) => value.len() as u64,
        Change::Delete(_) => 0,
    });
    let bytes: u64 = bytes.sum();
    let told: Vec<_> = changes.iter().map(told).collect();
    let changed = store.data_mut().change_pairs(
        "wasi:keyvalue/store#change",
        (bucket.name.clone(), told),
        move |store, terms| store.apply(&bucket, terms.quota, terms.now_ms, &changes),
        |(), usage| usage.wrote(keys, bytes),
    );
    Ok((changed.await,))
}

/// A change as it is compared.
fn told(change: &Change) -> (&'static str, String, String) {
    match change {
        Change::Set(key, value) => ("set", key.clone(), brief(value)),
        Change::Delete(key) => ("delete", key.clone(), String::new()),
    }
}

fn link_first_list(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.func_wrap_async("[method]bucket.list-keys", |mut store, args| {
        let (handle, cursor): (Resource<Bucket>, Option<u64>) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            let page = list(store, bucket, cursor.unwrap_or_default()).await;
            Ok((page.map(|Page { keys, next }| FirstKeys { keys, cursor: next }),))
        })
    })
}

fn link_second_list(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.func_wrap_async("[method]bucket.list-keys", |mut store, args| {
        let (handle, cursor): (Resource<Bucket>, Option<String>) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            let page = match cursor.as_deref().unwrap_or("0").parse() {
                Ok(after) => list(store, bucket, after).await,
                Err(_) => Err(Error::Other("the cursor is not one of this store".into())),
            };
            let page = page
                .map(|Page { keys, next }| SecondKeys { keys, cursor: next.map(|next| next.to_string()) });
            Ok((page,))
        })
    })
}

async fn list(mut store: StoreContextMut<'_, State>, bucket: Bucket, after: u64) -> Result<Page, Error> {
    let args = (bucket.name.clone(), after);
    let read = store.data_mut().read_pairs(
        "wasi:keyvalue/store#list-keys",
        args,
        move |store| store.list(&bucket, after),
        |page, usage| usage.keys_read += page.keys.len() as u64,
    );
    read.await
}
