//! Lists of calls, from the indexes `records_listed` and `committed_listed` of the schema.
//!
//! Filters are compared within an index, and only the rows of a page are read. Ids begin with the time of their call, so that
//! a time is a place in an index. Must not know how lines are printed.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::{JournalError, explained, log};
use crate::listing::{Filter, Listed, Tail};

/// The tables of records, each with its index.
const TABLES: [(&str, &str); 2] = [("records", "records_listed"), ("committed", "committed_listed")];

const COLUMNS: &str = "id, tool, code, caller, session, started_unix_ms, ended_unix_ms, erased_unix_ms";

/// Most rows that a list takes at once from the end of a table.
const TAIL_ROWS: i64 = 1_000;

/// The newest calls before this id, newest first; without one, of all.
pub(crate) fn list(
    connection: &Connection,
    filter: &Filter,
    before: Option<&str>,
    count: u32,
) -> Result<Vec<Listed>, JournalError> {
    let (newest, conditions) = newest_first(filter, before, count);
    read(connection, &newest, &conditions.values)
}

/// The statement of a page, and what it is compared with.
fn newest_first(filter: &Filter, before: Option<&str>, count: u32) -> (String, Conditions) {
    let mut conditions = Conditions::of(filter);
    // A forged call may have the empty id: a list ends before it.
    if let Some(before) = before {
        conditions.add("id <", before.to_owned().into());
    }
    let wanted = conditions.sql();
    let [records, committed] = TABLES.map(|(table, index)| {
        // Named, since SQLite would choose the index of the key and read each row.
        format!("SELECT {COLUMNS} FROM {table} INDEXED BY {index} WHERE {wanted}")
    });
    (format!("{records} UNION ALL {committed} ORDER BY id DESC LIMIT {count}"), conditions)
}

/// The steps in which SQLite reads a page.
#[cfg(test)]
pub(crate) fn plan_of_list(connection: &Connection, filter: &Filter) -> Vec<String> {
    let (newest, conditions) = newest_first(filter, None, 10);
    let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {newest}")).unwrap();
    let values = conditions.values.iter().cycle().take(query.parameter_count());
    query.query_map(params_from_iter(values), |row| row.get(3)).unwrap().map(Result::unwrap).collect()
}

/// The newest calls, and where the list goes on that follows them.
pub(crate) fn newest(
    connection: &Connection,
    filter: &Filter,
    count: u32,
) -> Result<(Vec<Listed>, Tail), JournalError> {
    // One state of the database for both, so that no call is listed twice or not at all.
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    Ok((list(&snapshot, filter, None, count)?, tail(&snapshot)?))
}

fn tail(connection: &Connection) -> Result<Tail, JournalError> {
    let mut last = [0; 2];
    for (last, (table, _)) in last.iter_mut().zip(TABLES) {
        let newest = format!("SELECT coalesce(max(rowid), 0) FROM {table}");
        *last = connection.query_row(&newest, [], |row| row.get(0)).map_err(failed)?;
    }
    Ok(Tail(last))
}

/// The calls that ended since, in the order of their ids, and where the list goes on. By the row, since a call that came early
/// can end late.
pub(crate) fn follow(
    connection: &Connection,
    filter: &Filter,
    from: Tail,
) -> Result<(Vec<Listed>, Tail), JournalError> {
    let (mut next, mut calls) = (tail(connection)?, Vec::new());
    let conditions = Conditions::of(filter);
    for (i, (table, _)) in TABLES.into_iter().enumerate() {
        // Rows are numbered anew in a table that was emptied.
        let after = if from.0[i] > next.0[i] { 0 } else { from.0[i] };
        let until = next.0[i].min(after.saturating_add(TAIL_ROWS));
        next.0[i] = until;
        let ended = format!(
            "SELECT {COLUMNS} FROM {table} WHERE rowid > {after} AND rowid <= {until} AND {}",
            conditions.sql()
        );
        calls.extend(read(connection, &ended, &conditions.values)?);
    }
    calls.sort_by(|one, other| one.id.cmp(&other.id));
    Ok((calls, next))
}

/// What a row must be, as SQL, and the values that it is compared with.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn of(filter: &Filter) -> Conditions {
        // Destructured without `..`: a filter that is accepted is applied.
        let Filter { tool, codes, caller, session, since_unix_ms, until_unix_ms } = filter;
        let mut conditions = Conditions::default();
        for (column, value) in [("tool =", tool), ("caller =", caller), ("session =", session)] {
            if let Some(value) = value {
                conditions.add(column, value.clone().into());
            }
        }
        for (than, unix_ms) in [("id >=", since_unix_ms), ("id <", until_unix_ms)] {
            if let Some(unix_ms) = unix_ms {
                conditions.add(than, first_id(*unix_ms).into());
            }
        }
        if !codes.is_empty() {
            let places = vec!["?"; codes.len()].join(", ");
            conditions.sql.push(format!("code IN ({places})"));
            conditions.values.extend(codes.iter().map(|code| Value::from(code.as_str().to_owned())));
        }
        conditions
    }

    fn add(&mut self, compared: &str, value: Value) {
        self.sql.push(format!("{compared} ?"));
        self.values.push(value);
    }

    fn sql(&self) -> String {
        if self.sql.is_empty() { "true".to_owned() } else { self.sql.join(" AND ") }
    }
}

/// What the ids of calls of this millisecond begin with (UUIDv7, RFC 9562).
fn first_id(unix_ms: u64) -> String {
    let unix_ms = unix_ms.min((1 << 48) - 1);
    format!("{:08x}-{:04x}", unix_ms >> 16, unix_ms & 0xffff)
}

fn read(connection: &Connection, sql: &str, values: &[Value]) -> Result<Vec<Listed>, JournalError> {
    let mut query = connection.prepare_cached(sql).map_err(failed)?;
    // A statement of both tables has the values twice.
    let places = query.parameter_count();
    let values = values.iter().cycle().take(places);
    let rows = query.query_map(params_from_iter(values), listed).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let (started, ended): (i64, i64) = (row.get(5)?, row.get(6)?);
    // One text that was made another must not hide the calls beside it.
    let text = |column| log::text(row, column).map(Option::unwrap_or_default);
    Ok(Listed {
        id: text(0)?,
        started_unix_ms: started.unsigned_abs(),
        ms: ended.saturating_sub(started).max(0).unsigned_abs(),
        tool: text(1)?,
        code: text(2)?.into(),
        caller: text(3)?,
        session: log::text(row, 4)?,
        erased_unix_ms: row.get::<_, Option<i64>>(7)?.map(i64::unsigned_abs),
    })
}

fn failed(err: rusqlite::Error) -> JournalError {
    let said = explained(&err);
    // What SQLite says of an index that a statement names and that is missing or a partial one.
    let is_index = said.contains("no such index") || said.contains("no query solution");
    let mend = if is_index { "; `airlock journal verify` says which index to make again" } else { "" };
    JournalError::Read(format!("{said}{mend}"))
}
