//! Changes by a forger who knows the format: rows and entries that look as if the journal had written them.

use rusqlite::Connection;

use super::*;
use crate::log::{Entry, Kind};
use airlock_types::digest::sha256_of;

/// An entry that a forger appends, with a leaf that is right.
#[derive(Default)]
struct Forged<'f> {
    id: Option<&'f str>,
    ends: &'f [u64],
    payload: Option<&'f str>,
    text: Option<&'f str>,
}

fn append(connection: &Connection, kind: Kind, forged: &Forged<'_>) {
    let Forged { id, ends, payload, text } = forged;
    let number = connection.query_row("SELECT max(number) + 1 FROM log", [], |row| row.get::<_, i64>(0));
    let (number, salt) = (number.unwrap(), [7; 16]);
    let head = sha256_of(&[text.or(*payload).unwrap_or_default().as_bytes()]);
    let entry = Entry {
        ends,
        head: (text.is_some() || payload.is_some()).then_some(head),
        id: *id,
        kind,
        number: number.unsigned_abs(),
        payload: payload.map(|payload| sha256_of(&[&salt, payload.as_bytes()])),
    };
    let ended = (!ends.is_empty()).then(|| serde_json::to_string(ends).unwrap());
    let values = rusqlite::params![
        number,
        entry.leaf(),
        kind.as_str(),
        id,
        entry.head,
        entry.payload,
        payload.map(|_| salt),
        ended,
        text
    ];
    connection.execute("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", values).unwrap();
    for ended in *ends {
        connection.execute("UPDATE log SET salt = NULL WHERE number = ?1", [ended.cast_signed()]).unwrap();
    }
}

/// Appends an entry that says everything itself.
pub(super) fn say(connection: &Connection, kind: Kind, text: &str) {
    append(connection, kind, &Forged { text: Some(text), ..Forged::default() });
}

