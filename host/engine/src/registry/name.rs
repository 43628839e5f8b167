//! Public names of tools.
//!
//! Owns how a registry key and a function become one name. Must not know other entries: `load/tools.rs` finds
//! duplicates.

use toml::Spanned;

use crate::config::{Fallback, Fallbacks, Functions, NAME_CHARS_MAX};
use airlock_contract::component::{Function, Unaddressed, addressed};
use airlock_contract::path::snake;
use airlock_types::words::{did_you_mean, one_line, quoted_list};

/// The functions that become tools, each with its public name. A single function is named by the key alone, several by the
/// key and their own names; where these are equal, their interfaces tell them apart.
///
/// # Errors
/// When the registry lists a function that the component lacks or has twice, or a public name is invalid.
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
    let all: Vec<&Function> = wanted.iter().map(|(_, function)| *function).collect();
    let name = |(public, function): (Option<&str>, &Function)| match public {
        Some(public) => public.to_owned(),
        None if all.len() > 1 => made_name(key, function, &all),
        None => key.to_owned(),
    };
    let named: Vec<_> = wanted.into_iter().map(|wanted| (name(wanted), wanted.1)).collect();
    // The made names are checked, not only their parts: a key and a function together may be too long.
    match named.iter().find(|(name, _)| !is_valid(name)) {
        Some((name, function)) => Err(format!(
            "`{}` cannot be a tool's name: a-z, 0-9 and _, at most {NAME_CHARS_MAX} characters; give another with \
             `functions = {{ \"{}\" = \"name\" }}`",
            one_line(name, 2 * NAME_CHARS_MAX),
            function.full_address()
        )),
        None => Ok(named),
    }
}

/// The key and the function's name, with as much of its interface between them as tells it from the others: the name of
/// the interface, then its package, its namespace and its version.
fn made_name(key: &str, function: &Function, all: &[&Function]) -> String {
    let qualified = |function: &Function, parts: usize| {
        let qualifiers = qualifiers(function.interface.as_deref());
        let (names, version) = qualifiers.split_at(qualifiers.len().min(3));
        let shown = names[names.len().saturating_sub(parts)..].iter();
        let version = version.iter().take(parts.saturating_sub(3));
        let between: Vec<&str> = shown.chain(version).map(String::as_str).collect();
        [&[key], &between[..], &[&snake(&function.name)]].concat().join("_")
    };
    // Its interface whole tells any function from any other.
    let differs = |parts: &usize| {
        let name = qualified(function, *parts);
        all.iter().filter(|other| qualified(other, *parts) == name).count() == 1
    };
    qualified(function, (0..4).find(differs).unwrap_or(4))
}

/// `ns:pkg/iface@1.0.0` → `ns`, `pkg`, `iface`, `v1_0_0`.
fn qualifiers(interface: Option<&str>) -> Vec<String> {
    let Some(interface) = interface else { return Vec::new() };
    let (name, version) = interface.split_once('@').map_or((interface, None), |(name, v)| (name, Some(v)));
    let word = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_lowercase();
    // A plain name has no namespace, no package and no version.
    let mut parts: Vec<String> = name.split([':', '/']).map(word).collect();
    parts.extend(version.map(|version| format!("v{}", word(version))));
    parts
}

/// The rule of `config` for keys, applied to names that are made from them, which are longer.
fn is_valid(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_CHARS_MAX
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(super) fn find<'f>(name: &str, functions: &'f [Function]) -> Result<&'f Function, String> {
    addressed(name, functions).map_err(|why| match why {
        Unaddressed::None(known) => {
            let known = known.iter().map(String::as_str);
            // With the nearest one first: a component may show a hundred.
            let nearest =
                did_you_mean(name, known.clone()).map_or_else(String::new, |hint| format!("; {hint}"));
            format!("the component shows no function `{name}`, and shows {}{nearest}", quoted_list(known))
        }
        Unaddressed::Several(found) => {
            let found = found.iter().map(String::as_str);
            format!(
                "`{name}` is several functions, in several interfaces; name the one: {}",
                quoted_list(found)
            )
        }
    })
}

/// The fallbacks that the registry declares for a function.
pub(super) fn fallbacks<'c>(declared: &'c Fallbacks, function: &Function) -> &'c [Spanned<Fallback>] {
    // Held against this function alone: a name that is several functions was refused when the entry was prepared.
    declared.of(|name| addressed(name, std::slice::from_ref(function)).is_ok())
}
