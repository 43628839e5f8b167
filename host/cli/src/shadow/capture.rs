//! `airlock shadow capture SUITE`: a sample of the recorded attempts that can be replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::folder::{CASES_BYTES_MAX, CASES_MAX, COMPONENTS_BYTES_MAX, Folder};
use super::hosts;
use crate::moment::Moment;
use crate::print::{Message, Printer};
use crate::{Ended, open};
use airlock::config::ConfigFile;
use airlock::replay::{NotReplayable, Recorded};
use airlock::signature::{envelope_path, minisign_path};
use airlock_journal::evidence::Fault;
use airlock_journal::{Journal, JournalError};
use airlock_shadow::case::{Case, Reference};
use airlock_shadow::sample::{Candidate, Sampler};
use airlock_types::record::Record;
use airlock_types::record::v3::OpenError;
use airlock_types::words::{count, quoted_list};

/// Who stands behind a reference that comes from a grade.
const GRADE: &str = "grade";

/// Codes of attempts that ended as tools do. All others are incidents.
const ORDINARY: [&str; 4] = ["ok", "clarify", "refused", "tool.error"];

/// Most reasons for which attempts were left out that are told.
const REASONS_MAX: usize = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the suite. Of one that is there, the settings and the references written by hand are kept
    suite: PathBuf,
    /// Only calls that came at this time or later: `7d` ago, or `2026-11-26T22:30:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only attempts on this tool
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// Most cases
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=CASES_MAX as i64))]
    cases: u32,
    /// Keep all cases that are there. Without it, those stay that are chosen again, and those whose references were written by hand
    #[arg(long)]
    keep: bool,
    /// The seed of the choice [default: that of the suite, or 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Leave the components out of the suite: a case can then be run only while the registry has the same one
    #[arg(long)]
    without_components: bool,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let (file, folder) = (ConfigFile::read(registry)?, Folder::at(&args.suite));
    let suite = folder.suite()?;
    let kept = if suite.is_some() { folder.read_cases()? } else { BTreeMap::new() };
    let seed = args.seed.or(suite.as_ref().map(|suite| suite.seed)).unwrap_or(1);
    let journal = open::journal(&file)?;
    let mut left_out = BTreeMap::new();
    let sampler = sample(args, seed, &journal, &mut left_out)?;
    let (seen, strata) = (sampler.seen(), sampler.strata());
    let before: BTreeSet<String> = kept.keys().cloned().collect();
    let cases = cases(&journal, sampler, kept, args.keep)?;
    if cases.is_empty() {
        tell_left_out(&left_out, printer);
        let how = "record calls with `record = \"full\"` of a tool, or of a tool without imports";
        return Err(
            Message(format!("no recorded attempt can be replayed, so that there is no case: {how}")).into()
        );
    }
    let texts = texts(&cases)?;
    if suite.is_none() {
        folder.write_suite(seed)?;
    }
    folder.write_cases(&texts)?;
    let components = if args.without_components { 0 } else { components(&file, &folder, &cases)? };
    let tools: BTreeSet<&str> = cases.values().map(|case| case.stratum.tool.as_str()).collect();
    let incidents = cases.values().filter(|case| case.incident.is_some()).count();
    printer.line(format!(
        "{}: {} of {}, {} of {seen} attempts in {}, {} kept as incidents, {}",
        args.suite.display(),
        count(cases.len() as u64, "case"),
        count(tools.len() as u64, "tool"),
        cases.len(),
        if strata == 1 { "1 stratum".to_owned() } else { format!("{strata} strata") },
        incidents,
        count(components, "component")
    ));
    tell_left_out(&left_out, printer);
    tell_dropped(before.iter().filter(|name| !cases.contains_key(*name)), printer);
    Ok(0)
}

fn tell_left_out(left_out: &BTreeMap<String, u64>, printer: &Printer) {
    for (why, attempts) in left_out {
        printer.note(format!("{} left out: {why}", count(*attempts, "attempt")));
    }
}

/// Names cases that were there and are not any more, so that none is lost without a word.
fn tell_dropped<'n>(dropped: impl Iterator<Item = &'n String>, printer: &Printer) {
    let dropped: Vec<&str> = dropped.map(String::as_str).collect();
    if !dropped.is_empty() {
        let many = count(dropped.len() as u64, "case");
        let names = quoted_list(dropped.iter().copied());
        printer
            .note(format!("note: {many} of before removed, not chosen again (`--keep` keeps them): {names}"));
    }
}

fn message(err: JournalError) -> Message {
    Message(err.to_string())
}

fn sample(
    args: &Args,
    seed: u64,
    journal: &Journal,
    left_out: &mut BTreeMap<String, u64>,
) -> anyhow::Result<Sampler> {
    let mut sampler = Sampler::new(seed, args.cases as usize);
    for page in journal.pages(args.since.map_or(0, Moment::unix_ms)) {
        for record in &page.map_err(message)? {
            let is_asked = |tool: &str| args.tool.as_ref().is_none_or(|asked| asked == tool);
            let attempts = record.attempts.iter().enumerate();
            for (at, _) in attempts.filter(|(_, attempt)| is_asked(&attempt.route)) {
                match attested(journal, record)?.and_then(|()| replayable(record, at)) {
                    Ok(case) => {
                        let is_incident = incident(journal, &case)?.is_some();
                        let candidate = Candidate { call: record.id.clone(), at };
                        sampler.add(case.stratum, candidate, is_incident);
                    }
                    Err(why) if left_out.len() < REASONS_MAX || left_out.contains_key(&why) => {
                        *left_out.entry(why).or_default() += 1;
                    }
                    Err(_) => *left_out.entry("for other reasons".to_owned()).or_default() += 1,
                }
            }
        }
    }
    Ok(sampler)
}