/// The number of the entry of this kind about an id.
fn entry_of(connection: &Connection, kind: Kind, id: &str) -> u64 {
    let number = "SELECT number FROM log WHERE kind = ?1 AND id = ?2";
    connection.query_row(number, [kind.as_str(), id], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

/// Checks that a change is found, by a fault that says these words in its id or in what is wrong.
async fn found(sample: &Sample, says: &str, change: impl FnOnce(&Connection)) {
    let copy = sample.copy();
    change(&copy.connection());
    let verified = copy.verify();
    let is_said =
        |fault: &Fault| fault.what.contains(says) || fault.id.as_ref().is_some_and(|id| id.contains(says));
    assert!(verified.faults.iter().any(is_said), "{says}: {:#?}", verified.faults);
}

fn run(sql: &str) -> impl FnOnce(&Connection) {
    move |connection| connection.execute_batch(sql).unwrap()
}

#[tokio::test]
async fn rows_at_the_ends_of_tables_and_without_an_id_are_found() {
    let sample = Sample::new(80).await;
    let columns =
        "tool, started_unix_ms, ended_unix_ms, code, record FROM records WHERE id = '00000070-reads'";
    for table in ["records", "committed"] {
        for (row, id, says) in [
            (i64::MIN, "forged-1", "forged-1"),
            (i64::MAX, "forged-2", "forged-2"),
            (99_999, "", "row 99999 of"),
        ] {
            let insert = format!(
                "INSERT INTO {table} (rowid, id, tool, started_unix_ms, ended_unix_ms, code, record)
                 SELECT {row}, '{id}', {columns}"
            );
            found(&sample, says, run(&insert)).await;
        }
    }
    found(&sample, "row -5 of `intents`", run("INSERT INTO intents (rowid, id, record) VALUES (-5, '', '')"))
        .await;
    for number in [i64::MIN, i64::MAX] {
        let insert = format!(
            "INSERT INTO graded (number, call, at_unix_ms, grade, by) VALUES ({number}, '00000070-reads', 1, 'right', 'x')"
        );
        found(&sample, &format!("00000070-reads/grade/{number}"), run(&insert)).await;
    }
    let insert =
        format!("INSERT INTO bodies (number, sha256, bytes, zstd) VALUES ({}, 'ab', 1, x'00')", i64::MIN);
    found(&sample, "value ab", run(&insert)).await;
}

#[tokio::test]
async fn the_whole_schema_is_compared() {
    let sample = Sample::new(80).await;
    for (change, says) in [
        ("DROP INDEX records_listed", "index `records_listed`"),
        ("DROP INDEX log_of_id", "index `log_of_id`"),
        (
            "DROP INDEX records_listed;
             CREATE INDEX records_listed ON records (id, tool, code, caller, session) WHERE code <> 'ok'",
            "CREATE INDEX records_listed ON records (id, tool, code, caller, session)` in",
        ),
        (
            "DROP INDEX records_by_tool; CREATE INDEX records_by_tool ON records (tool)",
            "index `records_by_tool`",
        ),
        ("CREATE INDEX other ON records (code)", "`DROP INDEX other`"),
        ("CREATE TABLE other (x)", "`DROP TABLE other`"),
        ("ALTER TABLE records ADD COLUMN other TEXT", "table `records`"),
        ("DROP TABLE graded", "table `graded`"),
        (
            "PRAGMA legacy_alter_table = 1; ALTER TABLE records RENAME TO other; CREATE VIEW records AS SELECT * FROM other",
            "table `records`",
        ),
        ("DROP VIEW calls; CREATE VIEW calls AS SELECT 1 AS id", "view `calls`"),
    ] {
        found(&sample, says, run(change)).await;
    }
    // Lists are read from an index, and say so.
    let copy = sample.copy();
    run("DROP INDEX records_listed")(&copy.connection());
    let err = copy.open().list(&crate::listing::Filter::default(), None, 5).unwrap_err().to_string();
    assert!(err.contains("says which index to make again"), "{err}");
    // Of the journal, made at the first use of retention; of SQLite; and of an operator, which changes nothing.
    let copy = sample.copy();
    run("DROP INDEX records_by_tool; ANALYZE; CREATE VIEW mine AS SELECT * FROM calls")(&copy.connection());
    assert_eq!(copy.verify().faults, []);
}

/// Lists of calls are read from indexes alone: one that has something else than its table shows other calls.
#[tokio::test]
async fn an_index_with_another_content_is_found() {
    let sample = Sample::new(80).await;
    let index = "SELECT rootpage, sql FROM sqlite_schema WHERE name = 'records_listed'";
    let copy = sample.copy();
    let connection = copy.connection();
    let (page, sql): (i64, String) =
        connection.query_row(index, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let hidden = "PRAGMA writable_schema = 1; DELETE FROM sqlite_schema WHERE name = 'records_listed';
                  PRAGMA writable_schema = RESET;";
    connection.execute_batch(hidden).unwrap();
    drop(connection);
    let connection = copy.connection();
    connection.execute("UPDATE records SET caller = 'x' WHERE id = '00000070-reads'", []).unwrap();
    connection.execute_batch("PRAGMA writable_schema = 1").unwrap();
    let again = "INSERT INTO sqlite_schema VALUES ('index', 'records_listed', 'records', ?1, ?2)";
    connection.execute(again, rusqlite::params![page, sql]).unwrap();
    connection.execute_batch("PRAGMA writable_schema = RESET").unwrap();
    drop(connection);
    let faults = copy.verify().faults;
    let is_index = |fault: &Fault| fault.kind == FaultKind::Schema && fault.what.contains("records_listed");
    assert!(faults.iter().any(is_index), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.what.contains("`REINDEX`")), "{faults:#?}");
}

#[tokio::test]
async fn an_entry_ends_only_what_it_can_end() {
    let sample = Sample::new(80).await;
    let (read, write) = ("00000070-reads", "00000070-writes");
    let drop_of = |connection: &Connection, table: &str, id: &str| {
        connection.execute(&format!("DELETE FROM {table} WHERE id = ?1"), [id]).unwrap();
    };
    found(&sample, "a `withdrawn` of this id can end", |connection| {
        let ends = [entry_of(connection, Kind::Effect, write)];
        drop_of(connection, "committed", write);
        append(connection, Kind::Withdrawn, &Forged { id: Some(write), ends: &ends, ..Forged::default() });
    })
    .await;
    // The record itself is missing, too.
    found(&sample, "its record is missing", |connection| {
        let ends = [entry_of(connection, Kind::Call, read)];
        drop_of(connection, "records", read);
        append(connection, Kind::Withdrawn, &Forged { id: Some(read), ends: &ends, ..Forged::default() });
    })
    .await;
    found(&sample, "a `gap` of this id can end", |connection| {
        let ends = [entry_of(connection, Kind::Call, read)];
        drop_of(connection, "records", read);
        append(connection, Kind::Gap, &Forged { ends: &ends, text: Some("{}"), ..Forged::default() });
    })
    .await;
    // An entry about another id, and one that comes later.
    found(&sample, "ended entry", |connection| {
        let ends = [entry_of(connection, Kind::Call, "00000071-reads")];
        append(
            connection,
            Kind::Call,
            &Forged { id: Some(read), ends: &ends, payload: Some("x"), ..Forged::default() },
        );
    })
    .await;
    found(&sample, "ended entry 99999,", |connection| {
        append(
            connection,
            Kind::Call,
            &Forged { id: Some(read), ends: &[99_999], payload: Some("x"), ..Forged::default() },
        );
    })
    .await;
    found(&sample, "its grade is missing", |connection| {
        let id: String =
            connection.query_row("SELECT id FROM log WHERE kind = 'grade'", [], |row| row.get(0)).unwrap();
        let ends = [entry_of(connection, Kind::Grade, &id)];
        connection.execute("DELETE FROM graded WHERE call || '/grade/' || number = ?1", [&id]).unwrap();
        append(connection, Kind::Withdrawn, &Forged { id: Some(&id), ends: &ends, ..Forged::default() });
    })
    .await;
}

#[tokio::test]
async fn a_record_that_was_written_again_is_named() {
    let sample = Sample::new(80).await;
    let verified = sample.verify();
    let [replaced] = &verified.replaced[..] else { panic!("{:?}", verified.replaced) };
    assert_eq!(
        (replaced.id.as_str(), verified.replaced_count, verified.faults_count),
        ("00000079-reads", 1, 0)
    );
    assert!(replaced.number < replaced.by, "{replaced:?}");
    let copy = sample.copy();
    let (connection, id) = (copy.connection(), "00000070-reads");
    let ends = [entry_of(&connection, Kind::Call, id)];
    let text: String = connection
        .query_row("SELECT replace(record, 'local', 'maria') FROM records WHERE id = ?1", [id], |row| {
            row.get(0)
        })
        .unwrap();
    connection
        .execute("UPDATE records SET record = ?2, caller = 'maria' WHERE id = ?1", [id, &text])
        .unwrap();
    append(
        &connection,
        Kind::Call,
        &Forged { id: Some(id), ends: &ends, payload: Some(&text), ..Forged::default() },
    );
    let verified = copy.verify();
    assert_eq!(verified.replaced_count, 2);
    assert!(verified.replaced.iter().any(|replaced| replaced.id == id && replaced.number == ends[0]));
}

#[tokio::test]
async fn what_retention_says_is_compared_with_what_is_gone() {
    let sample = Sample::new(120).await;
    let gone = |connection: &Connection, number: u64| {
        let update =
            "UPDATE log SET kind = NULL, id = NULL, head = NULL, payload = NULL, salt = NULL, ends = NULL
                      WHERE number = ?1";
        connection.execute(update, [number.cast_signed()]).unwrap();
    };
    let told = |took: &str, removed: u64| {
        format!(
            r#"{{"at_unix_ms":1,"by":"server","erased":0,"erased_entries":[],"first":"x","last":"x","removed":{removed},"removed_entries":{took},"run":9}}"#
        )
    };
    found(&sample, "removed 0 records, and names 1 of their entries", |connection| {
        let grade: i64 = connection
            .query_row("SELECT max(number) FROM log WHERE kind = 'grade'", [], |row| row.get(0))
            .unwrap();
        connection.execute("DELETE FROM graded WHERE number = (SELECT max(number) FROM graded)", []).unwrap();
        gone(connection, grade.unsigned_abs());
        let text = told(&format!("[[{grade},{grade}]]"), 0);
        append(connection, Kind::Prune, &Forged { text: Some(&text), ..Forged::default() });
    })
    .await;
    found(&sample, "removed 1 records, and names 129 of their entries", |connection| {
        append(connection, Kind::Prune, &Forged { text: Some(&told("[[0,128]]", 1)), ..Forged::default() });
    })
    .await;
    found(&sample, "entries that come after it", |connection| {
        let text = told("[[5000,5001]]", 1);
        append(connection, Kind::Prune, &Forged { text: Some(&text), ..Forged::default() });
    })
    .await;
    found(&sample, "does not say which records retention took", |connection| {
        let text = told("[[0,0]]", 1).replace(r#""first":"x","last":"x","#, "");
        append(connection, Kind::Prune, &Forged { text: Some(&text), ..Forged::default() });
    })
    .await;
    found(&sample, "does not say what retention took", |connection| {
        append(connection, Kind::Prune, &Forged { text: Some("{}"), ..Forged::default() });
    })
    .await;
}

#[tokio::test]
async fn what_is_not_a_text_or_too_large_a_number_has_a_place() {
    let sample = Sample::new(80).await;
    sample.open().exported(&sample.open().checkpoint().unwrap(), "file", 1).unwrap();
    for (change, says) in [
        ("UPDATE records SET id = CAST(x'ff41' AS TEXT) WHERE id = '00000070-reads'", "\u{fffd}A"),
        ("UPDATE log SET number = 9223372036854775807 WHERE id = '00000070-reads'", "no log is so long"),
        ("UPDATE log SET number = 9223372036854775806 WHERE id = '00000070-reads'", "are missing"),
        ("INSERT INTO body_uses VALUES (CAST(x'ff41' AS TEXT), 1)", "\u{fffd}A"),
        (
            "UPDATE bodies SET sha256 = CAST(x'ff41' AS TEXT) WHERE number = (SELECT max(number) FROM bodies)",
            "value \u{fffd}A",
        ),
        ("UPDATE intents SET record = CAST(x'ff' AS TEXT) WHERE id = 'open-0001'", "open-0001"),
        ("UPDATE intents SET owner = CAST(x'ff' AS TEXT) WHERE id = 'open-0001'", "open-0001"),
        (
            "UPDATE graded SET call = CAST(x'ff41' AS TEXT) WHERE number = (SELECT max(number) FROM graded)",
            "\u{fffd}A/grade/",
        ),
        ("UPDATE log SET text = CAST(x'ff41' AS TEXT) WHERE kind = 'checkpoint'", "its text is not the one"),
        ("UPDATE log SET id = CAST(x'ff41' AS TEXT) WHERE id = '00000070-reads'", "the columns of the entry"),
    ] {
        found(&sample, says, |connection| assert_eq!(connection.execute(change, []).unwrap(), 1, "{change}"))
            .await;
    }
    // Nothing more is written behind the greatest number, and the error says why.
    let copy = sample.copy();
    run("UPDATE log SET number = 9223372036854775807 WHERE id = '00000070-reads'")(&copy.connection());
    let mut store = Store::open(&copy.path()).unwrap();
    let err = store
        .write(|connection| {
            let record = store::Sealing::Plain(Box::new(at(900, "reads")));
            store::seal(connection, &record, Durability::Queued, &mut store::log::Next::default())
        })
        .unwrap_err();
    assert!(err.to_string().contains("airlock journal verify"), "{err}");
}

#[tokio::test]
async fn the_faults_of_one_call_are_those_of_a_verification() {
    let sample = Sample::new(80).await;
    for id in ["00000070-reads", "00000070-writes", "00000068-reads", "00000035-reads", "open-0001"] {
        assert_eq!(sample.open().faults(id).unwrap(), [], "{id}");
    }
    for (change, id) in [
        ("UPDATE records SET tool = 'other' WHERE id = '00000070-reads'", "00000070-reads"),
        (
            "UPDATE committed SET record = replace(record, 'local', 'maria') WHERE id = '00000070-writes'",
            "00000070-writes",
        ),
        ("UPDATE graded SET grade = 'right' WHERE call = '00000068-reads'", "00000068-reads"),
        ("UPDATE intents SET owner = 'x' WHERE id = 'open-0001'", "open-0001"),
        (
            "INSERT INTO intents SELECT id, record, '' FROM committed WHERE id = '00000070-writes'",
            "00000070-writes",
        ),
        ("UPDATE log SET ends = '[1]' WHERE id = '00000070-reads'", "00000070-reads"),
    ] {
        let copy = sample.copy();
        assert_eq!(copy.connection().execute(change, []).unwrap(), 1, "{change}");
        let journal = copy.open();
        let faults = journal.faults(id).unwrap();
        let all = journal.verify(&[], None).unwrap().faults;
        assert!(
            !faults.is_empty() && faults.iter().all(|fault| all.contains(fault)),
            "{change}: {faults:?} {all:?}"
        );
        let other = journal.faults("00000071-reads").unwrap();
        assert_eq!(other, [], "{change}");
    }
    let copy = sample.copy();
    run("UPDATE records SET tool = 'other' WHERE id = '00000070-reads'")(&copy.connection());
    let err = copy.open().prove("00000070-reads").unwrap_err().to_string();
    assert!(err.contains("does not match the log: the column `tool`"), "{err}");
    assert!(copy.open().prove("00000071-reads").unwrap().is_some());
}
