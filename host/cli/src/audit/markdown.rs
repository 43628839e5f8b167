//! The report in Markdown.

use std::fmt::{Result, Write as _};

use airlock::audit::{Audit, AuditedTool, Level};
use airlock_types::text::visible;
use airlock_types::words;

use super::{callers, calls, limits, or_nothing, reaches, used};

pub(super) fn report(audit: &Audit) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write(&mut out, audit);
    out
}

fn write(out: &mut String, audit: &Audit) -> Result {
    writeln!(out, "# Tools of {}\n", code(&audit.registry))?;
    let (tools, records) =
        (words::count(audit.tools.len() as u64, "tool"), words::count(audit.records, "record"));
    writeln!(out, "{tools}, {records}.\n")?;
    for problem in &audit.left_out {
        writeln!(out, "- Left out: {}", text(problem))?;
    }
    for entry in &audit.unloaded {
        writeln!(out, "- {} would reach for:", code(&entry.key))?;
        reaches(entry).iter().try_for_each(|line| writeln!(out, "  - {}", text(line)))?;
    }
    if !audit.left_out.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "| tool | effect | signature | granted | doubts |\n|---|---|---|---|---|")?;
    for tool in &audit.tools {
        let granted: Vec<&str> = granted(tool).collect();
        let count = |level: Level| {
            let found = tool.lints.iter().filter(|lint| lint.level() == level).count();
            words::count(found as u64, level.as_str())
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {}, {}, {} |",
            code(&tool.name),
            tool.effects,
            tool.signed,
            if granted.is_empty() { "nothing".into() } else { granted.join(", ") },
            count(Level::Error),
            count(Level::Warning),
            count(Level::Note),
        )?;
    }
    audit.tools.iter().try_for_each(|tool| one(out, tool))
}

fn granted(tool: &AuditedTool) -> impl Iterator<Item = &str> {
    tool.capabilities.iter().filter(|asked| !asked.granted.is_empty()).map(|asked| asked.name.as_str())
}

fn one(out: &mut String, tool: &AuditedTool) -> Result {
    writeln!(out, "\n## {}\n\n> {}\n", code(&tool.name), text(&tool.description))?;
    for lint in &tool.lints {
        writeln!(out, "- **{}** {}: {}", lint.level().as_str(), code(lint.rule.id), text(&lint.message))?;
    }
    writeln!(out, "\n| | |\n|---|---|")?;
    let signatures = tool.signatures.iter().map(|said| code(said)).collect::<Vec<_>>().join(", ");
    for (what, value) in [
        ("effect", tool.effects.to_owned()),
        ("signature", format!("{} {signatures}", tool.signed)),
        ("must be signed by", code(&tool.required)),
        ("callers", text(&or_nothing(&callers(tool)).join(", "))),
        ("component", code(&tool.component)),
        ("types", code(&tool.wit)),
        ("surface", code(&tool.surface)),
        ("calls", calls(tool)),
        ("limits", text(&limits(tool))),
        ("fallback", text(&or_nothing(&tool.fallback).join(", then "))),
        ("checks of results", tool.checks.to_string()),
    ] {
        writeln!(out, "| {what} | {} |", value.trim())?;
    }
    if !tool.capabilities.is_empty() {
        writeln!(out, "\n| capability | requests | granted | used |\n|---|---|---|---|")?;
    }
    for asked in &tool.capabilities {
        let cell =
            |lines: &[String]| or_nothing(lines).into_iter().map(text).collect::<Vec<_>>().join("<br>");
        let (requested, granted, used) =
            (cell(&asked.requested), cell(&super::granted(asked)), cell(&used(asked)));
        writeln!(out, "| {} | {requested} | {granted} | {used} |", text(&asked.name))?;
    }
    if !tool.imports.is_empty() {
        writeln!(out, "\n| import | |\n|---|---|")?;
    }
    for import in &tool.imports {
        writeln!(out, "| {} | {} |", code(&import.name), text(&import.said))?;
    }
    Ok(())
}

/// A text of others as text: no mark of Markdown or HTML in it does anything.
fn text(text: &str) -> String {
    let mut out = String::new();
    let text = visible(text);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push(' '),
            // Also what makes a link of a bare address.
            ':' if chars.peek() == Some(&'/') => out.push_str("&#58;"),
            '.' if ends_with_www(&out) => out.push_str("&#46;"),
            c if c.is_ascii_punctuation() && !matches!(c, '.' | ',' | ':' | ';' | '/' | '-' | '?' | '\'') => {
                out.extend(['\\', c]);
            }
            c => out.push(c),
        }
    }
    out
}

fn ends_with_www(text: &str) -> bool {
    text.get(text.len().saturating_sub(3)..).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

/// A text of others in a span of code, which ends at its own mark alone.
fn code(text: &str) -> String {
    format!("`{}`", visible(text).replace('`', "'").replace('|', "\\|").replace('\n', " "))
}
