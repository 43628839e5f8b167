//! The schemas of a tool: those of its types with what the contract and doc comments say of each place, as published.
//!
//! Owns the order in which these are laid over each other. Must not know calls.

mod examples;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ContractError, Keywords, clean, published, undescribed};
use crate::answer::Shape;
use crate::component::{Function, FunctionDocs, Texts};
use crate::manifest::{Part, ToolContract};
use crate::path::Path;
use crate::published::{Form, Published, publish, spoken};
use crate::schema;
use crate::ty::Ty;
use examples::Examples;

/// The schemas of a tool.
pub(super) struct Schemas {
    pub(super) input_schema: Value,
    /// That of the typed value alone, if there is one.
    pub(super) result_schema: Option<Value>,
    /// The keywords at places of the arguments.
    pub(super) constraints: Keywords,
    /// The first places without a description.
    pub(super) undescribed: Vec<String>,
}

/// The schemas of a function.
pub(super) fn of(
    function: &Function,
    author: &ToolContract,
    docs: &FunctionDocs,
    shape: &Shape,
) -> Result<Schemas, ContractError> {
    let (params, ty) = (&function.ty.params, shape.value_ty());
    let names = names(&author.published);
    let spoken = |docs: &Texts| {
        docs.iter().map(|(path, text)| (path.clone(), spoken(text, &names))).collect::<BTreeMap<_, _>>()
    };
    let (args, result) = (spoken(&docs.args), spoken(&docs.result));
    let mut constraints = documented(&author.args, &args, |path| path.resolve_params(params).is_ok());
    let mut results =
        documented(&author.results, &result, |path| ty.is_some_and(|ty| path.resolve(ty).is_ok()));
    // Before the units, which do not say what a number means.
    let undescribed = undescribed::places(params, &constraints, ty, &results);
    add_units(&mut constraints, &author.published.args_units);
    add_units(&mut results, &author.published.result_units);
    let mut input_schema = match &author.published.args {
        // A form is laid over a schema without shared parts.
        Some(_) => schema::arguments(params),
        None => schema::input(params),
    };
    let (marked, shown) = Examples::taken(&constraints, author.is_known);
    overlay(&mut input_schema, &marked, Part::Args)?;
    if let Some(form) = &author.published.args {
        published::arguments(form, &mut input_schema, params, &constraints)?;
    }
    shown.put(&mut input_schema, Part::Args, |path, value| {
        examples::plain(author.published.args.as_ref(), (path, params), value)
    })?;
    if author.published.args.is_some() {
        schema::share(&mut input_schema);
    }
    let form = author.published.result.as_ref();
    let result_schema = ty.map(|ty| result_schema(ty, &results, (form, author.is_known))).transpose()?;
    Ok(Schemas { input_schema, result_schema, constraints, undescribed })
}

/// The published names of fields in arguments and result. The arguments come first: comments name them most.
pub(super) fn names(published: &Published) -> BTreeMap<&str, &str> {
    let mut names = published.result.as_ref().map(Form::renamed).unwrap_or_default();
    names.extend(published.args.as_ref().map(Form::renamed).unwrap_or_default());
    names
}

fn result_schema(
    ty: &Ty,
    keywords: &Keywords,
    (form, is_known): (Option<&Form>, bool),
) -> Result<Value, ContractError> {
    if let Some((path, _)) = keywords.iter().find(|(_, keywords)| keywords.contains_key(schema::HEADER)) {
        let reason = format!("`{}` is for arguments", schema::HEADER);
        return Err(ContractError::Keyword {
            path: path.to_string(),
            part: Part::Result(path.clone()),
            reason,
        });
    }
    let mut result = schema::output(ty);
    let (marked, shown) = Examples::taken(keywords, is_known);
    overlay(&mut result, &marked, Part::Result)?;
    form.iter().for_each(|form| publish(form, &mut result, &Path::default(), &mut Vec::new()));
    // What a tool answers is lifted, and passes no codec.
    shown.put(&mut result, Part::Result, |_, _| None)?;
    schema::clean(&mut result);
    Ok(result)
}

/// Adds the units of numbers to their descriptions.
fn add_units(keywords: &mut Keywords, units: &BTreeMap<Path, String>) {
    for (path, unit) in units {
        let at = keywords.entry(path.clone()).or_default();
        let text = match at.get("description").and_then(Value::as_str) {
            // After a sentence another one.
            Some(text) if text.trim_end().ends_with(['.', '!', '?']) => {
                format!("{} In {unit}.", text.trim_end())
            }
            Some(text) => format!("{text}; in {unit}"),
            None => format!("in {unit}"),
        };
        at.insert("description".into(), text.into());
    }
}

/// The keywords of the author, with doc comments as descriptions where the author gives none. A comment for a place
/// that does not exist is ignored: comments are no reason to refuse a component.
fn documented(
    author: &Keywords,
    docs: &BTreeMap<String, String>,
    exists: impl Fn(&Path) -> bool,
) -> Keywords {
    let mut keywords = author.clone();
    for (path, text) in docs {
        if let Ok(path) = Path::parse(path)
            && exists(&path)
        {
            let at = keywords.entry(path).or_default();
            at.entry("description").or_insert_with(|| json!(clean(text, 600)));
        }
    }
    keywords
}

fn overlay(schema: &mut Value, overlays: &Keywords, part: fn(Path) -> Part) -> Result<(), ContractError> {
    overlays.iter().try_for_each(|(path, keywords)| {
        schema::overlay(schema, path, keywords).map_err(|err| ContractError::Keyword {
            path: path.to_string(),
            part: part(path.clone()),
            reason: err.to_string(),
        })
    })
}
