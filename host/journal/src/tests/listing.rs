//! Lists of calls: filters, pages, and calls as they end.

use super::sinks::each;
use super::*;
use crate::listing::{Filter, Listed};

/// When the first call came.
const BEGUN: u64 = 0x01a2_19fa_f3ff;

/// A call of this number: each comes a second after the one before.
fn call(number: u64) -> Record<Json> {
    let started_unix_ms = BEGUN + 1_000 * number;
    let (tool, code) =
        if number.is_multiple_of(3) { ("third", Code::LimitFuel) } else { ("other", Code::Ok) };
    Record {
        id: format!("{:08x}-{:04x}-7000-8000-{number:012}", started_unix_ms >> 16, started_unix_ms & 0xffff),
        tool: tool.into(),
        code: code.into(),
        caller: if number.is_multiple_of(2) { "ann" } else { "ben" }.into(),
        session: number.is_multiple_of(5).then(|| "5e55".to_owned()),
        started_unix_ms,
        ended_unix_ms: started_unix_ms + 7,
        ..record("")
    }
}

/// The last digits of the ids.
fn numbers(calls: &[Listed]) -> Vec<u64> {
    calls.iter().map(|call| call.id.rsplit('-').next().unwrap().parse().unwrap()).collect()
}

async fn fill(journal: &Journal, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let durability = if number % 4 == 0 { Durability::Committed } else { Durability::Queued };
        journal.seal(call(number), durability).await.unwrap();
    }
    journal.flush().unwrap();
}

/// Checks the newest ten calls that a filter admits, of thirty, in each kind of journal.
async fn check(filter: Filter, expected: &[u64]) {
    each(BYTES_MAX, async |journal| {
        fill(journal, 0..30).await;
        let calls = journal.list(&filter, None, 10).unwrap();
        assert_eq!(numbers(&calls), expected, "{filter:?} in {journal:?}");
    })
    .await;
}

#[tokio::test]
async fn each_filter_is_applied_and_all_together() {
    let all = Filter::default;
    check(all(), &[29, 28, 27, 26, 25, 24, 23, 22, 21, 20]).await;
    check(Filter { tool: Some("third".into()), ..all() }, &[27, 24, 21, 18, 15, 12, 9, 6, 3, 0]).await;
    check(Filter { codes: vec![Code::LimitFuel], ..all() }, &[27, 24, 21, 18, 15, 12, 9, 6, 3, 0]).await;
    check(Filter { codes: vec![Code::Trap, Code::Ok], ..all() }, &[29, 28, 26, 25, 23, 22, 20, 19, 17, 16])
        .await;
    check(Filter { caller: Some("ben".into()), ..all() }, &[29, 27, 25, 23, 21, 19, 17, 15, 13, 11]).await;
    check(Filter { session: Some("5e55".into()), ..all() }, &[25, 20, 15, 10, 5, 0]).await;
    check(Filter { since_unix_ms: Some(BEGUN + 27_000), ..all() }, &[29, 28, 27]).await;
    check(Filter { until_unix_ms: Some(BEGUN + 2_000), ..all() }, &[1, 0]).await;
    check(Filter { tool: Some("third' OR '1'='1".into()), ..all() }, &[]).await;
    let together = Filter {
        tool: Some("third".into()),
        codes: vec![Code::LimitFuel],
        caller: Some("ann".into()),
        session: None,
        since_unix_ms: Some(BEGUN + 6_000),
        until_unix_ms: Some(BEGUN + 24_000),
    };
    check(together, &[18, 12, 6]).await;
}

