//! What people said of an answer, afterwards.

use super::text::{self, moment, name};
use super::{Line, Section, Tone};
use crate::grade::{Given, Grade};

pub(super) fn given(graded: &[Given]) -> Section {
    Section::new("grades", text::listed(graded, grade))
}

fn grade(Given { at_unix_ms, grade, by, note }: &Given) -> Vec<Line> {
    let (word, by, at) = (text::line(grade), name(by), moment(*at_unix_ms));
    let said = Line::new(tone(grade), format!("{word}, says {by} at {at}."));
    let notes = note.iter().flat_map(|note| text::lines(note));
    std::iter::once(said).chain(notes.map(|note| Line::plain(note).below())).collect()
}

/// What a grade means for its reader. A word of another version is none that is known to be good.
fn tone(grade: &str) -> Tone {
    match Grade::ALL.into_iter().find(|known| known.as_str() == grade) {
        Some(Grade::Right) => Tone::Good,
        Some(Grade::Partly) => Tone::Doubt,
        Some(Grade::Wrong) | None => Tone::Bad,
    }
}
