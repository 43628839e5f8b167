//! What a call was held against: facts of earlier results of its session, an earlier call that it repeats, and a person's word.

use super::text::{self, listed, moment, name};
use super::{Line, Section, Tone};
use airlock_types::record::Record;
use airlock_types::record::v3::{Facts, HeldBy, LookedFact, Repeat, SeenFact};

pub(super) fn looked(record: &Record) -> Section {
    let mut lines = Vec::new();
    if let Some(Facts { looked, cut }) = record.facts.as_deref() {
        lines.extend(listed(looked, |fact| told(fact, record.started_unix_ms)));
        if *cut {
            lines.push(Line::quiet("More was looked up than is kept."));
        }
    }
    lines.extend(record.repeat.as_ref().map(|repeat| repeated(repeat, record.hold.is_some())));
    lines.extend(record.hold.iter().flat_map(|held| waited(held)));
    Section::new("session", lines)
}

fn told(LookedFact { name: facts, key, seen }: &LookedFact, now_unix_ms: u64) -> Vec<Line> {
    let what = format!("{} {}", name(facts), text::line(&format!("{key:?}")));
    let Some(SeenFact { value, as_of_unix_ms, until_unix_ms, record, component: _ }) = seen else {
        return vec![Line::new(Tone::Doubt, format!("{what} had not been seen."))];
    };
    let from = format!("as of {}, by record {}", moment(*as_of_unix_ms), text::line(record));
    let first = if now_unix_ms < *until_unix_ms {
        Line::plain(format!("{what}, {from}:"))
    } else {
        Line::new(Tone::Doubt, format!("{what}, {from}, did not count any more:"))
    };
    let value = text::json(value).into_iter().map(|line| Line::quiet(line).below());
    std::iter::once(first).chain(value).collect()
}

fn repeated(Repeat { of, how }: &Repeat, is_held: bool) -> Line {
    let first = of
        .as_ref()
        .map_or_else(|| "a call that ran then".to_owned(), |of| format!("record {}", text::line(of)));
    match &**how {
        "failed" => Line::new(
            Tone::Doubt,
            format!("It repeats {first}, which failed: it was answered as that one, and not run."),
        ),
        "key" => {
            Line::plain(format!("It came with the idempotency key of {first}, and was answered as that one."))
        }
        "again" => {
            Line::new(Tone::Doubt, format!("It repeats {first}, which succeeded, and ran all the same."))
        }
        // What became of it is told with its hold.
        _ if is_held => Line::plain(format!("It repeats {first}.")),
        _ => Line::new(Tone::Doubt, format!("It repeats {first}, and was not run.")),
    }
}

fn waited(HeldBy { hold, of, standing, by }: &HeldBy) -> Vec<Line> {
    let hold = text::line(hold);
    let Some(of) = of else {
        return vec![
            Line::new(Tone::Doubt, format!("It waits for a person, as hold {hold}.")),
            Line::quiet(format!("`airlock holds show {hold}` says what became of it.")),
        ];
    };
    let standing = standing.as_deref().unwrap_or("decided");
    let first =
        format!("It ends hold {hold} of record {}, which was {}.", text::line(of), text::line(standing));
    let by = by.iter().map(|by| Line::quiet(text::line(by)).below());
    std::iter::once(Line::plain(first)).chain(by).collect()
}
