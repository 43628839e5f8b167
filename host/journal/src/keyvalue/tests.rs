use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;

use super::*;

const QUOTA: Quota = Quota { keys_max: 4, bytes_max: 100, value_bytes_max: 50, spaces_max: 3 };
const NOW: u64 = 1_700_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn space(caller: &str, session: &str) -> Bucket {
    let space = Space { tool: "notebook".into(), caller: caller.into(), session: session.into() };
    Bucket { space, name: "default".into() }
}

fn shared() -> Bucket {
    space("", "")
}

fn set(store: &KeyValue, bucket: &Bucket, key: &str, value: &str) -> Result<(), KeyValueError> {
    store.apply(bucket, QUOTA, NOW, &[Change::Set(key.into(), value.into())])
}

fn delete(store: &KeyValue, bucket: &Bucket, key: &str) {
    store.apply(bucket, QUOTA, NOW, &[Change::Delete(key.into())]).unwrap();
}

fn get(store: &KeyValue, bucket: &Bucket, key: &str) -> Option<String> {
    let found = store.get(bucket, &[key.to_owned()]).unwrap().remove(0);
    found.map(|pair| String::from_utf8(pair.value).unwrap())
}

/// Both places of pairs.
fn both(check: impl Fn(&KeyValue)) {
    let folder = tempfile::tempdir().unwrap();
    check(&KeyValue::open(&folder.path().join(FILE)).unwrap());
    check(&KeyValue::memory().unwrap());
}

#[test]
fn what_was_set_is_there_until_it_is_removed() {
    both(|store| {
        assert_eq!(get(store, &shared(), "a"), None);
        set(store, &shared(), "a", "1").unwrap();
        set(store, &shared(), "a", "2").unwrap();
        set(store, &shared(), "", "of the empty key").unwrap();
        assert_eq!(get(store, &shared(), "a").unwrap(), "2");
        assert_eq!(get(store, &shared(), "").unwrap(), "of the empty key");
        delete(store, &shared(), "a");
        delete(store, &shared(), "a");
        assert_eq!(get(store, &shared(), "a"), None);
    });
}

#[test]
fn spaces_and_buckets_are_apart() {
    both(|store| {
        let other = Bucket { name: "other".into(), ..shared() };
        let buckets = [shared(), space("ann", ""), space("ann", "s"), other];
        for (i, bucket) in buckets.iter().enumerate() {
            assert_eq!(get(store, bucket, "a"), None);
            set(store, bucket, "a", &i.to_string()).unwrap();
        }
        delete(store, &buckets[1], "a");
        let found = buckets.map(|bucket| get(store, &bucket, "a"));
        assert_eq!(found.each_ref().map(Option::as_deref), [Some("0"), None, Some("2"), Some("3")]);
    });
}

#[test]
fn each_quota_holds_and_says_which() {
    both(|store| {
        for key in ["a", "b", "c", "d"] {
            set(store, &shared(), key, "x").unwrap();
        }
        let is = |result: Result<(), KeyValueError>, piece: &str| {
            let err = result.unwrap_err();
            assert!(err.is_quota() && err.to_string().contains(piece), "{err}");
        };
        is(set(store, &shared(), "e", "x"), "more than 4 keys, which is `keys_max`");
        // All buckets of a space share its quota.
        is(set(store, &Bucket { name: "other".into(), ..shared() }, "e", "x"), "`keys_max`");
        set(store, &shared(), "a", "y").unwrap();
        is(set(store, &shared(), "a", &"x".repeat(51)), "a value has 51 bytes, and `value_bytes_max`");
        set(store, &shared(), "a", &"x".repeat(50)).unwrap();
        set(store, &shared(), "b", &"x".repeat(44)).unwrap();
        is(set(store, &shared(), "c", "xx"), "more than 100 bytes");
        delete(store, &shared(), "a");
        set(store, &shared(), "c", "xx").unwrap();
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        let err = set(store, &shared(), &long, "").unwrap_err();
        assert!(!err.is_quota() && err.to_string().contains("1025 bytes"), "{err}");
    });
}

#[test]
fn a_batch_is_made_as_a_whole_or_not_at_all() {
    both(|store| {
        let many = |keys: &[&str]| {
            let changes: Vec<Change> =
                keys.iter().map(|key| Change::Set((*key).into(), b"x".to_vec())).collect();
            store.apply(&shared(), QUOTA, NOW, &changes)
        };
        assert!(many(&["a", "b", "c", "d", "e"]).is_err());
        assert_eq!(store.list(&shared(), 0).unwrap().keys, [""; 0]);
        many(&["a", "b", "c", "d"]).unwrap();
        assert_eq!(store.list(&shared(), 0).unwrap().keys, ["a", "b", "c", "d"]);
    });
}

