//! What the file keeps, over openings, processes and bounds.

use std::sync::Arc;

use super::*;

fn kept(id: &str, caller: &str, created_unix_ms: u64) -> Kept {
    let text = |text: &str| text.to_owned();
    let hold = Hold {
        id: text(id),
        standing: Standing::Open,
        tool: text("pay"),
        caller: text(caller),
        record: text("r"),
        arguments: None,
        args_digest: text("a"),
        component: text("c"),
        policy: text("p"),
        rules: Vec::new(),
        is_result: false,
        created_unix_ms,
        expires_unix_ms: created_unix_ms + 100,
        approvals: 1,
        decided: Vec::new(),
        ended_by: None,
    };
    Kept {
        asked_digest: hold.args_digest.clone(),
        hold,
        reply: None,
        is_confidential: false,
        owner: String::new(),
        is_fetched: false,
    }
}

#[test]
fn the_same_call_meets_its_hold_until_its_end_was_fetched_also_after_the_file_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let first = kept("one", "a", 1);
    assert_eq!(Holds::at(&path).open("call", &first).unwrap(), Opened::New);
    let holds = Holds::at(&path);
    assert_eq!(holds.open("call", &kept("two", "a", 2)).unwrap(), Opened::Known(Box::new(first)));
    let fetch = |kept: &mut Kept| {
        (kept.hold.standing, kept.is_fetched) = (Standing::Done, true);
        Ok::<_, ()>(())
    };
    assert!(holds.change("one", fetch).unwrap().unwrap().is_ok());
    assert_eq!(holds.open("call", &kept("two", "a", 3)).unwrap(), Opened::New);
    assert_eq!(holds.list(true, 9).unwrap().len(), 1);
    assert_eq!(holds.list(false, 9).unwrap().len(), 2);
}

#[test]
fn one_of_a_hundred_changes_of_two_processes_is_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let both = [Arc::new(Holds::at(&path)), Arc::new(Holds::at(&path))];
    both[0].open("call", &kept("one", "a", 1)).unwrap();
    let threads: Vec<_> = (0..100)
        .map(|n| {
            let holds = both[n % 2].clone();
            std::thread::spawn(move || {
                let take = |kept: &mut Kept| {
                    let is_open = kept.hold.standing == Standing::Open;
                    kept.hold.standing = Standing::Running;
                    if is_open { Ok(()) } else { Err(()) }
                };
                holds.change("one", take).unwrap().unwrap().is_ok()
            })
        })
        .collect();
    let taken = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|taken| *taken);
    assert_eq!(taken.count(), 1);
}

#[test]
fn ids_are_found_by_their_beginning_and_nothing_else() {
    let holds = Holds::memory().unwrap();
    for id in ["ab_1", "abx2", "b"] {
        holds.open(id, &kept(id, "a", 1)).unwrap();
    }
    let one = |id: &str| matches!(holds.find(id).unwrap(), Found::One(_));
    assert!(one("ab_") && one("b") && one("abx2"));
    assert_eq!(holds.find("ab").unwrap(), Found::Several);
    assert_eq!(holds.find("%").unwrap(), Found::Nothing);
}

#[test]
fn a_caller_has_a_bounded_number_of_open_holds_and_those_whose_time_is_over_do_not_count() {
    let holds = Holds::memory().unwrap();
    for n in 0..CALLER_HOLDS_MAX {
        assert_eq!(holds.open(&n.to_string(), &kept(&format!("h{n}"), "a", 1)).unwrap(), Opened::New);
    }
    assert_eq!(holds.open("x", &kept("x", "a", 2)).unwrap(), Opened::Full);
    assert_eq!(holds.open("x", &kept("x", "b", 2)).unwrap(), Opened::New);
    assert_eq!(holds.open("y", &kept("y", "a", 101)).unwrap(), Opened::New);
}

#[test]
fn a_component_is_known_once_it_ran() {
    let holds = Holds::memory().unwrap();
    assert!(!holds.is_known("c").unwrap());
    holds.know("c", 1).unwrap();
    holds.know("c", 2).unwrap();
    assert!(holds.is_known("c").unwrap());
    assert_eq!(holds.known().unwrap(), ["c"]);
}
