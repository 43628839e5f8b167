//! Reads doc comments from WIT source.
//!
//! Compilers drop doc comments from the component, so `airlock pack` reads the source and embeds them. Owns the
//! conversion from a WIT package to documentation by function and path. Must not know components.

use std::collections::BTreeMap;

use wit_parser::{Docs, PackageId, Resolve, Type, TypeDefKind, WorldItem};

use crate::component::FunctionDocs;
use crate::path::snake;
use crate::ty::TYPE_NODES_MAX;

/// The reason that WIT source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocsError {
    /// The source does not parse. The text has file, line and column.
    #[error("the WIT source cannot be read: {0}")]
    Wit(String),
    /// The types are larger than the bound that hosts accept.
    #[error("the types of its functions have more than {PLACES_MAX} parts when they are written out")]
    Types,
    /// The source has several worlds, or none. Holds their names.
    #[error("which world? The WIT source has {}; name one with `--world`", listed(.0))]
    World(Vec<String>),
}

fn listed(worlds: &[String]) -> String {
    if worlds.is_empty() { "none".into() } else { format!("`{}`", worlds.join("`, `")) }
}

/// Reads the documentation of every function that a world exports, by its address in the component.
///
/// # Errors
/// When the world is ambiguous or missing, or its types are too large.
pub fn read(
    resolve: &Resolve,
    package: PackageId,
    world: Option<&str>,
) -> Result<BTreeMap<String, FunctionDocs>, DocsError> {
    let worlds = &resolve.packages[package].worlds;
    let chosen = match (world, worlds.len()) {
        (Some(name), _) => worlds.get(name),
        // A package with one world needs no choice. With several, guessing could embed the documentation of another
        // component.
        (None, 1) => worlds.first().map(|(_, id)| id),
        (None, _) => None,
    };
    let id = chosen.ok_or_else(|| DocsError::World(worlds.keys().cloned().collect()))?;
    let mut docs = Walk { resolve, left: PLACES_MAX, docs: BTreeMap::new() };
    for (key, item) in &resolve.worlds[*id].exports {
        match item {
            WorldItem::Function(function) => docs.add(resolve.name_world_key(key), function)?,
            WorldItem::Interface { id, .. } => {
                let interface = resolve.name_world_key(key);
                for (name, function) in &resolve.interfaces[*id].functions {
                    docs.add(format!("{interface}#{name}"), function)?;
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    Ok(docs.docs)
}

/// Number of visited places in arguments and results. A type counts once for each use, as in the component.
const PLACES_MAX: usize = TYPE_NODES_MAX;

struct Walk<'r> {
    resolve: &'r Resolve,
    /// Remaining places before the walk fails.
    left: usize,
    docs: BTreeMap<String, FunctionDocs>,
}

impl Walk<'_> {
    fn add(&mut self, name: String, function: &wit_parser::Function) -> Result<(), DocsError> {
        let mut found = FunctionDocs { function: text(&function.docs), ..FunctionDocs::default() };
        for param in &function.params {
            self.walk(&param.ty, &snake(&param.name), &mut found.args)?;
        }
        if let Some(result) = &function.result {
            // Agents see the payload of `ok`. Errors are not results.
            self.walk(&ok_of(self.resolve, result), "", &mut found.result)?;
        }
        self.docs.insert(name, found);
        Ok(())
    }

    fn walk(&mut self, ty: &Type, at: &str, found: &mut BTreeMap<String, String>) -> Result<(), DocsError> {
        self.left = self.left.checked_sub(1).ok_or(DocsError::Types)?;
        match kind(self.resolve, ty) {
            Some(TypeDefKind::Record(record)) => {
                let below = |name: &str| {
                    let name = snake(name);
                    if at.is_empty() { name.into_owned() } else { format!("{at}.{name}") }
                };
                // Before the walk below the fields: `note` keeps the first text, and the comment of a field takes
                // precedence over the cases of its type.
                for field in &record.fields {
                    note(found, &below(&field.name), text(&field.docs));
                }
                record.fields.iter().try_for_each(|field| self.walk(&field.ty, &below(&field.name), found))
            }
            Some(TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _)) => {
                self.walk(item, &format!("{at}[]"), found)
            }
            // Paths look through options.
            Some(TypeDefKind::Option(inner)) => self.walk(inner, at, found),
            Some(TypeDefKind::Enum(cases)) => {
                note(found, at, named(cases.cases.iter().map(|case| (&case.name, &case.docs))));
                Ok(())
            }
            Some(TypeDefKind::Variant(cases)) => {
                note(found, at, named(cases.cases.iter().map(|case| (&case.name, &case.docs))));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Stores a text for a place that has none yet.
fn note(found: &mut BTreeMap<String, String>, at: &str, text: Option<String>) {
    if let Some(text) = text {
        found.entry(at.to_owned()).or_insert(text);
    }
}

/// The value type of a function: the `ok` payload of a `result`, or the type itself.
fn ok_of(resolve: &Resolve, ty: &Type) -> Type {
    match kind(resolve, ty) {
        Some(TypeDefKind::Result(result)) => result.ok.unwrap_or(*ty),
        _ => *ty,
    }
}

/// The definition of a type, with aliases resolved.
fn kind<'r>(resolve: &'r Resolve, ty: &Type) -> Option<&'r TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(alias) => kind(resolve, alias),
        kind => Some(kind),
    }
}

/// One line `- name: text` for each case that has a doc comment. `None` if no case has one.
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
