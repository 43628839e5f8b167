//! The types of `airlock:tool@0.1.0`, as structures. A test compares them with the WIT file.

use crate::ty::{Case, Field, Ty};

fn record(fields: &[(&str, Ty)]) -> Ty {
    Ty::Record(fields.iter().map(|(name, ty)| Field { name: (*name).into(), ty: ty.clone() }).collect())
}

fn variant(cases: &[(&str, Option<Ty>)]) -> Ty {
    Ty::Variant(cases.iter().map(|(name, ty)| Case { name: (*name).into(), ty: ty.clone() }).collect())
}

fn list(item: Ty) -> Ty {
    Ty::List(Box::new(item))
}

fn option(inner: Ty) -> Ty {
    Ty::Option(Box::new(inner))
}

pub(super) fn refusal() -> Ty {
    let retry =
        variant(&[("never", None), ("after", Some(Ty::U64)), ("after-change", Some(list(Ty::String)))]);
    record(&[
        ("code", Ty::String),
        ("cannot", Ty::String),
        ("needed", list(Ty::String)),
        ("contact", option(Ty::String)),
        ("alternatives", list(Ty::String)),
        ("retryable", retry),
        ("decision-id", option(Ty::String)),
    ])
}

/// `args` is JSON text, because WIT has no type for arbitrary JSON.
pub(super) fn clarify() -> Ty {
    let choice = record(&[("label", Ty::String), ("means", Ty::String), ("args", Ty::String)]);
    record(&[("question", Ty::String), ("options", list(choice))])
}

pub(super) fn assessment() -> Ty {
    record(&[
        ("interpretation", option(Ty::String)),
        ("confidence", option(Ty::F64)),
        ("uncertainty", option(Ty::String)),
        ("assumptions", list(Ty::String)),
        ("next-steps", list(Ty::String)),
    ])
}

pub(super) fn as_of() -> Ty {
    record(&[("time", Ty::String), ("source", option(Ty::String))])
}

pub(super) fn content() -> Ty {
    let blob = record(&[("data", list(Ty::U8)), ("mime-type", Ty::String)]);
    let link = record(&[
        ("uri", Ty::String),
        ("name", Ty::String),
        ("description", option(Ty::String)),
        ("mime-type", option(Ty::String)),
    ]);
    let body = variant(&[("text", Some(Ty::String)), ("blob", Some(list(Ty::U8)))]);
    let resource = record(&[("uri", Ty::String), ("mime-type", option(Ty::String)), ("body", body)]);
    variant(&[
        ("text", Some(Ty::String)),
        ("image", Some(blob.clone())),
        ("audio", Some(blob)),
        ("resource-link", Some(link)),
        ("resource", Some(resource)),
    ])
}

/// The variant `failure` of `airlock:tool`: the error type with which a tool selects an outcome code.
pub fn failure() -> Ty {
    variant(&[
        ("refused", Some(refusal())),
        ("clarify", Some(clarify())),
        ("transient", Some(Ty::String)),
        ("permanent", Some(Ty::String)),
        ("throttled", Some(option(Ty::U64))),
        ("unavailable", Some(Ty::String)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type of the WIT file, with named types written out.
    fn from_wit(name: &str) -> Ty {
        let mut resolve = wit_parser::Resolve::default();
        let package =
            resolve.push_str("airlock-tool.wit", include_str!("../../../../wit/airlock-tool.wit")).unwrap();
        let interface = resolve.packages[package].interfaces["types"];
        convert(&resolve, &wit_parser::Type::Id(resolve.interfaces[interface].types[name]))
    }

    fn convert(resolve: &wit_parser::Resolve, ty: &wit_parser::Type) -> Ty {
        use wit_parser::{Type, TypeDefKind};
        let named = |name: &str| name.to_owned();
        let Type::Id(id) = ty else {
            return match ty {
                Type::U8 => Ty::U8,
                Type::U64 => Ty::U64,
                Type::F64 => Ty::F64,
                Type::String => Ty::String,
                other => panic!("{other:?} is not used in airlock:tool"),
            };
        };
        match &resolve.types[*id].kind {
            TypeDefKind::Record(record) => Ty::Record(
                record
                    .fields
                    .iter()
                    .map(|field| Field { name: named(&field.name), ty: convert(resolve, &field.ty) })
                    .collect(),
            ),
            TypeDefKind::Variant(variant) => Ty::Variant(
                variant
                    .cases
                    .iter()
                    .map(|case| Case {
                        name: named(&case.name),
                        ty: case.ty.as_ref().map(|ty| convert(resolve, ty)),
                    })
                    .collect(),
            ),
            TypeDefKind::List(item) => list(convert(resolve, item)),
            TypeDefKind::Option(inner) => option(convert(resolve, inner)),
            TypeDefKind::Type(alias) => convert(resolve, alias),
            other => panic!("{other:?} is not used in airlock:tool"),
        }
    }

    #[test]
    fn known_types_are_those_of_the_wit_file() {
        for (name, ty) in [
            ("refusal", refusal()),
            ("clarify", clarify()),
            ("assessment", assessment()),
            ("as-of", as_of()),
            ("content", content()),
            ("failure", failure()),
        ] {
            assert_eq!(from_wit(name), ty, "{name}");
        }
    }
}
