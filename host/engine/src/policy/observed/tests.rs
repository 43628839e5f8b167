use serde_json::{Value, json};

use super::*;

fn source(grants: Value, tried: Option<Value>) -> PolicySource {
    let read = |grants: Value| serde_json::from_value::<Grants>(grants).unwrap();
    let tried = tried.map(|grants| (read(grants), "2999-01-01".to_owned().try_into().unwrap()));
    PolicySource {
        file: "airlock.toml".into(),
        lines: Default::default(),
        texts: Default::default(),
        forms: Default::default(),
        key: "web".into(),
        grants: read(grants),
        asks: None,
        tried,
        callers: BTreeMap::new(),
    }
}

fn observed(uses: &[(&str, &str)]) -> Observed {
    let uses = uses.iter().map(|(capability, what)| (Asked::read(capability, what).unwrap(), 1));
    Observed { attempts: 1, uses: uses.collect(), tried: BTreeSet::new() }
}

/// What is suggested for requests lies within what is granted, and covers them.
#[track_caller]
fn check(grants: Value, requests: &[&str], expect: Value) {
    let source = source(json!({"http": grants}), None);
    let uses: Vec<(&str, &str)> = requests.iter().map(|what| ("http", *what)).collect();
    let observed = observed(&uses);
    let found = suggest(&source, &observed, WILDCARD_FROM).grants;
    let expect: Grants = serde_json::from_value(json!({"http": expect})).unwrap();
    assert_eq!(found, expect, "{found}");
    assert!(found.is_within(&source.grants), "{found} and {}", source.grants);
    assert!(observed.uses.keys().all(|asked| found.admits(asked)), "{found}");
}

#[test]
fn what_is_left_of_a_grant_lies_within_it_and_keeps_its_secret() {
    let of = |path: &str, secret: &str| json!({"host": "a.example", "path": path, "secret": {"name": secret, "header": "x-key"}, "requests_max": 3});
    let read = |mut grant: Value| {
        grant["methods"] = json!(["GET"]);
        grant
    };
    check(
        json!([of("/v1", "ONE"), of("/v2", "TWO")]),
        &["GET https://a.example/v1/x", "GET https://a.example/v2/y"],
        json!([read(of("/v1/x", "ONE")), read(of("/v2/y", "TWO"))]),
    );
    check(
        json!([of("/v1", "ONE")]),
        &["GET https://a.example/v1/x/1", "GET https://a.example/v1/x/2"],
        json!([read(of("/v1/x", "ONE"))]),
    );
    check(
        json!([{"host": "db", "scheme": "http", "addresses": ["10.0.0.0/8"]}]),
        &["GET http://db/a", "GET http://db/b"],
        json!([{"host": "db", "scheme": "http", "addresses": ["10.0.0.0/8"], "methods": ["GET"]}]),
    );
}

#[test]
fn a_wildcard_stays_one_where_many_of_its_hosts_were_used() {
    let requests: Vec<String> = (0..WILDCARD_FROM).map(|n| format!("GET https://h{n}.x.example/")).collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    let wild = json!([{"host": "*.x.example"}]);
    let kept = json!([{"host": "*.x.example", "methods": ["GET"], "reason": "5 hosts of it were used"}]);
    check(wild.clone(), &requests, kept);
    let few =
        json!([{"host": "h0.x.example", "methods": ["GET"]}, {"host": "h1.x.example", "methods": ["GET"]}]);
    check(wild, &requests[..2], few);
}

#[test]
fn what_was_tried_is_suggested_as_it_was_tried() {
    let source = source(json!({}), Some(json!({"http": [{"host": "b.example", "requests_max": 3}]})));
    let found = suggest(&source, &observed(&[("http", "GET https://b.example/x")]), WILDCARD_FROM).grants;
    let expect =
        json!({"http": [{"host": "b.example", "requests_max": 3, "path": "/x", "methods": ["GET"]}]});
    assert_eq!(found, serde_json::from_value(expect).unwrap(), "{found}");
}

#[test]
fn what_was_tried_and_is_not_granted_is_suggested_and_other_uses_are_only_named() {
    let uses = [
        ("clock", "clock"),
        ("random", "random"),
        ("config", "k"),
        ("http", "GET https://b.example/x"),
        ("http", "GET https://c.example/x"),
    ];
    let mut observed = observed(&uses);
    let tried = Some(json!({"clock": "frozen"}));
    // `report` may have gone from the registry meanwhile.
    observed.tried =
        uses[1..4].iter().map(|(capability, what)| Asked::read(capability, what).unwrap()).collect();
    let found = suggest(&source(json!({}), tried), &observed, WILDCARD_FROM);
    let expect = json!({"clock": "frozen", "random": true, "config": {"k": "VALUE"},
        "http": [{"host": "b.example", "path": "/x", "methods": ["GET"]}]});
    assert_eq!(found.grants, serde_json::from_value(expect).unwrap(), "{}", found.grants);
    let of = |standing| found.parts.iter().filter(|part| part.standing == standing).count();
    assert_eq!((of(Standing::Tried), of(Standing::NotGranted)), (4, 1), "{:?}", found.parts);
}

#[test]
fn a_folder_has_one_path_however_it_is_written() {
    let source = source(json!({"files": [{"host": "d", "guest": "/data/"}]}), None);
    let observed = observed(&[("files", "read /data")]);
    assert_eq!(suggest(&source, &observed, WILDCARD_FROM).grants, source.grants);
    assert_eq!(unused(&source, &observed), []);
}

#[test]
fn a_folder_whose_name_begins_like_another_one_is_another_one() {
    let folder = |guest: &str| json!({"host": "d", "guest": guest});
    let source = source(json!({"files": [folder("/data"), folder("/database")]}), None);
    let found = unused(&source, &observed(&[("files", "read /database")]));
    let rules: Vec<&str> = found.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(rules, ["tools.web.grants.files[0]"]);
}
