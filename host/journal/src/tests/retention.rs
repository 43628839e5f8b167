//! Retention: what the rules keep, erase and remove, in both sinks.

use super::sinks::each;
use super::*;
use crate::retention::{By, Keep};

const MINUTE: u64 = 60_000;

/// A record of a tool that came at this minute.
fn at(minute: u64, tool: &str) -> Record<Json> {
    let id = format!("{minute:08}-{tool}");
    let reply = Json::of(&json!({"status": "ok", "result": "secret result"}));
    Record {
        tool: tool.into(),
        started_unix_ms: minute * MINUTE,
        ended_unix_ms: minute * MINUTE,
        reply,
        ..long(&id)
    }
}

async fn fill(journal: &Journal, minutes: u64) {
    for minute in 0..minutes {
        for (tool, durability) in [("reads", Durability::Queued), ("writes", Durability::Committed)] {
            journal.seal(at(minute, tool), durability).await.unwrap();
        }
    }
    journal.flush().unwrap();
}

fn ids(journal: &Journal, mut is: impl FnMut(&Record) -> bool) -> usize {
    let mut count = 0;
    journal.each(&mut |record| count += usize::from(is(record))).unwrap();
    count
}

#[tokio::test]
async fn records_go_by_the_age_of_their_tool_whatever_their_effects() {
    each(BYTES_MAX, async |journal| {
        fill(journal, 200).await;
        let rules = |tool: &str| Keep {
            record_ms: Some(if tool == "reads" { 10 * MINUTE } else { 150 * MINUTE }),
            ..Keep::default()
        };
        let pruned = journal.prune(&rules, By::Server, 200 * MINUTE).unwrap();
        assert_eq!((pruned.removed, pruned.erased), (190 + 50, 0));
        assert_eq!(pruned.first.as_deref(), Some("00000000-reads"));
        assert_eq!(pruned.last.as_deref(), Some("00000189-reads"));
        assert_eq!(ids(journal, |record| record.tool == "reads"), 10);
        assert_eq!(ids(journal, |record| record.tool == "writes"), 150);
        assert!(journal.prune(&rules, By::Server, 200 * MINUTE).unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_payload_is_erased_and_its_head_stays() {
    each(BYTES_MAX, async |journal| {
        fill(journal, 100).await;
        let rules = |_: &str| Keep { payload_ms: Some(30 * MINUTE), ..Keep::default() };
        let pruned = journal.prune(&rules, By::Command, 100 * MINUTE).unwrap();
        assert_eq!((pruned.removed, pruned.erased), (0, 140));
        assert_eq!(ids(journal, |record| record.args.is_some() && record.reply.is_some()), 60);
        let head = journal.find("00000007-writes").unwrap().unwrap();
        assert_eq!((head.args, head.reply, head.erased_unix_ms), (None, None, Some(100 * MINUTE)));
        assert_eq!(
            (head.tool.as_str(), head.code.as_ref(), head.started_unix_ms),
            ("writes", "ok", 7 * MINUTE)
        );
        assert!(journal.prune(&rules, By::Command, 100 * MINUTE).unwrap().is_none(), "once");
    })
    .await;
}

#[tokio::test]
async fn the_oldest_records_of_a_tool_go_at_its_size() {
    each(BYTES_MAX, async |journal| {
        fill(journal, 100).await;
        let one = serde_json::to_string(&at(0, "reads")).unwrap().len() as u64;
        let rules = move |tool: &str| Keep {
            // Room for 20 records, and for none.
            bytes_max: if tool == "reads" { Some(20 * (one + 16)) } else { Some(0) },
            ..Keep::default()
        };
        let pruned = journal.prune(&rules, By::Server, 0).unwrap();
        assert_eq!(pruned.removed, 80 + 100);
        assert_eq!(ids(journal, |record| record.started_unix_ms >= 80 * MINUTE), 20);
    })
    .await;
}

#[tokio::test]
async fn without_rules_everything_stays() {
    each(BYTES_MAX, async |journal| {
        fill(journal, 10).await;
        assert!(journal.prune(&|_| Keep::default(), By::Server, u64::MAX).unwrap().is_none());
        assert_eq!(ids(journal, |_| true), 20);
    })
    .await;
}

#[tokio::test]
async fn what_was_erased_is_in_no_file_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    let secret = "do-not-keep-".repeat(40);
    let large = "large-secret-".repeat(1_000);
    let one = Record { args: Json::of(&json!({"small": secret, "large": large})), ..at(1, "reads") };
    journal.seal(one, Durability::Queued).await.unwrap();
    journal.seal(at(50, "reads"), Durability::Queued).await.unwrap();
    journal.flush().unwrap();
    let holds = |text: &str| {
        ["journal.db", "journal.db-wal"].iter().any(|name| {
            let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    assert!(holds("do-not-keep-do-not"));
    let rules = |_: &str| Keep { payload_ms: Some(30 * MINUTE), ..Keep::default() };
    journal.prune(&rules, By::Command, 60 * MINUTE).unwrap();
    assert!(!holds("do-not-keep-do-not"), "neither in the database nor in its log");
    let other = rusqlite::Connection::open(&path).unwrap();
    let told = "SELECT at || ' ' || by || ' ' || erased || ' ' || removed || ' ' || first || ' ' || last FROM prunes";
    let told: String = other.query_row(told, [], |row| row.get(0)).unwrap();
    assert_eq!(told, "1970-01-01 01:00:00 command 1 0 00000001-reads 00000001-reads");
    let bodies: i64 = other.query_row("SELECT count(*) FROM bodies", [], |row| row.get(0)).unwrap();
    assert_eq!(bodies, 0, "the large value went with its only record");
}

#[tokio::test]
async fn calls_are_recorded_while_thousands_of_records_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = std::sync::Arc::new(Journal::open(&path, BYTES_MAX).unwrap());
    fill(&journal, 2_000).await;
    let pruning = {
        let journal = journal.clone();
        let rules = |_: &str| Keep { record_ms: Some(MINUTE), ..Keep::default() };
        std::thread::spawn(move || journal.prune(&rules, By::Server, 3_000 * MINUTE).unwrap())
    };
    for i in 0..100 {
        journal.seal(at(4_000 + i, "writes"), Durability::Committed).await.unwrap();
    }
    assert_eq!(pruning.join().unwrap().removed, 4_000);
    assert_eq!(ids(&journal, |_| true), 100);
    assert_eq!(journal.view().lost, 0);
    let other = rusqlite::Connection::open(&path).unwrap();
    let entries: i64 = other.query_row("SELECT count(*) FROM prunes", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, 1, "one for each run");
}

/// Small records, as of calls that only compute.
#[tokio::test]
async fn what_the_log_keeps_for_good_does_not_fill_a_small_journal() {
    // The leaves alone of so many entries are more than the bound.
    let (bytes_max, calls) = (1 << 20, 24_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, bytes_max).unwrap();
    for n in 0..calls {
        journal.seal(record(&format!("{n:08}")), Durability::Queued).await.unwrap();
        // The queue stays short however slow the disk is.
        if n % 512 == 0 {
            journal.flush().unwrap();
        }
    }
    journal.flush().unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(journal.view().standing, Standing::Writing);
    journal.intend(record("writes")).await.unwrap();
    journal.seal(record("writes"), Durability::Committed).await.unwrap();
    let newest = ids(&journal, |_| true);
    assert!(newest > 100, "{newest} records are left");
    let (leaves, kept) = (
        count("SELECT count(*) FROM leaves"),
        count("SELECT text ->> '$.kept_bytes' FROM log WHERE kind = 'prune' ORDER BY number DESC LIMIT 1"),
    );
    assert!(leaves > 20_000 && kept > leaves * 42, "{leaves} leaves, {kept} bytes");
    // What the sum says is near to what the pages are.
    let pages = count("SELECT sum(pgsize) FROM dbstat WHERE name IN ('leaves')");
    assert!((leaves * 36..leaves * 46).contains(&pages), "{pages} bytes of {leaves} leaves");
    // The tree is whole: what was removed before the tiles were built has its leaves there, too.
    let note = journal.checkpoint().unwrap();
    let verified = journal.verify(&[note], None).unwrap();
    assert_eq!(verified.faults, []);
    assert_eq!(verified.removed, leaves.unsigned_abs());
}

/// Whether the files of a journal have this text anywhere.
fn is_left(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut contents = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
    contents.any(|bytes| bytes.windows(text.len()).any(|found| found == text.as_bytes()))
}

#[tokio::test]
async fn nothing_of_what_was_erased_is_left_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.db"), BYTES_MAX).unwrap();
    for minute in 0..400 {
        // Of different lengths, so that pages are filled and emptied unevenly.
        let length = (minute as usize * 611) % 3_900;
        let said = format!("{} canary-{minute:04}", "y".repeat(length));
        let has_effects = minute % 3 == 0;
        let (tool, durability) =
            if has_effects { ("writes", Durability::Committed) } else { ("reads", Durability::Queued) };
        let record = Record { args: Json::of(&said), ..at(minute, tool) };
        if has_effects {
            journal.intend(Record { reply: None, ..record.clone() }).await.unwrap();
        }
        journal.seal(record, durability).await.unwrap();
    }
    journal.flush().unwrap();
    assert!(is_left(folder.path(), "canary-0007"));
    // In steps, as a server does: rows that stay for now are moved meanwhile.
    for now in (20..=390).step_by(10) {
        let rules = |tool: &str| match tool {
            "reads" => Keep { payload_ms: Some(MINUTE), ..Keep::default() },
            _ => Keep { record_ms: Some(MINUTE), ..Keep::default() },
        };
        journal.prune(&rules, By::Server, now * MINUTE).unwrap();
    }
    let left: Vec<u64> =
        (0..389).filter(|minute| is_left(folder.path(), &format!("canary-{minute:04}"))).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(is_left(folder.path(), "canary-0399"));
}

#[tokio::test]
async fn what_an_older_version_left_in_the_file_goes_with_what_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    fill(&journal, 10).await;
    // As versions before wrote: what is removed stays in the free space.
    let older = rusqlite::Connection::open(&path).unwrap();
    older.execute_batch("PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 0").unwrap();
    older.execute("INSERT INTO intents VALUES ('x', ?1, '')", ["canary-4711".repeat(9)]).unwrap();
    older.execute_batch("DELETE FROM intents WHERE id = 'x'; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(older);
    assert!(is_left(folder.path(), "canary-4711"));
    let rules = |_: &str| Keep { payload_ms: Some(MINUTE), ..Keep::default() };
    assert!(!journal.prune(&rules, By::Server, 5 * MINUTE).unwrap().is_none());
    assert!(!is_left(folder.path(), "canary-4711"));
}

#[tokio::test]
async fn a_rewritten_journal_keeps_its_records_and_the_places_of_those_who_follow() {
    use crate::listing::Filter;
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.db"), BYTES_MAX).unwrap();
    fill(&journal, 50).await;
    let rules = |_: &str| Keep { record_ms: Some(MINUTE), ..Keep::default() };
    let (_, tail) = journal.newest(&Filter::default(), 1).unwrap();
    journal.prune(&rules, By::Command, 30 * MINUTE).unwrap();
    journal.rewrite().unwrap();
    journal.seal(at(60, "reads"), Durability::Committed).await.unwrap();
    let (new, _) = journal.follow(&Filter::default(), tail).unwrap();
    assert_eq!(new.iter().map(|listed| &*listed.id).collect::<Vec<_>>(), ["00000060-reads"]);
    assert_eq!(ids(&journal, |_| true), 2 * 21 + 1);
}
