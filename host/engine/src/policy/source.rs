//! Where the policy of a tool is written, for an operator: the rule that refused a use, its line, and the line that would
//! allow it.
//!
//! Owns the explanation of a refusal. Must not decide anything: it asks the same order of grants that decisions are made by.

mod caller;
mod lack;
mod mend;

use std::collections::BTreeMap;
use std::sync::Arc;

use airlock_types::decision::Reason;
use airlock_types::grant::{Access, Asked, Denial, Grants, Lack, Narrowing, Refused, Requests, Why};
use mend::{Goes, Mend, beside, mend};

use crate::config::{Day, Forms};

/// What an operator and an author wrote about one entry of a registry.
#[derive(Debug)]
pub struct PolicySource {
    /// The registry's file, as its reader names it.
    pub file: String,
    /// The line of each setting, by its name.
    pub lines: Arc<BTreeMap<String, usize>>,
    /// The texts of settings, by their names.
    pub texts: Arc<BTreeMap<String, String>>,
    /// How tables and lists are written.
    pub forms: Arc<Forms>,
    /// The key of the entry.
    pub key: String,
    /// The grants, as they are written.
    pub grants: Grants,
    /// What the contract asks for; `None` for a component without one, which asks for what it is granted.
    pub asks: Option<Requests>,
    /// What is tried for a while, and until when: the grants, and the day.
    pub tried: Option<(Grants, Day)>,
    /// The callers with grants of their own.
    pub callers: BTreeMap<String, Arc<Narrowing>>,
}

/// Where a line goes: the table, and how, where TOML refuses it below the table's header.
struct Place {
    table: String,
    how: Option<String>,
}

/// The rule of a contract.
const CONTRACT: &str = "contract";

impl PolicySource {
    /// Explains a refusal of a call by this caller. `is_tried` says that the grants of `report` were in force.
    pub fn explain(&self, refused: &Refused, caller: &str, is_tried: bool) -> Denial {
        let Refused { asked, why } = refused;
        let asked = self.meant(asked, *why);
        let bare = without_address(&asked);
        let narrowing = self.callers.get(caller);
        let is_asked = self.asks.as_ref().is_none_or(|asks| asks.admits(&bare));
        if !is_asked
            && !matches!(why, Why::Bound(..) | Why::ReadsOnly | Why::Never | Why::NoSession | Why::NoCaller)
        {
            // No line of the registry gives what its author did not ask for.
            return self.denial(refused, &[CONTRACT.to_owned()], None, String::new());
        }
        // What the tool itself is granted, the caller's entry left out.
        let tried = self.tried.as_ref().filter(|_| is_tried).map(|(grants, _)| grants);
        let of_caller = narrowing.and_then(|own| caller::mend(own, &self.grants, tried, (&asked, *why)));
        if let Some((entry, mend)) = of_caller {
            let below = format!("callers.{caller}");
            let entry = entry.map(|entry| format!("{below}.{entry}"));
            let rules: Vec<String> =
                entry.into_iter().chain(self.tables(&below, asked.capability())).collect();
            return self.denial(refused, &rules, Some(mend), below);
        }
        let below = format!("tools.{}", self.key);
        let (entry, mend) = mend(&self.grants, &asked, *why);
        let entry = entry.map(|entry| format!("{below}.{entry}"));
        let rules: Vec<String> = match why {
            Why::ReadsOnly => vec![format!("{below}.effects"), CONTRACT.to_owned()],
            Why::NotGranted
            | Why::Beyond
            | Why::Address
            | Why::Header(_)
            | Why::Bound(..)
            | Why::Never
            | Why::NoSession
            | Why::NoCaller => entry.into_iter().chain(self.tables(&below, asked.capability())).collect(),
        };
        self.denial(refused, &rules, mend, below)
    }

    /// Explains what a denied call lacks. None for a reason of another kind.
    pub fn lack(&self, reason: &Reason, caller: &str) -> Option<Lack> {
        let Reason::Missing { capability, asked, grant } = reason else { return None };
        let of_caller = format!("callers.{caller}");
        let (below, grant) = match grant.strip_prefix(&format!("{of_caller}.")) {
            Some(grant) => (of_caller, grant),
            None => (format!("tools.{}", self.key), grant.as_str()),
        };
        let (rule, at) = self.place(&self.tables(&below, capability));
        let own = self.callers.get(caller).filter(|_| below.starts_with("callers."));
        let mend = lack::mend(grant, &self.grants, own.map(|own| &**own));
        let replaces = self.replaces(&mend, &below);
        let (grant, Place { table: below, how }) = self.placed(mend, below);
        let (capability, asked) = (capability.clone(), asked.clone());
        Some(Lack { capability, asked, rule, at, grant, below, how, replaces })
    }

    /// A sentence on the grants that are tried, at this time in milliseconds since the Unix epoch. None where none are.
    pub fn trial(&self, now_unix_ms: u64) -> Option<String> {
        let (grants, until) = self.tried.as_ref()?;
        let key = &self.key;
        if now_unix_ms >= until.begins_ms() {
            return Some(format!(
                "`{key}` tried extra grants until {until}, and they have ended: take `tools.{key}.report` out, or name a later \
                 day"
            ));
        }
        Some(format!(
            "`{key}` tries extra grants until {until}, whose uses pass and are recorded as ones that would be denied: {}",
            grants.lines().join("; ")
        ))
    }