#[test]
fn a_bound_that_was_lowered_lets_the_space_shrink_and_not_grow() {
    both(|store| {
        set(store, &shared(), "a", &"x".repeat(40)).unwrap();
        let lower = Quota { bytes_max: 10, ..QUOTA };
        let with = |value: &str| {
            store.apply(&shared(), lower, NOW, &[Change::Set("a".into(), value.as_bytes().into())])
        };
        assert!(with(&"x".repeat(41)).is_err());
        with(&"x".repeat(30)).unwrap();
        assert!(store.apply(&shared(), lower, NOW, &[Change::Set("b".into(), vec![])]).is_err());
        with("x").unwrap();
        store.apply(&shared(), lower, NOW, &[Change::Set("b".into(), vec![])]).unwrap();
    });
}

#[test]
fn a_swap_is_made_only_if_nothing_changed_since() {
    both(|store| {
        let swap = |value: &str, expected| {
            store.swap(&shared(), QUOTA, NOW, ("a", value.as_bytes().to_vec()), expected).unwrap()
        };
        assert!(swap("1", None));
        assert!(!swap("2", None));
        let version = store.version(&shared(), "a").unwrap();
        assert!(swap("2", version));
        assert!(!swap("3", version), "the same value again is another change");
        delete(store, &shared(), "a");
        assert!(!swap("3", version));
        set(store, &shared(), "a", "2").unwrap();
        assert!(!swap("3", version), "set anew is not unchanged");
        assert_eq!(get(store, &shared(), "a").unwrap(), "2");
    });
}

#[test]
fn a_number_is_added_to_within_its_range() {
    both(|store| {
        let signed = i128::from(i64::MIN)..=i128::from(i64::MAX);
        let add = |key: &str, delta: i64| {
            store.increment(&shared(), QUOTA, NOW, (key, delta.into()), signed.clone())
        };
        assert_eq!(add("n", 5).unwrap(), 5);
        assert_eq!(add("n", -7).unwrap(), -2);
        assert_eq!(get(store, &shared(), "n").unwrap(), "-2");
        assert_eq!(add("n", i64::MIN + 2).unwrap(), i128::from(i64::MIN));
        assert!(matches!(add("n", -1), Err(KeyValueError::Overflow)));
        set(store, &shared(), "word", "five").unwrap();
        assert!(matches!(add("word", 1), Err(KeyValueError::NotANumber)));
    });
}

#[test]
fn pages_list_each_key_once_while_others_come_and_go() {
    let quota = Quota { keys_max: 10_000, bytes_max: 1 << 20, ..QUOTA };
    both(|store| {
        let change = |changes: &[Change]| store.apply(&shared(), quota, NOW, changes).unwrap();
        let all: Vec<String> = (0..600).map(|i| format!("key {i}")).collect();
        change(&all.iter().map(|key| Change::Set(key.clone(), vec![])).collect::<Vec<_>>());
        let (mut listed, mut after) = (Vec::new(), 0);
        loop {
            let page = store.list(&shared(), after).unwrap();
            assert!(page.keys.len() <= 256);
            listed.extend(page.keys);
            // A key that was listed goes, and a new one comes: no other is missed or listed twice.
            change(&[Change::Delete(listed[0].clone()), Change::Set(format!("new {after}"), vec![])]);
            let Some(next) = page.next else { break };
            after = next;
        }
        assert_eq!(listed[..600], all);
    });
}

#[test]
fn a_batch_has_a_bound_of_its_own() {
    let store = KeyValue::memory().unwrap();
    let keys = vec!["k".to_owned(); BATCH_KEYS_MAX + 1];
    assert!(matches!(store.get(&shared(), &keys), Err(KeyValueError::TooMany(1_001))));
    let changes: Vec<Change> = keys.iter().cloned().map(Change::Delete).collect();
    assert!(matches!(store.apply(&shared(), QUOTA, NOW, &changes), Err(KeyValueError::TooMany(1_001))));
    store.apply(&shared(), QUOTA, NOW, &changes[1..]).unwrap();
}

#[test]
fn many_large_values_are_not_read_at_once() {
    let quota = Quota { keys_max: 100, bytes_max: 1 << 30, value_bytes_max: 8 << 20, ..QUOTA };
    let store = KeyValue::memory().unwrap();
    let keys: Vec<String> = (0..5).map(|i| i.to_string()).collect();
    for key in &keys {
        store.apply(&shared(), quota, NOW, &[Change::Set(key.clone(), vec![0; 1 << 20])]).unwrap();
    }
    assert_eq!(store.get(&shared(), &keys[..4]).unwrap().len(), 4);
    assert!(matches!(store.get(&shared(), &keys), Err(KeyValueError::TooMuch(_))));
    store.apply(&shared(), quota, NOW, &[Change::Set("large".into(), vec![0; 8 << 20])]).unwrap();
    assert_eq!(store.get(&shared(), &["large".into()]).unwrap()[0].as_ref().unwrap().value.len(), 8 << 20);
}

