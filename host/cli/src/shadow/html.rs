//! The report as one page.
//!
//! Must not know how the page looks: `markup`; or how a plot is drawn: `plot`.

use std::fmt::{Result, Write as _};

use airlock_shadow::leg::{Leg, Status, Verdict};
use airlock_shadow::night::{AgentNight, Drifted, DriftedQuery, Night, Tally, ToolNight};
use airlock_shadow::trend::ALPHA;

use super::plot;
use super::text::Report;
use crate::markup::{self, marked, text};

pub(super) fn page(report: &Report<'_>, nights: &[Night]) -> String {
    let title = text(&report.suite.display().to_string());
    let heading = format!("Drift of <code>{title}</code>");
    markup::page(&format!("Drift of {title}"), "Airlock shadow", &heading, |out| body(out, report, nights))
}

fn body(out: &mut String, report: &Report<'_>, nights: &[Night]) -> Result {
    let tools = &report.night.tools;
    let of = |verdict: Verdict| tools.values().filter(|tool| tool.verdict == verdict).count();
    let cases = tools.values().map(|tool| usize::try_from(tool.cases).unwrap_or(usize::MAX)).sum();
    let is_agent_changed = report.night.agent.as_ref().is_some_and(|agent| agent.verdict == Verdict::Agent);
    let tiles = [
        ("", "tools", tools.len()),
        ("", "cases", cases),
        ("ok", "unchanged", of(Verdict::None)),
        ("error", "host", of(Verdict::Host)),
        ("error", "tool", of(Verdict::Tool)),
        ("warning", "upstream", of(Verdict::Upstream)),
        ("warning", "checks", of(Verdict::Checks)),
        ("warning", "agent", usize::from(is_agent_changed)),
        ("", "nights", nights.len()),
    ];
    markup::tiles(out, &tiles)?;
    let candidate =
        report.night.candidate.as_ref().map(|path| format!(", candidate <code>{}</code>", text(path)));
    writeln!(out, "<p class=\"quiet\">{}{}</p>", text(&report.night.at), candidate.unwrap_or_default())?;
    for blocked in report.blocked {
        let (gate, tool, why) = (blocked.gate.as_str(), text(&blocked.tool), marked(&blocked.why));
        writeln!(out, "<p class=\"lint error\"><b>blocked by {gate}</b> <span>{tool}: {why}</span></p>")?;
    }
    index(out, report)?;
    report.night.agent.iter().try_for_each(|night| agent(out, report, night))?;
    tools.iter().try_for_each(|(name, tool)| section(out, report, nights, (name, tool)))
}

