//! `fallback` of a tool's entry: one list for all its functions, or one for each.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

/// Public names of the tools that answer when the tools of an entry cannot, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fallbacks {
    /// The same for every function.
    Same(Vec<Spanned<String>>),
    /// By WIT name of the function. A function that is not listed has none.
    Each(BTreeMap<Spanned<String>, Vec<Spanned<String>>>),
}

impl Default for Fallbacks {
    fn default() -> Fallbacks {
        Fallbacks::Same(Vec::new())
    }
}

impl Fallbacks {
    /// The fallbacks of one function. `is` tells whether a WIT name of the registry is that function.
    pub fn of(&self, is: impl Fn(&str) -> bool) -> &[Spanned<String>] {
        match self {
            Fallbacks::Same(names) => names,
            Fallbacks::Each(lists) => {
                lists.iter().find(|(function, _)| is(function.get_ref())).map_or(&[], |(_, names)| names)
            }
        }
    }

    /// The lists of all functions.
    pub fn lists(&self) -> Vec<&[Spanned<String>]> {
        match self {
            Fallbacks::Same(names) => vec![names],
            Fallbacks::Each(lists) => lists.values().map(Vec::as_slice).collect(),
        }
    }

    /// The functions that have a list of their own.
    pub fn functions(&self) -> Vec<&Spanned<String>> {
        match self {
            Fallbacks::Same(_) => vec![],
            Fallbacks::Each(lists) => lists.keys().collect(),
        }
    }
}

// By hand, because an untagged enum forgets where in the file a name stands.
impl<'de> Deserialize<'de> for Fallbacks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fallbacks, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = Fallbacks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tools, or a table of WIT names to lists of tools")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Fallbacks, A::Error> {
        let mut all = Vec::new();
        while let Some(name) = names.next_element()? {
            all.push(name);
        }
        Ok(Fallbacks::Same(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut lists: A) -> Result<Fallbacks, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((function, names)) = lists.next_entry()? {
            all.insert(function, names);
        }
        Ok(Fallbacks::Each(all))
    }
}
