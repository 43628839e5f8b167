//! The report as one page: no script, and nothing that is loaded from elsewhere.
//!
//! Must not know how the page looks: `markup`.

use std::fmt::{Result, Write as _};

use airlock::audit::{Audit, AuditedTool, Level, Standing};
use airlock_types::words::count;

use super::{callers, calls, granted, limits, or_nothing, reaches, used};
use crate::markup::{self, marked, text};

pub(super) fn page(audit: &Audit) -> String {
    let title = text(&audit.registry);
    let heading = format!("Tools of <code>{title}</code>");
    markup::page(&format!("Tools of {title}"), "Airlock audit", &heading, |out| body(out, audit))
}

fn body(out: &mut String, audit: &Audit) -> Result {
    summary(out, audit)?;
    for problem in &audit.left_out {
        writeln!(out, "<p class=\"lint error\"><b>left out</b> <span>{}</span></p>", marked(problem))?;
    }
    for entry in &audit.unloaded {
        let lines: Vec<String> = reaches(entry).iter().map(|line| text(line)).collect();
        let lines = if lines.is_empty() { "nothing".to_owned() } else { lines.join("<br>") };
        let (key, component) = (text(&entry.key), text(&entry.component));
        writeln!(
            out,
            "<details><summary>What {key} would reach for</summary><dl class=\"facts\"><dt>component</dt><dd>{component}</dd>\
             <dt>reach</dt><dd>{lines}</dd></dl></details>"
        )?;
    }
    index(out, &audit.tools)?;
    audit.tools.iter().try_for_each(|tool| section(out, tool))
}

fn summary(out: &mut String, audit: &Audit) -> Result {
    let counts = audit.counts();
    let count = |level| counts.get(&level).copied().unwrap_or_default();
    let verified = audit.tools.iter().filter(|tool| !tool.signers.is_empty()).count();
    let tiles = [
        ("", "tools", audit.tools.len()),
        ("ok", "verified", verified),
        ("error", "errors", count(Level::Error) + audit.left_out.len()),
        ("warning", "warnings", count(Level::Warning)),
        ("note", "notes", count(Level::Note)),
        ("", "records", usize::try_from(audit.records).unwrap_or(usize::MAX)),
    ];
    markup::tiles(out, &tiles)
}

