//! An import is run again: what changed in the document since the last import is put into what was edited since.
//!
//! Owns the merge of three texts by lines: of the last import, of the edited file, and of the new import. A line that only one side
//! changed is taken from it, so that no edit is lost; where both changed the same lines to different ones, that is a conflict, with
//! both sides. Must not know the language of the texts.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Which side is taken in a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// What was edited.
    Mine,
    /// What the document says now.
    Document,
}

/// Three texts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The text, with one side of each conflict.
    pub text: String,
    /// Where both sides changed the same lines.
    pub conflicts: Vec<Conflict>,
}

/// Lines that both sides changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The first of these lines in the edited text, from 1.
    pub line: usize,
    /// The lines as they were edited.
    pub mine: String,
    /// The lines as the document says now.
    pub document: String,
}

/// Merges the texts. `keep` decides conflicts.
pub fn merge(last: &str, mine: &str, document: &str, keep: Keep) -> Merged {
    let split = |text: &'_ str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (last, mine, document) = (split(last), split(mine), split(document));
    let (ours, theirs) = (changes(&last, &mine), changes(&last, &document));
    let mut merged = Merged { text: String::new(), conflicts: Vec::new() };
    let (mut at, mut our, mut their) = (0, 0, 0);
    while our < ours.len() || their < theirs.len() {
        let start = starts(ours.get(our)).min(starts(theirs.get(their)));
        merged.text.extend(last.get(at..start).unwrap_or_default().iter().map(String::as_str));
        let region = Region::at(start, (&ours, our), (&theirs, their));
        let (my_lines, their_lines) = (
            region.lines(&last, &mine, &ours[region.ours.clone()]),
            region.lines(&last, &document, &theirs[region.theirs.clone()]),
        );
        let is_mine = region.theirs.is_empty() || my_lines == their_lines;
        if !is_mine && region.is_insertion() && are_apart(&my_lines, &their_lines) {
            // Both only add, as to the end of a file: both stay.
            merged.text.push_str(&their_lines);
            merged.text.push_str(&my_lines);
            (at, our, their) = (region.end, region.ours.end, region.theirs.end);
            continue;
        }
        if !is_mine && !region.ours.is_empty() {
            let first = ours.get(region.ours.start).map_or(0, |change| change.new.start);
            let line = first + 1;
            merged.conflicts.push(Conflict { line, mine: my_lines.clone(), document: their_lines.clone() });
        }
        let takes_mine = is_mine || (!region.ours.is_empty() && keep == Keep::Mine);
        merged.text.push_str(if takes_mine { &my_lines } else { &their_lines });
        (at, our, their) = (region.end, region.ours.end, region.theirs.end);
    }
    merged.text.extend(last.get(at..).unwrap_or_default().iter().map(String::as_str));
    merged
}

/// Lines of the last import, and the lines that stand in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    old: Range<usize>,
    new: Range<usize>,
}

/// What stands between the lines that both have.
fn changes(last: &[String], new: &[String]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut old_at, mut new_at) = (0, 0);
    let mut up_to = |old: usize, new: usize, shared: usize| {
        if old > old_at || new > new_at {
            changes.push(Change { old: old_at..old, new: new_at..new });
        }
        (old_at, new_at) = (old + shared, new + shared);
    };
    for op in capture_diff_slices(Algorithm::Myers, last, new) {
        if let DiffOp::Equal { old_index, new_index, len } = op {
            up_to(old_index, new_index, len);
        }
    }
    up_to(last.len(), new.len(), 0);
    changes
}

fn starts(change: Option<&Change>) -> usize {
    change.map_or(usize::MAX, |change| change.old.start)
}

/// Changes of both sides that touch each other.
struct Region {
    start: usize,
    end: usize,
    ours: Range<usize>,
    theirs: Range<usize>,
}

impl Region {
    fn at(start: usize, (ours, our): (&[Change], usize), (theirs, their): (&[Change], usize)) -> Region {
        let mut region = Region { start, end: start, ours: our..our, theirs: their..their };
        loop {
            // Insertions at one place touch, too.
            let touches = |change: &&Change| change.old.start < region.end || change.old.start == start;
            if let Some(change) = ours.get(region.ours.end).filter(touches) {
                (region.end, region.ours.end) = (region.end.max(change.old.end), region.ours.end + 1);
            } else if let Some(change) = theirs.get(region.theirs.end).filter(touches) {
                (region.end, region.theirs.end) = (region.end.max(change.old.end), region.theirs.end + 1);
            } else {
                return region;
            }
        }
    }