/// Whether a record is the one that was written: a case is what others are compared with.
fn attested(journal: &Journal, record: &Record) -> anyhow::Result<Result<(), String>> {
    let faults = journal.faults(&record.id).map_err(message)?;
    let altered = |fault: Fault| format!("its record does not match the log: {}", fault.what);
    Ok(faults.into_iter().next().map_or(Ok(()), |fault| Err(altered(fault))))
}

/// The case of an attempt, if it can be replayed.
fn replayable(record: &Record, at: usize) -> Result<Case, String> {
    // With the identity of the operator, it can: what is encrypted stays so in a suite.
    match record.opened(|_| Err(String::new())) {
        Ok(_) | Err(OpenError::Unseal(_)) if record.confidential.is_none() || record.attempts.len() == 1 => {}
        Ok(_) | Err(OpenError::Unseal(_)) => {
            return Err(
                "its call has confidential fields and several attempts, which are encrypted together".into(),
            );
        }
        Err(why) => return Err(why.to_string()),
    }
    let shown = Record { confidential: None, ..record.clone() };
    match Recorded::of(&shown, at + 1, |_| Err(String::new())) {
        Ok(_) | Err(NotReplayable::Sealed(_)) => {}
        Err(why) => return Err(why.to_string()),
    }
    let case = Case::of(record, at).ok_or("it has no attempt")?;
    // Larger ones are found here, before one is chosen.
    case.write().map_err(|err| err.to_string()).map(|_| case)
}

/// The newest grade of a call, by its word.
fn last_grade(journal: &Journal, call: &str) -> anyhow::Result<Option<String>> {
    Ok(journal.grades(call).map_err(message)?.pop().map(|given| given.grade))
}

/// Why a case is kept whatever else is.
fn incident(journal: &Journal, case: &Case) -> anyhow::Result<Option<String>> {
    let grade = last_grade(journal, &case.record.id)?;
    Ok(match grade.as_deref() {
        Some(grade @ ("wrong" | "partly")) => Some(format!("graded {grade}")),
        // Whoever graded it has seen how it ended.
        Some("right") => None,
        _ if ORDINARY.contains(&case.stratum.code.as_str()) => None,
        _ => Some(format!("ended with {}", case.stratum.code)),
    })
}

/// The chosen cases, and those of before whose references were written by hand.
fn cases(
    journal: &Journal,
    sampler: Sampler,
    kept: BTreeMap<String, Case>,
    keep: bool,
) -> anyhow::Result<BTreeMap<String, Case>> {
    let by_hand = |case: &Case| case.reference.as_ref().is_some_and(|reference| reference.by != GRADE);
    let mut cases: BTreeMap<String, Case> =
        kept.into_iter().filter(|(_, case)| keep || by_hand(case)).collect();
    for Candidate { call, at } in sampler.chosen() {
        // Retention may have removed it in between.
        let Some(record) = journal.find(&call).map_err(message)? else { continue };
        let Some(mut case) = Case::of(&record, at) else { continue };
        case.incident = incident(journal, &case)?;
        let graded = last_grade(journal, &call)?;
        let right = graded.is_some_and(|grade| grade == "right");
        let name = case.name();
        let old = cases.get(&name).and_then(|case| case.reference.clone());
        case.reference = old.or_else(|| right.then(|| Reference { by: GRADE.to_owned(), answer: None }));
        cases.insert(name, case);
    }
    Ok(cases)
}

/// The files of the cases, as many as the bound of all lets in.
fn texts(cases: &BTreeMap<String, Case>) -> anyhow::Result<BTreeMap<String, String>> {
    let (mut texts, mut bytes) = (BTreeMap::new(), 0);
    for (name, case) in cases {
        let text = case.write().map_err(|err| Message(format!("the case `{name}`: {err}")))?;
        bytes += text.len() as u64;
        if bytes > CASES_BYTES_MAX {
            let most = CASES_BYTES_MAX >> 20;
            return Err(Message(format!(
                "the cases have more than {most} MiB: give fewer `--cases`, or one `--tool`"
            ))
            .into());
        }
        texts.insert(name.clone(), text);
    }
    Ok(texts)
}

/// Copies the components of the cases that the registry has, with their signatures. Returns how many there are.
fn components(file: &ConfigFile, folder: &Folder, cases: &BTreeMap<String, Case>) -> anyhow::Result<u64> {
    let (mut copied, mut bytes_of_all) = (0, 0);
    let digests: BTreeSet<&str> = cases.values().map(Case::component).collect();
    folder.keep_components(&digests)?;
    for (path, digest, bytes) in hosts::components(file) {
        bytes_of_all += if digests.contains(digest.as_str()) { bytes.len() as u64 } else { 0 };
        if !digests.contains(digest.as_str()) {
            continue;
        }
        if bytes_of_all > COMPONENTS_BYTES_MAX {
            let most = COMPONENTS_BYTES_MAX >> 20;
            return Err(Message(format!(
                "the components have more than {most} MiB: give `--without-components`"
            ))
            .into());
        }
        let to = folder.component(&digest);
        folder.write(&to, &bytes)?;
        for (from, to) in
            [(envelope_path(&path), envelope_path(&to)), (minisign_path(&path), minisign_path(&to))]
        {
            if let Ok(signature) = airlock::file::read(&from, COMPONENTS_BYTES_MAX) {
                folder.write(&to, &signature)?;
            }
        }
        copied += 1;
    }
    Ok(copied)
}
