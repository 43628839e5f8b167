//! What tools keep: whose pairs they see, how many, and what holds between calls, hosts and restarts.

use airlock::host::{Host, OpenError};
use airlock_journal::Journal;
use airlock_journal::keyvalue::{Bucket, Change, FILE, KeyValue, Quota, Space};
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::effect::Effect;
use airlock_types::session::SessionKey;
use serde_json::{Value, json};

use crate::keep::{From, Place, answer, ask, call, call_from, example};
use crate::state_folder::airlock;

const GRANTED: &str = "grants.keyvalue = {}\n";
const CALLERS: &str =
    "[callers.anonymous]\ntools = [\"*\"]\n[callers.ann]\ntools = [\"*\"]\n[callers.ben]\ntools = [\"*\"]\n";

fn put(key: &str, value: &str) -> Value {
    json!({"bucket": "default", "key": key, "value": value})
}

fn fetch(key: &str) -> Value {
    json!({"bucket": "default", "key": key})
}

#[tokio::test]
async fn what_was_put_is_there_for_the_next_call_and_after_a_restart() {
    let place = Place::new();
    let host = place.open_kept(GRANTED).await;
    let (_, record) = call(&host, "put", &put("a", "12345"), Code::Ok).await;
    let usage = &record.attempts[0].usage;
    assert_eq!((usage.keys_written, usage.value_bytes_written, usage.keys_read), (1, 5, 0));
    let (reply, record) = call(&host, "fetch", &fetch("a"), Code::Ok).await;
    let usage = &record.attempts[0].usage;
    assert_eq!((usage.keys_read, usage.value_bytes_read, usage.keys_written), (1, 5, 0));
    assert_eq!((reply.usage.keys_read, reply.result), (1, Some(json!("12345"))));
    drop(host);
    let host = place.open_kept(GRANTED).await;
    assert_eq!(ask(&host, "fetch", &fetch("a")).await.unwrap(), "12345");
    assert_eq!(ask(&host, "fetch", &fetch("b")).await.unwrap(), Value::Null);
    assert_eq!(ask(&host, "remove", &json!({"key": "a"})).await.unwrap(), true);
    assert_eq!(ask(&host, "remove", &json!({"key": "a"})).await.unwrap(), false);
    assert!(place.path(".airlock").join(FILE).is_file());
}

#[tokio::test]
async fn without_a_grant_a_component_loads_and_no_bucket_can_be_opened() {
    for settings in ["", "grants.clock = true\n"] {
        let place = Place::new();
        let host = place.open_kept(settings).await;
        for (function, args) in
            [("put", put("a", "1")), ("fetch", fetch("a")), ("first", json!({"key": "a", "value": "1"}))]
        {
            let (reply, record) = call(&host, function, &args, Code::ToolError).await;
            let error = reply.error.unwrap();
            assert!(
                error.message.to_lowercase().replace('-', "").contains("accessdenied"),
                "{}",
                error.message
            );
            assert_eq!(record.attempts[0].denials, ["keyvalue"]);
        }
        assert!(!place.path(".airlock").join(FILE).exists(), "nothing is made for a tool without the grant");
    }
}

#[tokio::test]
async fn only_the_buckets_of_the_grant_can_be_opened_and_they_are_apart() {
    let place = Place::new();
    let host = place.open("grants.keyvalue = { buckets = [\"default\", \"notes\"] }\n").await;
    let put_in = |bucket: &str, value: &str| json!({"bucket": bucket, "key": "a", "value": value});
    ask(&host, "put", &put_in("", "1")).await.unwrap();
    ask(&host, "put", &put_in("notes", "2")).await.unwrap();
    for (bucket, value) in [("default", "1"), ("", "1"), ("notes", "2")] {
        let args = json!({"bucket": bucket, "key": "a"});
        assert_eq!(ask(&host, "fetch", &args).await.unwrap(), value, "{bucket}");
    }
    for bucket in ["other", "Notes", "notes ", "../notes", "keep"] {
        assert_eq!(ask(&host, "put", &put_in(bucket, "3")).await.unwrap_err(), "no-such-store", "{bucket}");
        let (_, record) = call(&host, "put", &put_in(bucket, "3"), Code::ToolError).await;
        assert_eq!(record.attempts[0].denials, ["keyvalue"]);
    }
    let host = Place::new().open("grants.keyvalue = { buckets = [\"notes\"] }\n").await;
    assert_eq!(ask(&host, "put", &put("a", "1")).await.unwrap_err(), "no-such-store");
}

