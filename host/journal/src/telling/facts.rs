//! What a call was held against in its session: facts of earlier results, and an earlier call that it repeats.

use super::text::{self, listed, moment, name};
use super::{Line, Section, Tone};
use airlock_types::record::Record;
use airlock_types::record::v3::{Facts, LookedFact, Repeat, SeenFact};

pub(super) fn looked(record: &Record) -> Section {
    let mut lines = Vec::new();
    if let Some(Facts { looked, cut }) = record.facts.as_deref() {
        lines.extend(listed(looked, |fact| told(fact, record.started_unix_ms)));
        if *cut {
            lines.push(Line::quiet("More was looked up than is kept."));
        }
    }
    lines.extend(record.repeat.as_ref().map(repeated));
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

fn repeated(Repeat { of, how }: &Repeat) -> Line {
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
        _ => Line::new(Tone::Doubt, format!("It repeats {first}, and was not run.")),
    }
}
