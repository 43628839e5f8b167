//! Where a contract says something of a function.

use std::ops::Range;
use std::slice;

use serde_json::Value;
use toml::Spanned;

use super::{Manifest, WrittenTool};
use crate::component::{Function, addressed};
use crate::path::Path;
use airlock_types::diagnostic::Diagnostic;

/// A part of what a contract says of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A place in the arguments.
    Args(Path),
    /// A place in the result.
    Result(Path),
    /// The keywords over all arguments.
    Schema,
    /// An example with these arguments.
    Example(Value),
    /// All of it.
    Whole,
}

impl Manifest {
    /// A problem with a part of what it says of a function, with its place. Without a place if it says nothing of the function.
    pub(crate) fn at(&self, function: &Function, part: &Part, message: String) -> Diagnostic {
        let is_of = |name: &Spanned<String>| addressed(name.get_ref(), slice::from_ref(function)).is_ok();
        match self.tools.iter().find(|(name, _)| is_of(name)) {
            Some((name, tool)) => {
                let (span, label) = tool.span(part).unwrap_or((name.span(), "this function"));
                self.plain(span, message, label)
            }
            None => Diagnostic::without_place(message, None),
        }
    }
}

impl WrittenTool {
    fn span(&self, part: &Part) -> Option<(Range<usize>, &'static str)> {
        let place = |written: &Spanned<String>, path: &Path| {
            Path::parse(written.get_ref()).is_ok_and(|it| it == *path)
        };
        match part {
            Part::Args(path) => {
                self.args.keys().find(|written| place(written, path)).map(|it| (it.span(), "this place"))
            }
            Part::Result(path) => {
                self.result.keys().find(|written| place(written, path)).map(|it| (it.span(), "this place"))
            }
            Part::Schema => self.schema.keys().next().map(|it| (it.span(), "these keywords")),
            Part::Example(args) => {
                let one = self.example.iter().find(|one| one.get_ref().args == *args);
                one.map(|it| (it.span(), "this example"))
            }
            Part::Whole => None,
        }
    }
}