#[test]
fn callers_beyond_the_bound_are_refused_until_another_has_no_key_left() {
    both(|store| {
        for caller in ["a", "b", "c"] {
            set(store, &space(caller, ""), "k", "x").unwrap();
        }
        let refused = set(store, &space("d", ""), "k", "x").unwrap_err();
        assert!(refused.is_quota() && refused.to_string().contains("`spaces_max`"), "{refused}");
        // What is the tool's own is no caller's, and others go on.
        set(store, &shared(), "k", "x").unwrap();
        set(store, &space("a", ""), "k", "y").unwrap();
        delete(store, &space("b", ""), "k");
        set(store, &space("d", ""), "k", "x").unwrap();
    });
}

#[test]
fn sessions_end_after_a_day_and_a_callers_oldest_makes_room() {
    let quota = Quota { spaces_max: 70, ..QUOTA };
    both(|store| {
        let write = |caller: &str, session: String, now_ms| {
            let changes = [Change::Set("k".into(), b"x".to_vec())];
            store.apply(&space(caller, &session), quota, now_ms, &changes)
        };
        for i in 0..65 {
            write("a", i.to_string(), NOW + i).unwrap();
        }
        let has = |caller: &str, session: &str| get(store, &space(caller, session), "k").is_some();
        assert!(!has("a", "0") && has("a", "1") && has("a", "64"));
        for i in 0..6 {
            write("b", i.to_string(), NOW + i).unwrap();
        }
        assert!(matches!(write("c", "s".into(), NOW), Err(KeyValueError::Spaces(70))));
        write("c", "s".into(), NOW + DAY_MS + 2).unwrap();
        assert!(!has("b", "0") && has("b", "5"));
    });
}

#[test]
fn pairs_survive_a_restart_and_hold_for_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let (one, two) = (KeyValue::open(&path).unwrap(), KeyValue::open(&path).unwrap());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    set(&one, &shared(), "a", "1").unwrap();
    assert_eq!(get(&two, &shared(), "a").unwrap(), "1");
    for (i, store) in [&one, &two, &one].into_iter().enumerate() {
        set(store, &shared(), &format!("k{i}"), "x").unwrap();
    }
    assert!(matches!(set(&two, &shared(), "more", "x"), Err(KeyValueError::Keys(4))));
    drop((one, two));
    assert_eq!(get(&KeyValue::open(&path).unwrap(), &shared(), "a").unwrap(), "1");
}

#[test]
fn swaps_and_sums_of_several_threads_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    // Two connections to one file, as two processes have them.
    let stores = [KeyValue::open(&path).unwrap(), KeyValue::open(&path).unwrap()];
    std::thread::scope(|scope| {
        for store in stores.iter().chain(&stores) {
            scope.spawn(move || {
                for _ in 0..20 {
                    store.increment(&shared(), QUOTA, NOW, ("sum", 1), 0..=1_000).unwrap();
                    loop {
                        let found = store.get(&shared(), &["swapped".to_owned()]).unwrap().remove(0);
                        let text =
                            found.as_ref().map_or("0", |pair| std::str::from_utf8(&pair.value).unwrap());
                        let next = (text.parse::<u64>().unwrap() + 1).to_string().into_bytes();
                        let version = found.as_ref().map(|pair| pair.version);
                        if store.swap(&shared(), QUOTA, NOW, ("swapped", next), version).unwrap() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(get(&stores[0], &shared(), "sum").unwrap(), "80");
    assert_eq!(get(&stores[0], &shared(), "swapped").unwrap(), "80");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    std::fs::write(&path, "this is a letter, not a database, and it is long enough to tell").unwrap();
    let err = KeyValue::open(&path).unwrap_err();
    assert!(err.contains("not a database"), "{err}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is a letter"));
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(folder.path().join("other"), &path).unwrap();
    assert!(KeyValue::open(&path).unwrap_err().contains("symbolic link"));
    std::fs::remove_file(&path).unwrap();
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 2;").unwrap();
    drop(newer);
    assert!(KeyValue::open(&path).unwrap_err().contains("newer Airlock"));
}

#[test]
fn files_that_are_replaced_are_noticed_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let store = KeyValue::open(&path).unwrap();
    set(&store, &shared(), "a", "1").unwrap();
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", path.display())).unwrap();
    }
    assert!(matches!(set(&store, &shared(), "a", "2"), Err(KeyValueError::Broken(_))));
    assert_eq!(get(&store, &shared(), "a"), None, "a new file");
    set(&store, &shared(), "a", "3").unwrap();
}
