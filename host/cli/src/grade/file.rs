//! A file of grades: JSON Lines, or CSV whose first line names the columns.
//!
//! Owns the forms, and that a file is taken whole or not at all: every line that is wrong is named.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use airlock_journal::grade::{Grade, Graded};
use airlock_types::shorten::shorten;

/// Most bytes of a file: a hundred thousand grades with long notes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Lines that are named in an error; the rest are counted.
const NAMED_MAX: usize = 20;

/// Most characters of what an error quotes.
const QUOTED_CHARS: usize = 120;

/// One line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    call: String,
    grade: Grade,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    by: Option<String>,
}

/// A grade, and the line of the file that it is from.
#[derive(Debug)]
pub(super) struct Row {
    line: u64,
    call: String,
    graded: Graded,
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read, or names every line that is no grade.
pub(super) fn rows(path: &Path, by: &str, now_unix_ms: u64) -> Result<Vec<Row>, String> {
    let text = text(path).map_err(|why| format!("`{}` cannot be read: {why}", path.display()))?;
    let lines: Vec<(u64, Result<Line, String>)> = match path.extension().and_then(|end| end.to_str()) {
        Some("jsonl") => json_lines(&text).collect(),
        Some("csv") => csv_lines(&text),
        _ => {
            return Err(format!(
                "`{}` is neither `.jsonl` nor `.csv`: name it for what it is",
                path.display()
            ));
        }
    };
    let row = |(line, read): (u64, Result<Line, String>)| {
        let graded = read.and_then(|Line { call, grade, note, by: own }| {
            let graded = Graded::new(grade, own.as_deref().unwrap_or(by), note.as_deref(), now_unix_ms)?;
            Ok(Row { line, call, graded })
        });
        graded.map_err(|why| (line, why))
    };
    all(path, lines.into_iter().map(row))
}

/// Looks up the calls of the rows.
///
/// # Errors
/// When calls cannot be looked up. The inner error names every line whose call is not found.
pub(super) fn resolve(
    path: &Path,
    rows: Vec<Row>,
    find: impl Fn(&str) -> anyhow::Result<Result<String, String>>,
) -> anyhow::Result<Result<Vec<(String, Graded)>, String>> {
    let found = |Row { line, call, graded }: Row| -> anyhow::Result<_> {
        Ok(find(&call)?.map(|id| (id, graded)).map_err(|why| (line, why)))
    };
    let found = rows.into_iter().map(found).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(all(path, found.into_iter()))
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|err| err.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|err| err.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes: split it"));
    }
    // Programs on Windows write a mark of the byte order, which is not a part of the text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn json_lines(text: &str) -> impl Iterator<Item = (u64, Result<Line, String>)> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number, serde_json::from_str(line).map_err(|err| err.to_string())))
}

fn csv_lines(text: &str) -> Vec<(u64, Result<Line, String>)> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(err) => return vec![(1, Err(err.to_string()))],
    };
    let line = |record: Result<csv::StringRecord, csv::Error>| {
        let record = match record {
            Ok(record) => record,
            Err(err) => return (err.position().map_or(0, csv::Position::line), Err(err.to_string())),
        };
        let number = record.position().map_or(0, csv::Position::line);
        (number, record.deserialize(Some(&headers)).map_err(|err| why(&err)))
    };
    reader.records().map(line).collect()
}

/// Why a record is no grade, without the position, which is that of its line.
fn why(err: &csv::Error) -> String {
    match err.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        _ => err.to_string(),
    }
}

/// Everything, or the lines that are wrong.
fn all<T>(path: &Path, rows: impl Iterator<Item = Result<T, (u64, String)>>) -> Result<Vec<T>, String> {
    let (mut right, mut wrong, mut more) = (Vec::new(), Vec::new(), 0_usize);
    for row in rows {
        match row {
            Ok(row) => right.push(row),
            Err((line, why)) if wrong.len() < NAMED_MAX => {
                wrong.push(format!("{}:{line}: {}", path.display(), shorten(&why, QUOTED_CHARS)));
            }
            Err(_) => more += 1,
        }
    }
    if wrong.is_empty() {
        return Ok(right);
    }
    if more > 0 {
        wrong.push(format!("and {more} more lines"));
    }
    wrong.push("nothing was appended; mend these lines and read the file again".to_owned());
    Err(wrong.join("\n"))
}
