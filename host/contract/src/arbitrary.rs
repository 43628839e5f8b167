//! Random types, and random values of a type, for property tests.
//!
//! Owns the generators. They cover every type constructor, nest four levels deep, and use names in the style of
//! hand-written WIT. To add a type: a row in [`val_of`] and one in [`ty`].

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::Val;
use super::ty::{Case, Field, Ty};

const NAMES: [&str; 12] = [
    "id",
    "name",
    "max-items",
    "departure-date",
    "price",
    "currency",
    "rows",
    "change-pct",
    "x2",
    "note",
    "is-open",
    "some",
];

/// A parameter list with up to three parameters.
pub(crate) fn params() -> impl Strategy<Value = Vec<Field>> {
    fields(ty(), 0..4)
}

/// A type that can cross to JSON, up to four levels deep.
pub(crate) fn ty() -> BoxedStrategy<Ty> {
    let leaf = prop_oneof![scalar(), names().prop_map(Ty::Enum), names().prop_map(Ty::Flags)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Ty::List),
            (boxed(), 1_u32..4).prop_map(|(item, len)| Ty::FixedList(item, len)),
            (key().prop_map(Box::new), boxed()).prop_map(|(key, value)| Ty::Map(key, value)),
            fields(inner.clone(), 1..4).prop_map(Ty::Record),
            vec(inner.clone(), 1..4).prop_map(Ty::Tuple),
            cases(inner.clone()).prop_map(Ty::Variant),
            boxed().prop_map(Ty::Option),
            // Twice, so that an option inside an option is frequent: it has a JSON form of its own.
            boxed().prop_map(Ty::Option),
            (option::of(boxed()), option::of(boxed())).prop_map(|(ok, err)| Ty::Result(ok, err)),
        ]
    })
    .boxed()
}

/// A value of a type. Floats include NaN and the infinities.
pub(crate) fn val_of(ty: &Ty) -> BoxedStrategy<Val> {
    match ty {
        Ty::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Ty::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Ty::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Ty::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Ty::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Ty::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Ty::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        // Uniform integers are nearly always beyond 2^53, so small ones and the limits are added.
        Ty::S64 => prop_oneof![any::<i64>(), -9..9_i64, Just(i64::MIN)].prop_map(Val::S64).boxed(),
        Ty::U64 => prop_oneof![any::<u64>(), 0..9_u64, Just(u64::MAX)].prop_map(Val::U64).boxed(),
        Ty::F32 => any::<f32>().prop_map(Val::Float32).boxed(),
        Ty::F64 => any::<f64>().prop_map(Val::Float64).boxed(),
        Ty::Char => any::<char>().prop_map(Val::Char).boxed(),
        // Texts of digits are added, because a codec could mistake them for numbers.
        Ty::String => prop_oneof![".{0,6}", "-?[0-9]{1,3}"].prop_map(Val::String).boxed(),
        Ty::List(item) => vec(val_of(item), 0..4).prop_map(Val::List).boxed(),
        Ty::FixedList(item, len) => vec(val_of(item), *len as usize).prop_map(Val::FixedLengthList).boxed(),
        Ty::Map(key, value) => map_of(key, value),
        Ty::Record(fields) => record_of(fields),
        Ty::Tuple(parts) => parts.iter().map(val_of).collect::<Vec<_>>().prop_map(Val::Tuple).boxed(),
        Ty::Variant(cases) => variant_of(cases),
        Ty::Enum(names) => select(names.clone()).prop_map(Val::Enum).boxed(),
        Ty::Option(inner) => option::of(val_of(inner).prop_map(Box::new)).prop_map(Val::Option).boxed(),
        Ty::Result(ok, err) => {
            let ok = payload_of(ok.as_deref()).prop_map(|val| Val::Result(Ok(val)));
            prop_oneof![ok, payload_of(err.as_deref()).prop_map(|val| Val::Result(Err(val)))].boxed()
        }
        Ty::Flags(names) => subsequence(names.clone(), 0..=names.len()).prop_map(Val::Flags).boxed(),
    }
}

