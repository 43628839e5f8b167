//! `airlock contract import`: makes WIT and a contract of a published document, and merges them with what was edited.
//!
//! Owns the files: the two that an author edits, and what the last import made of each, beside them in `.imported`. Must not know
//! documents.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::print::{Message, Printer};
use crate::{EXIT_NO, Ended};
use airlock::file;
use airlock_import::{Conflict, DOCUMENT_BYTES_MAX, Imported, Keep, Note, import, load, load_named, merge};
use airlock_types::words::count;

/// The files that an author edits, below the folder.
const FILES: [&str; 2] = ["wit/world.wit", "contract.toml"];

/// Where the last import is, below the folder.
const LAST: &str = ".imported";

/// Bytes of the largest file that is merged.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Notes of a kind that are printed.
const NOTES_MAX: usize = 50;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The document, as JSON or YAML
    document: PathBuf,
    /// The folder of the tool: `wit/world.wit` and `contract.toml` are written there
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Only this function, by its name in the document; can be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Which side to take where a line was edited and the document changed it, too
    #[arg(long, value_enum)]
    keep: Option<Side>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Side {
    /// What was edited
    Mine,
    /// What the document says now
    Document,
}

pub(super) fn run(args: &Args, printer: &Printer) -> Ended {
    let shown = args.document.display();
    let said = |why: &dyn std::fmt::Display| Message(format!("`{shown}`: {why}"));
    let text = file::read_text(&args.document, DOCUMENT_BYTES_MAX as u64).map_err(|err| said(&err))?;
    let name = args.document.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let imported = import(&text, &name, &args.only).map_err(|err| said(&err))?;
    let mut files = Vec::new();
    for (name, made) in FILES.into_iter().zip([&imported.wit, &imported.contract]) {
        files.push(Target::read(&args.out, name, made, args.keep)?);
    }
    if args.keep.is_none() && files.iter().any(|file| !file.conflicts.is_empty()) {
        conflicted(args, &files, printer)?;
        return Ok(EXIT_NO);
    }
    let removed = removed(&files, &imported);
    files.iter().try_for_each(|file| file.write(&args.out))?;
    report(args, &imported, &removed, printer)?;
    let contract = files[1].path(args);
    match load_named(&files[0].text, (&files[1].text, &contract)) {
        Ok(_) => Ok(0),
        Err(err) => {
            let stale = stale(&files[1].text, &imported);
            let why = if stale.is_empty() { err.to_string() } else { gone(&contract, &stale) };
            printer.note(format!("written, and does not load with what was edited:\n{why}"));
            Ok(EXIT_NO)
        }
    }
}

/// The functions of which an edited contract has tables, and the document nothing.
fn stale(contract: &str, imported: &Imported) -> Vec<String> {
    let read: toml::Table = toml::from_str(contract).unwrap_or_default();
    let tools = read.get("tool").and_then(toml::Value::as_table).into_iter().flatten();
    let is_gone = |name: &&String| imported.functions.iter().all(|one| one.label != **name);
    tools.map(|(name, _)| name).filter(is_gone).cloned().collect()
}

