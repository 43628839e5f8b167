//! Which known name was meant by one that is not known.
//!
//! Owns the kinds of likeness and their order: the surest wins. Names are compared word by word, letter case and
//! separators aside. Must not know what the names stand for.

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Longer names are no slips, and comparing them takes quadratic time.
const COMPARED_BYTES_MAX: usize = 120;

/// Known names that are compared: of more, a guess does not help.
const COMPARED_MAX: usize = 256;

/// Shorter names and words are too near each other for a slip of one letter: `id` and `ip`.
const SLIP_CHARS_MIN: usize = 4;

/// Names from this Jaro-Winkler similarity on are alike.
const ALIKE_MIN: f64 = 0.88;

/// How two names are like each other, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Only letter case and separators differ: `maxItems`, `max-items`.
    Same,
    /// One letter is wrong, missing, added, or swapped with the next.
    Slip,
    /// All words of one are in the other: `city`, `city_name`.
    Words,
    /// Each word abbreviates the other's: `dept_date`, `departure_date`.
    Abbreviation,
    /// They are spelled alike: `catgories`, `category`.
    Alike,
}

impl Likeness {
    /// Whether one name can be put for the other without asking.
    pub fn is_sure(self) -> bool {
        self <= Likeness::Slip
    }
}

/// A known name that was probably meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'n> {
    /// The known name.
    pub name: &'n str,
    /// How like it is.
    pub likeness: Likeness,
    /// Whether no other known name is as like, and the name is as like to no other given one.
    pub is_sole: bool,
}

/// The known name that was probably meant, if one is near.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    nearest_match(name, known).map(|found| found.name)
}

/// As [`nearest`], with how like it is.
pub fn nearest_match<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<Match<'n>> {
    let known: Vec<&str> = known.into_iter().collect();
    pair(&[name], &known).pop().flatten()
}

/// The known name that each given name stands for. No known name is given twice: the pair that is more alike has it.
/// Of equally near known names the first is taken, so those to be preferred stand first.
pub fn pair<'n>(given: &[&str], known: &[&'n str]) -> Vec<Option<Match<'n>>> {
    let names: Vec<Name<'n>> = known.iter().filter_map(|name| Name::of(name)).take(COMPARED_MAX).collect();
    let mut pairs = Vec::new();
    for (g, name) in given.iter().enumerate() {
        let Some(name) = Name::of(name) else { continue };
        let likenesses = names.iter().enumerate().filter_map(|(k, known)| Some((k, name.likeness(known)?)));
        pairs.extend(likenesses.map(|(k, (likeness, alike))| (likeness, Reverse(alike), k, g)));
    }
    pairs.sort_unstable();
    let mut found = vec![None; given.len()];
    let mut taken = BTreeSet::new();
    for &(likeness, _, k, g) in &pairs {
        if found[g].is_none() && taken.insert(k) {
            let rivals =
                pairs.iter().filter(|(other, _, l, h)| *other <= likeness && ((*l == k) != (*h == g)));
            found[g] = Some(Match { name: names[k].text, likeness, is_sole: rivals.count() == 0 });
        }
    }
    found
}

/// For each name the first of the others that surely means the same: see [`Likeness::is_sure`].
pub fn doubles<'n>(names: &[&'n str]) -> Vec<Option<&'n str>> {
    let taken_apart: Vec<_> = names.iter().map(|name| Name::of(name)).collect();
    let mut doubles = vec![None; names.len()];
    for (j, other) in taken_apart.iter().enumerate() {
        for (i, name) in taken_apart[..j].iter().enumerate() {
            let (Some(name), Some(other)) = (name, other) else { continue };
            if name.joined().eq(other.joined()) || name.is_slip(other) {
                doubles[i].get_or_insert(other.text);
                doubles[j].get_or_insert(name.text);
            }
        }
    }
    doubles
}

/// A name, taken apart once for all comparisons.
struct Name<'n> {
    text: &'n str,
    /// Its words in lower case, with `_` between them. One text, because a call can be compared with hundreds of names.
    spelled: String,
}

