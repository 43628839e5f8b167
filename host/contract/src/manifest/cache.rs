//! `cache` of a function: for how long the answer of a tool that reads is given again in its session.

use std::ops::RangeInclusive;

use serde::Deserialize;
use toml::Spanned;

use super::Manifest;
use super::bound::Problems;
use airlock_types::duration::{DAY_MS, parse};
use airlock_types::effect::Effect;
use airlock_types::words::{GOT_CHARS_MAX, one_line};

/// Shortest and longest time: below it no agent asks twice, and a session is idle for far less.
const AGE_MS: RangeInclusive<u64> = 1_000..=DAY_MS;

/// As a contract writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCache {
    max_age: Spanned<String>,
}

/// The greatest age of an answer that is given again. `effect` is what the contract declares.
pub(super) fn age_ms_max(
    manifest: &Manifest,
    written: Option<&WrittenCache>,
    effect: Option<Effect>,
    problems: &mut Problems,
) -> Option<u64> {
    let text = &written?.max_age;
    let mut wrong = |message: String| problems.add(|| manifest.plain(text.span(), message, "this time"));
    if let Some(effect) = effect.filter(|effect| !effect.repeatable()) {
        wrong(format!("`cache` is for functions that only read, and this one is `{}`", effect.as_str()));
    }
    let age_ms = parse(text.get_ref()).filter(|age_ms| AGE_MS.contains(age_ms));
    if age_ms.is_none() {
        wrong(format!("`{}` is not a time from `1s` to `1d`", one_line(text.get_ref(), GOT_CHARS_MAX)));
    }
    age_ms
}
