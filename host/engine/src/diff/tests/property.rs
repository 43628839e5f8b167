use proptest::prelude::*;

use super::*;

/// Schemas with every keyword that has a rule, over few names and small numbers, so that two of them often overlap.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => plain(),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(json!({})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let two = prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from);
        let keyword = prop_oneof![
            4 => plain().boxed(),
            2 => named("properties", inner.clone()),
            1 => named("patternProperties", inner.clone()),
            1 => named("dependentSchemas", inner.clone()),
            2 => under("additionalProperties", inner.clone()),
            1 => under("propertyNames", inner.clone()),
            1 => under("items", inner.clone()),
            1 => under("contains", inner.clone()),
            2 => under("not", inner.clone()),
            1 => under("prefixItems", two.clone()),
            2 => under("anyOf", two.clone()),
            2 => under("allOf", two.clone()),
            1 => under("oneOf", two),
            3 => condition(inner.clone()),
        ];
        prop::collection::vec(keyword, 1..4).prop_map(merged)
    })
}

fn under(key: &'static str, schema: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    schema.prop_map(move |schema| json!({key: schema})).boxed()
}

fn named(key: &'static str, schema: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    let name = prop::sample::select(vec!["a", "b", "title"]);
    prop::collection::btree_map(name, schema, 1..3).prop_map(move |all| json!({key: all})).boxed()
}

fn condition(schema: impl Strategy<Value = Value> + Clone + 'static) -> BoxedStrategy<Value> {
    let branch = prop::option::of(schema.clone());
    (schema, branch.clone(), branch)
        .prop_map(|(condition, then, other)| {
            let parts = [("if", Some(condition)), ("then", then), ("else", other)];
            parts.into_iter().filter_map(|(key, schema)| Some((key.to_owned(), schema?))).collect()
        })
        .boxed()
}

fn plain() -> impl Strategy<Value = Value> {
    let types = prop::sample::select(vec!["integer", "number", "string", "object", "array", "null"]);
    let count = 0_u64..3;
    prop_oneof![
        types.clone().prop_map(|name| json!({"type": name})),
        prop::collection::vec(types, 1..3).prop_map(|names| {
            let names: std::collections::BTreeSet<_> = names.into_iter().collect();
            json!({"type": names})
        }),
        prop::collection::vec(values(), 1..3).prop_map(|all| json!({"enum": all})),
        values().prop_map(|only| json!({"const": only})),
        (prop::sample::select(BOUNDS.to_vec()), -2_i64..3).prop_map(|(key, n)| json!({key: n})),
        (prop::sample::select(COUNTS.to_vec()), count).prop_map(|(key, n)| json!({key: n})),
        (1_u64..4).prop_map(|n| json!({"multipleOf": n})),
        Just(json!({"uniqueItems": true})),
        prop::sample::select(vec!["^a", "b"]).prop_map(|pattern| json!({"pattern": pattern})),
        prop::sample::subsequence(vec!["a", "b", "title"], 1..3).prop_map(|names| json!({"required": names})),
        Just(json!({"dependentRequired": {"a": ["b"]}})),
    ]
}

const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
const COUNTS: [&str; 8] = [
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
];

fn merged(parts: Vec<Value>) -> Value {
    let mut all = serde_json::Map::new();
    parts.into_iter().for_each(|part| all.extend(part.as_object().cloned().unwrap_or_default()));
    Value::Object(all)
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..4).prop_map(Value::from),
        Just(json!(0.5)),
        prop::sample::select(vec!["", "a", "b", "ab"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let name = prop::sample::select(vec!["a", "b", "title", "c"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..3).prop_map(|all| json!(all)),
        ]
    })
}

/// A schema, and another one that differs from it in one or two places.
fn pairs() -> impl Strategy<Value = (Value, Value)> {
    let changed = (schemas(), schemas(), any::<prop::sample::Index>()).prop_map(|(old, part, at)| {
        let mut new = old.clone();
        let places = count(&new);
        if let Some(place) = nth(&mut new, &mut (at.index(places.max(1)))) {
            *place = part;
        }
        (old, new)
    });
    prop_oneof![1 => (schemas(), schemas()), 3 => changed]
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(all) => all.values().map(count).sum::<usize>(),
        Value::Array(all) => all.iter().map(count).sum(),
        _ => 0,
    }
}

fn nth<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Object(all) => all.values_mut().find_map(|value| nth(value, at)),
        Value::Array(all) => all.iter_mut().find_map(|value| nth(value, at)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_newly_valid_value_is_reported_as_wider(
        (old, new) in pairs(), values in prop::collection::vec(values(), 24),
    ) {
        let validators = (jsonschema::draft202012::new(&old), jsonschema::draft202012::new(&new));
        if let (Ok(before), Ok(after)) = validators
            && let Some(value) = values.iter().find(|value| after.is_valid(value) && !before.is_valid(value))
        {
            let found = schema::compare("", &old, &new);
            prop_assert!(found.iter().any(|found| found.wider), "{value} is new\nold {old}\nnew {new}\n{found:?}");
        }
    }

    #[test]
    fn equal_schemas_have_no_changes(schema in schemas()) {
        prop_assert_eq!(schema::compare("", &schema, &schema.clone()), vec![]);
    }

    #[test]
    fn an_added_conjunct_is_not_wider(schema in schemas(), more in schemas()) {
        let found = schema::compare("", &schema, &json!({"allOf": [schema, more]}));
        // Not every such addition can be shown to be narrower, but one beside an explicit conjunction can.
        let same = schema::compare("", &json!({"allOf": [schema]}), &json!({"allOf": [schema, more]}));
        prop_assert!(!same.iter().any(|found| found.wider), "{schema} {more} {same:?}");
        let _ = found;
    }
}
