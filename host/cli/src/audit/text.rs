//! The report for a terminal.

use std::fmt::{Result, Write as _};

use airlock::audit::{Audit, AuditedTool};

use super::{callers, calls, granted, limits, or_nothing, reaches, used};
use airlock_types::words::count;

pub(super) fn report(audit: &Audit) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write(&mut out, audit);
    out
}

fn write(out: &mut String, audit: &Audit) -> Result {
    let (tools, records) = (count(audit.tools.len() as u64, "tool"), count(audit.records, "record"));
    writeln!(out, "{}: {tools}, {records}", audit.registry)?;
    for problem in &audit.left_out {
        writeln!(out, "\nleft out: {problem}")?;
    }
    for entry in &audit.unloaded {
        writeln!(out, "\n{}  (left out)\n  component   {}", entry.key, entry.component)?;
        reaches(entry).iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    for tool in &audit.tools {
        one(out, tool)?;
    }
    Ok(())
}

fn one(out: &mut String, tool: &AuditedTool) -> Result {
    writeln!(out, "\n{}  ({}, {})", tool.name, tool.effects, tool.signed)?;
    for signature in &tool.signatures {
        writeln!(out, "  signed by   {signature}")?;
    }
    writeln!(out, "  required    {}", tool.required)?;
    writeln!(out, "  component   {}", tool.component)?;
    writeln!(out, "  surface     {}", tool.surface)?;
    writeln!(out, "  callers     {}", or_nothing(&callers(tool)).join("\n              "))?;
    writeln!(out, "  calls       {}", calls(tool))?;
    writeln!(out, "  limits      {}", limits(tool))?;
    if !tool.fallback.is_empty() {
        writeln!(out, "  fallback    {}", tool.fallback.join(", then "))?;
    }
    for asked in &tool.capabilities {
        writeln!(out, "  {}", asked.name)?;
        writeln!(out, "    requests  {}", or_nothing(&asked.requested).join("\n              "))?;
        writeln!(out, "    granted   {}", or_nothing(&granted(asked)).join("\n              "))?;
        writeln!(out, "    used      {}", or_nothing(&used(asked)).join("\n              "))?;
    }
    if !tool.imports.is_empty() {
        writeln!(out, "  imports")?;
    }
    for import in &tool.imports {
        writeln!(out, "    {}  {}", import.name, import.said)?;
    }
    for lint in &tool.lints {
        writeln!(out, "  {}: {} ({})", lint.level().as_str(), lint.message, lint.rule.id)?;
    }
    Ok(())
}