impl<'n> Name<'n> {
    /// Nothing for a name that is too long to be compared.
    fn of(text: &'n str) -> Option<Name<'n>> {
        (text.len() <= COMPARED_BYTES_MAX).then(|| Name { text, spelled: spell(text) })
    }

    fn words(&self) -> impl Iterator<Item = &str> + Clone {
        self.spelled.split('_')
    }

    /// Its letters and digits.
    fn joined(&self) -> impl DoubleEndedIterator<Item = char> + Clone {
        self.spelled.chars().filter(|c| *c != '_')
    }

    /// The likeness, and among names that are equally like the similarity in thousandths.
    fn likeness(&self, other: &Name<'_>) -> Option<(Likeness, u32)> {
        if self.joined().eq(other.joined()) {
            return Some((Likeness::Same, 0));
        }
        let holds = |a: &Name<'_>, b: &Name<'_>| a.words().all(|word| b.words().any(|other| other == word));
        let is_as_long = self.words().count() == other.words().count();
        let pairs = || self.words().zip(other.words());
        let alike = || strsim::jaro_winkler(&self.spelled, &other.spelled);
        let likeness = if self.is_slip(other) {
            Likeness::Slip
        } else if holds(self, other) || holds(other, self) {
            Likeness::Words
        } else if is_as_long && pairs().all(|(a, b)| abbreviates(a, b) || abbreviates(b, a)) {
            Likeness::Abbreviation
        } else if (!is_as_long || pairs().all(|(a, b)| is_alike(a, b))) && alike() >= ALIKE_MIN {
            Likeness::Alike
        } else {
            return None;
        };
        Some((likeness, (alike() * 1000.0) as u32))
    }

    /// Whether one letter differs, in a name and in a word that are long enough to tell.
    fn is_slip(&self, other: &Name<'_>) -> bool {
        if self.words().count() != other.words().count() {
            return is_one_slip(self.joined(), other.joined());
        }
        let mut differing = self.words().zip(other.words()).filter(|(a, b)| a != b);
        let (first, second) = (differing.next(), differing.next());
        matches!((first, second), (Some((a, b)), None) if is_one_slip(a.chars(), b.chars()))
    }
}

/// Whether one letter is replaced, added, left out, or swapped with its neighbor. Digits make other names: `line_1` is
/// not `line_2`.
fn is_one_slip<C>(a: C, b: C) -> bool
where
    C: DoubleEndedIterator<Item = char> + Clone,
{
    let (long, short) = (a.clone().count().max(b.clone().count()), a.clone().count().min(b.clone().count()));
    if long < SLIP_CHARS_MIN || long - short > 1 {
        return false;
    }
    let start = a.clone().zip(b.clone()).take_while(|(a, b)| a == b).count();
    let end = a.clone().rev().zip(b.clone().rev()).take_while(|(a, b)| a == b).count().min(short - start);
    // What is left between the common start and the common end.
    let between = |name: C| name.clone().skip(start).take(name.count() - start - end);
    let (mut left, mut right) = (between(a.clone()), between(b.clone()));
    let first = (left.next(), right.next());
    let second = (left.next(), right.next());
    let is_swapped =
        first.0 == second.1 && first.1 == second.0 && (left.next(), right.next()) == (None, None);
    let letters = between(a).chain(between(b)).all(|c| !c.is_numeric());
    letters && long - start - end > 0 && (is_swapped || second == (None, None))
}

fn is_alike(a: &str, b: &str) -> bool {
    abbreviates(a, b) || abbreviates(b, a) || strsim::jaro_winkler(a, b) >= ALIKE_MIN
}

/// `dept` for `departure`; a word is its own abbreviation.
fn abbreviates(short: &str, long: &str) -> bool {
    let mut rest = long.chars();
    let in_order = short.chars().all(|c| rest.any(|other| other == c));
    short == long || (short.len() >= 3 && short.chars().next() == long.chars().next() && in_order)
}

/// `maxItems`, `max-items`, `Max Items` → `max_items`.
fn spell(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && after_small);
        if begins && !spelled.is_empty() && !spelled.ends_with('_') {
            spelled.push('_');
        }
        after_small = c.is_lowercase() || c.is_numeric();
        if c.is_alphanumeric() {
            spelled.extend(c.to_lowercase());
        }
    }
    let end = spelled.trim_end_matches('_').len();
    spelled.truncate(end);
    // A name without letters and digits is one word of its own. With none it would be near to every name.
    if spelled.is_empty() { name.to_owned() } else { spelled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[&str], known: &[&str], expect: &[Option<&str>]) {
        let found: Vec<_> =
            pair(given, known).into_iter().map(|found| found.map(|found| found.name)).collect();
        assert_eq!(found, expect, "{given:?} among {known:?}");
    }

    #[test]
    fn nearness_is_about_words() {
        let near = |name: &str| nearest(name, ["departure_date", "max_price", "city_name", "limit"]);
        assert_eq!(near("departureDate"), Some("departure_date"));
        assert_eq!(near("dept_date"), Some("departure_date"));
        assert_eq!(near("max-price"), Some("max_price"));
        assert_eq!(near("city"), Some("city_name"));
        assert_eq!(near("limt"), Some("limit"));
        for other in ["min_price", "passengers", "colour", "departure_time", "max_pages"] {
            assert_eq!(near(other), None, "{other}");
        }
    }

    #[test]
    fn another_case_or_separator_wins_over_everything() {
        let known = ["title", "content", "meta_title"];
        check(
            &["Title", "Content", "MetaTitle"],
            &known,
            &[Some("title"), Some("content"), Some("meta_title")],
        );
        check(&["MetaTitle", "Title"], &["title", "meta_title"], &[Some("meta_title"), Some("title")]);
    }

    #[test]
    fn a_slip_beats_a_shared_word() {
        let known = ["target_temperature", "cool_target_temperature"];
        check(&["cooll_target_temperature"], &known, &[Some(known[1])]);
        check(&["Asian Fusin"], &["Asian", "Asian Fusion", "Fusion"], &[Some("Asian Fusion")]);
        check(&["catgeory"], &["category"], &[Some("category")]);
        check(&["totalbaggage"], &["total_baggages"], &[Some("total_baggages")]);
    }

    #[test]
    fn two_names_never_stand_for_one() {
        check(&["Title", "TITLE"], &["title"], &[Some("title"), None]);
        check(&["date", "departure"], &["departure_date"], &[None, Some("departure_date")]);
        assert!(!pair(&["Title", "TITLE"], &["title"])[0].is_some_and(|found| found.is_sole));
        assert!(pair(&["Title", "meta"], &["title", "meta_title"])[0].is_some_and(|found| found.is_sole));
    }

    #[test]
    fn short_names_and_numbers_are_no_slips() {
        check(&["user_ip"], &["user_id"], &[None]);
        check(&["line_1", "USD"], &["line_2", "USB"], &[None, None]);
        assert_eq!(nearest_match("line_1", ["line_2"]), None);
    }

    #[test]
    fn names_without_end_are_not_compared() {
        let many: Vec<String> = (0..10_000).map(|n| format!("field_{n}")).collect();
        assert_eq!(nearest("Field-99", many.iter().map(String::as_str)), Some("field_99"));
        assert_eq!(nearest("Field-9999", many.iter().map(String::as_str)), None);
        assert_eq!(nearest(&"x".repeat(121), ["x"]), None);
    }
}
