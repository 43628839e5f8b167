//! Reads doc comments from WIT source.
//!
//! Compilers drop doc comments from the component, so `airlock pack` reads the source and embeds them. Owns the
//! conversion from a WIT package to documentation by function and path. Must not know components.

mod comment;

use std::collections::BTreeMap;

use wit_parser::{Docs, Function, PackageId, Param, Resolve, Type, TypeDefKind, WorldItem};

use crate::component::FunctionDocs;
use crate::path::snake;
use crate::ty::TYPE_NODES_MAX;

/// The reason that WIT source cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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

/// WIT source that was parsed.
pub struct Source {
    /// The packages.
    pub resolve: Resolve,
    /// The one that is documented.
    pub package: PackageId,
    /// The text of each file, by its name in the source map. The parser keeps no doc comments of parameters, so they are
    /// read from here.
    pub texts: BTreeMap<String, String>,
}

/// Reads the documentation of every function that a world exports, by its address in the component.
///
/// # Errors
/// When the world is ambiguous or missing, or its types are too large.
pub fn read(source: &Source, world: Option<&str>) -> Result<BTreeMap<String, FunctionDocs>, DocsError> {
    let resolve = &source.resolve;
    let worlds = &resolve.packages[source.package].worlds;
    let chosen = match (world, worlds.len()) {
        (Some(name), _) => worlds.get(name),
        // A package with one world needs no choice. With several, guessing could embed the documentation of another
        // component.
        (None, 1) => worlds.first().map(|(_, id)| id),
        (None, _) => None,
    };
    let id = chosen.ok_or_else(|| DocsError::World(worlds.keys().cloned().collect()))?;
    let mut docs = Walk { source, left: PLACES_MAX, docs: BTreeMap::new() };
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

struct Walk<'s> {
    source: &'s Source,
    /// Remaining places before the walk fails.
    left: usize,
    docs: BTreeMap<String, FunctionDocs>,
}

impl Walk<'_> {
    fn add(&mut self, name: String, function: &Function) -> Result<(), DocsError> {
        let (mut args, mut of_result) = (BTreeMap::new(), BTreeMap::new());
        let mut errors = BTreeMap::new();
        for param in &function.params {
            let said = self.comment_of(param);
            self.place(&param.ty, &snake(&param.name), said, &mut args)?;
        }
        if let Some(result) = &function.result {
            // Agents see the payload of `ok`. Errors are not results.
            let (ok, error) = parts(&self.source.resolve, result);
            self.place(&ok, "", None, &mut of_result)?;
            // The error's cases last: a result's cases fail only where the contract says so.
            for ty in [Some(ok), error].into_iter().flatten() {
                errors.extend(error_cases(&self.source.resolve, &ty));
            }
        }
        let function = text(&function.docs);
        let [args, result, errors] = [args, of_result, errors].map(|found| found.into_iter().collect());
        self.docs.insert(name, FunctionDocs { function, args, result, errors });
        Ok(())
    }

    fn comment_of(&self, param: &Param) -> Option<String> {
        let place = self.source.resolve.source_map.resolve_span(param.span)?;
        comment::before(self.source.texts.get(place.path)?.get(..place.range.start)?)
    }

    /// Notes what is said about a place and the places inside it. `said` is the comment of the place itself: without one,
    /// that of its type counts.
    fn place(
        &mut self,
        ty: &Type,
        at: &str,
        said: Option<String>,
        found: &mut BTreeMap<String, String>,
    ) -> Result<(), DocsError> {
        self.left = self.left.checked_sub(1).ok_or(DocsError::Types)?;
        let resolve = &self.source.resolve;
        let said = said.or_else(|| of_type(resolve, ty));
        let kind = kind(resolve, ty);
        // Paths look through options.
        if let Some(TypeDefKind::Option(inner)) = kind {
            return self.place(inner, at, said, found);
        }
        let said: Vec<String> = [said, kind.and_then(cases)].into_iter().flatten().collect();
        if !said.is_empty() {
            found.insert(at.to_owned(), said.join("\n"));
        }
        match kind {
            Some(TypeDefKind::Record(record)) => record.fields.iter().try_for_each(|field| {
                let name = snake(&field.name);
                let at = if at.is_empty() { name.into_owned() } else { format!("{at}.{name}") };
                self.place(&field.ty, &at, text(&field.docs), found)
            }),
            Some(TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _)) => {
                self.place(item, &format!("{at}[]"), None, found)
            }
            _ => Ok(()),
        }
    }
}

/// The value type of a function, which is the `ok` payload of a `result` or the type itself, and its error type.
fn parts(resolve: &Resolve, ty: &Type) -> (Type, Option<Type>) {
    match kind(resolve, ty) {
        Some(TypeDefKind::Result(result)) => (result.ok.unwrap_or(*ty), result.err),
        _ => (*ty, None),
    }
}

/// The doc comments of the cases of a type, by name.
fn error_cases(resolve: &Resolve, ty: &Type) -> Vec<(String, String)> {
    let pairs: Vec<(&String, &Docs)> = match kind(resolve, ty) {
        Some(TypeDefKind::Enum(ty)) => ty.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
        Some(TypeDefKind::Variant(ty)) => ty.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
        _ => Vec::new(),
    };
    pairs.into_iter().filter_map(|(name, docs)| Some((name.clone(), text(docs)?))).collect()
}

/// The definition of a type, with aliases resolved.
fn kind<'r>(resolve: &'r Resolve, ty: &Type) -> Option<&'r TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(alias) => kind(resolve, alias),
        kind => Some(kind),
    }
}

/// The comment of a type, or of the first alias on the way to it that has one.
fn of_type(resolve: &Resolve, ty: &Type) -> Option<String> {
    let Type::Id(id) = ty else { return None };
    let definition = &resolve.types[*id];
    text(&definition.docs).or_else(|| match &definition.kind {
        TypeDefKind::Type(alias) => of_type(resolve, alias),
        _ => None,
    })
}

/// What is said about the cases of a type.
fn cases(kind: &TypeDefKind) -> Option<String> {
    match kind {
        TypeDefKind::Enum(ty) => named(ty.cases.iter().map(|case| (&case.name, &case.docs))),
        TypeDefKind::Variant(ty) => named(ty.cases.iter().map(|case| (&case.name, &case.docs))),
        TypeDefKind::Flags(ty) => named(ty.flags.iter().map(|flag| (&flag.name, &flag.docs))),
        _ => None,
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
