//! What is evaluated over lists, by terms and with the clock.

use super::{Evaluated, Run, Var, unfit};
use crate::expression::calendar::{self, Form};
use crate::expression::datum::Datum;
use crate::expression::explain;
use crate::expression::fold::{Fold, first_repeat, fold};
use crate::expression::meter::Trouble;
use crate::expression::term::Term;
use crate::expression::tree::{Macro, Node, What};

impl<'v> Run<'v> {
    pub(super) fn walk(&mut self, which: Macro, list: &'v Node, body: &'v Node) -> Evaluated<'v> {
        let items = self.present(list)?;
        let count = items.items().ok_or_else(|| unfit(list))?;
        let mut kept = Vec::new();
        let (mut hits, mut trouble) = (0u64, None);
        for (at, item) in (0..count).filter_map(|at| items.item(at).map(|item| (at, item))) {
            // An item costs a step by itself, as the estimate assumes.
            self.meter.spend(1)?;
            let var = Var { item: item.clone(), list, at };
            if matches!(which, Macro::Map | Macro::Unique) {
                kept.push(self.with(var, |run| run.eval(body))?);
                continue;
            }
            match (which, self.with(var, |run| run.truth(body))) {
                // A spent meter ends the walk at once. Other errors wait for an item that decides.
                (_, Err(Trouble::Spent)) => return Err(Trouble::Spent),
                (Macro::All, Ok(false)) => return Ok(Datum::Bool(false)),
                (Macro::Exists, Ok(true)) => return Ok(Datum::Bool(true)),
                (Macro::Filter, Ok(true)) => kept.push(item),
                (_, Ok(hit)) => hits += u64::from(hit),
                // The first error is kept. `drop` only discards the reference that `get_or_insert` returns.
                (_, Err(err)) => drop(trouble.get_or_insert(err)),
            }
        }
        // A decisive item wins over an error with another item, as in `&&` and `||`.
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        Ok(match which {
            Macro::All => Datum::Bool(true),
            Macro::Exists => Datum::Bool(false),
            Macro::ExistsOne => Datum::Bool(hits == 1),
            Macro::Count => Datum::Int(i128::from(hits)),
            Macro::Unique => Datum::Bool(first_repeat(&kept, &mut self.meter)?.is_none()),
            Macro::Filter | Macro::Map => Datum::List(kept.into()),
        })
    }

    /// Runs a closure with one more variable, and removes the variable again.
    pub(in crate::expression) fn with<T>(&mut self, var: Var<'v>, work: impl FnOnce(&mut Run<'v>) -> T) -> T {
        self.vars.push(var);
        let done = work(self);
        self.vars.pop();
        done
    }

    pub(super) fn fold(
        &mut self,
        node: &'v Node,
        which: Fold,
        form: Option<Form>,
        list: &'v Node,
    ) -> Evaluated<'v> {
        let items = self.present(list)?;
        let count = items.items().ok_or_else(|| unfit(list))?;
        let mut read = Vec::new();
        for (at, item) in (0..count).filter_map(|at| items.item(at).map(|item| (at, item))) {
            self.meter.spend(1)?;
            let is_absent = matches!(item, Datum::Null) && which != Fold::Distinct;
            if is_absent {
                return Err(Trouble::Null(format!("{}[{at}]", explain::called(self, list))));
            }
            read.push(match form.filter(|_| !matches!(item, Datum::Null)) {
                Some(form) => form.read(&item).ok_or_else(|| self.unread(node, form, &item))?,
                None => item,
            });
        }
        fold(which, &read, &mut self.meter)?.ok_or_else(|| self.no_value(node))
    }

    /// A term is evaluated once, so that naming it for each item of a list costs a step each.
    pub(super) fn term(&mut self, term: &'v Term) -> Evaluated<'v> {
        let at: *const Term = term;
        if let Some((_, value)) = self.terms.iter().find(|(known, _)| *known == at) {
            return value.clone();
        }
        let value = self.apart(|run| run.eval(&term.node));
        self.terms.push((at, value.clone()));
        value
    }

    /// `now` and `today`.
    pub(super) fn time(&self, node: &'v Node) -> Evaluated<'v> {
        let unknown = || Trouble::Other(format!("`{}` is not known here", node.text));
        let now = self.bindings.now_unix_ms.ok_or_else(unknown)?;
        let time = match node.what {
            What::Today(zone) => calendar::today(now, zone).map(Datum::Date),
            _ => calendar::at(now).map(Datum::Moment),
        };
        time.ok_or_else(unknown)
    }

    /// A text that is not in the form that it must have.
    pub(super) fn unread(&self, node: &Node, form: Form, datum: &Datum<'_>) -> Trouble {
        Trouble::Other(format!("`{}`: {} is not {form}", explain::called(self, node), explain::shown(datum)))
    }

    /// Runs a closure without the variables of the enclosing macros: a term has its own.
    pub(in crate::expression) fn apart<T>(&mut self, work: impl FnOnce(&mut Run<'v>) -> T) -> T {
        let vars = std::mem::take(&mut self.vars);
        let done = work(self);
        self.vars = vars;
        done
    }
}
