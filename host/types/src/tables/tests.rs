use std::collections::BTreeMap;

use toml::Spanned;

use super::*;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Inner {
    number: u8,
    names: Vec<String>,
    pair: Option<(i64, bool)>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Plain,
    With { number: u8 },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Word(String),
    Inner(#[serde(deserialize_with = "table")] Inner),
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Whole {
    inner: Inner,
    one: Option<Spanned<Inner>>,
    many: Vec<Inner>,
    named: BTreeMap<String, Spanned<Inner>>,
    kind: Option<Kind>,
    either: Option<Either>,
    #[serde(deserialize_with = "table")]
    ahead: Inner,
}

#[test]
fn tables_and_lists_are_read_where_they_belong() {
    let whole: Whole = from_str(
        "inner = { number = 1, names = [\"a\", \"b\"], pair = [-2, true] }\none = { number = 3 }\n\
         many = [{ number = 4 }, {}]\nnamed.a = { number = 5 }\nkind.with = { number = 6 }\neither = { number = 7 }\n\
         ahead = { number = 8 }\n",
    )
    .unwrap();
    let inner = |number| Inner { number, ..Inner::default() };
    assert_eq!(whole.inner, Inner { number: 1, names: vec!["a".into(), "b".into()], pair: Some((-2, true)) });
    let one = whole.one.unwrap();
    assert_eq!((one.span().start, one.into_inner()), (68, inner(3)));
    assert_eq!(whole.many, [inner(4), inner(0)]);
    assert_eq!(*whole.named["a"].get_ref(), inner(5));
    assert_eq!((whole.kind, whole.either), (Some(Kind::With { number: 6 }), Some(Either::Inner(inner(7)))));
    assert_eq!(whole.ahead, inner(8));
    let words: Whole = from_str("kind = \"plain\"\neither = \"x\"").unwrap();
    assert_eq!((words.kind, words.either), (Some(Kind::Plain), Some(Either::Word("x".into()))));
}

#[test]
fn no_list_is_a_table_at_any_depth() {
    for list in ["[]", "[1]", "[1, [\"a\"]]"] {
        for place in
            ["inner = X", "one = X", "many = [X]", "named.a = X", "named = { a = X }", "kind.with = X"]
        {
            let text = place.replace('X', list);
            let error = from_str::<Whole>(&text).unwrap_err();
            assert!(error.message().contains("invalid type: sequence, expected struct"), "{text}: {error}");
            assert!(error.span().is_some(), "{text}");
        }
        for place in ["either = X", "ahead = X"] {
            assert!(from_str::<Whole>(&place.replace('X', list)).is_err(), "{place} {list}");
        }
    }
}

#[test]
fn no_date_is_a_table_at_any_depth() {
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    enum Word {
        One,
    }
    #[derive(Debug, Deserialize)]
    struct Open {
        #[expect(dead_code, reason = "read to be refused")]
        values: BTreeMap<String, String>,
    }
    for date in ["1979-05-27", "1979-05-27T07:32:00Z", "07:32:00"] {
        for place in
            ["inner = X", "one = X", "many = [X]", "named = X", "named.a = X", "kind.with = X", "ahead = X"]
        {
            let text = place.replace('X', date);
            let error = from_str::<Whole>(&text).unwrap_err();
            assert!(error.message().contains("invalid type: date, expected"), "{text}: {error}");
            assert!(error.span().is_some() && !error.message().contains("private"), "{text}: {error}");
        }
        assert!(from_str::<Whole>(&format!("either = {date}")).is_err(), "{date}");
        let error = from_str::<Open>(&format!("values = {date}")).unwrap_err();
        assert!(error.message().contains("invalid type: date, expected a map"), "{error}");
        let error = from_str::<BTreeMap<String, BTreeMap<Word, u8>>>(&format!("a = {date}")).unwrap_err();
        assert!(error.message().contains("invalid type: date, expected a map"), "{error}");
    }
}

#[test]
fn a_date_is_read_where_one_is_expected() {
    #[derive(Debug, Deserialize)]
    struct Until {
        until: Option<Spanned<toml::value::Datetime>>,
    }
    let read: Until = from_str("until = 1979-05-27").unwrap();
    assert_eq!(read.until.unwrap().into_inner().to_string(), "1979-05-27");
}

#[test]
fn what_is_no_variant_is_told_with_the_variants() {
    for value in ["1", "true", "[]", "1979-05-27"] {
        let error = from_str::<Whole>(&format!("kind = {value}")).unwrap_err();
        assert_eq!(error.message(), "one of `plain`, `with` is expected here", "{value}");
        assert_eq!(error.span().map(|span| span.start), Some(7), "{value}");
    }
}