    /// Explains a use that passed by a grant of `report` alone.
    pub fn report(&self, asked: &Asked) -> Denial {
        let refused = Refused { asked: asked.clone(), why: Why::NotGranted };
        let below = format!("tools.{}", self.key);
        let rules = [format!("{below}.report.grants.{}", asked.capability()), format!("{below}.report")];
        let mend = Grants::least(asked).and_then(|least| beside(&self.grants, least, asked));
        Denial { is_reported: true, ..self.denial(&refused, &rules, mend, below) }
    }

    /// The tables that have the grants of a capability, the innermost first.
    pub(super) fn tables(&self, below: &str, capability: &str) -> Vec<String> {
        let names = [format!("{below}.grants.{capability}"), format!("{below}.grants.custom.{capability}")];
        names.into_iter().chain([format!("{below}.grants"), below.to_owned()]).collect()
    }

    /// What a guest meant that found no folder at all: the first one that its author asks for. Of these the first one that
    /// is granted: then it is the caller who may not have it.
    fn meant(&self, asked: &Asked, why: Why) -> Asked {
        let Asked::Files(_, path) = asked else { return asked.clone() };
        if path != "/" || why != Why::NotGranted {
            return asked.clone();
        }
        let wanted = self.folders();
        let reading = wanted.iter().map(|(_, path)| (Access::Read, path.clone()));
        let folders = wanted.iter().cloned().chain(reading).map(|(access, path)| Asked::Files(access, path));
        let folders: Vec<Asked> = folders.collect();
        let granted = folders.iter().find(|asked| self.grants.admits(asked));
        granted.or(folders.first()).unwrap_or(asked).clone()
    }

    /// The folders that its author asks for; without a contract those that are granted.
    fn folders(&self) -> Vec<(Access, String)> {
        match &self.asks {
            Some(asks) => asks.files.iter().map(|asked| (asked.access, asked.path.clone())).collect(),
            None => self.grants.files.iter().map(|grant| (grant.access, grant.guest.clone())).collect(),
        }
    }

    /// Whether a line takes the place of a setting in that table.
    fn replaces(&self, mend: &Mend, below: &str) -> bool {
        match mend.goes {
            Goes::Whole => true,
            Goes::Beside => false,
            Goes::Setting => self.lines.contains_key(&format!("{below}.{}", mend.name())),
        }
    }

    /// A line that grants one request of the contract, with where it goes if that is not an empty place.
    pub fn granting(&self, alone: &str) -> String {
        let below = format!("tools.{}", self.key);
        let mend = lack::mend(alone, &self.grants, None);
        let replaces = self.replaces(&mend, &below);
        let (line, Place { table, how }) = self.placed(mend, below);
        match how {
            Some(how) => format!("{line} (in `{table}`, {how})"),
            None if replaces => format!("{line} (in place of what is there)"),
            None => line,
        }
    }

    /// A line as it fits into the file, and where it goes.
    fn placed(&self, mend: Mend, below: String) -> (String, Place) {
        let Forms { braces, tables, lists } = &*self.forms;
        let name = format!("{below}.{}", mend.name());
        let is_around =
            |table: &&String| name.strip_prefix(table.as_str()).is_some_and(|rest| rest.starts_with('.'));
        // The innermost one: the others contain it.
        let table = braces.iter().chain(tables).filter(is_around).max_by_key(|table| table.len());
        let inner = table.and_then(|table| table.strip_prefix(&below)?.strip_prefix('.'));
        let line = inner.and_then(|inner| mend.line.strip_prefix(inner)?.strip_prefix('.'));
        let line = line.unwrap_or(&mend.line).to_owned();
        let table = table.filter(|_| inner.is_some()).unwrap_or(&below);
        let how = match mend.goes {
            _ if braces.contains(table) => Some("within its braces".to_owned()),
            Goes::Setting | Goes::Whole if lists.contains(&name) => {
                Some(format!("in place of all [[{name}]]"))
            }
            Goes::Setting | Goes::Whole | Goes::Beside => None,
        };
        (line, Place { table: table.clone(), how })
    }

    /// The denial under the first of these rules that is written.
    fn denial(&self, refused: &Refused, rules: &[String], mend: Option<Mend>, below: String) -> Denial {
        let written = rules.iter().find_map(|rule| Some((rule, self.lines.get(rule)?)));
        let (rule, at) = match written {
            Some((rule, line)) => (rule.clone(), format!("{}:{line}", self.file)),
            None => {
                (rules.last().cloned().unwrap_or_default(), format!("the contract of `tools.{}`", self.key))
            }
        };
        let replaces = mend.as_ref().is_some_and(|mend| self.replaces(mend, &below));
        let (grant, Place { table: below, how }) = match mend {
            Some(mend) => {
                let (line, place) = self.placed(mend, below);
                (Some(line), place)
            }
            None => (None, Place { table: below, how: None }),
        };
        Denial { refused: refused.clone(), rule, at, grant, below, how, replaces, is_reported: false }
    }
}

/// A use without the address, which only the operator's side has.
fn without_address(asked: &Asked) -> Asked {
    if let Asked::Http(target, _) = asked { Asked::Http(target.clone(), None) } else { asked.clone() }
}
