//! Public names of tools.
//!
//! Owns how a registry key and a function become one name. Must not know other entries: `load` finds duplicates.

use crate::config::{Functions, NAME_CHARS_MAX};
use airlock_contract::component::Function;
use airlock_contract::path::snake;
use airlock_types::words;

/// The functions that become tools, each with its public name. A single function is named by the key alone.
///
/// # Errors
/// When the registry lists a function that the component lacks, or a public name is invalid.
pub(super) fn assign<'f>(
    key: &str,
    shown: Option<&Functions>,
    functions: &'f [Function],
) -> Result<Vec<(String, &'f Function)>, String> {
    let wanted: Vec<(Option<&str>, &Function)> = match shown {
        None => functions.iter().map(|function| (None, function)).collect(),
        Some(Functions::Listed(names)) => {
            names.iter().map(|name| Ok((None, find(name, functions)?))).collect::<Result<_, String>>()?
        }
        Some(Functions::Named(names)) => names
            .iter()
            .map(|(name, public)| Ok((Some(public.as_str()), find(name, functions)?)))
            .collect::<Result<_, String>>()?,
    };
    // Only then is the key not enough to tell the tools apart.
    let several = wanted.len() > 1;
    let name = |public: Option<&str>, function: &Function| match public {
        Some(public) => public.to_owned(),
        None if several => format!("{key}_{}", snake(&function.name)),
        None => key.to_owned(),
    };
    let named: Vec<_> =
        wanted.into_iter().map(|(public, function)| (name(public, function), function)).collect();
    // The made names are checked, not only their parts: a key and a function together may be too long.
    match named.iter().find(|(name, _)| !is_valid(name)) {
        Some((name, _)) => Err(format!(
            "`{name}` cannot be a tool's name: a-z, 0-9 and _, at most {NAME_CHARS_MAX} characters; give \
             another with `functions = {{ \"function\" = \"name\" }}`"
        )),
        None => Ok(named),
    }
}

/// The rule of `config` for keys, applied to names that are made from them, which are longer.
fn is_valid(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_CHARS_MAX
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn find<'f>(name: &str, functions: &'f [Function]) -> Result<&'f Function, String> {
    functions.iter().find(|function| function.name == name).ok_or_else(|| {
        let known = functions.iter().map(|function| function.name.as_str());
        format!("the component shows no function `{name}`; it shows {}", words::quoted_list(known))
    })
}
