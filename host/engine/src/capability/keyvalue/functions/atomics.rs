//! `wasi:keyvalue/atomics`: sums, and changes that depend on the value before them.

use std::ops::RangeInclusive;

use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, ResourceType};

use super::{Answer, Functions, bucket};
use crate::capability::State;
use crate::capability::keyvalue::types::{Bucket, Cas, CasError, Error};
use crate::tape::brief;

/// The first draft has sums of natural numbers.
pub(super) fn link_first(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.func_wrap_async("increment", |mut store, args| {
        let (handle, key, delta): (Resource<Bucket>, String, u64) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            let sum = add(store, bucket, key, delta.into(), 0..=u64::MAX.into()).await;
            // Within the range, so that the conversion cannot fail.
            let sum: Answer<u64> = Ok((sum.map(|sum| u64::try_from(sum).unwrap_or_default()),));
            sum
        })
    })
}

/// The second one has whole numbers, and compare-and-swap.
pub(super) fn link_second(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.func_wrap_async("increment", |mut store, args| {
        let (handle, key, delta): (Resource<Bucket>, String, i64) = args;
        Box::new(async move {
            let bucket = bucket(&mut store, &handle)?;
            let sum = add(store, bucket, key, delta.into(), i64::MIN.into()..=i64::MAX.into()).await;
            let sum: Answer<i64> = Ok((sum.map(|sum| i64::try_from(sum).unwrap_or_default()),));
            sum
        })
    })?;
    functions.resource("cas", ResourceType::host::<Cas>(), |mut store, rep| {
        store.data_mut().table().delete(Resource::<Cas>::new_own(rep))?;
        Ok(())
    })?;
    functions.func_wrap_async("[static]cas.new", |store, args| Box::new(new(store, args)))?;
    functions.func_wrap_async("[method]cas.current", |store, args| Box::new(current(store, args)))?;
    functions.func_wrap_async("swap", |store, args| Box::new(swap(store, args)))
}

async fn add(
    mut store: StoreContextMut<'_, State>,
    bucket: Bucket,
    key: String,
    delta: i128,
    range: RangeInclusive<i128>,
) -> Result<i128, Error> {
    let args = (bucket.name.clone(), key.clone(), delta.to_string());
    let changed = store.data_mut().change_pairs(
        "wasi:keyvalue/atomics#increment",
        args,
        // Its digits: JSON has no numbers of this size.
        move |store, terms| {
            let sum = store.increment(&bucket, terms.quota, terms.now_ms, (&key, delta), range)?;
            Ok(sum.to_string())
        },
        |sum, usage| usage.wrote(1, sum.len() as u64),
    );
    // The digits of a number, so that this cannot fail.
    changed.await.map(|sum| sum.parse().unwrap_or_default())
}

/// A handle for a key as it is now.
async fn handle(
    store: &mut StoreContextMut<'_, State>,
    bucket: Bucket,
    key: String,
) -> wasmtime::Result<Result<Resource<Cas>, Error>> {
    let (of, at) = (bucket.clone(), key.clone());
    let read = store.data_mut().read_pairs(
        "wasi:keyvalue/atomics#version",
        (bucket.name.clone(), key.clone()),
        move |store| store.version(&of, &at),
        |_, usage| usage.keys_read += 1,
    );
    Ok(match read.await {
        Ok(version) => Ok(store.data_mut().table().push(Cas { bucket, key, version })?),
        Err(err) => Err(err),
    })
}

async fn new(
    mut store: StoreContextMut<'_, State>,
    (of, key): (Resource<Bucket>, String),
) -> Answer<Resource<Cas>> {
    let bucket = bucket(&mut store, &of)?;
    Ok((handle(&mut store, bucket, key).await?,))
}

/// The value now. If it is a later one than that of the handle, the swap will fail and say so.
async fn current(mut store: StoreContextMut<'_, State>, (cas,): (Resource<Cas>,)) -> Answer<Option<Vec<u8>>> {
    let Cas { bucket, key, version: _ } = store.data_mut().table().get(&cas)?.clone();
    let args = (bucket.name.clone(), key.clone());
    let read = store.data_mut().read_pairs(
        "wasi:keyvalue/atomics#current",
        args,
        move |store| store.get(&bucket, &[key]),
        |found, usage| usage.read(found.iter().map(Option::as_ref)),
    );
    Ok((read.await.map(|found| found.into_iter().next().flatten().map(|pair| pair.value)),))
}

async fn swap(
    mut store: StoreContextMut<'_, State>,
    (cas, value): (Resource<Cas>, Vec<u8>),
) -> wasmtime::Result<(Result<(), CasError>,)> {
    // The handle is used up, whatever comes of it.
    let Cas { bucket, key, version } = store.data_mut().table().delete(cas)?;
    let (of, at, bytes) = (bucket.clone(), key.clone(), value.len() as u64);
    let args = (bucket.name.clone(), key.clone(), brief(&value), version);
    let swapped = store.data_mut().change_pairs(
        "wasi:keyvalue/atomics#swap",
        args,
        move |store, terms| store.swap(&of, terms.quota, terms.now_ms, (&at, value), version),
        |swapped, usage| {
            if *swapped {
                usage.wrote(1, bytes)
            }
        },
    );
    Ok((match swapped.await {
        Ok(true) => Ok(()),
        Ok(false) => match handle(&mut store, bucket, key).await? {
            Ok(fresh) => Err(CasError::Failed(fresh)),
            Err(err) => Err(CasError::Store(err)),
        },
        Err(err) => Err(CasError::Store(err)),
    },))
}
