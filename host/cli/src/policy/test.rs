//! `airlock policy test FILE`: cases in TOML, each a tool, what it asks for, and the decision that is expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::print::{Message, Printer};
use crate::{EXIT_NO, Ended, open};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::policy::{CaseOf, HoldRules, Verdict, verdict};
use airlock::registry::{Registry, Tool};
use airlock_types::caller::LOCAL;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::environment::{Environment as _, ms};
use airlock_types::grant::{Asked, clock, files, http, keyvalue, random, values};
use airlock_types::words::{count, did_you_mean, list, quoted_list};
use toml::Spanned;

/// Size of the largest file of cases in bytes: some ten thousand cases.
const CASES_BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file with the cases
    cases: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[serde(default)]
    case: Vec<Spanned<Case>>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The tool's public name.
    tool: String,
    /// The caller, by its entry.
    #[serde(default = "local")]
    caller: String,
    /// What the tool asks for, by capability: `{ http = "GET https://api.example.com/v1" }`. Without it the case is about the
    /// call as a whole.
    #[serde(default)]
    request: BTreeMap<String, String>,
    /// `allow`, `hold`, `report` or `deny`.
    decision: Decision,
    /// The rule that decides, by its name or by its file and line.
    rule: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allow,
    Hold,
    Report,
    Deny,
}

impl Decision {
    fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Hold => "hold",
            Decision::Report => "report",
            Decision::Deny => "deny",
        }
    }
}

fn local() -> String {
    LOCAL.to_owned()
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let name = args.cases.display().to_string();
    let text = airlock::file::read_text(&args.cases, CASES_BYTES_MAX)
        .map_err(|err| Message(format!("the cases `{name}` cannot be read: {err}")))?;
    let source: Arc<str> = text.into();
    let Cases { case: cases } = airlock_types::tables::from_str(&source)
        .map_err(|err| Diagnostics::from(Diagnostic::from_toml(&err, &name, &source)))?;
    if cases.is_empty() {
        return Err(Message(format!("`{name}` has no `[[case]]`")).into());
    }
    let file = ConfigFile::read(registry)?;
    let tools = open::whole_registry(&file).await?;
    let mut failed = 0;
    for (number, case) in cases.iter().enumerate() {
        // A case that cannot be tried says nothing about the ones behind it.
        let (said, is_right) =
            tried(case.get_ref(), &file, &tools).unwrap_or_else(|Message(why)| (why, false));
        failed += u64::from(!is_right);
        let word = if is_right { "ok  " } else { "FAIL" };
        let line = source[..case.span().start].matches('\n').count() + 1;
        printer.line(format!("{word} {} ({name}:{line}): {said}", number + 1));
    }
    printer.line(format!("{}, {failed} failed", count(cases.len() as u64, "case")));
    Ok(if failed > 0 { EXIT_NO } else { 0 })
}

/// What a case asks for.
fn request(case: &Case) -> Result<Option<Asked>, Message> {
    let mut requests = case.request.iter();
    let (first, second) = (requests.next(), requests.next());
    if second.is_some() {
        return Err(Message("a case has one request; write another case for the second".to_owned()));
    }
    let Some((capability, what)) = first else { return Ok(None) };
    // A name that is not built in is that of a program's own capability, whose use is its name.
    if capability != what && !BUILT_IN.contains(&capability.as_str()) {
        let near = did_you_mean(capability, BUILT_IN).unwrap_or_else(|| {
            format!(
                "write one of {}, or `{capability} = \"{capability}\"` for one of your program",
                list(BUILT_IN.into_iter())
            )
        });
        return Err(Message(format!("unknown capability `{capability}`; {near}")));
    }
    Asked::read(capability, what).map(Some).map_err(|err| Message(err.to_string()))
}

/// The names of the capabilities that every host has.
const BUILT_IN: [&str; 7] =
    [files::NAME, http::NAME, keyvalue::NAME, values::CONFIG, values::ENV, clock::NAME, random::NAME];

/// What policy says of a case, and whether that is expected.
fn tried(case: &Case, file: &ConfigFile, tools: &Registry) -> Result<(String, bool), Message> {
    let tool: &Arc<Tool> =
        tools.resolve(&case.tool).map_err(|unknown| open::unknown(&unknown, &case.tool, tools))?;
    let asked = request(case)?;
    let entry = file.config.callers.iter().find(|(name, _)| name.get_ref() == &case.caller);
    if entry.is_none() && case.caller != LOCAL {
        let names = || file.config.callers.keys().map(|name| name.get_ref().as_str());
        let near = did_you_mean(&case.caller, names()).unwrap_or_else(|| match names().next() {
            Some(_) => format!("it has {}", quoted_list(names())),
            None => "it has none".to_owned(),
        });
        return Err(Message(format!("the registry has no caller `{}`; {near}", case.caller)));
    }
    let now_ms = ms(World::default().wall());
    let Tool { name, effect, allowances, source, .. } = &**tool;
    let holds = &HoldRules::of(&file.config);
    let must_be_approved = tool.must_be_approved();
    let of = CaseOf { name, effect: *effect, allowances, source, holds, must_be_approved };
    let who = (&*case.caller, entry.map(|(_, caller)| caller));
    let said = verdict(of, who, asked.as_ref(), now_ms);
    let Verdict { decision, rule, at, grant } = &said;
    let is_rule = case.rule.as_ref().is_none_or(|expected| expected == rule || expected == at);
    let is_right = case.decision.as_str() == *decision && is_rule;
    let what = asked.map_or_else(String::new, |asked| format!(" {} `{asked}`", asked.capability()));
    let mut text = format!("{} for {}{what}: {decision} by {rule} ({at})", case.tool, case.caller);
    if !is_right {
        let expected = case.rule.as_ref().map_or_else(String::new, |rule| format!(" by {rule}"));
        text.push_str(&format!("; expected {}{expected}", case.decision.as_str()));
        if matches!(case.decision, Decision::Hold) && *decision == Decision::Allow.as_str() {
            text.push_str(
                "; rules over arguments, `first_use` and `suspect` are not judged here: `airlock explain` judges a call",
            );
        }
        text.extend(grant.iter().map(|grant| format!("; it would be allowed with `{grant}`")));
    }
    Ok((text, is_right))
}
