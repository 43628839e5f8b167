//! What the caller was answered.

use super::text::{self, listed, name};
use super::{Line, Section, Tone, tone};
use airlock_types::answer::{Clarify, Refusal, RetryAdvice};
use airlock_types::duration;
use airlock_types::record::Record;
use airlock_types::reply::{Failure, Provenance, Reply};
use airlock_types::words::count;

pub(super) fn given(record: &Record, reply: Option<&Reply>) -> Section {
    let lines = match (reply, &record.reply) {
        (Some(reply), _) => whole(reply),
        // Words of another version: as they are.
        (None, Some(json)) => text::json(json).into_iter().map(Line::plain).collect(),
        (None, None) => Vec::new(),
    };
    Section::new("reply", lines)
}

/// The one sentence with which a reply qualifies itself.
pub(super) fn notice(reply: Option<&Reply>) -> Section {
    let lines = reply.and_then(|reply| Some((reply, reply.notice.as_ref()?)));
    let lines = lines.map(|(reply, notice)| Line::new(tone(reply.code.as_str()), text::line(notice)));
    Section::new("reply", lines.into_iter().collect())
}

fn whole(reply: &Reply) -> Vec<Line> {
    // Destructured without `..`: a new part is told or left out by name.
    let Reply {
        status: _,
        notice: said,
        code,
        tool: _,
        result,
        content,
        error,
        refusal,
        clarify,
        // The outer door tells them.
        findings: _,
        confidence,
        interpretation,
        assumptions,
        uncertainty,
        next_steps,
        provenance,
        usage: _,
        record: _,
        hold,
        session: _,
    } = reply;
    let mut lines = Vec::new();
    // The text of an error begins with the notice.
    if error.is_none() {
        lines.extend(said.as_ref().map(|said| Line::new(tone(code.as_str()), text::line(said))));
    }
    lines.extend(result.iter().flat_map(text::json).map(Line::plain));
    if !content.is_empty() {
        lines.push(Line::plain(count(content.len() as u64, "content block")));
    }
    // A refusal and a question say the same in their own words.
    if refusal.is_none() && clarify.is_none() {
        lines.extend(error.iter().flat_map(|error| failed(error, hold.is_some())));
    }
    lines.extend(refusal.iter().flat_map(refused));
    lines.extend(clarify.iter().flat_map(asked_back));
    lines.extend(confidence.iter().map(|sure| Line::plain(format!("confidence: {}", sure.value))));
    let said = [("understood as", interpretation), ("uncertain", uncertainty)];
    lines.extend(said.into_iter().filter_map(|(what, said)| said.as_ref().map(|said| labeled(what, said))));
    for (what, said) in [("assumed", assumptions), ("next", next_steps)] {
        lines.extend(listed(said, |said| vec![labeled(what, said)]));
    }
    lines.extend(provenance.iter().flat_map(source));
    lines
}

fn labeled(what: &str, said: &str) -> Line {
    Line::plain(format!("{what}: {}", text::line(said)))
}

fn failed(failure: &Failure, is_held: bool) -> Vec<Line> {
    // The other facts are told by the doors and the route, and the text for the agent says them again.
    let Failure { message, retryable, retry_after_ms, detail, .. } = failure;
    let mut lines: Vec<Line> = text::lines(message).into_iter().map(Line::plain).collect();
    if let Some(detail) = detail {
        lines.extend(text::json(detail).into_iter().map(|line| Line::plain(line).below()));
    }
    // What the same call comes to depends on a person.
    if is_held {
        return lines;
    }
    let when = retry_after_ms.map(|ms| format!(" after {}", duration::print(ms)));
    let again =
        if *retryable { "The same call may help again" } else { "The same call would not help again" };
    lines.push(Line::quiet(format!("{again}{}.", when.unwrap_or_default())));
    lines
}

fn refused(refusal: &Refusal) -> Vec<Line> {
    let Refusal { code, cannot, needed, contact, alternatives, retryable, decision_id } = refusal;
    let mut lines = vec![Line::new(Tone::Doubt, format!("{} ({})", text::line(cannot), text::line(code)))];
    for (what, said) in [("needed", needed), ("instead", alternatives)] {
        lines.extend(listed(said, |said| vec![labeled(what, said)]));
    }
    lines.extend(contact.iter().map(|who| labeled("who can help", who)));
    lines.push(match retryable {
        RetryAdvice::Never => Line::plain("It will be refused again."),
        RetryAdvice::AfterMs(ms) => {
            Line::plain(format!("It may help to ask again after {}.", duration::print(*ms)))
        }
        RetryAdvice::AfterChange(changes) => labeled("ask again after a change of", &changes.join(", ")),
    });
    lines.push(Line::quiet(format!("decision {}", text::line(decision_id))));
    lines
}

fn asked_back(clarify: &Clarify) -> Vec<Line> {
    let mut lines = vec![Line::new(Tone::Doubt, text::line(&clarify.question))];
    lines.extend(listed(&clarify.options, |choice| {
        vec![labeled(&text::line(&choice.label), &choice.means).below()]
    }));
    lines
}

fn source(provenance: &Provenance) -> Vec<Line> {
    // The route is told before.
    let Provenance { route: _, component: _, attempts: _, fallback_because: _, cached, as_of, source } =
        provenance;
    let kept = cached.as_ref().map(|cached| {
        let (age, of) = (duration::about(cached.age_ms), name(&cached.record));
        Line::new(Tone::Doubt, format!("kept for {age} from the call {of}"))
    });
    let said = [("as of", as_of), ("source", source)];
    let said = said.into_iter().filter_map(|(what, said)| said.as_ref().map(|said| labeled(what, said)));
    kept.into_iter().chain(said).collect()
}