fn index(out: &mut String, report: &Report<'_>) -> Result {
    writeln!(
        out,
        "<div class=\"scroll\"><table class=\"index\"><thead><tr><th>tool</th><th>verdict</th><th>cases</th><th>gates</th></tr>\
         </thead><tbody>"
    )?;
    for (name, tool) in &report.night.tools {
        let blocked = report.blocked.iter().filter(|blocked| blocked.tool == *name);
        let chips: String = blocked
            .map(|blocked| format!("<span class=\"chip blocked\">{}</span>", blocked.gate.as_str()))
            .collect();
        let chips =
            if chips.is_empty() { "<span class=\"quiet\">none blocks</span>".to_owned() } else { chips };
        let name = text(name);
        writeln!(
            out,
            "<tr><td><a href=\"#tool-{name}\">{name}</a></td><td>{}</td><td class=\"number\">{}</td>\
             <td class=\"chips\">{chips}</td></tr>",
            badge(tool.verdict),
            tool.cases
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn badge(verdict: Verdict) -> String {
    format!("<span class=\"badge {0}\">{0}</span>", verdict.as_str())
}

fn section(
    out: &mut String,
    report: &Report<'_>,
    nights: &[Night],
    (name, tool): (&String, &ToolNight),
) -> Result {
    let shown = text(name);
    writeln!(
        out,
        "<section id=\"tool-{shown}\"><h2>{shown}</h2><p class=\"badges\">{}</p>",
        badge(tool.verdict)
    )?;
    legs(out, tool)?;
    if let Some(first) = tool.drifted.first() {
        writeln!(out, "<p class=\"quiet\">The shortest case shows it again:</p>")?;
        writeln!(out, "<pre>{}</pre>", text(&report.reproduce(&first.case)))?;
    }
    for (at, Drifted { case, leg, status, told }) in tool.drifted.iter().enumerate() {
        let open = if at == 0 { " open" } else { "" };
        let what = if *status == Status::NotRun { " was not run" } else { "" };
        writeln!(
            out,
            "<details{open}><summary>{}{what}: {}</summary><ul class=\"told\">",
            leg.as_str(),
            text(case)
        )?;
        told.iter().try_for_each(|line| writeln!(out, "<li>{}</li>", marked(line)))?;
        writeln!(out, "</ul></details>")?;
    }
    writeln!(out, "<div class=\"plots\">{}", plot::verdicts(name, nights))?;
    for ((_, figure), trend) in report.trends.iter().filter(|((of, _), _)| of == name) {
        writeln!(out, "{}", plot::trend(figure, trend))?;
    }
    writeln!(out, "</div>")?;
    let alarms: Vec<String> = report
        .trends
        .iter()
        .filter(|((of, _), _)| of == name)
        .map(|((_, figure), trend)| format!("{figure} {}", trend.z_alarms))
        .collect();
    if !alarms.is_empty() {
        let alarms = text(&alarms.join(", "));
        writeln!(
            out,
            "<p class=\"quiet\">The e-process gives a false alarm with a probability of at most {ALPHA} over all nights. A rolling \
             z-test would have given alarms on these numbers of nights: {alarms}.</p>"
        )?;
    }
    writeln!(out, "</section>")
}

/// What the agent did with the queries.
fn agent(out: &mut String, report: &Report<'_>, agent: &AgentNight) -> Result {
    let badge = badge(agent.verdict);
    writeln!(out, "<section id=\"agent\"><h2>the agent</h2><p class=\"badges\">{badge}</p>")?;
    writeln!(
        out,
        "<div class=\"scroll\"><table><thead><tr><th>compared</th><th class=\"number\">same</th>\
         <th class=\"number\">different</th></tr></thead><tbody>"
    )?;
    for (what, Tally { same, changed, .. }) in [("answers", &agent.answers), ("paths of calls", &agent.paths)]
    {
        writeln!(
            out,
            "<tr><td>{what}</td><td class=\"number\">{same}</td><td class=\"number\">{changed}</td></tr>"
        )?;
    }
    writeln!(out, "</tbody></table></div>")?;
    writeln!(
        out,
        "<p class=\"quiet\">Queries that could not be run: {} of {}.</p>",
        agent.not_run, agent.queries
    )?;
    if let Some(first) = agent.drifted.first() {
        writeln!(out, "<pre>{}</pre>", text(&report.reproduce_query(&first.query)))?;
    }
    for (at, DriftedQuery { query, what, told, .. }) in agent.drifted.iter().enumerate() {
        let open = if at == 0 { " open" } else { "" };
        writeln!(out, "<details{open}><summary>{what}: {}</summary><ul class=\"told\">", text(query))?;
        told.iter().try_for_each(|line| writeln!(out, "<li>{}</li>", marked(line)))?;
        writeln!(out, "</ul></details>")?;
    }
    writeln!(out, "</section>")
}

fn legs(out: &mut String, tool: &ToolNight) -> Result {
    writeln!(
        out,
        "<div class=\"scroll\"><table><thead><tr><th>leg</th><th>what is other</th><th class=\"number\">same</th><th class=\"number\">different</th><th class=\"number\">not run</th>\
         </tr></thead><tbody>"
    )?;
    for (leg, Tally { same, changed, not_run }) in &tool.legs {
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{same}</td><td class=\"number\">{changed}</td>\
             <td class=\"number\">{not_run}</td></tr>",
            leg.as_str(),
            other(*leg)
        )?;
    }
    writeln!(out, "</tbody></table></div>")?;
    match tool.ignored {
        0 => Ok(()),
        ignored => writeln!(out, "<p class=\"quiet\">{ignored} places of the answer are not compared.</p>"),
    }
}

/// What is other between the two runs of a leg.
fn other(leg: Leg) -> &'static str {
    match leg {
        Leg::Host => "the host",
        Leg::Tool => "the component",
        Leg::Noise => "the moment",
        Leg::Upstream => "what the tool reads",
        Leg::Checks => "the contract",
        Leg::Reference => "anything since the reference",
    }
}
