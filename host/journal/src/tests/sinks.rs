//! The rules of a journal, checked for both sinks: a file and memory.

use super::*;

/// Runs a check against a journal of each kind within this bound.
pub(super) async fn each(bytes_max: u64, check: impl AsyncFn(&Journal)) {
    let folder = tempfile::tempdir().unwrap();
    let file = Journal::open(&folder.path().join("journal.db"), bytes_max).unwrap();
    assert!(file.path().is_some());
    check(&file).await;
    let memory = Journal::memory_within(bytes_max);
    assert!(memory.path().is_none());
    check(&memory).await;
}

#[tokio::test]
async fn a_record_is_found_as_it_was_put() {
    each(BYTES_MAX, async |journal| {
        for durability in [Durability::Queued, Durability::Committed] {
            let id = format!("{durability:?}-1");
            journal.seal(record(&id), durability).await.unwrap();
            let found = journal.find(&id).unwrap().unwrap();
            assert_eq!(serde_json::to_value(found).unwrap(), serde_json::to_value(record(&id)).unwrap());
        }
        journal.seal_now(Box::new(record("dropped-1")), Durability::Queued);
        journal.flush().unwrap();
        assert!(is_recorded(journal, "dropped-1") && !is_recorded(journal, "dropped-2"));
        assert_eq!((journal.view().waiting, journal.view().lost), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_record_that_is_sealed_again_replaces_the_first() {
    each(BYTES_MAX, async |journal| {
        journal.seal(record("twice-01"), Durability::Committed).await.unwrap();
        let later = Record { code: Code::HostJournal.into(), ..record("twice-01") };
        journal.seal(later, Durability::Committed).await.unwrap();
        assert_eq!(journal.find("twice-01").unwrap().unwrap().code, Code::HostJournal.as_str());
    })
    .await;
}

#[tokio::test]
async fn a_prefix_must_be_long_and_of_one_record() {
    each(BYTES_MAX, async |journal| {
        journal.seal(record("abcdefgh-1"), Durability::Committed).await.unwrap();
        journal.seal(record("abcdefgh-2"), Durability::Queued).await.unwrap();
        journal.seal(record("abcdefgh-21"), Durability::Queued).await.unwrap();
        assert!(matches!(journal.find("abcdefgh"), Err(JournalError::Ambiguous(_))));
        assert!(matches!(journal.find("abc"), Err(JournalError::Ambiguous(_))));
        assert_eq!(journal.find("abcdefgh-1").unwrap().unwrap().id, "abcdefgh-1");
        assert_eq!(journal.find("abcdefgh-2").unwrap().unwrap().id, "abcdefgh-2", "the whole id of one");
        assert!(journal.find("abcdefgi").unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn pages_have_every_record_once_in_the_order_of_ids() {
    each(BYTES_MAX, async |journal| {
        for i in 0..100 {
            let durability = if i % 3 == 0 { Durability::Committed } else { Durability::Queued };
            let args = Json::of(&json!({"text": "x".repeat(if i % 2 == 0 { 5_000 } else { 5 })}));
            let record = Record { started_unix_ms: i, args, ..record(&format!("{i:08}")) };
            journal.seal(record, durability).await.unwrap();
        }
        journal.flush().unwrap();
        let mut seen = Vec::new();
        for page in journal.pages(40) {
            let page = page.unwrap();
            assert!(
                page.iter().all(
                    |record| record.parts.is_empty() && record.args.as_ref().unwrap()["text"].is_string()
                )
            );
            seen.extend(page.into_iter().map(|record| record.started_unix_ms));
        }
        assert_eq!(seen, (40..100).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn an_intent_without_an_end_shows() {
    each(BYTES_MAX, async |journal| {
        journal.intend(record("11111111")).await.unwrap();
        journal.intend(record("22222222")).await.unwrap();
        journal.seal(record("22222222"), Durability::Committed).await.unwrap();
        assert_eq!(journal.open_intents().unwrap(), ["11111111"]);
        assert!(!is_recorded(journal, "11111111"));
    })
    .await;
}

#[tokio::test]
async fn at_its_bound_the_oldest_calls_that_only_read_go_and_those_with_effects_stay() {
    each(2 << 20, async |journal| {
        for i in 0..5_000 {
            let durability = if i % 100 == 0 { Durability::Committed } else { Durability::Queued };
            journal.seal(long(&format!("{i:08}")), durability).await.unwrap();
            assert!(journal.path().is_none_or(|path| size(path) <= 2 << 20));
        }
        let is_recorded = |i: usize| is_recorded(journal, &format!("{i:08}"));
        assert!((0..5_000).step_by(100).all(is_recorded), "effects stay");
        assert!(!is_recorded(1) && !is_recorded(2_001), "the oldest go");
        assert!((4_801..4_900).all(is_recorded), "the newest stay");
        assert!(journal.view().removed > 4_000);
        assert_eq!((journal.view().standing, journal.view().lost), (Standing::Writing, 0));
    })
    .await;
}

#[tokio::test]
async fn where_only_calls_with_effects_are_left_no_more_of_them_begin_until_there_is_room() {
    each(2 << 20, async |journal| {
        journal.bound(1 << 20);
        let mut begun = 0;
        let refused = loop {
            let id = format!("{begun:08}");
            if let Err(err) = journal.intend(long(&id)).await {
                break err;
            }
            journal.seal(long(&id), Durability::Committed).await.unwrap();
            begun += 1;
        };
        assert!(matches!(refused, JournalError::Full) && begun > 100, "{begun}: {refused}");
        assert_eq!(journal.view().standing, Standing::Full);
        journal.seal(long("repeatable"), Durability::Queued).await.unwrap();
        assert!(journal.path().is_none_or(|path| size(path) <= 1 << 20));
        assert!((0..begun).all(|i| is_recorded(journal, &format!("{i:08}"))));
        assert_eq!(journal.view().lost, 0);
        journal.bound(2 << 20);
        stands(journal, Standing::Writing).await;
        journal.intend(long("later-one")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_record_takes_a_sixteenth_of_the_bound_at_most() {
    each(BYTES_MAX, async |journal| {
        let of = |bytes: usize| Record { args: Json::of(&"x".repeat(bytes)), ..record("large-01") };
        journal.seal(of((4 << 20) - 64), Durability::Queued).await.unwrap();
        for refused in
            [journal.seal(of(5 << 20), Durability::Queued).await, journal.intend(of(5 << 20)).await]
        {
            assert!(matches!(refused, Err(JournalError::TooLarge { .. })), "{refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_journal_that_was_closed_takes_no_more_records() {
    each(BYTES_MAX, async |journal| {
        journal.seal(record("before-1"), Durability::Queued).await.unwrap();
        assert!(journal.close());
        assert!(journal.seal(record("too-late"), Durability::Queued).await.is_err());
        assert!(journal.intend(record("too-late")).await.is_err());
        journal.seal_now(Box::new(record("too-late")), Durability::Queued);
        assert_eq!(journal.view().lost, 1);
        assert!(is_recorded(journal, "before-1"));
    })
    .await;
}

#[tokio::test]
async fn memory_never_passes_its_bound_and_loses_no_intent_over_it() {
    let journal = Journal::memory_within(1 << 20);
    // These calls start while there is room, and each ends with a record larger than its intent.
    let ids: Vec<String> = (0..64).map(|i| format!("{i:08}")).collect();
    for id in &ids {
        journal.intend(record(id)).await.unwrap();
    }
    let end = |id: &str| Record { args: Json::of(&"x".repeat(60_000)), ..record(id) };
    let mut kept = Vec::new();
    for id in &ids {
        match journal.seal(end(id), Durability::Committed).await {
            Ok(()) => kept.push(id.clone()),
            Err(err) => assert!(matches!(err, JournalError::Full)),
        }
    }
    assert_eq!(kept.len(), (1 << 20) / 60_512, "all that the bound holds, its reserve included");
    assert!(kept.iter().all(|id| is_recorded(&journal, id)));
    assert_eq!(journal.open_intents().unwrap(), ids[kept.len()..], "that they began is still known");
}

#[tokio::test]
async fn settings_lower_the_bound_of_memory_and_never_raise_it() {
    let journal = Journal::memory_within(4 << 20);
    for i in 0..1_000 {
        journal.seal(long(&format!("{i:08}")), Durability::Queued).await.unwrap();
    }
    assert_eq!(journal.view().removed, 0);
    journal.bound(1 << 20);
    assert!(is_recorded(&journal, "00000999") && !is_recorded(&journal, "00000000"));
    journal.bound(1 << 30);
    for i in 1_000..4_000 {
        journal.seal(long(&format!("{i:08}")), Durability::Queued).await.unwrap();
    }
    assert!(!is_recorded(&journal, "00001001"), "at most what it was made with");
}