/// Whether all floats in a value are finite. Only such a value lowers back from its JSON form.
pub(crate) fn finite(val: &Val) -> bool {
    match val {
        Val::Float32(n) => n.is_finite(),
        Val::Float64(n) => n.is_finite(),
        Val::List(vals) | Val::FixedLengthList(vals) | Val::Tuple(vals) => vals.iter().all(finite),
        Val::Map(entries) => entries.iter().all(|(key, value)| finite(key) && finite(value)),
        Val::Record(fields) => fields.iter().all(|(_, val)| finite(val)),
        Val::Variant(_, val) | Val::Option(val) | Val::Result(Ok(val) | Err(val)) => {
            val.as_deref().is_none_or(finite)
        }
        _ => true,
    }
}

fn scalar() -> impl Strategy<Value = Ty> {
    prop_oneof![key(), Just(Ty::F32), Just(Ty::F64)]
}

/// A type that can be a map key.
fn key() -> impl Strategy<Value = Ty> {
    let narrow = [Ty::Bool, Ty::S8, Ty::U8, Ty::S16, Ty::U16, Ty::S32, Ty::U32];
    let all: Vec<_> = narrow.into_iter().chain([Ty::S64, Ty::U64, Ty::Char, Ty::String]).collect();
    select(all)
}

fn names() -> impl Strategy<Value = Vec<String>> {
    subsequence(NAMES.map(str::to_owned).to_vec(), 1..4)
}

fn fields(
    ty: impl Strategy<Value = Ty> + Clone,
    len: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Field>> {
    let named = subsequence(NAMES.map(str::to_owned).to_vec(), len).prop_shuffle();
    named.prop_flat_map(move |names| {
        let types = vec(ty.clone(), names.len());
        types.prop_map(move |types| {
            names.iter().cloned().zip(types).map(|(name, ty)| Field { name, ty }).collect()
        })
    })
}

fn cases(ty: impl Strategy<Value = Ty> + Clone) -> impl Strategy<Value = Vec<Case>> {
    (fields(ty, 1..4), any::<Index>()).prop_map(|(fields, bare)| {
        // One case of each variant has no payload.
        let bare = bare.index(fields.len());
        let payload = |i, ty| if i == bare { None } else { Some(ty) };
        let each = fields.into_iter().enumerate();
        each.map(|(i, field)| Case { name: field.name, ty: payload(i, field.ty) }).collect()
    })
}

/// A map without duplicate keys.
fn map_of(key: &Ty, value: &Ty) -> BoxedStrategy<Val> {
    let entries = vec((val_of(key), val_of(value)), 0..4);
    let unique = |entries: Vec<(Val, Val)>| {
        entries.into_iter().fold(vec![], |mut kept: Vec<(Val, Val)>, entry| {
            if kept.iter().all(|(key, _)| *key != entry.0) {
                kept.push(entry);
            }
            kept
        })
    };
    entries.prop_map(move |entries| Val::Map(unique(entries))).boxed()
}

fn record_of(fields: &[Field]) -> BoxedStrategy<Val> {
    let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
    let vals: Vec<_> = fields.iter().map(|field| val_of(&field.ty)).collect();
    vals.prop_map(move |vals| Val::Record(names.iter().cloned().zip(vals).collect())).boxed()
}

fn variant_of(cases: &[Case]) -> BoxedStrategy<Val> {
    let each = cases.iter().map(|case| {
        let name = case.name.clone();
        payload_of(case.ty.as_ref()).prop_map(move |val| Val::Variant(name.clone(), val)).boxed()
    });
    proptest::strategy::Union::new(each.collect::<Vec<_>>()).boxed()
}

fn payload_of(ty: Option<&Ty>) -> BoxedStrategy<Option<Box<Val>>> {
    match ty {
        Some(ty) => val_of(ty).prop_map(|val| Some(Box::new(val))).boxed(),
        None => Just(None).boxed(),
    }
}
