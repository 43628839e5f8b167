//! The types of a component as plain data, from the validator's.
//!
//! Owns the count of a type before it is expanded, and its conversion to `contract::ty`.

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{ComponentDefinedType, ComponentFuncType, ComponentValType};
use wasmparser::types::TypesRef;

use airlock_contract::ty::{Case, Field, FunctionTy, Ty, TypeBudget, TypeBudgetError};

/// The type of a function, or the reason why it cannot cross to JSON.
///
/// # Errors
/// When its types are larger than what is left of the budget.
pub(super) fn function(
    types: TypesRef<'_>,
    func: &ComponentFuncType,
    budget: &mut TypeBudget,
) -> Result<Result<FunctionTy, String>, TypeBudgetError> {
    // Counted before the conversion, and in full: the conversion stops at a part that cannot cross to JSON and would
    // leave the rest uncounted, although values are created for every part of a declared import.
    for (name, ty) in &func.params {
        budget.take_name(name)?;
        count(types, budget, ty, 1)?;
    }
    func.result.iter().try_for_each(|ty| count(types, budget, ty, 1))?;
    let params = func.params.iter().map(|(name, ty)| field(types, name, ty));
    Ok(params.collect::<Result<_, String>>().and_then(|params| {
        let result = func.result.as_ref().map(|ty| convert(types, ty)).transpose()?;
        Ok(FunctionTy { params, result })
    }))
}

/// Charges a type to the budget, each part as often as it is used.
fn count(
    types: TypesRef<'_>,
    budget: &mut TypeBudget,
    ty: &ComponentValType,
    depth: usize,
) -> Result<(), TypeBudgetError> {
    budget.take(depth)?;
    let below = depth + 1;
    let Some(defined) = defined(types, ty) else { return Ok(()) };
    let mut part = |ty: &ComponentValType| count(types, budget, ty, below);
    match defined {
        ComponentDefinedType::List { element, .. }
        | ComponentDefinedType::FixedLengthList { element, .. } => part(element),
        ComponentDefinedType::Map { key, value, .. } => {
            part(key)?;
            part(value)
        }
        ComponentDefinedType::Record(record) => record.fields.iter().try_for_each(|(name, ty)| {
            budget.take_name(name)?;
            count(types, budget, ty, below)
        }),
        ComponentDefinedType::Tuple(tuple) => tuple.types.iter().try_for_each(part),
        ComponentDefinedType::Variant(variant) => variant.cases.iter().try_for_each(|(name, case)| {
            budget.take_name(name)?;
            match &case.ty {
                Some(ty) => count(types, budget, ty, below),
                None => budget.take(below),
            }
        }),
        ComponentDefinedType::Enum(names) | ComponentDefinedType::Flags(names) => {
            names.iter().try_for_each(|name| {
                budget.take_name(name)?;
                budget.take(below)
            })
        }
        ComponentDefinedType::Option { ty, .. } => part(ty),
        ComponentDefinedType::Result { ok, err, .. } => [ok, err].into_iter().flatten().try_for_each(part),
        ComponentDefinedType::Future { ty, .. } | ComponentDefinedType::Stream { ty, .. } => {
            ty.iter().try_for_each(part)
        }
        ComponentDefinedType::Primitive(_)
        | ComponentDefinedType::Own(_)
        | ComponentDefinedType::Borrow(_) => Ok(()),
    }
}

/// The definition of a type, unless it is a primitive one.
fn defined<'a>(types: TypesRef<'a>, ty: &ComponentValType) -> Option<&'a ComponentDefinedType> {
    match ty {
        ComponentValType::Primitive(_) => None,
        ComponentValType::Type(id) => types.get(*id),
    }
}

fn field(types: TypesRef<'_>, name: &str, ty: &ComponentValType) -> Result<Field, String> {
    Ok(Field { name: name.to_owned(), ty: convert(types, ty)? })
}

/// The type as plain data, or the reason why it cannot cross to JSON. Counted before, so that it is not deep.
fn convert(types: TypesRef<'_>, ty: &ComponentValType) -> Result<Ty, String> {
    let defined = match ty {
        ComponentValType::Primitive(primitive) => return self::primitive(*primitive),
        ComponentValType::Type(id) => types.get(*id).ok_or("has no type")?,
    };
    let inner = |ty: &ComponentValType| convert(types, ty);
    let boxed = |ty: &ComponentValType| convert(types, ty).map(Box::new);
    Ok(match defined {
        ComponentDefinedType::Primitive(primitive) => self::primitive(*primitive)?,
        ComponentDefinedType::List { element, .. } => Ty::List(boxed(element)?),
        ComponentDefinedType::FixedLengthList { element, length, .. } => {
            Ty::FixedList(boxed(element)?, *length)
        }
        ComponentDefinedType::Map { key, value, .. } => Ty::Map(boxed(key)?, boxed(value)?),
        ComponentDefinedType::Record(record) => {
            let fields = record.fields.iter().map(|(name, ty)| field(types, name, ty));
            Ty::Record(fields.collect::<Result<_, String>>()?)
        }
        ComponentDefinedType::Tuple(tuple) => {
            Ty::Tuple(tuple.types.iter().map(inner).collect::<Result<_, String>>()?)
        }
        ComponentDefinedType::Variant(variant) => {
            let cases = variant.cases.iter().map(|(name, case)| {
                let ty = case.ty.as_ref().map(inner).transpose()?;
                Ok(Case { name: name.to_string(), ty })
            });
            Ty::Variant(cases.collect::<Result<_, String>>()?)
        }
        ComponentDefinedType::Enum(names) => Ty::Enum(names.iter().map(ToString::to_string).collect()),
        ComponentDefinedType::Flags(names) => Ty::Flags(names.iter().map(ToString::to_string).collect()),
        ComponentDefinedType::Option { ty, .. } => Ty::Option(boxed(ty)?),
        ComponentDefinedType::Result { ok, err, .. } => {
            Ty::Result(ok.as_ref().map(boxed).transpose()?, err.as_ref().map(boxed).transpose()?)
        }
        ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => {
            return Err("uses a resource, which cannot cross to JSON".into());
        }
        ComponentDefinedType::Future { .. } => {
            return Err("uses a future, which cannot cross to JSON".into());
        }
        ComponentDefinedType::Stream { .. } => {
            return Err("uses a stream, which cannot cross to JSON".into());
        }
    })
}

fn primitive(ty: PrimitiveValType) -> Result<Ty, String> {
    Ok(match ty {
        PrimitiveValType::Bool => Ty::Bool,
        PrimitiveValType::S8 => Ty::S8,
        PrimitiveValType::U8 => Ty::U8,
        PrimitiveValType::S16 => Ty::S16,
        PrimitiveValType::U16 => Ty::U16,
        PrimitiveValType::S32 => Ty::S32,
        PrimitiveValType::U32 => Ty::U32,
        PrimitiveValType::S64 => Ty::S64,
        PrimitiveValType::U64 => Ty::U64,
        PrimitiveValType::F32 => Ty::F32,
        PrimitiveValType::F64 => Ty::F64,
        PrimitiveValType::Char => Ty::Char,
        PrimitiveValType::String => Ty::String,
        PrimitiveValType::ErrorContext => {
            return Err("uses an error context, which cannot cross to JSON".into());
        }
    })
}
