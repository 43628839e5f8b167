use serde_json::json;

use super::*;
use crate::effect::Effect;

fn files(guest: &str) -> Grants {
    let grant = folder(json!({"host": "data", "guest": guest}));
    Grants { files: vec![grant], clock: ModeGrant::Whole(true), ..Grants::default() }
}

fn folder(grant: serde_json::Value) -> FilesGrant {
    serde_json::from_value(grant).unwrap()
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
    let grants =
        Grants { random: ModeGrant::Whole(true), custom: grants_mail(true).custom, ..files("/data") };
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

#[test]
fn a_folder_is_written_to_only_where_that_is_asked_for_and_granted() {
    let grant = |access: &str| folder(json!({"host": "d", "guest": "/data/out", "access": access}));
    let ask = |access: &str| requests(json!({"files": [{"path": "/data", "access": access, "reason": "r"}]}));
    let bounded =
        json!({"host": "d", "guest": "/data", "access": "read-write", "bytes_max": 5, "files_max": 0});
    for (asked, granted, expect, lacks) in [
        ("read", grant("read"), Access::Read, false),
        ("read", grant("read-write"), Access::Read, false),
        ("read-write", grant("read"), Access::Read, true),
        ("read-write", grant("read-write"), Access::ReadWrite, false),
        ("read-write", folder(bounded.clone()), Access::ReadWrite, false),
        ("read", folder(bounded), Access::Read, false),
    ] {
        let grants = Grants { files: vec![granted], ..Grants::default() };
        let (effective, missing) = Effective::of(&ask(asked), &grants);
        assert_eq!(effective.files[0].access, expect, "{asked}");
        // What may only be read has no bounds on writing, and is a grant that a registry could hold.
        assert_eq!(effective.files[0].bounds().is_some(), expect == Access::ReadWrite);
        assert_eq!(effective.files[0].problem(), None);
        assert_eq!(missing.len(), usize::from(lacks), "{asked}");
        let writes = if expect == Access::ReadWrite { Effect::Write } else { Effect::Read };
        assert_eq!(files::effect(&effective.files), writes);
        let narrowed: Vec<&str> = files::narrowed(&grants.files, &effective.files).collect();
        assert_eq!(narrowed.is_empty(), grants.files[0].access == expect);
    }
    let (_, missing) = Effective::of(&ask("read-write"), &Grants::default());
    assert_eq!(missing[0].asked, "/data (read-write)");
    assert_eq!(
        missing[0].grant,
        "grants.files = [{ host = \"…\", guest = \"/data\", access = \"read-write\" }]"
    );
    assert_eq!(files::effect(&[]), Effect::Pure);
}

#[test]
fn of_several_requests_for_a_folder_the_one_that_asks_for_more_counts() {
    let asked = requests(json!({"files": [
        {"path": "/data", "reason": "tables"},
        {"path": "/data/out", "access": "read-write", "reason": "reports"},
    ]}));
    let writable = |guest: &str| folder(json!({"host": "d", "guest": guest, "access": "read-write"}));
    let grants = Grants { files: vec![writable("/data"), writable("/data/out/a")], ..Grants::default() };
    let (effective, _) = Effective::of(&asked, &grants);
    let access: Vec<Access> = effective.files.iter().map(|grant| grant.access).collect();
    assert_eq!(access, [Access::Read, Access::ReadWrite]);
}

#[test]
fn a_bound_that_would_bound_nothing_is_refused() {
    let problem = |more: serde_json::Value| {
        let mut grant = json!({"host": "d", "guest": "/data"});
        grant.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        folder(grant).problem().map(|problem| problem.message).unwrap_or_default()
    };
    for bound in ["bytes_max", "files_max", "file_bytes_max"] {
        let said = problem(json!({bound: 1}));
        assert!(said.contains(bound) && said.contains("reading only"), "{said}");
        assert_eq!(problem(json!({"access": "read-write", bound: 1})), "");
    }
    assert!(problem(json!({"access": "read-write", "bytes_max": 0})).contains("no byte"));
    assert!(problem(json!({"access": "read-write", "file_bytes_max": 0})).contains("no byte"));
    // Only what is there may be changed.
    assert_eq!(problem(json!({"access": "read-write", "files_max": 0})), "");
    let defaults = folder(json!({"host": "d", "guest": "/data", "access": "read-write"})).bounds().unwrap();
    assert_eq!((defaults.bytes_max, defaults.files_max, defaults.file_bytes_max), (8 << 20, 32, 8 << 20));
}

#[test]
fn a_request_to_write_is_wider_and_one_to_read_again_is_not() {
    let asks = |access: &str| json!({"files": [{"path": "/data", "access": access, "reason": "r"}]});
    check(asks("read"), asks("read-write"), &[("files./data.access", true)]);
    check(asks("read-write"), asks("read"), &[("files./data.access", false)]);
}

#[test]
fn what_a_tool_keeps_is_granted_by_bucket() {
    let asks = |buckets: &[&str]| requests(json!({"keyvalue": {"buckets": buckets, "reason": "notes"}}));
    let grants =
        |value: serde_json::Value| -> Grants { serde_json::from_value(json!({"keyvalue": value})).unwrap() };
    let both = grants(json!({"buckets": ["a", "b"], "keys_max": 7}));
    let (effective, missing) = Effective::of(&asks(&["a"]), &both);
    let granted = effective.keyvalue.unwrap();
    assert_eq!((granted.buckets.len(), granted.keys_max, missing.len()), (1, 7, 0));
    let (effective, missing) = Effective::of(&asks(&["a", "c"]), &both);
    assert!(effective.has("keyvalue"));
    assert_eq!(missing[0].asked, "keyvalue (\"c\")");
    assert_eq!(missing[0].grant, "grants.keyvalue = { buckets = [\"a\", \"c\"] }");
    let (effective, missing) = Effective::of(&requests(json!({"keyvalue": {"reason": "x"}})), &both);
    assert!(!effective.has("keyvalue"));
    assert_eq!(missing[0].grant, "grants.keyvalue = {}");
    let (effective, _) = Effective::of(&Requests::default(), &both);
    assert!(!effective.has("keyvalue"), "granted, and not asked for");
}

#[test]
fn only_values_that_are_asked_for_are_given() {
    let asks = requests(json!({
        "config": [{"key": "region", "reason": "x"}, {"key": "page size", "reason": "y", "optional": true}],
        "env": [{"key": "TZ", "reason": "z"}],
    }));
    let grants: Grants =
        serde_json::from_value(json!({"config": {"region": "eu", "other": "1"}, "env": {"LANG": "C"}}))
            .unwrap();
    let (effective, missing) = Effective::of(&asks, &grants);
    assert_eq!(*effective.config, [("region".to_owned(), "eu".to_owned())].into());
    assert!(effective.has("config") && !effective.has("env"));
    let lines: Vec<&str> = missing.iter().map(|missing| missing.grant.as_str()).collect();
    assert_eq!(lines, ["grants.config = { \"page size\" = \"…\" }", "grants.env = { TZ = \"…\" }"]);
}

#[test]
fn a_request_for_more_of_a_capability_is_wider() {
    let one = json!({
        "keyvalue": {"buckets": ["a"], "reason": "x"},
        "config": [{"key": "region", "reason": "x"}],
        "clock": {"mode": {"coarse": "1s"}, "reason": "x"},
        "random": {"mode": "seeded", "reason": "x"},
    });
    let more = json!({
        "keyvalue": {"buckets": ["a", "b"], "reason": "x"},
        "config": [{"key": "region", "reason": "x", "optional": true}],
        "env": [{"key": "TZ", "reason": "x"}],
        "clock": {"reason": "x"},
        "random": {"reason": "x"},
    });
    let changes = |wider| {
        ["clock.mode", "config.region.optional", "env.TZ", "keyvalue.buckets", "random.mode"]
            .map(|path| (path, wider))
    };
    check(one.clone(), more.clone(), &changes(true));
    check(more, one, &changes(false));
    let frozen = json!({"clock": {"mode": "frozen", "reason": "x"}});
    let coarse = json!({"clock": {"mode": {"coarse": "1s"}, "reason": "x"}});
    // Each shows what the other does not.
    check(frozen.clone(), coarse.clone(), &[("clock.mode", true)]);
    check(coarse, frozen, &[("clock.mode", true)]);
}

#[test]
fn requests_read_back_as_they_were_written() {
    let text = json!({
        "keyvalue": {"buckets": ["a"], "reason": "x", "optional": false},
        "env": [{"key": "TZ", "reason": "x", "optional": true}],
        "clock": {"mode": {"coarse": "1s"}, "reason": "x", "optional": false},
        "random": {"reason": "x", "optional": false},
    });
    assert_eq!(serde_json::to_value(requests(text.clone())).unwrap(), text);
}
