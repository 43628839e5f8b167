//! Doc comments, read out of WIT source.
//!
//! Compilers drop them from the component, so `airlock pack` reads the source and embeds what it says. Owns
//! the way from a WIT package to documentation by function and path. Must not know components.

use std::collections::BTreeMap;
use std::path::Path;

use wit_parser::{Docs, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

use crate::contract::path::snake;
use crate::contract::surface::FunctionDocs;

/// Why WIT source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocsError {
    /// It does not parse; the text has file, line and place.
    #[error("the WIT source cannot be read: {0}")]
    Wit(String),
    /// There are several worlds, or none.
    #[error("which world? The WIT source has {}; name one with `--world`", listed(.0))]
    World(Vec<String>),
}

fn listed(worlds: &[String]) -> String {
    if worlds.is_empty() { "none".into() } else { format!("`{}`", worlds.join("`, `")) }
}

/// The documentation of every function that a world exports, out of a WIT file or folder.
///
/// # Errors
/// When the source does not parse, or the world is not clear.
pub fn read(wit: &Path, world: Option<&str>) -> Result<BTreeMap<String, FunctionDocs>, DocsError> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).map_err(|err| DocsError::Wit(format!("{err:#}")))?;
    let worlds = &resolve.packages[package].worlds;
    let chosen = match (world, worlds.len()) {
        (Some(name), _) => worlds.get(name),
        (None, 1) => worlds.first().map(|(_, id)| id),
        (None, _) => None,
    };
    let id = chosen.ok_or_else(|| DocsError::World(worlds.keys().cloned().collect()))?;
    let mut docs = BTreeMap::new();
    for (key, item) in &resolve.worlds[*id].exports {
        match item {
            WorldItem::Function(function) => add(&resolve, &mut docs, key_name(key), function),
            WorldItem::Interface { id, .. } => {
                for (name, function) in &resolve.interfaces[*id].functions {
                    add(&resolve, &mut docs, name.clone(), function);
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    Ok(docs)
}

fn key_name(key: &WorldKey) -> String {
    match key {
        WorldKey::Name(name) => name.clone(),
        WorldKey::Interface(_) => String::new(),
    }
}

fn add(
    resolve: &Resolve,
    docs: &mut BTreeMap<String, FunctionDocs>,
    name: String,
    function: &wit_parser::Function,
) {
    let mut found = FunctionDocs { function: text(&function.docs), ..FunctionDocs::default() };
    for param in &function.params {
        walk(resolve, &param.ty, &snake(&param.name), &mut found.args);
    }
    if let Some(result) = &function.result {
        walk(resolve, &ok_of(resolve, result), "", &mut found.result);
    }
    docs.insert(name, found);
}

/// The value's type of a function that may fail.
fn ok_of(resolve: &Resolve, ty: &Type) -> Type {
    match kind(resolve, ty) {
        Some(TypeDefKind::Result(result)) => result.ok.unwrap_or(*ty),
        _ => *ty,
    }
}

/// The definition of a type, aliases followed.
fn kind<'r>(resolve: &'r Resolve, ty: &Type) -> Option<&'r TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(alias) => kind(resolve, alias),
        kind => Some(kind),
    }
}

fn walk(resolve: &Resolve, ty: &Type, at: &str, found: &mut BTreeMap<String, String>) {
    let mut note = |at: &str, text: Option<String>| {
        if let Some(text) = text {
            found.entry(at.to_owned()).or_insert(text);
        }
    };
    match kind(resolve, ty) {
        Some(TypeDefKind::Record(record)) => {
            for field in &record.fields {
                let name = snake(&field.name);
                let below = if at.is_empty() { name.into_owned() } else { format!("{at}.{name}") };
                note(&below, text(&field.docs));
            }
            for field in &record.fields {
                let name = snake(&field.name);
                let below = if at.is_empty() { name.into_owned() } else { format!("{at}.{name}") };
                walk(resolve, &field.ty, &below, found);
            }
        }
        Some(TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _)) => {
            walk(resolve, item, &format!("{at}[]"), found);
        }
        Some(TypeDefKind::Option(inner)) => walk(resolve, inner, at, found),
        Some(TypeDefKind::Enum(cases)) => {
            note(at, named(cases.cases.iter().map(|case| (&case.name, &case.docs))));
        }
        Some(TypeDefKind::Variant(cases)) => {
            note(at, named(cases.cases.iter().map(|case| (&case.name, &case.docs))));
        }
        _ => {}
    }
}

/// `- name: text` for the cases that have one.
fn named<'d>(cases: impl Iterator<Item = (&'d String, &'d Docs)>) -> Option<String> {
    let lines: Vec<String> =
        cases.filter_map(|(name, docs)| Some(format!("- {name}: {}", text(docs)?))).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn text(docs: &Docs) -> Option<String> {
    let text = docs.contents.as_deref()?.trim();
    let joined = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    (!joined.is_empty()).then_some(joined)
}
