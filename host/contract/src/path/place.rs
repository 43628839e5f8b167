//! Where a value stands in arguments or in a result, kept on the stack: no allocation unless there is something to report.

use airlock_types::place;
use airlock_types::place::Step;

/// A place, as a chain to the root.
#[derive(Clone, Copy)]
pub(crate) enum Place<'p> {
    Root,
    Key(&'p Place<'p>, &'p str),
    Index(&'p Place<'p>, usize),
}

impl<'p> Place<'p> {
    pub(crate) fn key(&'p self, name: &'p str) -> Place<'p> {
        Place::Key(self, name)
    }

    pub(crate) fn index(&'p self, i: usize) -> Place<'p> {
        Place::Index(self, i)
    }

    /// Code-like: `passengers[0].age`.
    pub(crate) fn path(&self) -> String {
        place::path(&self.steps())
    }

    /// A JSON pointer: `/passengers/0/age`.
    pub(crate) fn pointer(&self) -> String {
        place::pointer(&self.steps())
    }

    /// The steps from the root.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut place = self;
        loop {
            match place {
                Place::Root => break,
                Place::Key(parent, name) => {
                    steps.push(Step::Key((*name).to_owned()));
                    place = parent;
                }
                Place::Index(parent, i) => {
                    steps.push(Step::Index(*i));
                    place = parent;
                }
            }
        }
        steps.reverse();
        steps
    }
}
