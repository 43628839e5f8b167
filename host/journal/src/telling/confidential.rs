//! What is confidential in a call, and who can read it.

use super::text::{self, name};
use super::{Line, Section};
use airlock_types::record::Record;
use airlock_types::record::v3::Confidential;

pub(super) fn fields(record: &Record) -> Section {
    let lines = record.confidential.iter().flat_map(|confidential| lines(record, confidential));
    Section::new("masked", lines.collect())
}

fn lines(record: &Record, Confidential { fields, sealed, lacks }: &Confidential) -> Vec<Line> {
    let fields: Vec<String> = fields.iter().map(|field| name(field)).collect();
    let which =
        if fields.is_empty() { "the arguments, which no tool read".to_owned() } else { fields.join(", ") };
    let how = match lacks {
        _ if !sealed.is_empty() => format!("`airlock show {} --identity FILE` opens it.", record.id),
        _ if record.erased_unix_ms.is_some() => "Retention erased it.".to_owned(),
        Some(why) => format!("It was not kept: {}.", text::line(why)),
        None => "It was not kept.".to_owned(),
    };
    vec![Line::plain(which), Line::quiet(how)]
}
