use crate::ty::Field;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn field(name: &str, ty: Ty) -> Field {
    Field { name: name.into(), ty }
}

/// `result<record { rows: list<record { name: string, share: f64 }>, tags: flags, at: option<string>, n: u64 }, string>`
fn report() -> Ty {
    let row = Ty::Record(vec![field("name", Ty::String), field("share", Ty::F64)]);
    let report = Ty::Record(vec![
        field("rows", Ty::List(Box::new(row))),
        field("tags", Ty::Flags(vec!["a".into(), "b".into()])),
        field("as-of", Ty::Option(Box::new(Ty::String))),
        field("n", Ty::U64),
    ]);
    Ty::Result(Some(Box::new(report)), Some(Box::new(Ty::String)))
}

fn rule(at: &str, with: Comparator) -> Rule {
    Rule { tool: "t".into(), at: Some(at.into()), ty: None, with }
}

fn ok(rows: Value) -> Value {
    json!({"tag": "ok", "val": {"rows": rows, "tags": ["a", "b"], "as_of": "2026-01-01", "n": 7}})
}

/// The places that differ.
fn places(rules: &[Rule], was: &Value, is: &Value) -> Vec<String> {
    let comparators = Comparators::of(Some(&report()), rules).unwrap();
    let compared = comparators.compare_values(was, is);
    compared.differences.into_iter().map(|difference| difference.at).collect()
}

#[test]
fn every_comparator_decides_as_it_says() {
    let was = ok(json!([{"name": "x", "share": 100.0}, {"name": "y", "share": 2.0}]));
    let near = ok(json!([{"name": "x", "share": 100.5}, {"name": "y", "share": 2.0}]));
    let turned = ok(json!([{"name": "y", "share": 2.0}, {"name": "x", "share": 100.5}]));
    assert_eq!(places(&[], &was, &near), ["rows[0].share"]);
    let absolute = |within| rule("rows[].share", Comparator::Absolute { within });
    let relative = |within| rule("rows[].share", Comparator::Relative { within });
    let keyed = || rule("rows", Comparator::Keyed { key: "name".into() });
    assert!(places(&[absolute(0.5)], &was, &near).is_empty());
    assert_eq!(places(&[absolute(0.4)], &was, &near), ["rows[0].share"]);
    assert!(places(&[relative(0.005)], &was, &near).is_empty());
    assert_eq!(places(&[relative(0.004)], &was, &near), ["rows[0].share"]);
    assert_eq!(places(&[keyed()], &was, &turned), ["rows[x].share"]);
    assert!(places(&[keyed(), absolute(1.0)], &was, &turned).is_empty());
    assert_eq!(places(&[rule("rows", Comparator::Set)], &was, &turned).len(), 2);
    assert!(places(&[rule("rows[].share", Comparator::Ignore)], &was, &near).is_empty());
    let by_type = Rule {
        tool: "t".into(),
        at: None,
        ty: Some("f64".into()),
        with: Comparator::Absolute { within: 1.0 },
    };
    assert!(places(&[by_type], &was, &near).is_empty());
}

#[test]
fn flags_are_a_set_and_what_is_missing_is_told() {
    let mut is = ok(json!([]));
    is["val"]["tags"] = json!(["b", "a"]);
    assert!(places(&[], &ok(json!([])), &is).is_empty());
    is["val"]["as_of"] = Value::Null;
    assert_eq!(places(&[], &ok(json!([])), &is), ["as_of"]);
    assert_eq!(places(&[], &ok(json!([])), &ok(json!([{"name": "x", "share": 1}]))), ["rows"]);
    let error = |text: &str| json!({"tag": "err", "val": text});
    assert_eq!(places(&[], &error("a"), &error("b")), ["err"]);
    assert_eq!(places(&[], &ok(json!([])), &error("b")), ["tag", "val"]);
}

#[test]
fn a_comparator_that_cannot_be_used_says_why() {
    let refused = |rules: &[Rule]| Comparators::of(Some(&report()), rules).unwrap_err().to_string();
    let absolute = |within| Comparator::Absolute { within };
    for (rules, said) in [
        (vec![rule("rows[].price", Comparator::Set)], "no field `price` among `name`, `share`"),
        (vec![rule("rows[].name", absolute(1.0))], "`absolute` is for numbers"),
        (vec![rule("n", Comparator::Set)], "`set` is for lists and flags"),
        (vec![rule("rows", Comparator::Keyed { key: "id".into() })], "records that have the field `key`"),
        (vec![rule("n", absolute(-1.0))], "at least 0"),
        (vec![rule("n", absolute(f64::NAN))], "at least 0"),
        (vec![rule("", Comparator::Ignore)], "the whole answer cannot be ignored"),
        (vec![rule("n", Comparator::Ignore), rule("n", Comparator::Exact)], "two comparators"),
        (vec![Rule { tool: "t".into(), at: None, ty: None, with: Comparator::Set }], "either `at`"),
    ] {
        let text = refused(&rules);
        assert!(text.contains(said), "{text}");
    }
    let by_type = Rule { tool: "t".into(), at: None, ty: Some("string".into()), with: Comparator::Ignore };
    assert!(refused(&[by_type]).contains("goes by a place"));
}

