//! Where a value stands in arguments or in a result, kept on the stack: no allocation unless there is something to report.

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
        match self {
            Place::Root => String::new(),
            Place::Key(Place::Root, name) => (*name).to_owned(),
            Place::Key(parent, name) => format!("{}.{name}", parent.path()),
            Place::Index(parent, i) => format!("{}[{i}]", parent.path()),
        }
    }

    /// A JSON pointer: `/passengers/0/age`.
    pub(crate) fn pointer(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Key(parent, name) => {
                format!("{}/{}", parent.pointer(), name.replace('~', "~0").replace('/', "~1"))
            }
            Place::Index(parent, i) => format!("{}/{i}", parent.pointer()),
        }
    }
}
