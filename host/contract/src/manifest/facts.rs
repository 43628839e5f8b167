//! Compares what a contract says about facts with the types of its functions.
//!
//! Owns which facts the relations of a function may look up: those that any function of the component gives, and those of
//! another component that the function declares to need. Must not know whose facts a registry binds.

use std::collections::BTreeMap;

use toml::Spanned;

use super::bound::Problems;
use super::{Manifest, WrittenTool};
use crate::answer::Shape;
use crate::component::{Function, addressed};
use crate::confidential::Confidential;
use crate::expression::Expression;
use crate::facts::{FactRules, FactTy, Gives, Reading};
use crate::ty::FunctionTy;
use airlock_types::words::{GOT_CHARS_MAX, one_line};

/// The facts that the functions of a component give.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Of each function, by its address.
    by: BTreeMap<String, Vec<Gives>>,
    /// The types of each name, which are the same whichever function gives it.
    names: BTreeMap<String, FactTy>,
}

impl Given {
    /// The facts of all functions. Their problems are added to `problems`.
    pub(super) fn of(manifest: &Manifest, functions: &[Function], problems: &mut Problems) -> Given {
        let mut given = Given::default();
        for (name, written) in &manifest.tools {
            // A name that addresses no function is reported where its table is read.
            let Ok(function) = addressed(name.get_ref(), functions) else { continue };
            let seen = FunctionTy {
                params: function.ty.params.clone(),
                result: Shape::of(&function.ty).value_ty().cloned(),
            };
            let mut confidential = Confidential::default();
            for field in &written.confidential {
                // Reported where the fields are read.
                let _ = confidential.add(field.get_ref(), &seen, function.ty.result.is_some());
            }
            for (name, fact) in &written.facts {
                let text = name.get_ref();
                let made = named(text)
                    .and_then(|()| Gives::new(text, fact.get_ref(), &seen, &confidential))
                    .and_then(|gives| given.agrees(&gives).map(|()| gives));
                match made {
                    Ok(gives) => given.by.entry(function.address()).or_default().push(gives),
                    Err(why) => problems.add(|| {
                        let message = format!("the facts `{}`: {why}", one_line(text, GOT_CHARS_MAX));
                        manifest.plain(fact.span(), message, "these facts")
                    }),
                }
            }
        }
        given
    }

    /// Whether facts are of the types that this name has already.
    fn agrees(&mut self, gives: &Gives) -> Result<(), String> {
        let known = self.names.entry(gives.name.to_string()).or_insert_with(|| (*gives.ty).clone());
        if *known == *gives.ty {
            return Ok(());
        }
        Err("another function gives facts of this name with a key or fields of other types".to_owned())
    }

    /// The facts that a function's relations may look up.
    pub(super) fn readable(
        &self,
        manifest: &Manifest,
        written: &WrittenTool,
        problems: &mut Problems,
    ) -> Vec<Reading> {
        let own = self.names.iter();
        let own = own.map(|(name, ty)| Reading { name: name.clone(), ty: ty.clone(), is_own: true });
        let mut all: Vec<Reading> = own.collect();
        for (name, need) in &written.needs {
            let text = name.get_ref();
            let ty = named(text).and_then(|()| match self.names.contains_key(text) {
                true => Err("the component gives facts of this name itself".to_owned()),
                false => need.get_ref().ty(),
            });
            match ty {
                Ok(ty) => all.push(Reading { name: text.clone(), ty, is_own: false }),
                Err(why) => problems.add(|| {
                    let message = format!("the facts `{}`: {why}", one_line(text, GOT_CHARS_MAX));
                    manifest.plain(need.span(), message, "these facts")
                }),
            }
        }
        all
    }

    /// What is said of facts of one function. None if nothing is.
    pub(super) fn rules(
        &self,
        manifest: &Manifest,
        (written, function): (&WrittenTool, &Function),
        (readable, rules): (Vec<Reading>, &[&Expression]),
        problems: &mut Problems,
    ) -> Option<Box<FactRules>> {
        // Asked last: it parses a rule that rests.
        let is_read = !readable.is_empty() && rules.iter().any(|rule| rule.facts().next().is_some());
        let read = |name: &str| {
            let of = |rule: &&Expression| rule.facts().any(|at| readable[at].name == name);
            rules.iter().any(of)
        };
        for name in written.needs.keys().filter(|name| !read(name.get_ref())) {
            let message = format!("no rule looks up `{}`", one_line(name.get_ref(), GOT_CHARS_MAX));
            problems.add(|| manifest.plain(name.span(), message, "these facts"));
        }
        for name in written.changes.iter().filter(|name| !self.names.contains_key(name.get_ref())) {
            let known = self.names.keys().map(String::as_str);
            let message = format!("no function gives facts `{}`", one_line(name.get_ref(), GOT_CHARS_MAX));
            problems.add(|| manifest.problem(name.span(), message, "this name", name.get_ref(), known));
        }
        let rules = FactRules {
            gives: self.by.get(&function.address()).cloned().unwrap_or_default(),
            reads: if is_read { readable } else { Vec::new() },
            changes: written.changes.iter().map(|name| name.get_ref().clone()).collect(),
        };
        (!rules.is_empty()).then(|| Box::new(rules))
    }
}

/// Whether expressions can name facts so.
fn named(text: &str) -> Result<(), String> {
    let is_first = text.starts_with(|c: char| c.is_ascii_lowercase());
    let is_name = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let fits = is_first && is_name && text.len() <= 64;
    fits.then_some(()).ok_or_else(|| "a name is a-z, 0-9 and _, at most 64 characters".to_owned())
}

/// The facts of one table, as they are written.
pub(super) type Written<T> = BTreeMap<Spanned<String>, Spanned<T>>;