#[test]
fn too_many_ignored_places_are_refused() {
    let names: Vec<String> = (0..=IGNORED_MAX).map(|n| format!("f{n}")).collect();
    let ty = Ty::Record(names.iter().map(|name| field(name, Ty::Bool)).collect());
    let rules: Vec<Rule> = names.iter().map(|name| rule(name, Comparator::Ignore)).collect();
    assert_eq!(Comparators::of(Some(&ty), &rules[1..]).unwrap().ignored(), IGNORED_MAX);
    let said = Comparators::of(Some(&ty), &rules).unwrap_err().to_string();
    assert!(said.contains("9 places are ignored, and at most 8"), "{said}");
}

#[test]
fn differences_are_counted_beyond_the_bound() {
    let rows = |share: f64| ok((0..1_000).map(|n| json!({"name": n.to_string(), "share": share})).collect());
    let compared = Comparators::of(Some(&report()), []).unwrap().compare_values(&rows(1.0), &rows(2.0));
    assert_eq!((compared.differences.len(), compared.more), (DIFFERENCES_MAX, 1_000 - DIFFERENCES_MAX));
}

#[test]
fn what_differs_by_itself_is_no_difference() {
    let rows = |share: f64, name: &str| ok(json!([{"name": name, "share": share}]));
    let comparators = Comparators::of(Some(&report()), []).unwrap();
    let noise = comparators.compare_values(&rows(1.0, "x"), &rows(2.0, "x"));
    let only_noise = comparators.compare_values(&rows(3.0, "x"), &rows(2.0, "x"));
    assert!(only_noise.beyond(&noise).is_same());
    let more = comparators.compare_values(&rows(3.0, "x"), &rows(2.0, "y"));
    assert_eq!(more.beyond(&noise).differences[0].at, "rows[0].name");
}

fn rows() -> impl Strategy<Value = Vec<(String, i32)>> {
    prop::collection::btree_map("[a-z]{1,4}", any::<i32>(), 0..8).prop_map(|rows| rows.into_iter().collect())
}

fn answer(rows: &[(String, i32)]) -> Value {
    ok(rows.iter().map(|(name, share)| json!({"name": name, "share": share})).collect())
}

proptest! {
    #[test]
    fn an_answer_is_itself_in_any_order(rows in rows(), turn in 0usize..8) {
        let mut turned = rows.clone();
        turned.rotate_left(turn.checked_rem(rows.len()).unwrap_or(0));
        prop_assert!(places(&[], &answer(&rows), &answer(&rows)).is_empty());
        for with in [Comparator::Set, Comparator::Keyed { key: "name".into() }] {
            prop_assert!(places(&[rule("rows", with)], &answer(&rows), &answer(&turned)).is_empty());
        }
    }

    #[test]
    fn a_changed_share_is_found_under_every_comparator_of_lists(rows in rows(), at in any::<prop::sample::Index>()) {
        prop_assume!(!rows.is_empty());
        let mut other = rows.clone();
        let at = at.index(rows.len());
        other[at].1 = other[at].1.wrapping_add(1);
        for rules in [vec![], vec![rule("rows", Comparator::Set)], vec![rule("rows", Comparator::Keyed { key: "name".into() })]] {
            prop_assert!(!places(&rules, &answer(&rows), &answer(&other)).is_empty());
        }
    }

    #[test]
    fn wide_integers_are_near_without_rounding(n in (1_u64 << 53)..u64::MAX, is_text in any::<bool>()) {
        let share = |n: u64| ok(json!([{"name": "x", "share": if is_text { json!(n.to_string()) } else { json!(n) }}]));
        let found = |within| places(&[rule("rows[].share", Comparator::Absolute { within })], &share(n), &share(n + 1));
        prop_assert!(!found(0.5).is_empty());
        prop_assert!(found(1.0).is_empty());
    }

    #[test]
    fn numbers_are_near_exactly_within_their_distance(a in -1e6f64..1e6, b in -1e6f64..1e6, within in 0.0f64..1e6) {
        let (was, is) = (ok(json!([{"name": "x", "share": a}])), ok(json!([{"name": "x", "share": b}])));
        let found = places(&[rule("rows[].share", Comparator::Absolute { within })], &was, &is);
        prop_assert_eq!(found.is_empty(), (a - b).abs() <= within);
        let back = places(&[rule("rows[].share", Comparator::Relative { within: within / 1e6 })], &is, &was);
        let there = places(&[rule("rows[].share", Comparator::Relative { within: within / 1e6 })], &was, &is);
        prop_assert_eq!(back.len(), there.len());
    }
}
