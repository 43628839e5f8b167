use serde_json::json;

use super::*;

fn files(guest: &str) -> Grants {
    let grant = FilesGrant { host: "data".into(), guest: guest.into(), access: Access::Read };
    Grants { files: vec![grant], clock: true, ..Grants::default() }
}

fn requests(value: serde_json::Value) -> Requests {
    serde_json::from_value(value).unwrap()
}

fn asks_for_data() -> Requests {
    requests(json!({"files": [{"path": "/data", "reason": "figures"}]}))
}

fn asks_for_mail() -> Requests {
    requests(json!({"custom": {"outbox": {"reason": "invitations"}}}))
}

fn grants_mail(granted: bool) -> Grants {
    Grants { custom: [("outbox".to_owned(), granted)].into(), ..Grants::default() }
}

#[test]
fn grants_only_what_was_asked_for() {
    let (effective, missing) = Effective::of(&asks_for_data(), &files("/data"));
    assert_eq!(
        effective.names().collect::<Vec<_>>(),
        ["files"],
        "the clock is granted, and was not asked for"
    );
    assert!(missing.is_empty());
}

#[test]
fn says_what_is_missing_and_how_to_grant_it() {
    let (effective, missing) = Effective::of(&asks_for_data(), &files("/database"));
    assert!(effective.files.is_empty());
    assert_eq!(missing[0].grant, "grants.files = [{ host = \"…\", guest = \"/data\" }]");
}

#[test]
fn a_custom_capability_needs_the_request_and_the_grant() {
    let (effective, missing) = Effective::of(&asks_for_mail(), &grants_mail(true));
    assert!(effective.has("outbox") && missing.is_empty());
    let (effective, missing) = Effective::of(&asks_for_mail(), &grants_mail(false));
    assert!(!effective.has("outbox"));
    assert_eq!((&*missing[0].capability, &*missing[0].grant), ("outbox", "grants.custom.outbox = true"));
    let (effective, missing) = Effective::of(&Requests::default(), &grants_mail(true));
    assert!(!effective.has("outbox") && missing.is_empty());
}

#[test]
fn imports_without_a_contract_request_what_is_granted_and_used() {
    let grants = Grants { random: true, custom: grants_mail(true).custom, ..files("/data") };
    let all = Requests::implied(|_| true, &grants);
    let (effective, missing) = Effective::of(&all, &grants);
    assert_eq!(effective.names().collect::<Vec<_>>(), ["files", "clock", "random", "outbox"]);
    assert!(missing.is_empty());
    assert_eq!(Requests::implied(|_| false, &grants), Requests::default());
    assert_eq!(Requests::implied(|_| true, &Grants::default()), Requests::default());
}

fn check(old: serde_json::Value, new: serde_json::Value, expect: &[(&str, bool)]) {
    let found = requests(old).differences(&requests(new));
    let found: Vec<(String, bool)> = found.iter().map(|one| (one.path.join("."), one.wider)).collect();
    let expect: Vec<(String, bool)> =
        expect.iter().map(|(path, wider)| ((*path).to_owned(), *wider)).collect();
    assert_eq!(found, expect);
}

#[test]
fn another_request_is_wider_and_one_less_is_not() {
    let one = json!({"clock": {"reason": "ages"}});
    let two = json!({"clock": {"reason": "ages"}, "custom": {"outbox": {"reason": "mail"}}});
    check(one.clone(), two.clone(), &[("custom.outbox", true)]);
    check(two, one, &[("custom.outbox", false)]);
}

#[test]
fn a_request_that_becomes_optional_is_wider_and_another_reason_is_not() {
    let old = json!({"random": {"reason": "ids"}, "files": [{"path": "/data", "reason": "figures"}]});
    let new = json!({
        "random": {"reason": "tokens", "optional": true},
        "files": [{"path": "/data", "reason": "tables", "optional": true}],
    });
    let expect = [
        ("files./data.optional", true),
        ("files./data.reason", false),
        ("random.optional", true),
        ("random.reason", false),
    ];
    check(old, new, &expect);
}

#[test]
fn the_same_folder_twice_is_wider() {
    let once = json!({"files": [{"path": "/data", "reason": "figures"}]});
    let twice =
        json!({"files": [{"path": "/data", "reason": "figures"}, {"path": "/data", "reason": "all"}]});
    check(once, twice, &[("files", true)]);
}