    /// Whether both sides add lines here, and take none away.
    fn is_insertion(&self) -> bool {
        self.start == self.end && !self.ours.is_empty() && !self.theirs.is_empty()
    }

    /// The lines of a side in the region: its own where it changed them, and those of the last import between.
    fn lines(&self, last: &[String], side: &[String], changes: &[Change]) -> String {
        let (mut text, mut at) = (String::new(), self.start);
        for Change { old, new } in changes {
            text.extend(last.get(at..old.start).unwrap_or_default().iter().map(String::as_str));
            text.extend(side.get(new.clone()).unwrap_or_default().iter().map(String::as_str));
            at = old.end;
        }
        text.extend(last.get(at..self.end).unwrap_or_default().iter().map(String::as_str));
        text
    }
}

/// Whether two additions say something of different things: no line of one begins as one of the other does, up to `=` or `:`.
fn are_apart(a: &str, b: &str) -> bool {
    let begin = |line: &'_ str| line.split_once(['=', ':']).map(|(begin, _)| begin.trim().to_owned());
    let header = |line: &'_ str| line.starts_with('[').then(|| line.trim().to_owned());
    let begins =
        |text: &str| text.lines().filter_map(|line| header(line).or_else(|| begin(line))).collect::<Vec<_>>();
    let theirs = begins(b);
    // Tables of their own can have the same keys.
    let is_table = |text: &str| text.trim_start().starts_with('[');
    let repeats =
        |begin: &String| theirs.contains(begin) && (begin.starts_with('[') || !is_table(a) || !is_table(b));
    !begins(a).iter().any(repeats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(last: &str, mine: &str, document: &str, wanted: &str, conflicts: usize) {
        let lines = |text: &str| text.split(' ').map(|word| format!("{word}\n")).collect::<String>();
        let merged = merge(&lines(last), &lines(mine), &lines(document), Keep::Mine);
        assert_eq!((merged.text, merged.conflicts.len()), (lines(wanted), conflicts));
    }

    #[test]
    fn changes_of_either_side_are_kept() {
        check("a b c d", "a b c d", "a x c d", "a x c d", 0);
        check("a b c d", "a b y d", "x b c d", "x b y d", 0);
        check("a b c d", "a b b2 c d", "a b c d e", "a b b2 c d e", 0);
        check("a b c d", "a x c d", "a x c d", "a x c d", 0);
        // Both add at the end: the document first.
        check("a b", "a b x", "a b y", "a b y x", 0);
        check("a b", "a b k=1", "a b k=2", "a b k=1", 1);
    }

    #[test]
    fn lines_that_both_changed_are_a_conflict_with_both_sides() {
        check("a b c", "a x c", "a y c", "a x c", 1);
        let merged = merge("a\nb\nc\n", "a\nx\nc\n", "a\ny\nc\n", Keep::Document);
        assert_eq!(merged.text, "a\ny\nc\n");
        let wanted = Conflict { line: 2, mine: "x\n".into(), document: "y\n".into() };
        assert_eq!(merged.conflicts, [wanted]);
    }

    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec("[ab]\n", 0..8).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn one_side_that_changed_nothing_leaves_the_other(last in text(), other in text()) {
            for keep in [Keep::Mine, Keep::Document] {
                prop_assert_eq!(merge(&last, &other, &last, keep).text, other.clone());
                prop_assert_eq!(merge(&last, &last, &other, keep).text, other.clone());
                prop_assert_eq!(merge(&last, &other, &other, keep).text, other.clone());
            }
        }

        #[test]
        fn without_a_conflict_the_sides_can_change_places(last in text(), a in text(), b in text()) {
            let merged = merge(&last, &a, &b, Keep::Mine);
            if merged.conflicts.is_empty() {
                prop_assert_eq!(merge(&last, &b, &a, Keep::Mine).text.len(), merged.text.len());
            }
        }
    }
}
