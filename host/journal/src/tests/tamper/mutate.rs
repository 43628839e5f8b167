//! One random change of a journal: of its rows, or of its tiles.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use crate::evidence::Fault;

/// Random numbers, the same for the same seed.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    /// One of this many.
    fn below(&mut self, count: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % count as u64) as usize
    }
}

/// What was changed, and by what a fault may name it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) what: String,
    numbers: Vec<u64>,
    /// Texts of which the fault has one in its id or in what it says.
    names: Vec<String>,
}

impl Target {
    fn new(what: impl Into<String>) -> Target {
        Target { what: what.into(), numbers: Vec::new(), names: Vec::new() }
    }

    fn row(mut self, table: &str, key: &Value) -> Target {
        match (table, key) {
            ("log", Value::Integer(number)) => self.numbers.push(number.unsigned_abs()),
            (_, Value::Text(id)) => self.names.push(id.clone()),
            (_, Value::Integer(number)) => self.names.push(format!("/grade/{number}")),
            (_, Value::Null | Value::Real(_) | Value::Blob(_)) => {}
        }
        self
    }

    pub(super) fn is_meant_by(&self, fault: &Fault) -> bool {
        let is_number = fault.number.is_some_and(|number| self.numbers.contains(&number));
        let says = |name: &String| {
            fault.what.contains(name) || fault.id.as_ref().is_some_and(|id| id.contains(name))
        };
        is_number || self.names.iter().any(says)
    }
}

/// Tables with their keys. `processes` is not evidence: it is what running processes know of themselves.
const TABLES: [(&str, &str); 6] = [
    ("records", "id"),
    ("committed", "id"),
    ("intents", "id"),
    ("graded", "number"),
    ("bodies", "sha256"),
    ("log", "number"),
];

