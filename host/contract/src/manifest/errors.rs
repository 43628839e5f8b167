//! Compares the error cases that a contract names with the function's type.

use toml::Spanned;

use super::Manifest;
use super::bound::Problems;
use crate::answer::{ErrorCases, Shape, failure_ty};
use crate::component::Texts;
use crate::ty::Ty;
use airlock_types::words::{GOT_CHARS_MAX, one_line};

/// The names as they were written.
pub(super) struct Written<'w> {
    pub(super) transient: &'w [Spanned<String>],
    pub(super) caller_errors: &'w [Spanned<String>],
    pub(super) failures: &'w [Spanned<String>],
}

/// The cases by which a function fails. A name that is no such case is added to `problems`, and so is one without
/// effect.
pub(super) fn cases(
    written: &Written<'_>,
    shape: &Shape,
    manifest: &Manifest,
    problems: &mut Problems,
) -> ErrorCases {
    let Written { transient, caller_errors, failures } = written;
    let values = case_names(shape.ok_ty());
    let errors =
        [case_names(shape.error_ty()), failures.iter().map(|name| name.get_ref().as_str()).collect()]
            .concat();
    let mut check = Check { manifest, problems };
    check.known(failures, &values, "the result has no case");
    check.known(transient, &errors, "the function has no error case");
    check.known(caller_errors, &errors, "the function has no error case");
    let is_failure = shape.error_ty() == Some(&failure_ty());
    let is_of_failure = |name: &&Spanned<String>| is_failure && !contains(failures, name);
    for name in transient.iter().filter(is_of_failure) {
        check.without_effect(
            name,
            "the type `failure` of `airlock:tool` says itself which errors are transient",
        );
    }
    for name in caller_errors.iter().filter(is_of_failure).filter(|name| name.get_ref() != "permanent") {
        check.without_effect(
            name,
            "of the type `failure` of `airlock:tool`, only `permanent` can blame the caller",
        );
    }
    if !values.is_empty() && values.iter().all(|value| failures.iter().any(|name| name.get_ref() == value)) {
        failures.iter().take(1).for_each(|name| {
            check.without_effect(name, "every case of the result would be a failure");
        });
    }
    [transient, caller_errors, failures].iter().for_each(|names| check.once(names));
    let both = |name: &&Spanned<String>| contains(transient, name);
    for name in caller_errors.iter().filter(both) {
        check.without_effect(name, "a case is either transient or the caller's: the same call cannot both succeed later and need other arguments");
    }
    let texts = |names: &[Spanned<String>]| names.iter().map(|name| name.get_ref().clone()).collect();
    ErrorCases {
        transient: texts(transient),
        caller_errors: texts(caller_errors),
        failures: texts(failures),
        docs: Texts::default(),
    }
}

/// The names of a type's cases. Only those of a variant or an enum can be listed.
fn case_names(ty: Option<&Ty>) -> Vec<&str> {
    match ty {
        Some(Ty::Variant(cases)) => cases.iter().map(|case| case.name.as_str()).collect(),
        Some(Ty::Enum(names)) => names.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn contains(names: &[Spanned<String>], name: &Spanned<String>) -> bool {
    names.iter().any(|other| other.get_ref() == name.get_ref())
}

struct Check<'c> {
    manifest: &'c Manifest,
    problems: &'c mut Problems,
}

impl Check<'_> {
    fn known(&mut self, names: &[Spanned<String>], known: &[&str], lacks: &str) {
        for name in names.iter().filter(|name| !known.contains(&name.get_ref().as_str())) {
            self.problems.add(|| {
                let message = format!("{lacks} `{}`", one_line(name.get_ref(), GOT_CHARS_MAX));
                self.manifest.problem(
                    name.span(),
                    message,
                    "this case",
                    name.get_ref(),
                    known.iter().copied(),
                )
            });
        }
    }

    fn once(&mut self, names: &[Spanned<String>]) {
        let again = names.iter().enumerate().filter(|(at, name)| contains(&names[..*at], name));
        again.for_each(|(_, name)| self.without_effect(name, "the case is named twice"));
    }

    fn without_effect(&mut self, name: &Spanned<String>, why: &str) {
        self.problems.add(|| self.manifest.plain(name.span(), why.to_owned(), "remove this"));
    }
}
