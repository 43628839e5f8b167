//! The laws that hold between types, schemas and both directions of the codec, for random types and values.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::Val;
use super::arbitrary::{finite, params, ty, val_of};
use super::lift::lift;
use super::lower::{lower, lower_value};
use super::schema::{Direction, input, of, output};
use super::ty::{Field, Ty};

/// The keywords of the closed list in `lower`: where the codec is stricter than the schema.
const STRICTER: [&str; 4] = ["precision", "range", "contentEncoding", "uniqueKeys"];

fn valid(schema: &Value, value: &Value) -> bool {
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).offline();
    options.with_pattern_options(jsonschema::PatternOptions::regex()).build(schema).unwrap().is_valid(value)
}

fn typed() -> impl Strategy<Value = (Ty, Val)> {
    ty().prop_flat_map(|ty| val_of(&ty).prop_map(move |val| (ty.clone(), val)))
}

/// Parameters with arguments of their types.
fn call() -> impl Strategy<Value = (Vec<Field>, Vec<Val>)> {
    params().prop_flat_map(|params| {
        let vals: Vec<_> = params.iter().map(|field| val_of(&field.ty)).collect();
        vals.prop_map(move |vals| (params.clone(), vals))
    })
}

fn args(params: &[Field], vals: &[Val]) -> Map<String, Value> {
    let each = params.iter().zip(vals);
    each.map(|(field, val)| (super::path::snake(&field.name).into_owned(), lift(&field.ty, val).unwrap()))
        .collect()
}

/// What is put in the place of another value.
fn intruder() -> impl Strategy<Value = Value> {
    // Values near the edges of the codec: integral floats, overflow of `f32` and of 64 bits, other spellings of
    // zero, base64 with wrong padding bits, and objects that look like tags.
    let numbers = [json!(0), json!(-1), json!(3.0), json!(2.5), json!(256), json!(1e39), json!(-1e18)];
    let wide =
        [json!(u64::MAX), json!(i64::MIN), json!(9_007_199_254_740_992.0), json!(1.8446744073709552e19)];
    let texts = ["", "x", "12", "-5", "-0", "007", "aGk=", "aGl=", "NaN", "18446744073709551616", "id"];
    let others =
        [json!(null), json!(true), json!([]), json!({}), json!({"some": null}), json!({"utf8": "é"})];
    let tags = [json!({"tag": "id"}), json!({"tag": "ok", "val": null}), json!([{"key": 1, "value": 1}])];
    let all = numbers.into_iter().chain(wide).chain(texts.map(Value::from)).chain(others).chain(tags);
    select(all.collect::<Vec<_>>())
}

/// Every value inside a value.
fn places<'v>(value: &'v mut Value, at: &mut usize, wanted: usize) -> Option<&'v mut Value> {
    if *at == wanted {
        return Some(value);
    }
    *at += 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| places(value, at, wanted)),
        Value::Object(map) => map.values_mut().find_map(|value| places(value, at, wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Replaces one value inside; or repeats, drops or adds a member or an item of it.
fn mutate(value: &mut Value, place: &Index, how: u8, with: Value) {
    let wanted = place.index(count(value));
    let Some(there) = places(value, &mut 0, wanted) else { return };
    match (how, there) {
        (0, Value::Array(values)) => values.extend(values.first().cloned()),
        (0, Value::Object(map)) => {
            let first = map.keys().next().cloned();
            first.and_then(|key| map.remove(&key));
        }
        (1, Value::Array(values)) => values.push(with),
        (1, Value::Object(map)) => {
            map.insert("stranger".into(), with);
        }
        (_, there) => *there = with,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_lifted_lowers_to_the_same((ty, val) in typed()) {
        let text = lift(&ty, &val).unwrap().to_string();
        let json = serde_json::from_str(&text).unwrap();
        if finite(&val) {
            prop_assert_eq!(lower_value(&ty, json), Ok(val));
        } else {
            prop_assert!(lower_value(&ty, json).is_err());
        }
    }

    #[test]
    fn what_is_lifted_fits_the_output_schema((ty, val) in typed()) {
        prop_assert!(valid(&output(&ty), &lift(&ty, &val).unwrap()));
    }

    #[test]
    fn what_is_lifted_is_written_as_any_canonical_json((ty, val) in typed()) {
        let lifted = lift(&ty, &val).unwrap();
        let canonical = serde_json_canonicalizer::to_string(&lifted).unwrap();
        prop_assert_eq!(airlock_types::canonical::text(&lifted), Some(canonical));
    }

    #[test]
    fn arguments_fit_the_input_schema_and_lower((params, vals) in call()) {
        prop_assume!(vals.iter().all(finite));
        let args = args(&params, &vals);
        prop_assert!(valid(&input(&params), &Value::Object(args.clone())));
        prop_assert_eq!(lower(&params, args), Ok(vals));
    }

    #[test]
    fn schema_and_codec_agree_but_for_the_closed_list(
        (ty, val) in typed(),
        changes in proptest::collection::vec((any::<Index>(), 0_u8..4, intruder()), 1..3),
    ) {
        let mut json = lift(&ty, &val).unwrap();
        changes.into_iter().for_each(|(place, how, with)| mutate(&mut json, &place, how, with));
        let accepted = valid(&of(&ty, Direction::Input), &json);
        match lower_value(&ty, json.clone()) {
            Ok(val) => {
                // The codec may be stricter than the schema, and never more permissive.
                prop_assert!(accepted, "lowered although the schema refuses {json}");
                let canonical = lift(&ty, &val).unwrap();
                prop_assert_eq!(lower_value(&ty, canonical), Ok(val));
            }
            Err(found) if accepted => {
                let listed = found.iter().all(|violation| STRICTER.contains(&violation.keyword.as_str()));
                prop_assert!(listed, "{json}: {found:?}");
            }
            Err(found) => prop_assert!(!found.is_empty() && found.len() <= 20),
        }
    }
}