/// Makes one change.
pub(super) fn change(database: &Path, tiles: &Path, draw: &mut Draw) -> Target {
    if draw.below(5) == 0 {
        return tile(tiles, draw);
    }
    let connection = Connection::open(database).unwrap();
    // As whoever wants to leave no trace.
    let triggers: Vec<(String, String)> = {
        let mut query =
            connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    triggers.iter().for_each(|(name, _)| connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    let (table, key) = TABLES[draw.below(TABLES.len())];
    let target = match draw.below(6) {
        0 => delete(&connection, table, key, draw),
        1 => insert(&connection, table, key, draw),
        2 => swap(&connection, draw),
        _ => edit(&connection, table, key, draw),
    };
    triggers.iter().for_each(|(_, sql)| connection.execute_batch(sql).unwrap());
    target
}

fn columns(connection: &Connection, table: &str) -> Vec<(String, bool)> {
    let columns = format!("SELECT name, \"notnull\" OR pk > 0 FROM pragma_table_info('{table}')");
    let mut query = connection.prepare(&columns).unwrap();
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn any_key(connection: &Connection, table: &str, key: &str, draw: &mut Draw) -> Value {
    let mut query = connection.prepare(&format!("SELECT {key} FROM {table} ORDER BY {key}")).unwrap();
    let keys: Vec<Value> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    keys[draw.below(keys.len())].clone()
}

/// What else may name a value that is stored apart: the records that use it.
fn users(connection: &Connection, table: &str, key: &Value, mut target: Target) -> Target {
    if table == "bodies" {
        let users = "SELECT record FROM body_uses JOIN bodies ON number = body WHERE sha256 = ?1";
        let mut query = connection.prepare(users).unwrap();
        target.names.extend(query.query_map([key], |row| row.get(0)).unwrap().map(Result::unwrap));
    }
    target
}

fn delete(connection: &Connection, table: &str, key: &str, draw: &mut Draw) -> Target {
    let row = any_key(connection, table, key, draw);
    let target = users(connection, table, &row, Target::new(format!("delete {table}")).row(table, &row));
    connection.execute(&format!("DELETE FROM {table} WHERE {key} = ?1"), [&row]).unwrap();
    target
}

/// A copy of a row under another key.
fn insert(connection: &Connection, table: &str, key: &str, draw: &mut Draw) -> Target {
    let row = any_key(connection, table, key, draw);
    let new = match &row {
        Value::Integer(_) => {
            let last = format!("SELECT max({key}) + 1 FROM {table}");
            connection.query_row(&last, [], |row| row.get(0)).unwrap()
        }
        Value::Text(text) => Value::Text(format!("{text}0")),
        Value::Null | Value::Real(_) | Value::Blob(_) => unreachable!("no key is of this type"),
    };
    let names: Vec<String> = columns(connection, table).into_iter().map(|(name, _)| name).collect();
    let from = names.iter().map(|name| match name.as_str() {
        name if name == key => "?1".to_owned(),
        "number" => "NULL".to_owned(),
        name => name.to_owned(),
    });
    let from: Vec<String> = from.collect();
    let copy = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {key} = ?2",
        names.join(", "),
        from.join(", ")
    );
    connection.execute(&copy, params![new, row]).unwrap();
    Target::new(format!("insert {table}")).row(table, &new)
}

/// Exchanges the places of two entries, or the texts of two records.
fn swap(connection: &Connection, draw: &mut Draw) -> Target {
    let (table, key, column) =
        [("log", "number", "number"), ("records", "id", "record"), ("records", "id", "id")][draw.below(3)];
    let one = any_key(connection, table, key, draw);
    let other =
        std::iter::repeat_with(|| any_key(connection, table, key, draw)).find(|other| *other != one).unwrap();
    let value = |key_value: &Value| -> Value {
        let value = format!("SELECT {column} FROM {table} WHERE {key} = ?1");
        connection.query_row(&value, [key_value], |row| row.get(0)).unwrap()
    };
    let rowid = |key_value: &Value| -> i64 {
        let rowid = format!("SELECT rowid FROM {table} WHERE {key} = ?1");
        connection.query_row(&rowid, [key_value], |row| row.get(0)).unwrap()
    };
    let (values, rows) = ([value(&one), value(&other)], [rowid(&one), rowid(&other)]);
    let set = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2");
    let aside = if column == "number" { Value::Integer(-7) } else { Value::Text("aside".into()) };
    connection.execute(&set, params![aside, rows[0]]).unwrap();
    // The rowid of an entry is its number.
    let moved = if column == "number" { -7 } else { rows[0] };
    connection.execute(&set, params![values[0], rows[1]]).unwrap();
    connection.execute(&set, params![values[1], moved]).unwrap();
    Target::new(format!("swap {table}.{column}")).row(table, &one).row(table, &other)
}

/// Another value in one column of one row.
fn edit(connection: &Connection, table: &str, key: &str, draw: &mut Draw) -> Target {
    let columns = columns(connection, table);
    loop {
        let row = any_key(connection, table, key, draw);
        let (column, is_needed) = &columns[draw.below(columns.len())];
        let old: Value = connection
            .query_row(&format!("SELECT {column} FROM {table} WHERE {key} = ?1"), [&row], |row| row.get(0))
            .unwrap();
        let new = other(&old, *is_needed, draw);
        let target = users(connection, table, &row, Target::new(format!("edit {table}")).row(table, &row));
        let set = format!("UPDATE {table} SET {column} = ?1 WHERE {key} = ?2");
        // One of another type than the column, or a second one of a key, is refused.
        if connection.execute(&set, params_from_iter([&new, &row])).is_ok() {
            return target;
        }
    }
}

fn other(old: &Value, is_needed: bool, draw: &mut Draw) -> Value {
    if !is_needed && *old != Value::Null && draw.below(4) == 0 {
        return Value::Null;
    }
    match old {
        Value::Null => {
            [Value::Text("x".into()), Value::Integer(3), Value::Blob(vec![1; 16])][draw.below(3)].clone()
        }
        Value::Integer(number) => Value::Integer(number + 1 + draw.below(5_000) as i64),
        Value::Real(number) => Value::Real(number + 1.0),
        Value::Text(text) => {
            let mut chars: Vec<char> = text.chars().collect();
            match (chars.len(), draw.below(3)) {
                (0, _) | (_, 0) => chars.push('x'),
                (count, 1) => drop(chars.remove(draw.below(count))),
                (count, _) => {
                    let at = draw.below(count);
                    chars[at] = if chars[at] == 'a' { 'b' } else { 'a' };
                }
            }
            Value::Text(chars.into_iter().collect())
        }
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            let at = draw.below(bytes.len());
            bytes[at] ^= 1 << draw.below(8);
            Value::Blob(bytes)
        }
    }
}

/// A change of one file of the tiles.
fn tile(tiles: &Path, draw: &mut Draw) -> Target {
    let mut files = Vec::new();
    list(tiles, &mut files);
    files.retain(|path| path.file_name().unwrap() != "lock");
    files.sort();
    let path = files[draw.below(files.len())].clone();
    let old = fs::read(&path).unwrap();
    let mut target = Target::new("flip tile");
    match draw.below(4) {
        // Without its checkpoint nothing says how many entries there are tiles of: they are built anew.
        0 if !path.ends_with("checkpoint") => {
            fs::remove_file(&path).unwrap();
            target.what = "remove tile".into();
        }
        1 => {
            fs::write(&path, &old[..draw.below(old.len())]).unwrap();
            target.what = "cut tile".into();
        }
        _ => {
            let mut new = old.clone();
            let at = draw.below(new.len());
            new[at] ^= 1 << draw.below(8);
            // A leaf is located by its number.
            if let Some(first) = first_leaf(tiles, &path) {
                target.numbers.push(first + at as u64 / 32);
            }
            fs::write(&path, new).unwrap();
        }
    }
    let relative = path.strip_prefix(tiles).unwrap().display().to_string();
    let mut steps = relative.split('/');
    if let (Some("tile"), Some(level), Some(index)) = (steps.next(), steps.next(), steps.next()) {
        let index: u64 = index.trim_end_matches(".p").parse().unwrap();
        target.names.push(format!("the tile {index} of level {level} "));
    }
    target.names.push(relative);
    target
}

/// The number of the first leaf in a tile of level 0.
fn first_leaf(tiles: &Path, path: &Path) -> Option<u64> {
    let relative = path.strip_prefix(tiles.join("tile/0")).ok()?;
    let index = relative.to_str()?.split('/').next()?.trim_end_matches(".p");
    Some(index.parse::<u64>().ok()? * 256)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