fn index(out: &mut String, tools: &[AuditedTool]) -> Result {
    writeln!(
        out,
        "<div class=\"scroll\"><table class=\"index\"><thead><tr><th>tool</th><th>effect</th><th>signature</th>\
         <th>granted</th><th>calls</th><th>doubts</th></tr></thead><tbody>"
    )?;
    for tool in tools {
        let name = text(&tool.name);
        write!(out, "<tr><td><a href=\"#tool-{name}\">{name}</a></td><td>{}</td>", effect(tool))?;
        write!(out, "<td>{}</td><td class=\"chips\">", signed(tool))?;
        let granted = tool.capabilities.iter().filter(|asked| !asked.granted.is_empty());
        let mut chips: Vec<String> =
            granted.map(|asked| format!("<span class=\"chip\">{}</span>", text(&asked.name))).collect();
        if chips.is_empty() {
            chips.push("<span class=\"quiet\">nothing</span>".into());
        }
        write!(
            out,
            "{}</td><td class=\"number\">{}</td><td class=\"chips\">",
            chips.concat(),
            tool.calls.calls
        )?;
        for level in [Level::Error, Level::Warning, Level::Note] {
            let count = tool.lints.iter().filter(|lint| lint.level() == level).count();
            if count > 0 {
                let level = level.as_str();
                write!(
                    out,
                    "<span class=\"chip {level}\">{count} {level}{}</span>",
                    if count == 1 { "" } else { "s" }
                )?;
            }
        }
        writeln!(out, "</td></tr>")?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn section(out: &mut String, tool: &AuditedTool) -> Result {
    let name = text(&tool.name);
    writeln!(
        out,
        "<section id=\"tool-{name}\"><h2>{name}</h2><p class=\"badges\">{}{}</p>",
        effect(tool),
        signed(tool)
    )?;
    writeln!(out, "<p class=\"said\">{}</p>", text(&tool.description))?;
    for lint in &tool.lints {
        let (level, message) = (lint.level().as_str(), marked(&lint.message));
        writeln!(
            out,
            "<p class=\"lint {level}\"><b>{level}</b> <span>{message}</span> <code>{}</code></p>",
            lint.rule.id
        )?;
    }
    capabilities(out, tool)?;
    facts(out, tool)?;
    imports(out, tool)?;
    writeln!(out, "</section>")
}

fn capabilities(out: &mut String, tool: &AuditedTool) -> Result {
    if tool.capabilities.is_empty() {
        return writeln!(out, "<p class=\"quiet\">It requests nothing and is granted nothing.</p>");
    }
    writeln!(
        out,
        "<div class=\"scroll\"><table class=\"stack\"><thead><tr><th>capability</th><th>requests</th><th>granted</th><th>used</th></tr>\
         </thead><tbody>"
    )?;
    for asked in &tool.capabilities {
        let cell = |what: &str, lines: &[String]| {
            let class = if lines.is_empty() { " class=\"quiet\"" } else { "" };
            let lines = or_nothing(lines).into_iter().map(text).collect::<Vec<_>>();
            format!("<td{class} data-label=\"{what}\">{}</td>", lines.join("<br>"))
        };
        let (name, used) = (text(&asked.name), cell("used", &used(asked)));
        let (requested, granted) = (cell("requests", &asked.requested), cell("granted", &granted(asked)));
        writeln!(out, "<tr><th scope=\"row\">{name}</th>{requested}{granted}{used}</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn facts(out: &mut String, tool: &AuditedTool) -> Result {
    writeln!(out, "<dl class=\"facts\">")?;
    for (what, value) in [
        ("callers", or_nothing(&callers(tool)).join(", ")),
        ("signers", if tool.signatures.is_empty() { "nobody".into() } else { tool.signatures.join(", ") }),
        ("required", tool.required.clone()),
        ("component", tool.component.clone()),
        ("types", tool.wit.clone()),
        ("surface", tool.surface.clone()),
        ("contract", if tool.has_contract { "embedded".into() } else { "none".into() }),
        ("checks", tool.checks.to_string()),
        ("calls", calls(tool)),
        ("fallback", or_nothing(&tool.fallback).join(", then ")),
        ("limits", limits(tool)),
    ] {
        writeln!(out, "<dt>{what}</dt><dd>{}</dd>", text(&value))?;
    }
    writeln!(out, "</dl>")
}

fn imports(out: &mut String, tool: &AuditedTool) -> Result {
    if tool.imports.is_empty() {
        return writeln!(out, "<p class=\"quiet\">It imports nothing: it can compute, and nothing else.</p>");
    }
    let granted = tool.imports.iter().filter(|import| import.standing == Standing::Granted).count();
    writeln!(
        out,
        "<details><summary>{}, {granted} granted</summary><div class=\"scroll\"><table><tbody>",
        count(tool.imports.len() as u64, "import")
    )?;
    for import in &tool.imports {
        let class = if import.standing == Standing::Granted { "" } else { " class=\"quiet\"" };
        let (name, standing) = (text(&import.name), marked(&import.said));
        writeln!(out, "<tr><td><code>{name}</code></td><td{class}>{standing}</td></tr>")?;
    }
    writeln!(out, "</tbody></table></div></details>")
}

fn effect(tool: &AuditedTool) -> String {
    format!("<span class=\"badge effect-{0}\">{0}</span>", tool.effects)
}

fn signed(tool: &AuditedTool) -> String {
    format!("<span class=\"badge {0}\">{0}</span>", tool.signed)
}
