//! The demo: a scripted agent session over real MCP, scene by scene.
//!
//! Each scene states its expected outcome. The program exits with 1 if a scene ends differently.

mod scenes;

use std::io::Write as _;
use std::path::Path;

use airlock::config::ConfigFile;
use airlock::host::open_journal;
use airlock_journal::Journal;
use airlock_tests::root;
use airlock_tests::services::Services;
use airlock_tests::session::{Session, text};
use airlock_types::record::Record;
use airlock_types::record::v3::Step;
use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use rmcp::model::CallToolResult;
use scenes::Scene;
use serde_json::Value;

/// Width at which text is wrapped.
const COLUMNS: usize = 100;

/// Characters of a long answer that are shown.
const TEXT_CHARS_MAX: usize = 1_200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let registry = root().join("tests/demo.toml");
    let (own, own_came) = play(&registry, &scenes::own()).await?;
    let folder = tempfile::tempdir()?;
    let services = Services::start(scenes::KEY).await?;
    let registry = scenes::registry(&services, folder.path())?;
    let (reaching, reaching_came) = play(&registry, &scenes::reaching(&services, &registry)).await?;
    let (count, came) = (own + reaching, own_came + reaching_came);
    say(bold(), &format!("\n{count} scenes, {came} as expected."))?;
    anyhow::ensure!(came == count, "{} scenes did not end as expected", count - came);
    Ok(())
}

/// Plays scenes in one session, and returns how many there were and how many ended as expected.
async fn play(registry: &Path, scenes: &[Scene<'_>]) -> anyhow::Result<(usize, usize)> {
    let session = Session::start_with(registry, &[(scenes::KEY_NAME, scenes::KEY)]).await?;
    let journal = open_journal(&ConfigFile::read(registry)?)?;
    let tools = session.tools().await?;
    say(bold(), &format!("\nAn agent connects over MCP and sees {} tools.", tools.len()))?;
    let mut as_expected = 0;
    for scene in scenes {
        (scene.before)();
        let result = session.call(scene.tool, scene.args.clone()).await?;
        as_expected += usize::from(show(scene, &result, &journal).await?);
    }
    session.end().await?;
    Ok((scenes.len(), as_expected))
}

/// Prints a scene and returns whether it ended as expected.
async fn show(scene: &Scene<'_>, result: &CallToolResult, journal: &Journal) -> anyhow::Result<bool> {
    let record = record(result, journal).await?;
    say(bold(), &format!("\n{}", scene.title))?;
    row("called", &format!("{} {}", scene.tool, scene.args))?;
    row("inner door", &inner_door(&record))?;
    row("outer door", &outer_door(&record))?;
    row("path", &path(&record.path))?;
    let usage = &record.reply.as_ref().map_or(Value::Null, |reply| reply["usage"].clone());
    row(
        "cost",
        &format!(
            "{} µs, {} fuel, {} KiB, {} attempts",
            usage["wall_us"],
            usage["fuel"],
            usage["memory_bytes"].as_u64().unwrap_or(0) / 1024,
            usage["attempts"]
        ),
    )?;
    let good = !result.is_error.unwrap_or(false);
    let style = if good { color(AnsiColor::Green) } else { color(AnsiColor::Yellow) };
    say(style, &indented("the agent reads", &read_by_agent(result)))?;
    let beside = (scene.beside)();
    if let Ok(Some(beside)) = &beside {
        row("beside it", beside)?;
    }
    let came = record.code == scene.expect.as_str();
    if !came {
        say(color(AnsiColor::Red), &format!("   expected {}, came {}", scene.expect, record.code))?;
    }
    if let Err(wrong) = &beside {
        say(color(AnsiColor::Red), &format!("   {wrong}"))?;
    }
    Ok(came && beside.is_ok())
}

/// The record of a call. The server writes it some milliseconds after its answer, hence the loop.
async fn record(result: &CallToolResult, journal: &Journal) -> anyhow::Result<Record> {
    let meta = serde_json::to_value(&result.meta)?;
    let id = meta["dev.airlock/record"].as_str().context("the answer has no record's id")?.to_owned();
    for _ in 0..100 {
        if let Some(record) = journal.find(&id)? {
            return Ok(record);
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    anyhow::bail!("the journal has no record {id}")
}

fn inner_door(record: &Record) -> String {
    let violations = record.reply.as_ref().and_then(|reply| reply["error"]["violations"].as_array());
    match violations {
        Some(violations) => violations
            .iter()
            .map(|violation| format!("{} ({})", plain(&violation["path"]), plain(&violation["keyword"])))
            .collect::<Vec<_>>()
            .join(", "),
        None => "passed".into(),
    }
}

fn outer_door(record: &Record) -> String {
    let found = record.attempts.iter().flat_map(|attempt| {
        attempt.findings.iter().map(|finding| {
            format!("{}: {} `{}` got {}", attempt.route, finding.kind, finding.path, finding.got)
        })
    });
    let found: Vec<String> = found.collect();
    let shown = found.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    let answered = record.attempts.iter().any(|attempt| attempt.code.starts_with("ok"));
    match found.len() {
        0 if answered => "passed".into(),
        0 => "not reached".into(),
        n if n > 3 => format!("{shown}; and {} more", n - 3),
        _ => shown,
    }
}

fn path(steps: &[Step]) -> String {
    let steps = steps.iter().map(|step| match step {
        Step::Attempt { tool, number, .. } => format!("{tool} #{number}"),
        Step::Ended { code, .. } => format!("→ {code}"),
        Step::Skipped { tool, why } => format!("skip {tool}: {why}"),
        Step::Stopped { why, .. } => format!("({why})"),
        Step::Asked { tool, .. } => format!("ask {tool}"),
        Step::Verified { found, .. } => format!("→ {found}"),
        Step::Recalled { tool, found, .. } => format!("kept answer of {tool}: {found}"),
    });
    let steps: Vec<String> = steps.collect();
    if steps.is_empty() { "nothing ran".into() } else { steps.join(" ") }
}

/// The text that the model reads, cut for display.
fn read_by_agent(result: &CallToolResult) -> String {
    let text = text(result);
    if text.chars().count() > TEXT_CHARS_MAX {
        format!("{} …", text.chars().take(TEXT_CHARS_MAX).collect::<String>())
    } else {
        text
    }
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn row(title: &str, content: &str) -> std::io::Result<()> {
    say(Style::new(), &indented(title, content))
}

/// A title with the content wrapped beside it.
fn indented(title: &str, content: &str) -> String {
    const INDENT: usize = 19;
    let mut out = format!("   {title:<16}");
    let mut column = INDENT;
    for (i, line) in content.lines().enumerate() {
        if i > 0 {
            out.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        }
        for word in line.split_inclusive(&[' ', ',']) {
            let width = word.chars().count();
            if column + width > COLUMNS && column > INDENT {
                out.push_str(&format!("\n{:INDENT$}", ""));
                column = INDENT;
            }
            out.push_str(word);
            column += width;
        }
    }
    out
}

fn bold() -> Style {
    Style::new().bold()
}

fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}

/// Prints with a style on a terminal, and plain otherwise.
fn say(style: Style, text: &str) -> std::io::Result<()> {
    writeln!(anstream::stdout(), "{style}{text}{style:#}")
}
