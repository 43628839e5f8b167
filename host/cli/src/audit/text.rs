//! The report for a terminal.

use std::fmt::{Result, Write as _};

use airlock::audit::{Audit, AuditedTool};

use super::{granted, or_nothing, used};

pub(super) fn report(audit: &Audit) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write(&mut out, audit);
    out
}

fn write(out: &mut String, audit: &Audit) -> Result {
    writeln!(out, "{}: {} tools, {} records", audit.registry, audit.tools.len(), audit.records)?;
    for problem in &audit.left_out {
        writeln!(out, "\nleft out: {problem}")?;
    }
    for tool in &audit.tools {
        one(out, tool)?;
    }
    Ok(())
}

fn one(out: &mut String, tool: &AuditedTool) -> Result {
    writeln!(out, "\n{}  ({}, {})", tool.name, tool.effects, tool.signed)?;
    for signer in &tool.signers {
        writeln!(out, "  signed by   {signer}")?;
    }
    writeln!(out, "  component   {}", tool.component)?;
    writeln!(out, "  surface     {}", tool.surface)?;
    let calls = tool.calls;
    writeln!(out, "  calls       {}, {} ok, {} attempts", calls.calls, calls.ok, calls.attempts)?;
    writeln!(out, "  limits      {}", tool.limits)?;
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
        writeln!(out, "    {}  {}", import.name, import.standing.as_str())?;
    }
    for lint in &tool.lints {
        writeln!(out, "  {}: {} ({})", lint.level().as_str(), lint.message, lint.rule.id)?;
    }
    Ok(())
}
