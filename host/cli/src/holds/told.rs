//! A hold in words, for the person who decides.
//!
//! Owns that all of its arguments are shown: what is not read is not approved. Must not know how it is printed.

use airlock_journal::telling::{Line, Section, Told, Tone, moment, plain};
use airlock_types::duration;
use airlock_types::hold::{Decided, Hold, HoldRule, Standing};
use airlock_types::record::Record;
use airlock_types::text::visible_json;
use airlock_types::words::count;
use serde_json::Value;

/// Characters of an id in a list, which are enough to name it.
const ID_CHARS: usize = 12;

/// Most characters of a name that is shown.
const NAME_CHARS_MAX: usize = 80;

/// Most characters of what a rule or a person says.
const SAID_CHARS_MAX: usize = 4_000;

/// Most characters of the rules of a line.
const RULES_CHARS_MAX: usize = 120;

/// One line for each hold, in columns.
pub(super) fn lines(holds: &[Hold], now_unix_ms: u64) -> Vec<(Tone, String)> {
    let cells: Vec<[String; 3]> = holds.iter().map(|hold| cells(hold, now_unix_ms)).collect();
    let width = |i: usize| cells.iter().map(|cells| cells[i].chars().count()).max().unwrap_or_default();
    let [tools, callers, stands] = [width(0), width(1), width(2)];
    let line = |(hold, [tool, caller, stand]): (&Hold, &[String; 3])| {
        let id = hold.id.get(..ID_CHARS).unwrap_or(&hold.id);
        let rules = plain(&hold.rule_texts().join("; "), RULES_CHARS_MAX);
        (tone(hold), format!("{id}  {tool:tools$}  {caller:callers$}  {stand:stands$}  {rules}"))
    };
    holds.iter().zip(&cells).map(line).collect()
}

fn cells(hold: &Hold, now_unix_ms: u64) -> [String; 3] {
    [plain(&hold.tool, NAME_CHARS_MAX), plain(&hold.caller, NAME_CHARS_MAX), stand(hold, now_unix_ms)]
}

/// Where it stands, and how long is left.
fn stand(hold: &Hold, now_unix_ms: u64) -> String {
    match hold.standing {
        Standing::Open => {
            let left = duration::about(hold.expires_unix_ms.saturating_sub(now_unix_ms));
            format!("{}, {left} left", hold.standing)
        }
        Standing::Running
        | Standing::Done
        | Standing::Rejected
        | Standing::Responded
        | Standing::Expired
        | Standing::Void => hold.standing.to_string(),
    }
}

fn tone(hold: &Hold) -> Tone {
    match hold.standing {
        Standing::Open => Tone::Doubt,
        Standing::Running | Standing::Done | Standing::Responded => Tone::Plain,
        Standing::Rejected | Standing::Expired | Standing::Void => Tone::Quiet,
    }
}

/// Everything that a person must see before they decide. `reply` is the one that waits, for a held result.
pub(super) fn whole(hold: &Hold, reply: Option<&Value>, now_unix_ms: u64) -> Told {
    let sections = [
        section(
            "hold",
            vec![
                line(tone(hold), stand(hold, now_unix_ms)),
                line(Tone::Quiet, format!("id {}", plain(&hold.id, NAME_CHARS_MAX))),
            ],
        ),
        section("asked", vec![line(Tone::Plain, asked(hold)), line(Tone::Quiet, since(hold, now_unix_ms))]),
        section("arguments", arguments(hold)),
        section("result", result(hold, reply)),
        section("rules", hold.rules.iter().flat_map(rule).collect()),
        section("decided", decided_by(hold)),
        section(
            "ended by",
            hold.ended_by.iter().map(|id| line(Tone::Plain, format!("record {id}"))).collect(),
        ),
    ];
    Told { sections: sections.into_iter().filter(|section| !section.lines.is_empty()).collect() }
}

fn section(title: &'static str, lines: Vec<Line>) -> Section {
    Section { title, lines }
}

fn line(tone: Tone, text: impl Into<String>) -> Line {
    Line { tone, text: text.into() }
}

fn asked(hold: &Hold) -> String {
    let (caller, tool) = (plain(&hold.caller, NAME_CHARS_MAX), plain(&hold.tool, NAME_CHARS_MAX));
    match hold.is_result {
        true => format!("the result of `{tool}`, which ran for {caller}, waits to be delivered"),
        false => format!("{caller} asks to run `{tool}`"),
    }
}