#[tokio::test]
async fn tools_have_pairs_of_their_own_and_callers_where_the_grant_says_so() {
    let place = Place::new();
    let entry = |name: &str, scope: &str| {
        format!("[tools.{name}]\ncomponent = \"keeper.wasm\"\ngrants.keyvalue = {{ {scope} }}\n")
    };
    let text = entry("keep", "") + &entry("other", "") + &entry("own", "scope = \"caller\"") + CALLERS;
    let builder = Host::builder().registry(place.registry(&text).unwrap()).journal(Journal::memory());
    let host = builder.open().await.unwrap();
    let at = async |caller: &str, tool: &str, args: Value| {
        let call = Call::new(tool, Arguments::Text(args.to_string().into()));
        let reply = host.call(Call { caller: Caller::named(caller), ..call }).await;
        match reply.code {
            Code::Ok => Ok(reply.result.unwrap_or_default()),
            _ => Err(reply.error.unwrap().message),
        }
    };
    at("ann", "keep_put", put("a", "of all")).await.unwrap();
    for caller in ["ann", "ben", "anonymous"] {
        assert_eq!(at(caller, "keep_fetch", fetch("a")).await.unwrap(), "of all");
        assert_eq!(at(caller, "other_fetch", fetch("a")).await.unwrap(), Value::Null);
    }
    at("ann", "own_put", put("a", "of ann")).await.unwrap();
    assert_eq!(at("ann", "own_fetch", fetch("a")).await.unwrap(), "of ann");
    assert_eq!(at("ben", "own_fetch", fetch("a")).await.unwrap(), Value::Null);
    // Strangers share nothing that one of them said.
    for (tool, args) in [("own_put", put("a", "x")), ("own_fetch", fetch("a"))] {
        let said = at("anonymous", tool, args).await.unwrap_err();
        assert!(said.contains("access-denied"), "{said}");
    }
}

#[tokio::test]
async fn a_session_keeps_pairs_for_itself_and_for_one_host() {
    let place = Place::new();
    let settings = format!("grants.keyvalue = {{ scope = \"session\" }}\n{CALLERS}");
    let (host, second) = (place.open_kept(&settings).await, place.open_kept(&settings).await);
    let from = |caller, session: &str| From { caller, session: SessionKey::Transport(session.to_owned()) };
    answer(&host, from(Some("ann"), "stdio"), "put", &put("a", "1")).await.unwrap();
    let found = async |host, from| answer(host, from, "fetch", &fetch("a")).await;
    assert_eq!(found(&host, from(Some("ann"), "stdio")).await.unwrap(), "1");
    assert_eq!(found(&host, from(Some("ann"), "other")).await.unwrap(), Value::Null);
    assert_eq!(found(&host, from(Some("ben"), "stdio")).await.unwrap(), Value::Null);
    // Another process has another session, whatever it is called.
    assert_eq!(found(&second, from(Some("ann"), "stdio")).await.unwrap(), Value::Null);
    // Nothing could ever be read again of what a call without a session keeps.
    let none = From { caller: Some("ann"), session: SessionKey::None };
    assert_eq!(answer(&host, none, "put", &put("a", "1")).await.unwrap_err(), "access-denied");
    let stranger = from(Some("anonymous"), "unguessable");
    answer(&host, stranger.clone(), "put", &put("a", "2")).await.unwrap();
    assert_eq!(found(&host, stranger).await.unwrap(), "2");
}

