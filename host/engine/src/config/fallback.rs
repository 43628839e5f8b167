//! `fallback` of a tool's entry: one list for all its functions, or one for each.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use airlock_journal::answers::AGE_MS_MAX;
use airlock_types::duration;

/// The shortest age of a kept answer that can be declared, in milliseconds.
const AGE_MS_MIN: u64 = 1_000;

/// What answers when a tool cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Fallback {
    /// Another tool, by its public name.
    Tool(String),
    /// The tool's own last answer to the same arguments of the same caller.
    Cached(Cached),
}

/// A kept answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cached {
    /// Its greatest age.
    pub cached: Age,
}

/// An age: `10m`, `1h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age(u64);

impl Age {
    /// In milliseconds.
    pub fn ms(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Age, String> {
        let ms = duration::parse(&text).filter(|ms| (AGE_MS_MIN..=AGE_MS_MAX).contains(ms));
        ms.map(Age).ok_or_else(|| format!("`{text}` is not an age from `1s` to `366d`, such as `1d`"))
    }
}

impl From<Age> for String {
    fn from(Age(ms): Age) -> String {
        duration::print(ms)
    }
}

impl Fallback {
    /// The public name of the tool, for another tool.
    pub fn tool(&self) -> Option<&str> {
        match self {
            Fallback::Tool(name) => Some(name),
            Fallback::Cached(_) => None,
        }
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fallback::Tool(name) => f.write_str(name),
            Fallback::Cached(Cached { cached }) => {
                write!(f, "its last answer (at most {})", duration::print(cached.ms()))
            }
        }
    }
}

/// What answers when the tools of an entry cannot, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fallbacks {
    /// The same for every function.
    Same(Vec<Spanned<Fallback>>),
    /// By WIT name of the function. A function that is not listed has none.
    Each(BTreeMap<Spanned<String>, Vec<Spanned<Fallback>>>),
}

impl Default for Fallbacks {
    fn default() -> Fallbacks {
        Fallbacks::Same(Vec::new())
    }
}

impl Fallbacks {
    /// The fallbacks of one function. `is` tells whether a WIT name of the registry is that function.
    pub fn of(&self, is: impl Fn(&str) -> bool) -> &[Spanned<Fallback>] {
        match self {
            Fallbacks::Same(names) => names,
            Fallbacks::Each(lists) => {
                lists.iter().find(|(function, _)| is(function.get_ref())).map_or(&[], |(_, names)| names)
            }
        }
    }

    /// The lists of all functions.
    pub fn lists(&self) -> Vec<&[Spanned<Fallback>]> {
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

// By hand, because an untagged enum forgets what is wrong with the form that was chosen.
impl<'de> Deserialize<'de> for Fallback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fallback, D::Error> {
        deserializer.deserialize_any(OneForm)
    }
}

struct OneForm;

impl<'de> Visitor<'de> for OneForm {
    type Value = Fallback;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a tool, or { cached = \"1d\" }")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Fallback, E> {
        Ok(Fallback::Tool(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fallback, A::Error> {
        Cached::deserialize(MapAccessDeserializer::new(map)).map(Fallback::Cached)
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
        f.write_str("a list of fallbacks, or a table of WIT names to lists of fallbacks")
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