/// Says which tables are to be removed.
fn gone(contract: &str, stale: &[String]) -> String {
    let line = |name: &String| {
        format!(
            "`{contract}`: no function `{name}` is made of the document any more: remove the tables of `tool.{name}`"
        )
    };
    stale.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Shows the lines that were edited and that the document changed, too.
fn conflicted(args: &Args, files: &[Target<'_>], printer: &Printer) -> anyhow::Result<()> {
    let conflicts: Vec<(String, &Conflict)> =
        files.iter().flat_map(|file| file.conflicts.iter().map(|one| (file.path(args), one))).collect();
    if args.json {
        let shown = |(file, one): &(String, &Conflict)| json!({"file": file, "line": one.line, "edited": one.mine, "document": one.document});
        printer.json(&json!({"conflicts": conflicts.iter().map(shown).collect::<Vec<_>>()}))?;
    } else {
        for (file, Conflict { line, mine, document }) in &conflicts {
            let (mine, document) = (mine.trim_end(), document.trim_end());
            printer
                .note(format!("conflict: {file}:{line}\n  edited:\n{mine}\n  in the document:\n{document}"));
        }
    }
    let conflicts = count(conflicts.len() as u64, "conflict");
    printer.note(format!("{conflicts}: nothing was written; `--keep mine` or `--keep document` decides"));
    Ok(())
}

/// What the last import made and this one does not: functions, and the name of the package.
fn removed(files: &[Target<'_>], imported: &Imported) -> Vec<String> {
    let [Target { last: Some(wit), .. }, Target { last: Some(contract), .. }] = files else {
        return Vec::new();
    };
    // Made by another version of this program, they may not load any more: then there is nothing to compare.
    let Ok(last) = load(wit, contract) else { return Vec::new() };
    let is_gone = |label: &&str| imported.functions.iter().all(|one| one.label != **label);
    let gone = last.iter().map(|one| one.function.name.as_str()).filter(is_gone);
    let mut removed: Vec<String> = gone.map(|label| format!("the function `{label}`")).collect();
    let package = |wit: &str| wit.lines().find(|line| line.starts_with("package ")).map(str::to_owned);
    if let (Some(was), Some(is)) = (package(wit), package(&imported.wit))
        && was != is
    {
        removed.push(format!("`{was}`, which is `{is}` now: it is named after the document's file"));
    }
    removed
}

/// A file that an author edits.
struct Target<'m> {
    name: &'static str,
    made: &'m str,
    text: String,
    /// What the last import made of it.
    last: Option<String>,
    conflicts: Vec<Conflict>,
}

impl<'m> Target<'m> {
    fn read(
        out: &Path,
        name: &'static str,
        made: &'m str,
        keep: Option<Side>,
    ) -> Result<Target<'m>, Message> {
        let (path, last) = (out.join(name), out.join(LAST).join(name));
        let (edited, last) = (read(&path)?, read(&last)?);
        let keep = match keep {
            Some(Side::Document) => Keep::Document,
            Some(Side::Mine) | None => Keep::Mine,
        };
        let (text, conflicts) = match (edited, &last) {
            (None, _) => (made.to_owned(), Vec::new()),
            (Some(edited), Some(last)) => {
                let merged = merge(last, &edited, made, keep);
                (merged.text, merged.conflicts)
            }
            (Some(edited), None) if edited == made => (edited, Vec::new()),
            (Some(_), None) => {
                let path = path.display();
                return Err(Message(format!(
                    "`{path}` is there and was not imported; name another folder with `--out`, or move it away"
                )));
            }
        };
        Ok(Target { name, made, text, last, conflicts })
    }

    fn path(&self, args: &Args) -> String {
        args.out.join(self.name).display().to_string()
    }

    /// The last import after the file: an interruption between them merges to the same.
    fn write(&self, out: &Path) -> Result<(), Message> {
        for (path, text) in [(out.join(self.name), &*self.text), (out.join(LAST).join(self.name), self.made)]
        {
            let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            let written = folder.and_then(|()| file::replace(&path, text.as_bytes(), None));
            written.map_err(|err| Message(format!("cannot write `{}`: {err}", path.display())))?;
        }
        Ok(())
    }
}

/// The text of a file; none if it is not there.
fn read(path: &Path) -> Result<Option<String>, Message> {
    if file::is_absent(path) {
        return Ok(None);
    }
    let text = file::read_text(path, FILE_BYTES_MAX);
    text.map(Some).map_err(|err| Message(format!("`{}` cannot be read: {err}", path.display())))
}

fn report(args: &Args, imported: &Imported, removed: &[String], printer: &Printer) -> anyhow::Result<()> {
    let Imported { form, functions, loosened, notes, left_out, .. } = imported;
    if args.json {
        let functions: Vec<Value> =
            functions.iter().map(|one| json!({"function": one.label, "published": one.published})).collect();
        return printer.json(&json!({
            "form": form.to_string(),
            "functions": functions,
            "left_out": listed(left_out),
            "loosened": listed(loosened),
            "notes": listed(notes),
            "removed": removed,
        }));
    }
    for (kind, notes) in [("left out", left_out), ("loosened", loosened), ("note", notes)] {
        lines(kind, &notes.iter().map(told).collect::<Vec<_>>(), printer);
    }
    lines("removed", removed, printer);
    let functions = count(functions.len() as u64, "function");
    let out = args.out.display();
    printer
        .line(format!("{out}: {functions} from {form}, {} loosened", count(loosened.len() as u64, "place")));
    Ok(())
}

fn listed(notes: &[Note]) -> Vec<Value> {
    let note = |note: &Note| json!({"function": note.function, "place": note.place, "what": note.what});
    notes.iter().map(note).collect()
}

fn told(Note { function, place, what }: &Note) -> String {
    match (&**function, &**place) {
        ("", _) => what.clone(),
        (_, "") => format!("`{function}`: {what}"),
        _ => format!("`{function}` at `{place}`: {what}"),
    }
}

/// The first lines of a kind, and how many are left.
fn lines(kind: &str, said: &[String], printer: &Printer) {
    said.iter().take(NOTES_MAX).for_each(|what| printer.line(format!("{kind}: {what}")));
    if said.len() > NOTES_MAX {
        printer.line(format!("{kind}: {} more; `--json` lists them", said.len() - NOTES_MAX));
    }
}
