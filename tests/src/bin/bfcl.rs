//! Imports function documents, one a line, and counts what is kept of them: `cargo xtask bfcl`.
//!
//! Fails if fewer than 99 % of the documents keep their keys and their names, if more than 2 % accept more than they say, if an answer
//! that is valid by its own document is refused, or one that is not is accepted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use airlock_import::{Imported, Loaded, import, load};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// Reasons that are printed.
const SHOWN_MAX: usize = 12;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    document: Value,
    answers: Vec<Value>,
    invalid: Vec<Value>,
}

#[derive(Default)]
struct Figures {
    documents: u64,
    loaded: u64,
    /// Documents with all their keys and their name.
    kept: u64,
    names: u64,
    keys: u64,
    keys_kept: u64,
    loosened: u64,
    noted: u64,
    free: u64,
    answers: u64,
    answers_invalid: u64,
    accepted: u64,
    invalid_accepted: u64,
    null_accepted: u64,
    reasons: BTreeMap<String, u64>,
    refused: Vec<String>,
}

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).context("usage: bfcl FILE")?;
    let mut figures = Figures::default();
    for line in std::fs::read_to_string(&path)?.lines() {
        figures.add(&serde_json::from_str(line)?);
    }
    figures.print();
    figures.judge()
}

impl Figures {
    fn add(&mut self, line: &Line) {
        self.documents += 1;
        self.answers_invalid += line.invalid.len() as u64;
        self.answers += line.answers.len() as u64;
        let mut keys = 0;
        let parameters = &line.document["parameters"];
        each_key(parameters, &mut |_| keys += 1);
        self.keys += keys;
        let imported = import(&line.document.to_string(), "bfcl", &[]).map_err(|err| err.to_string());
        let loaded = imported.and_then(|imported| {
            let loaded = load(&imported.wit, &imported.contract).map_err(|err| err.to_string())?;
            Ok((imported, loaded))
        });
        match loaded {
            Ok((imported, loaded)) => self.loaded(line, &imported, &loaded, keys),
            Err(why) => self.because(&format!("not loaded: {why}"), &line.document),
        }
    }

    fn loaded(&mut self, line: &Line, imported: &Imported, loaded: &[Loaded], keys: u64) {
        let [Loaded { contract, .. }] = loaded else { return };
        self.loaded += 1;
        let published = line.document["name"].as_str().unwrap_or_default();
        let is_named = contract.title.as_deref() == Some(published)
            || airlock_contract::path::snake(&contract.function.name) == published;
        let kept = kept(&line.document["parameters"], &contract.input_schema());
        self.keys_kept += kept;
        self.names += u64::from(is_named);
        self.kept += u64::from(is_named && kept == keys);
        if !is_named || kept != keys {
            self.because("a key or the name is not kept", &line.document);
        }
        self.noted += u64::from(!imported.notes.is_empty());
        self.free += u64::from(imported.contract.contains("\njson = true\n"));
        self.loosened += u64::from(!imported.loosened.is_empty());
        imported.loosened.iter().for_each(|note| *self.reasons.entry(note.what.clone()).or_default() += 1);
        let judged = |args: &Value| contract.validate(args.as_object().cloned().unwrap_or_default(), None);
        for args in line.invalid.iter().filter(|args| judged(args).is_ok()) {
            // Null is the same as absent, everywhere.
            let has_null = args.as_object().is_some_and(|args| args.values().any(Value::is_null));
            *(if has_null { &mut self.null_accepted } else { &mut self.invalid_accepted }) += 1;
        }
        for args in &line.answers {
            match judged(args) {
                Ok(_) => self.accepted += 1,
                Err((violations, _)) => {
                    let why = violations.first().map(|one| format!("`{}`: {}", one.path, one.expected));
                    self.refused.push(format!("{published} {args}: {}", why.unwrap_or_default()));
                }
            }
        }
    }

    fn because(&mut self, why: &str, document: &Value) {
        self.refused.push(format!("{}: {why}", document["name"]));
    }

    #[expect(clippy::print_stdout, reason = "the figures are the result")]
    fn print(&self) {
        println!("documents                              {}", self.documents);
        println!("  loaded                               {}", self.loaded);
        println!("  with all keys and the tool's name    {}", self.kept);
        println!("  loosened                             {}", self.loosened);
        println!("  with free JSON somewhere             {}", self.free);
        println!("  with a default that is left out      {}", self.noted);
        println!("tool names as published                {}", self.names);
        println!("keys as published                      {} of {}", self.keys_kept, self.keys);
        println!("answers valid by their own document    {}", self.answers);
        println!("  accepted                             {}", self.accepted);
        println!("answers that are not                   {}", self.answers_invalid);
        println!("  accepted, with null for absent       {}", self.null_accepted);
        println!("  accepted otherwise                   {}", self.invalid_accepted);
        self.reasons.iter().for_each(|(what, count)| println!("loosened {count} times: {what}"));
        self.refused.iter().take(SHOWN_MAX).for_each(|why| println!("{why}"));
    }

    fn judge(&self) -> Result<()> {
        ensure!(self.documents > 3_000, "there are only {} documents", self.documents);
        ensure!(self.kept * 100 >= self.documents * 99, "fewer than 99 % keep their keys and names");
        ensure!(self.loosened * 100 <= self.documents * 2, "more than 2 % are loosened");
        ensure!(self.answers > 0 && self.accepted == self.answers, "a valid answer is refused");
        ensure!(self.invalid_accepted == 0, "an answer that is not valid is accepted");
        Ok(())
    }
}

/// Calls `show` with each key of a document's schema, those of items and of branches included.
fn each_key(schema: &Value, show: &mut impl FnMut(&str)) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, inner) in properties.into_iter().flatten() {
        show(key);
        each_key(inner, show);
    }
    for keyword in ["items", "additionalProperties"] {
        schema.get(keyword).into_iter().for_each(|inner| each_key(inner, show));
    }
}

/// The keys of a document that the schema of the contract has at the same places. Free JSON keeps all keys inside.
fn kept(document: &Value, ours: &Value) -> u64 {
    let ours = through(ours);
    let mut count = 0;
    if let Some(properties) = document.get("properties").and_then(Value::as_object) {
        for (key, inner) in properties {
            match ours.get("properties").and_then(|all| all.get(key)) {
                Some(found) => count += 1 + kept(inner, found),
                None if is_free(ours) => {
                    count += 1;
                    each_key(inner, &mut |_| count += 1);
                }
                None => {}
            }
        }
    }
    for keyword in ["items", "additionalProperties"] {
        let Some(inner) = document.get(keyword) else { continue };
        match ours.get(keyword).filter(|found| found.is_object()) {
            Some(found) => count += kept(inner, found),
            None if is_free(ours) => each_key(inner, &mut |_| count += 1),
            None => {}
        }
    }
    count
}

/// Whether any JSON passes here, so that every key is kept.
fn is_free(schema: &Value) -> bool {
    ["type", "enum", "anyOf", "properties", "items"].iter().all(|keyword| schema.get(keyword).is_none())
}

/// The schema of a value that may be null.
fn through(schema: &Value) -> &Value {
    let branches = schema.get("anyOf").and_then(Value::as_array);
    branches.and_then(|all| all.iter().find(|one| one["type"] != "null")).map_or(schema, through)
}