fn since(hold: &Hold, now_unix_ms: u64) -> String {
    let ago = duration::about(now_unix_ms.saturating_sub(hold.created_unix_ms));
    format!("{}, {ago} ago; record {}", moment(hold.created_unix_ms), hold.record)
}

fn arguments(hold: &Hold) -> Vec<Line> {
    let Some(arguments) = &hold.arguments else {
        if hold.standing != Standing::Open {
            return vec![line(Tone::Quiet, format!("`airlock show {}` has them", hold.record))];
        }
        let text = "some are confidential, so that they are kept nowhere; `airlock show` of the record has what is not";
        return vec![line(Tone::Doubt, text)];
    };
    let mut lines = json(arguments);
    if hold.standing == Standing::Open {
        // For `holds approve --args-digest`: another approver can edit them after they were read here.
        lines.push(line(Tone::Quiet, format!("digest {}", plain(&hold.args_digest, NAME_CHARS_MAX))));
    }
    lines
}

fn json(value: &Value) -> Vec<Line> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.lines().map(|text| line(Tone::Plain, visible_json(text))).collect()
}

/// The result that waits to be delivered: its value, and its content blocks where it has any.
fn result(hold: &Hold, reply: Option<&Value>) -> Vec<Line> {
    let is_waiting = hold.is_result && hold.standing == Standing::Open;
    let Some(reply) = reply.filter(|_| is_waiting) else {
        let text = "some of it is confidential, so that it is in the memory of the server alone";
        return is_waiting.then(|| line(Tone::Doubt, text)).into_iter().collect();
    };
    ["result", "content"].into_iter().filter_map(|part| reply.get(part)).flat_map(json).collect()
}

/// What a rule says, the expression where it has one, the values that decided it, and who may approve.
fn rule(rule: &HoldRule) -> Vec<Line> {
    let said = rule.message.as_ref().unwrap_or(&rule.rule);
    let mut lines = vec![line(Tone::Doubt, plain(said, SAID_CHARS_MAX))];
    let mut below =
        |text: String| lines.push(line(Tone::Plain, format!("  {}", plain(&text, SAID_CHARS_MAX))));
    if rule.message.is_some() {
        below(rule.rule.clone());
    }
    rule.values.iter().for_each(|value| below(value.clone()));
    if rule.approvals > 1 || !rule.approvers.is_empty() {
        let of = if rule.approvers.is_empty() {
            String::new()
        } else {
            format!(" of {}", rule.approvers.join(", "))
        };
        below(format!("needs {}{of}", count(u64::from(rule.approvals), "approval")));
    }
    lines
}

fn decided_by(hold: &Hold) -> Vec<Line> {
    let said = |Decided { by, at_unix_ms, what, note, is_revoked }: &Decided| {
        let counts =
            if *is_revoked { "; it does not count, since they may not approve any more" } else { "" };
        let note =
            note.as_ref().map_or_else(String::new, |note| format!(": {}", plain(note, SAID_CHARS_MAX)));
        let (by, at) = (plain(by, NAME_CHARS_MAX), moment(*at_unix_ms));
        line(Tone::Plain, format!("{what} by {by}, {at}{note}{counts}"))
    };
    hold.decided.iter().map(said).collect()
}

/// What became of a decision that was just taken. `record` is that of the call which it led to.
pub(super) fn decided(hold: &Hold, record: Option<&Record>) -> String {
    let tool = plain(&hold.tool, NAME_CHARS_MAX);
    let ended = record.map_or_else(String::new, |record| {
        format!(" with `{}` (record {})", plain(&record.code, NAME_CHARS_MAX), record.id)
    });
    match hold.standing {
        Standing::Open if hold.is_approved() => format!(
            "`{tool}` was approved, and found no room to run, as the log says: the approval stays, a server tries again each minute, \
             and so does `airlock holds approve`"
        ),
        Standing::Open => format!("`{tool}` still waits: more must approve ({} in all)", hold.approvals),
        Standing::Running => format!("`{tool}` runs"),
        Standing::Done if hold.is_result => format!("the result of `{tool}` may be delivered"),
        Standing::Done => format!("`{tool}` ran, and ended{ended}"),
        Standing::Rejected => format!("`{tool}` is rejected, and ended{ended}"),
        Standing::Responded => format!("`{tool}` is answered in your words, and ended{ended}"),
        Standing::Expired => format!("`{tool}` was not run: its time is over"),
        Standing::Void => {
            format!("`{tool}` was approved and not run: it ended{ended}; `airlock why` says why")
        }
    }
}
