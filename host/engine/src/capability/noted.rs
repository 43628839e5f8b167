//! What an attempt asked of its capabilities: what was refused, and what was allowed.
//!
//! Owns the bounds on it: a guest can ask for anything, any number of times. Must not know what policy makes of it.

use airlock_types::grant::http::Target;
use airlock_types::grant::{Asked, Effective, Refused, Why};
use airlock_types::shorten::{clean, shorten};

/// Most different refusals of an attempt that are kept. An operator mends the first ones first.
const REFUSED_MAX: usize = 32;

/// Different uses of an attempt beyond which no further request is kept: more than a tool has endpoints.
const USES_MAX: usize = 64;

/// Most characters of a name that a guest gives.
const NAME_CHARS_MAX: usize = 200;

/// Most bytes of the path of a request.
const PATH_BYTES_MAX: usize = 1_000;

/// What was refused and what was allowed, each once, in the order in which it came first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    pub(crate) refused: Vec<Refused>,
    /// With how often.
    pub(crate) uses: Vec<(Asked, u64)>,
    /// What passed by a grant of `report` alone, with how often. Apart, so that no number of other uses keeps it out.
    pub(crate) tried: Vec<(Asked, u64)>,
}

impl Noted {
    pub(super) fn refuse(&mut self, asked: Asked, why: Why) {
        let refused = Refused { asked, why };
        if self.refused.len() < REFUSED_MAX && !self.refused.contains(&refused) {
            self.refused.push(refused);
        }
    }

    pub(super) fn allow(&mut self, asked: Asked) {
        count(&mut self.uses, asked, 1);
    }

    /// Notes a use that passed by a grant of `report` alone.
    pub(super) fn try_out(&mut self, asked: Asked) {
        count(&mut self.tried, asked, 1);
    }

    /// Moves the uses beyond these to those that were tried. Requests were told apart by their grants, as they came.
    pub(super) fn tell_tried(&mut self, usual: &Effective) {
        let is_tried = |(asked, _): &(Asked, u64)| !matches!(asked, Asked::Http(..)) && !usual.admits(asked);
        let tried: Vec<(Asked, u64)> = self.uses.extract_if(.., |used| is_tried(used)).collect();
        tried.into_iter().for_each(|(asked, times)| count(&mut self.tried, asked, times));
    }

    /// Adds what was noted elsewhere.
    pub(super) fn add(&mut self, other: Noted) {
        let Noted { refused, uses, tried } = other;
        refused.into_iter().for_each(|Refused { asked, why }| self.refuse(asked, why));
        uses.into_iter().for_each(|(asked, times)| count(&mut self.uses, asked, times));
        tried.into_iter().for_each(|(asked, times)| count(&mut self.tried, asked, times));
    }
}

fn count(uses: &mut Vec<(Asked, u64)>, asked: Asked, times: u64) {
    // A guest chooses paths; of everything else there is no more than what is granted.
    let is_bounded = !matches!(asked, Asked::Http(..));
    if let Some((_, count)) = uses.iter_mut().find(|(known, _)| *known == asked) {
        *count += times;
    } else if is_bounded || uses.len() < USES_MAX {
        uses.push((asked, times));
    }
}

/// A name as it is kept: a guest gives names of any length and with any characters.
pub(super) fn name(text: &str) -> String {
    shorten(&clean(text), NAME_CHARS_MAX)
}

/// A request as it is kept. A long path ends at a whole segment, so that it is that of a place above.
pub(super) fn target(target: &Target) -> Target {
    let Target { scheme, host, port, method, path } = target.clone();
    let kept = &path[..path.floor_char_boundary(PATH_BYTES_MAX)];
    let whole = if kept.len() < path.len() { kept.rfind('/').map_or("/", |end| &kept[..=end]) } else { kept };
    let path = if whole.is_empty() { "/".to_owned() } else { clean(whole) };
    Target { scheme, host, port, method: name(&method), path }
}

/// The use of a capability that is granted as a whole, by its name.
pub(super) fn whole(capability: &str) -> Asked {
    use airlock_types::grant::{clock, files, keyvalue, random};
    match capability {
        clock::NAME => Asked::Clock,
        random::NAME => Asked::Random,
        files::NAME => Asked::Files(files::Access::ReadWrite, "/".to_owned()),
        keyvalue::NAME => Asked::Keyvalue(keyvalue::DEFAULT_BUCKET.to_owned()),
        name => Asked::Custom(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn asked(text: &str) -> Asked {
        Asked::read("http", text).unwrap()
    }

    #[test]
    fn no_number_of_other_uses_keeps_a_trial_or_a_value_out() {
        let mut noted = Noted::default();
        (0..1_000).for_each(|n| noted.allow(asked(&format!("GET https://a.example/{n}"))));
        assert_eq!(noted.uses.len(), USES_MAX);
        noted.try_out(asked("GET https://a.example/tried"));
        noted.allow(Asked::Config("key".into()));
        noted.allow(Asked::Clock);
        let usual =
            Effective { config: Arc::new([("key".into(), "1".into())].into()), ..Effective::default() };
        noted.tell_tried(&usual);
        assert_eq!(noted.tried, [(asked("GET https://a.example/tried"), 1), (Asked::Clock, 1)]);
        assert!(noted.uses.contains(&(Asked::Config("key".into()), 1)));
    }
}