#[tokio::test]
async fn pages_have_every_call_once_the_newest_first() {
    each(BYTES_MAX, async |journal| {
        fill(journal, 0..30).await;
        let (mut before, mut seen) = (None::<String>, Vec::new());
        loop {
            let page = journal.list(&Filter::default(), before.as_deref(), 7).unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.id.clone());
            seen.extend(numbers(&page));
        }
        assert_eq!(seen, (0..30).rev().collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn a_line_says_what_its_record_says() {
    each(BYTES_MAX, async |journal| {
        fill(journal, 15..16).await;
        let [listed] = &journal.list(&Filter::default(), None, 10).unwrap()[..] else { panic!() };
        let found = journal.find(&call(15).id).unwrap().unwrap();
        assert_eq!(listed, &Listed::from(&found));
        assert_eq!((listed.ms, &*listed.code, listed.session.as_deref()), (7, "limit.fuel", Some("5e55")));
    })
    .await;
}

#[tokio::test]
async fn a_list_that_follows_has_what_ended_since_whenever_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.db"), BYTES_MAX).unwrap();
    fill(&journal, 10..20).await;
    let filter = Filter { caller: Some("ann".into()), ..Filter::default() };
    let (newest, tail) = journal.newest(&filter, 2).unwrap();
    assert_eq!(numbers(&newest), [18, 16]);
    // Some came before what is listed already, and end only now.
    fill(&journal, 0..4).await;
    fill(&journal, 20..22).await;
    let (ended, tail) = journal.follow(&filter, tail).unwrap();
    assert_eq!(numbers(&ended), [0, 2, 20]);
    let (ended, tail) = journal.follow(&filter, tail).unwrap();
    assert!(ended.is_empty(), "each once: {ended:?}");
    // Rows of a table that was emptied are numbered anew.
    let other = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    other.execute_batch("DELETE FROM records; DELETE FROM committed;").unwrap();
    fill(&journal, 40..43).await;
    assert_eq!(numbers(&journal.follow(&filter, tail).unwrap().0), [40, 42]);
    let memory = Journal::memory().newest(&filter, 2).unwrap_err().to_string();
    assert!(memory.contains("in memory cannot be followed"), "{memory}");
}

#[tokio::test]
async fn more_than_one_look_holds_is_followed_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.db"), BYTES_MAX).unwrap();
    let (_, mut tail) = journal.newest(&Filter::default(), 0).unwrap();
    fill(&journal, 0..4_000).await;
    let mut seen = Vec::new();
    loop {
        let (calls, next) = journal.follow(&Filter::default(), tail).unwrap();
        if calls.is_empty() {
            break;
        }
        seen.extend(numbers(&calls));
        tail = next;
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..4_000).collect::<Vec<_>>());
}

/// What makes the first page fast: filters are compared within an index in the order of calls, and nothing is sorted.
#[tokio::test]
async fn a_page_is_read_from_the_index_of_lists_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(Journal::open(&path, BYTES_MAX).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    let filter = Filter {
        tool: Some("t".into()),
        codes: vec![Code::Ok, Code::Trap],
        caller: Some("c".into()),
        session: Some("s".into()),
        since_unix_ms: Some(1),
        until_unix_ms: Some(2),
    };
    for filter in [Filter::default(), filter] {
        let plan = crate::store::plan_of_list(&connection, &filter);
        assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "nothing is sorted: {plan:?}");
        for index in ["records_listed", "committed_listed"] {
            assert!(plan.iter().any(|step| step.contains(&format!("USING INDEX {index}"))), "{plan:?}");
        }
    }
}

/// Pages go on behind the last id. A record of another id than its row would lead back.
#[tokio::test]
async fn a_row_whose_record_has_another_id_ends_the_pages_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    for number in 0..2 {
        journal.seal(call(number), Durability::Committed).await.unwrap();
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE committed SET id = 'zz' WHERE id = ?1", [call(1).id]).unwrap();
    let said = journal.page("", 0).unwrap_err().to_string();
    assert!(
        said.contains("the record `zz` cannot be read: it says that it is")
            && said.contains("journal verify"),
        "{said}"
    );
}

#[tokio::test]
async fn a_call_without_an_id_ends_a_list() {
    each(BYTES_MAX, async |journal| {
        fill(journal, 0..3).await;
        journal.seal(record(""), Durability::Queued).await.unwrap();
        let all = journal.list(&Filter::default(), None, 10).unwrap();
        assert_eq!(all.len(), 4);
        assert_eq!(journal.list(&Filter::default(), Some(&all[3].id), 10).unwrap(), []);
    })
    .await;
}
