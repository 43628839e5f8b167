//! The place of a value in arguments or in a result.
//!
//! Owns the two spellings of a place: code-like for a model, JSON pointer for a program. Must not know the value.

use crate::words::{GOT_CHARS_MAX, one_line, quoted};

/// A place, as a linked list that ends at the root. The links are on the stack of the function that walks a value, so a
/// walk that reports nothing allocates nothing.
#[derive(Clone, Copy, Debug)]
pub enum Place<'p> {
    /// The whole.
    Root,
    /// A member of an object.
    Key(&'p Place<'p>, &'p str),
    /// An item of an array, from 0.
    Index(&'p Place<'p>, usize),
}

/// One step of a place, owned, so that it outlives the walk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A member of an object.
    Key(String),
    /// An item of an array, from 0.
    Index(usize),
}

impl<'p> Place<'p> {
    /// The member of this name.
    pub fn key(&'p self, name: &'p str) -> Place<'p> {
        Place::Key(self, name)
    }

    /// The item of this number, from 0.
    pub fn index(&'p self, i: usize) -> Place<'p> {
        Place::Index(self, i)
    }

    /// `passengers[0].age`; a key that is no plain name is quoted: `a["b c"]`.
    pub fn path(&self) -> String {
        let mut path = String::new();
        self.each(&mut |step| step.push_to_path(&mut path));
        path
    }

    /// `/passengers/0/age`
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.each(&mut |step| step.push_to_pointer(&mut pointer));
        pointer
    }

    /// Copies of the steps, from the root on.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.each(&mut |step| {
            steps.push(match step {
                Part::Key(key) => Step::Key(key.to_owned()),
                Part::Index(i) => Step::Index(i),
            });
        });
        steps
    }

    /// Visits each step, from the root on. The recursion is as deep as the value, which is bounded.
    fn each(&self, visit: &mut dyn FnMut(Part<'_>)) {
        match self {
            Place::Root => {}
            Place::Key(parent, key) => {
                // The parent first: a place links from the value to the root, and spellings begin at the root.
                parent.each(visit);
                visit(Part::Key(key));
            }
            Place::Index(parent, i) => {
                parent.each(visit);
                visit(Part::Index(*i));
            }
        }
    }
}

/// The spelling of [`Place::path`] for kept steps.
pub fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    steps.iter().for_each(|step| step.part().push_to_path(&mut path));
    path
}

/// The spelling of [`Place::pointer`] for kept steps.
pub fn pointer(steps: &[Step]) -> String {
    let mut pointer = String::new();
    steps.iter().for_each(|step| step.part().push_to_pointer(&mut pointer));
    pointer
}

impl Step {
    fn part(&self) -> Part<'_> {
        match self {
            Step::Key(key) => Part::Key(key),
            Step::Index(i) => Part::Index(*i),
        }
    }
}

/// A borrowed step. Callers choose keys, so both spellings remove hidden characters and cut them.
enum Part<'p> {
    Key(&'p str),
    Index(usize),
}

impl Part<'_> {
    fn push_to_path(&self, path: &mut String) {
        match self {
            Part::Index(i) => path.push_str(&format!("[{i}]")),
            Part::Key(key) if !is_plain(key) => path.push_str(&format!("[{}]", quoted(key))),
            Part::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&one_line(key, GOT_CHARS_MAX));
            }
        }
    }

    fn push_to_pointer(&self, pointer: &mut String) {
        pointer.push('/');
        match self {
            Part::Index(i) => pointer.push_str(&i.to_string()),
            Part::Key(key) => {
                // RFC 6901 escapes `~` first: otherwise the `~` of an escaped `/` would be escaped again.
                let key = one_line(key, GOT_CHARS_MAX);
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_a_place_for_models_and_for_programs() {
        let root = Place::Root;
        let outer = root.key("a/b");
        let item = outer.index(2);
        let place = item.key("c");
        assert_eq!((place.path(), place.pointer()), (r#"["a/b"][2].c"#.into(), "/a~1b/2/c".into()));
        let steps = place.steps();
        assert_eq!((path(&steps), pointer(&steps)), (place.path(), place.pointer()));
        assert_eq!(path(&steps[2..]), "c");
    }

    #[test]
    fn a_key_of_any_length_is_cut_in_both_spellings() {
        let key = "k".repeat(10_000);
        let (root, cut) = (Place::Root, format!("{}…", "k".repeat(59)));
        let place = root.key(&key);
        assert_eq!((place.path(), place.pointer()), (cut.clone(), format!("/{cut}")));
    }
}