#[tokio::test]
async fn each_quota_is_an_error_that_says_which_and_a_denial() {
    let host = Place::new()
        .open("grants.keyvalue = { keys_max = 3, bytes_max = 1000, value_bytes_max = 500 }\n")
        .await;
    let large = |key: &str, bytes: u32| json!({"key": key, "bytes": bytes});
    ask(&host, "put_large", &large("a", 500)).await.unwrap();
    let (reply, record) = call(&host, "put_large", &large("a", 501), Code::ToolError).await;
    let message = reply.error.unwrap().message;
    assert!(message.contains("501 bytes, and `value_bytes_max` of the grant is 500"), "{message}");
    assert_eq!(
        (&*record.attempts[0].denials, record.attempts[0].usage.keys_written),
        (&["keyvalue".to_owned()][..], 0)
    );
    ask(&host, "put_large", &large("b", 490)).await.unwrap();
    let refused = ask(&host, "put_large", &large("c", 10)).await.unwrap_err();
    assert!(refused.starts_with("other: ") && refused.contains("`bytes_max`"), "{refused}");
    ask(&host, "put_large", &large("c", 0)).await.unwrap();
    let refused = ask(&host, "put_large", &large("d", 0)).await.unwrap_err();
    assert!(refused.contains("more than 3 keys, which is `keys_max` of the grant"), "{refused}");
    // A batch is made as a whole or not at all.
    let pairs = json!({"pairs": [["c", "new"], ["d", ""]]});
    assert!(ask(&host, "put_many", &pairs).await.unwrap_err().contains("`keys_max`"));
    assert_eq!(ask(&host, "fetch", &fetch("c")).await.unwrap(), "");
    let long = "k".repeat(1_025);
    assert!(ask(&host, "put", &put(&long, "")).await.unwrap_err().contains("1025 bytes"));
    let host = Place::new()
        .open(&format!("grants.keyvalue = {{ scope = \"caller\", spaces_max = 1 }}\n{CALLERS}"))
        .await;
    let from = |name| From { caller: Some(name), session: SessionKey::None };
    answer(&host, from("ann"), "put", &put("a", "1")).await.unwrap();
    let refused = answer(&host, from("ben"), "put", &put("a", "1")).await.unwrap_err();
    assert!(refused.contains("`spaces_max`"), "{refused}");
}

#[tokio::test]
async fn a_refusal_says_what_helps_against_it() {
    let quota = "grants.keyvalue = { keys_max = 1, bytes_max = 1000, value_bytes_max = 500 }\n";
    let host = Place::new().open(quota).await;
    let large = |key: &str, bytes: u32| json!({"key": key, "bytes": bytes});
    ask(&host, "put_large", &large("a", 10)).await.unwrap();
    let (operator, room) =
        ("Only the operator can grant it", "If a tool removes what is kept, that makes room");
    for (args, kind, helps) in [
        (large("b", 1), "what keyvalue keeps already has the size that is granted", room),
        (large("a", 501), "keyvalue with values of that size is not granted", operator),
        (json!({"key": "k".repeat(1_025), "bytes": 1}), "", ""),
    ] {
        let (reply, _) = call(&host, "put_large", &args, Code::ToolError).await;
        let message = reply.error.unwrap().message;
        assert!(message.contains(kind) && message.contains(helps), "{message}");
        assert!(!message.contains("in one call"), "{message}");
    }
    let spaces = format!("grants.keyvalue = {{ scope = \"caller\", spaces_max = 1 }}\n{CALLERS}");
    let host = Place::new().open(&spaces).await;
    let from = |name| From { caller: Some(name), session: SessionKey::None };
    call_from(&host, from("ann"), "put", &put("a", "1")).await;
    for (caller, kind, helps) in [
        ("ben", "keyvalue for one more caller or session is not granted", operator),
        ("anonymous", "came without credentials", "Call it with the credentials of a caller"),
    ] {
        let (reply, _) = call_from(&host, from(caller), "put", &put("a", "1")).await;
        let message = reply.error.unwrap().message;
        assert!(message.contains(kind) && message.contains(helps), "{message}");
    }
}

