//! Stand-ins for imports that the host does not provide, checked against the component's imports.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::capability::{Binding, Capabilities};
use crate::config::{ConfigFile, ImportConfig, ImportWord, ToolConfig};
use airlock_contract::component::{ComponentInfo, Import};
use airlock_contract::ty::Ty;
use airlock_contract::{Val, lower};
use airlock_types::diagnostic::Diagnostics;
use airlock_types::words;

/// The declared stand-ins, with their JSON results lowered to the component's types.
///
/// # Errors
/// When the component does not import the name, or a result does not fit its type.
pub(super) fn bindings(
    file: &ConfigFile,
    config: &ToolConfig,
    info: &ComponentInfo,
    capabilities: &Capabilities,
) -> Result<BTreeMap<String, Binding>, Diagnostics> {
    let mut bindings = BTreeMap::new();
    for (name, declared) in &config.imports {
        let problem =
            |message: String| Diagnostics::from(file.error(name.span(), message, "this import", None));
        let import = info.imports.iter().find(|import| import.name == *name.get_ref()).ok_or_else(|| {
            let known: Vec<&str> = capabilities.unknown(info).map(|import| import.name.as_str()).collect();
            let rest = match known.as_slice() {
                [] => "the host provides all that it imports".to_owned(),
                known => format!("nothing provides {}", words::quoted_list(known.iter().copied())),
            };
            problem(format!("the component does not import `{}`; {rest}", name.get_ref()))
        })?;
        // The host would provide the import all the same: the setting would read like a denial and deny nothing.
        if capabilities.unknown(info).all(|unknown| unknown.name != import.name) {
            return Err(problem(format!(
                "the host provides `{}`: leave this out; what a tool may reach is said by its grants",
                import.name
            )));
        }
        bindings.insert(name.get_ref().clone(), binding(import, declared).map_err(problem)?);
    }
    Ok(bindings)
}

/// One stand-in. Results are lowered when the registry is loaded, so that a wrong one is found before any call.
fn binding(import: &Import, declared: &ImportConfig) -> Result<Binding, String> {
    let results = match declared {
        ImportConfig::Word(ImportWord::Trap) => return Ok(Binding::Trap),
        ImportConfig::Fixed(results) => results,
    };
    let mut fixed = BTreeMap::new();
    for (function, json) in results {
        let ty = import.functions.get(function).ok_or_else(|| {
            let known = words::quoted_list(import.functions.keys().map(String::as_str));
            format!("`{}` has no function `{function}`; it has {known}", import.name)
        })?;
        let ty = ty.as_ref().ok_or_else(|| {
            format!("`{function}` uses types that JSON cannot give; leave it out, and it traps")
        })?;
        let result =
            result(ty.result.as_ref(), json).map_err(|why| format!("the result of `{function}` {why}"))?;
        fixed.insert(function.clone(), result);
    }
    Ok(Binding::Fixed(fixed))
}

/// A fixed result as a value of its type. TOML has no null, so an empty table is no value.
fn result(ty: Option<&Ty>, json: &Value) -> Result<Option<Val>, String> {
    let is_nothing = json.as_object().is_some_and(Map::is_empty);
    let Some(ty) = ty else {
        return if is_nothing { Ok(None) } else { Err("is a value, and it returns none: write `{}`".into()) };
    };
    let json = if is_nothing && ty.as_option().is_some() { Value::Null } else { json.clone() };
    lower::lower_value(ty, json).map(Some).map_err(|violations| {
        let first = violations
            .first()
            .map_or_else(String::new, |v| format!("expected {}, got {}", v.expected, v.got));
        format!("is not a `{ty}`: {first}")
    })
}

#[cfg(test)]
mod tests {
    use airlock_contract::ty::{Case, Field};

    use super::*;

    /// The types in the table of `docs/settings.md`, as it writes them.
    fn types() -> Vec<(&'static str, Option<Ty>)> {
        let boxed = |ty: Ty| Box::new(ty);
        let option = |ty: Ty| Ty::Option(boxed(ty));
        let case = |name: &str, ty| Case { name: name.into(), ty };
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let record = vec![field("name", Ty::String), field("max-items", option(Ty::U32))];
        vec![
            ("none", None),
            ("`bool`", Some(Ty::Bool)),
            ("`u8` … `s32`, `f32`, `f64`", Some(Ty::F64)),
            ("`u64`, `s64`", Some(Ty::U64)),
            ("`char`", Some(Ty::Char)),
            ("`string`", Some(Ty::String)),
            ("`list<u8>`", Some(Ty::List(boxed(Ty::U8)))),
            ("`list<u32>`", Some(Ty::List(boxed(Ty::U32)))),
            ("`tuple<u32, string>`", Some(Ty::Tuple(vec![Ty::U32, Ty::String]))),
            ("`record { name: string, max-items: option<u32> }`", Some(Ty::Record(record))),
            (
                "`variant { circle(f64), none }`",
                Some(Ty::Variant(vec![case("circle", Some(Ty::F64)), case("none", None)])),
            ),
            ("`enum { red, green }`", Some(Ty::Enum(vec!["red".into(), "green".into()]))),
            ("`flags { read, write }`", Some(Ty::Flags(vec!["read".into(), "write".into()]))),
            ("`option<string>`", Some(option(Ty::String))),
            ("`option<option<string>>`", Some(option(option(Ty::String)))),
            ("`result<u32, string>`", Some(Ty::Result(Some(boxed(Ty::U32)), Some(boxed(Ty::String))))),
            ("`result`", Some(Ty::Result(None, None))),
        ]
    }

    #[test]
    fn every_form_in_the_documentation_is_a_result() {
        let page = include_str!("../../../../../docs/settings.md");
        let table = page.split("### Fixed results of imports").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: Vec<(&str, &str)> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
            .collect();
        let types = types();
        assert_eq!(
            rows[1..].iter().map(|row| row.0).collect::<Vec<_>>(),
            types.iter().map(|ty| ty.0).collect::<Vec<_>>()
        );
        for ((text, examples), (_, ty)) in rows[1..].iter().zip(&types) {
            for example in examples.split('`').skip(1).step_by(2).filter(|example| *example != "none") {
                let parsed: toml::Table = toml::from_str(&format!("result = {example}")).unwrap();
                let json = serde_json::to_value(&parsed["result"]).unwrap();
                result(ty.as_ref(), &json).unwrap_or_else(|why| panic!("{text}: {example} {why}"));
            }
        }
    }

    #[test]
    fn an_empty_table_is_no_value() {
        let empty = serde_json::json!({});
        assert_eq!(result(None, &empty), Ok(None));
        assert_eq!(result(Some(&Ty::Option(Box::new(Ty::Bool))), &empty), Ok(Some(Val::Option(None))));
        assert!(result(None, &Value::from(1)).is_err() && result(Some(&Ty::Bool), &empty).is_err());
    }
}
