//! A value that fits none of several alternatives: which one was meant, and only what is wrong with that one.
//!
//! Owns the choice of the branch: by its tag, else by the JSON type. Must not know any keyword but those two.

use jsonschema::ValidationError;
use serde_json::Value;

use super::fault::{Fault, Reader, Says, steps};
use super::object::nearest;
use super::wording::GOT_CHARS_MAX;
use super::{mend, wording};
use crate::call::code::Code;
use crate::contract::place::{Step, quoted};
use crate::contract::shorten::shorten;

type Errors = Vec<ValidationError<'static>>;

impl<'s> Reader<'s> {
    /// The faults of the branch that was meant, or one fault that lists the branches.
    pub(super) fn choice(&self, error: &ValidationError<'_>, context: &[Errors]) -> Vec<Fault> {
        let all = self.owner(error).and_then(wording::branches).map_or(&[][..], Vec::as_slice);
        let resolved = all.iter().map(|branch| self.resolve(branch)).zip(context);
        let (branches, errors): (Vec<&'s Value>, Vec<&Errors>) =
            resolved.filter(|(branch, _)| !wording::is_null(branch)).unzip();
        if let ([_], [only]) = (&*branches, &*errors) {
            return self.faults(only);
        }
        if let Some(tags) = wording::tags(&branches) {
            return self.variant(error, &branches, &errors, &tags);
        }
        let is_wide_text = wording::wide_integer(&branches).is_some() && !error.instance().is_number();
        let fitting = errors.iter().filter(|errors| !is_wide_text && has_right_type(error, errors));
        match fitting.min_by_key(|errors| errors.len()) {
            Some(fitting) => self.faults(fitting),
            None => vec![self.none_fits(error, all, &branches)],
        }
    }

    fn none_fits(&self, error: &ValidationError<'_>, all: &'s [Value], branches: &[&'s Value]) -> Fault {
        let (at, value) = (steps(error), error.instance().as_ref());
        let (hint, fix) = branches.iter().find_map(|branch| mend::of(self, branch, value, &at)).unzip();
        let expected = wording::alternatives(self, all);
        let says = Says { code: Code::ArgsType, keyword: "anyOf", expected, got: wording::got(value), hint };
        Fault::new(at, says, fix.flatten())
    }

    fn variant(
        &self,
        error: &ValidationError<'_>,
        branches: &[&'s Value],
        errors: &[&Errors],
        tags: &[String],
    ) -> Vec<Fault> {
        let (at, value) = (steps(error), error.instance().as_ref());
        let tag = value.get("tag").and_then(Value::as_str);
        if let Some(meant) = tag.and_then(|tag| tags.iter().position(|known| known == tag)) {
            return self.faults(errors[meant]);
        }
        let got = match value.get("tag") {
            Some(tag) => wording::got(tag),
            None if value.is_object() => shorten(&format!("no tag, {}", wording::got(value)), GOT_CHARS_MAX),
            None => wording::got(value),
        };
        let named = || tag.and_then(|tag| nearest(tag, tags)).map(|near| (did_you_mean(near), None));
        let (hint, fix) = mend::variant(branches, value, &at).or_else(named).unzip();
        let expected = format!("tag to be one of {}", wording::names(tags));
        let says = Says { code: Code::ArgsType, keyword: "tag", expected, got, hint };
        vec![Fault::new(at, says, fix.flatten())]
    }
}

fn did_you_mean(tag: &str) -> String {
    format!("did you mean {}?", quoted(tag))
}

/// Whether the branch takes values of this JSON type, whatever else it finds wrong.
fn has_right_type(error: &ValidationError<'_>, branch: &Errors) -> bool {
    let place: Vec<Step> = steps(error);
    !branch.iter().any(|inner| inner.kind().keyword() == "type" && steps(inner) == place)
}
