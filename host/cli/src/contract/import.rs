//! `airlock contract import`: makes WIT and a contract of a published document, and merges them with what was edited.
//!
//! Owns the files: the two that an author edits, and what the last import made of each, beside them in `.imported`. Must not know
//! documents.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::print::{Message, Printer};
use crate::{EXIT_NO, Ended, pack};
use airlock::file;
use airlock_import::{DOCUMENT_BYTES_MAX, Imported, Keep, Note, import, load, merge};
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
    /// The document, as JSON
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
    // What it makes is loaded before anything is written: an import that no host loads is a fault of this program.
    load(&imported.wit, &imported.contract)
        .map_err(|err| said(&format!("what was made of it does not load: {err}")))?;
    let mut files = Vec::new();
    for (name, made) in FILES.into_iter().zip([&imported.wit, &imported.contract]) {
        files.push(Target::read(&args.out, name, made, args.keep)?);
    }
    let conflicts: Vec<&String> = files.iter().flat_map(|file| &file.conflicts).collect();
    if !conflicts.is_empty() && args.keep.is_none() {
        conflicts.iter().for_each(|conflict| printer.note(format!("conflict: {conflict}")));
        let conflicts = count(conflicts.len() as u64, "conflict");
        printer.note(format!("{conflicts}: nothing was written; `--keep mine` or `--keep document` decides"));
        return Ok(EXIT_NO);
    }
    files.iter().try_for_each(|file| file.write(&args.out))?;
    report(args, &imported, printer)?;
    match load(&files[0].text, &files[1].text) {
        Ok(_) => Ok(0),
        Err(err) => {
            printer.note(format!("written, and does not load with what was edited:\n{err}"));
            Ok(EXIT_NO)
        }
    }
}

/// A file that an author edits.
struct Target<'m> {
    name: &'static str,
    made: &'m str,
    text: String,
    conflicts: Vec<String>,
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
        let (text, conflicts) = match (edited, last) {
            (None, _) => (made.to_owned(), Vec::new()),
            (Some(edited), Some(last)) => {
                let merged = merge(&last, &edited, made, keep);
                let conflicts = merged.conflicts.iter().map(|one| {
                    let (mine, document) = (one.mine.trim_end(), one.document.trim_end());
                    format!(
                        "{}:{}\n  edited:\n{mine}\n  in the document:\n{document}",
                        path.display(),
                        one.line
                    )
                });
                (merged.text, conflicts.collect())
            }
            (Some(edited), None) if edited == made => (edited, Vec::new()),
            (Some(_), None) => {
                let path = path.display();
                return Err(Message(format!(
                    "`{path}` is there and was not imported; name another folder with `--out`, or move it away"
                )));
            }
        };
        Ok(Target { name, made, text, conflicts })
    }

    /// The last import after the file: an interruption between them merges to the same.
    fn write(&self, out: &Path) -> Result<(), Message> {
        for (path, text) in [(out.join(self.name), &*self.text), (out.join(LAST).join(self.name), self.made)]
        {
            let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            let written = folder.and_then(|()| pack::write(&path, text.as_bytes()));
            written.map_err(|err| Message(format!("cannot write `{}`: {err}", path.display())))?;
        }
        Ok(())
    }
}

/// The text of a file; none if it is not there.
fn read(path: &Path) -> Result<Option<String>, Message> {
    if !path.exists() {
        return Ok(None);
    }
    let text = file::read_text(path, FILE_BYTES_MAX);
    text.map(Some).map_err(|err| Message(format!("`{}` cannot be read: {err}", path.display())))
}

fn report(args: &Args, imported: &Imported, printer: &Printer) -> anyhow::Result<()> {
    let Imported { form, functions, loosened, notes, .. } = imported;
    if args.json {
        let listed = |notes: &[Note]| {
            let note =
                |note: &Note| json!({"function": note.function, "place": note.place, "what": note.what});
            notes.iter().map(note).collect::<Vec<Value>>()
        };
        let functions: Vec<Value> =
            functions.iter().map(|one| json!({"function": one.label, "published": one.published})).collect();
        return printer.json(&json!({
            "form": form.to_string(),
            "functions": functions,
            "loosened": listed(loosened),
            "notes": listed(notes),
        }));
    }
    for (kind, notes) in [("loosened", loosened), ("note", notes)] {
        for Note { function, place, what } in notes.iter().take(NOTES_MAX) {
            let place = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
            printer.line(format!("{kind}: `{function}`{place}: {what}"));
        }
        if notes.len() > NOTES_MAX {
            printer.line(format!("{kind}: {} more; `--json` lists them", notes.len() - NOTES_MAX));
        }
    }
    let functions = count(functions.len() as u64, "function");
    let out = args.out.display();
    printer
        .line(format!("{out}: {functions} from {form}, {} loosened", count(loosened.len() as u64, "place")));
    Ok(())
}