#[test]
fn what_lacks_a_session_says_so_to_the_caller_and_to_the_operator() {
    let place = Place::new();
    let registry = place.file("grants.keyvalue = { scope = \"session\" }\n").path;
    let called = airlock(&registry, &["call", "keep_put", &put("a", "1").to_string(), "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let message = reply["error"]["message"].as_str().unwrap();
    let why = "keyvalue is granted for each session, and this call has none";
    assert!(message.contains(why) && message.contains("`Airlock-Session`"), "{message}");
    assert!(!message.contains("bucket is not granted") && !message.contains("operator"), "{message}");
    for verb in ["show", "why"] {
        let told = crate::stdout(&airlock(&registry, &[verb, reply["record"].as_str().unwrap()]));
        assert!(told.contains(why) && told.contains("tools.keep.grants.keyvalue"), "{verb}: {told}");
    }
}

#[tokio::test]
async fn a_value_that_does_not_cross_in_one_step_is_not_an_answer_that_is_too_large() {
    let settings = "grants.keyvalue = { value_bytes_max = 16777216, bytes_max = 20000000 }\n\
        limits.memory_bytes_max = 268435456\n";
    let host = Place::new().open(settings).await;
    let large = |bytes: u32| json!({"key": "a", "bytes": bytes});
    ask(&host, "put_large", &large(4_000_000)).await.unwrap();
    let (reply, record) = call(&host, "put_large", &large(4 << 20), Code::LimitOutput).await;
    let message = reply.error.unwrap().message;
    assert!(message.contains("it handed over more than 4194304 bytes in one step"), "{message}");
    assert_eq!(record.attempts.len(), 1);
    let noted =
        |host: &Host| host.summary().1.into_iter().find(|note| note.contains("values of 16777216 bytes"));
    assert!(noted(&host).unwrap().contains("raise that to 4194305"));
    let enough = format!("{settings}limits.output_bytes_max = 4194305\n");
    let host = Place::new().open(&enough).await;
    ask(&host, "put_large", &large(16 << 20)).await.unwrap();
    assert_eq!(noted(&host), None);
}

#[tokio::test]
async fn several_keys_at_once_and_keys_page_by_page() {
    let host = Place::new().open(GRANTED).await;
    let pairs: Vec<(String, String)> = (0..600).map(|i| (format!("key {i}"), i.to_string())).collect();
    ask(&host, "put_many", &json!({"pairs": pairs})).await.unwrap();
    let pages = ask(&host, "keys", &json!({})).await.unwrap();
    let lengths: Vec<usize> =
        pages.as_array().unwrap().iter().map(|page| page.as_array().unwrap().len()).collect();
    assert_eq!(lengths, [256, 256, 88]);
    let found = ask(&host, "fetch_many", &json!({"keys": ["key 7", "none", "key 7"]})).await.unwrap();
    assert_eq!(found, json!([["key 7", "7"], ["none", null], ["key 7", "7"]]));
    assert!(ask(&host, "keys_from", &json!({"cursor": "key 7"})).await.unwrap_err().contains("cursor"));
    let all: Vec<&String> = pairs.iter().map(|(key, _)| key).collect();
    ask(&host, "remove_many", &json!({"keys": all})).await.unwrap();
    assert_eq!(ask(&host, "keys", &json!({})).await.unwrap(), json!([[]]));
    let many: Vec<String> = (0..1_001).map(|i| i.to_string()).collect();
    for function in ["fetch_many", "remove_many"] {
        let refused = ask(&host, function, &json!({"keys": many})).await.unwrap_err();
        assert!(refused.contains("1001 keys, at most 1000"), "{refused}");
    }
}

#[tokio::test]
async fn the_first_draft_does_the_same() {
    let host = Place::new().open(GRANTED).await;
    let tells = ask(&host, "first", &json!({"key": "a", "value": "1"})).await.unwrap();
    let expect = [
        "Some(\"1\")",
        "true",
        "7",
        "[Some((\"many\", \"1\")), None]",
        "[\"a\", \"sum\", \"many\"] None",
        "0",
    ];
    assert_eq!(tells, json!(expect));
}

#[tokio::test]
async fn a_swap_fails_once_the_value_changed_and_sums_stay_in_range() {
    let host = Place::new().open(GRANTED).await;
    let swap =
        |value: &str, meanwhile: Option<&str>| json!({"key": "a", "value": value, "meanwhile": meanwhile});
    assert_eq!(ask(&host, "swap", &swap("1", None)).await.unwrap(), false);
    assert_eq!(ask(&host, "swap", &swap("2", Some("other"))).await.unwrap(), true);
    assert_eq!(ask(&host, "fetch", &fetch("a")).await.unwrap(), "2");
    let add = |delta: i64| json!({"key": "n", "delta": delta});
    assert_eq!(ask(&host, "add", &add(-5)).await.unwrap(), -5);
    assert_eq!(ask(&host, "add", &add(7)).await.unwrap(), 2);
    assert!(ask(&host, "add", &add(i64::MAX)).await.unwrap_err().contains("range"));
    ask(&host, "put", &put("n", "seven")).await.unwrap();
    assert!(ask(&host, "add", &add(1)).await.unwrap_err().contains("decimal digits"));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_two_hosts_at_once_lose_no_change() {
    let place = Place::new();
    let (one, two) = (place.open_kept(GRANTED).await, place.open_kept(GRANTED).await);
    let append = json!({"key": "text", "text": "x", "times": 5});
    let add = json!({"key": "n", "delta": 1});
    let both = async |host: &Host| {
        ask(host, "append", &append).await.unwrap();
        ask(host, "add", &add).await.unwrap();
    };
    tokio::join!(both(&one), both(&two), both(&one), both(&two));
    assert_eq!(ask(&one, "fetch", &fetch("text")).await.unwrap(), "x".repeat(20));
    assert_eq!(ask(&two, "fetch", &fetch("n")).await.unwrap(), "4");
}

#[tokio::test]
async fn changes_are_effects_and_reading_is_none() {
    let place = Place::new();
    let host = place.open_kept(GRANTED).await;
    let effect = |host: &Host| {
        let tools = host.visible(&Caller::local());
        let tool = tools.resolve("keep_put").unwrap();
        (tool.effect, tool.is_open_world)
    };
    assert_eq!(effect(&host), (Effect::Write, false));
    let args = json!({"key": "a", "value": "1"});
    let (_, record) = call(&host, "put_then_abort", &args, Code::Trap).await;
    assert_eq!(record.attempts.len(), 1, "it was set, and is not set again");
    let (_, record) = call(&host, "fetch_then_abort", &json!({"key": "a"}), Code::Trap).await;
    assert_eq!(record.attempts.len(), 3);
    let host = place.open_kept(&format!("effects = \"idempotent\"\n{GRANTED}")).await;
    let (_, record) = call(&host, "put_then_abort", &args, Code::Trap).await;
    assert_eq!(record.attempts.len(), 3, "its author says that it may be done twice");
    // An operator who says that the tool only reads is taken at that word.
    let host = place.open_kept(&format!("effects = \"read\"\n{GRANTED}")).await;
    for (function, args) in [
        ("put", put("a", "2")),
        ("add", json!({"key": "n", "delta": 1})),
        ("swap", json!({"key": "a", "value": "2"})),
        ("put_many", json!({"pairs": [["a", "2"]]})),
        ("remove_many", json!({"keys": ["a"]})),
        ("remove", json!({"key": "a"})),
    ] {
        let (reply, record) = call(&host, function, &args, Code::ToolError).await;
        let error = reply.error.unwrap();
        assert!(error.message.contains("access-denied"), "{function}: {}", error.message);
        assert_eq!(record.attempts[0].denials, ["keyvalue"], "{function}");
    }
    assert_eq!(ask(&host, "fetch", &fetch("a")).await.unwrap(), "1");
    assert_eq!(effect(&Place::new().open("").await), (Effect::Pure, false));
}

#[tokio::test]
async fn a_damaged_file_names_the_setting_and_takes_no_other_tool_away() {
    let place = Place::new();
    drop(place.open_kept("").await);
    let path = place.path(".airlock").join(FILE);
    std::fs::write(&path, "this is a letter, not a database, and it is long enough to tell").unwrap();
    let Err(OpenError::Registry(problems)) = place.try_open_kept(GRANTED).await else { panic!("it opens") };
    let said = problems.to_string();
    for piece in ["grants.keyvalue", FILE, "not a database", "host.state"] {
        assert!(said.contains(piece), "{piece}: {said}");
    }
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is a letter"));
    // Others are served all the same.
    let more = format!("{GRANTED}[tools.plain]\ncomponent = \"keeper.wasm\"\n");
    let file = place.file(&more);
    let host = Host::builder().registry(&file).leave_out_broken().open().await.unwrap();
    assert!(host.visible(&Caller::local()).resolve("plain_draw").is_ok());
    assert!(host.visible(&Caller::local()).resolve("keep_draw").is_err());
    // Once the file is gone, a reload serves the tool.
    std::fs::remove_file(&path).unwrap();
    host.reload(&file).await.unwrap();
    ask(&host, "put", &put("a", "1")).await.unwrap();
}

#[tokio::test]
async fn a_contract_gets_only_what_it_asks_for() {
    let asks =
        "effects = \"write\"\n[capabilities.keyvalue]\nbuckets = [\"notes\"]\nreason = \"what was noted\"\n";
    let place = Place::with_contract(asks);
    let host = place.open("grants.keyvalue = { buckets = [\"notes\", \"default\"] }\n").await;
    ask(&host, "put", &json!({"bucket": "notes", "key": "a", "value": "1"})).await.unwrap();
    assert_eq!(ask(&host, "put", &put("a", "1")).await.unwrap_err(), "no-such-store");
    // Without the grant it does not run, and the operator reads what would grant it.
    for (settings, grant) in [
        ("", "grants.keyvalue = { buckets = [\"notes\"] }"),
        (GRANTED, "grants.keyvalue = { buckets = [\"default\", \"notes\"] } (in place of what is there)"),
    ] {
        let host = place.open(settings).await;
        let (_, record) = call(&host, "keys", &json!({}), Code::PolicyDenied).await;
        assert!(record.attempts.is_empty());
        let (_, warnings) = host.summary();
        let line = "asks for keyvalue (\"notes\") (what was noted) and will be denied; to grant it: "
            .to_owned()
            + grant;
        assert!(warnings.iter().any(|warning| warning.ends_with(&line)), "{warnings:?}");
    }
    let place = Place::with_contract("effects = \"read\"\n[capabilities.keyvalue]\nreason = \"x\"\n");
    let Err(err) = place.try_open_kept(GRANTED).await else { panic!("it opens") };
    assert!(err.to_string().contains("its grants make write possible"), "{err}");
    // What a contract does not ask for it does not get.
    let host = Place::with_contract("effects = \"write\"\n").open(GRANTED).await;
    assert_eq!(ask(&host, "put", &put("a", "1")).await.unwrap_err(), "access-denied");
}

#[test]
fn a_grant_that_cannot_be_meant_is_refused_with_what_to_write() {
    for (grant, piece) in [
        ("{ keys_max = 0 }", "has a bound of 0"),
        ("{ bytes_max = 0 }", "has a bound of 0"),
        ("{ spaces_max = 0 }", "has a bound of 0"),
        ("{ value_bytes_max = 16777217 }", "above 16 MiB"),
        ("{ buckets = [] }", "has no bucket"),
        ("{ buckets = [\"\"] }", "one without a name"),
        ("{ scope = \"user\" }", "expected one of `tool`, `caller`, `session`"),
        ("{ keys = 5 }", "unknown field `keys`"),
        ("true", "a table is expected here"),
    ] {
        let text = format!("[tools.keep]\ncomponent = \"keeper.wasm\"\ngrants.keyvalue = {grant}\n");
        let said = Place::new().registry(&text).unwrap_err();
        assert!(said.contains(piece), "{grant}: {said}");
    }
}

/// Gives, as decimal digits from the right: whether the second key was there, whether the first was, how many were told
/// of, and the length of the first value. Its `get-many` is that of the second draft before it was changed.
const OLDER: &str = r#"(component
    (import "wasi:keyvalue/store@0.2.0-draft2" (instance $store
        (type $error' (variant (case "no-such-store") (case "access-denied") (case "other" string)))
        (export "error" (type $error (eq $error')))
        (export "bucket" (type $bucket (sub resource)))
        (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))))
    (alias export $store "error" (type $error))
    (alias export $store "bucket" (type $bucket))
    (import "wasi:keyvalue/batch@0.2.0-draft2" (instance $batch
        (export "bucket" (type $b (eq $bucket)))
        (export "error" (type $e (eq $error)))
        (export "get-many" (func (param "bucket" (borrow $b)) (param "keys" (list string))
            (result (result (list (option (tuple string (list u8)))) (error $e)))))))
    (core module $libc
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (data (i32.const 64) "\50\00\00\00\01\00\00\00\51\00\00\00\01\00\00\00")
        (data (i32.const 80) "ab")
        (data (i32.const 96) "default")
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))))
    (core instance $libc (instantiate $libc))
    (core func $open (canon lower (func $store "open")
        (memory $libc "memory") (realloc (func $libc "realloc"))))
    (core func $get (canon lower (func $batch "get-many")
        (memory $libc "memory") (realloc (func $libc "realloc"))))
    (core module $m
        (import "host" "memory" (memory 1))
        (import "host" "open" (func $open (param i32 i32 i32)))
        (import "host" "get" (func $get (param i32 i32 i32 i32)))
        (func (export "f") (result i32) (local $list i32)
            (call $open (i32.const 96) (i32.const 7) (i32.const 200))
            (if (i32.load8_u (i32.const 200)) (then (unreachable)))
            (call $get (i32.load (i32.const 204)) (i32.const 64) (i32.const 2) (i32.const 220))
            (if (i32.load8_u (i32.const 220)) (then (unreachable)))
            (local.set $list (i32.load (i32.const 224)))
            (i32.add
                (i32.add (i32.mul (i32.const 1000) (i32.load offset=16 (local.get $list)))
                    (i32.mul (i32.const 100) (i32.load (i32.const 228))))
                (i32.add (i32.mul (i32.const 10) (i32.load8_u (local.get $list)))
                    (i32.load8_u offset=20 (local.get $list))))))
    (core instance $i (instantiate $m (with "host" (instance
        (export "memory" (memory $libc "memory")) (export "open" (func $open)) (export "get" (func $get))))))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;

#[tokio::test]
async fn a_component_with_the_older_form_of_the_second_draft_runs() {
    let place = Place::new();
    let host = place.open_kept(GRANTED).await;
    let space = Space { tool: "old".into(), caller: String::new(), session: String::new() };
    let bucket = Bucket { space, name: "default".into() };
    let quota = Quota { keys_max: 9, bytes_max: 99, value_bytes_max: 9, spaces_max: 9 };
    let store = KeyValue::open(&place.path(".airlock").join(FILE)).unwrap();
    store.apply(&bucket, quota, 0, &[Change::Set("a".into(), b"12345".to_vec())]).unwrap();
    std::fs::write(place.path("old.wasm"), wat::parse_str(OLDER).unwrap()).unwrap();
    let more = format!("{GRANTED}[tools.old]\ncomponent = \"old.wasm\"\n{GRANTED}");
    host.reload(&place.file(&more)).await.unwrap();
    let reply = host.call(Call::new("old", Arguments::Text("{}".into()))).await;
    assert_eq!(reply.result, Some(json!(5_210)), "{:?}", reply.error);
    // A form that no draft has is refused before anything runs.
    let other =
        OLDER.replace("(list (option (tuple string (list u8))))", "(list (option (tuple string string)))");
    std::fs::write(place.path("old.wasm"), wat::parse_str(other).unwrap()).unwrap();
    let Err(err) = Host::builder().registry(place.file(&more)).open().await else { panic!("it opens") };
    let said = err.to_string();
    assert!(said.contains("another signature") && said.contains("get-many"), "{said}");
}

#[tokio::test]
async fn the_example_of_the_page_of_capabilities_works() {
    let heading = "## Keys and values that a tool keeps: `keyvalue`";
    let place = Place::new();
    let text =
        example(heading, 0).replace("notebook.wasm", "keeper.wasm").replace("tools.notebook", "tools.keep");
    let file = place.registry(&text).unwrap();
    let host = Host::builder().registry(&file).open().await.unwrap();
    ask(&host, "put", &put("a", "1")).await.unwrap();
    assert_eq!(ask(&host, "fetch", &fetch("a")).await.unwrap(), "1");
    // The contract asks for something that the registry can grant.
    let place = Place::with_contract(&format!("effects = \"write\"\n{}", example(heading, 1)));
    let host = place.open(GRANTED).await;
    assert!(ask(&host, "put", &put("a", "1")).await.is_ok());
}
