//! Reads what a component shows from its bytes, before anything is compiled.
//!
//! Owns the way from bytes to `contract::component`: validation with the engine's features, the exports and imports,
//! the list of exports that are never tools, and what an instance takes. Runs in the compile process. Must not know
//! grants.

mod agree;
mod features;
mod outline;
mod sections;
mod types;
mod units;

use std::collections::BTreeMap;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId,
};
use wasmparser::types::TypesRef;

use crate::capability;
pub(crate) use agree::agrees;
use airlock_contract::component::{ComponentInfo, FUNCTIONS_MAX, Function, Hidden, Import};
use airlock_contract::package::SectionError;
use airlock_contract::ty::{FunctionTy, TypeBudget, TypeBudgetError};
use outline::Outline;
use sections::sections;

/// Why a component is not described.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DescribeError {
    /// It is not valid under the features that the engine has.
    #[error(transparent)]
    Invalid(#[from] wasmparser::BinaryReaderError),
    /// It is a core module.
    #[error("it is a core module")]
    CoreModule,
    /// It uses features that the engine does not have, and is not valid even with these.
    #[error("{0}")]
    Unsupported(String),
    /// An instance of it is larger than the engine's pool has room for.
    #[error("{0}")]
    Oversized(String),
    /// A section of ours is not what `airlock pack` writes.
    #[error(transparent)]
    Section(#[from] SectionError),
    /// The types are too large.
    #[error(transparent)]
    Types(#[from] TypeBudgetError),
    /// Too many functions.
    #[error("it shows more than {FUNCTIONS_MAX} functions")]
    Functions,
}

impl DescribeError {
    /// Whether a component that the engine may accept is refused by a bound of the host.
    pub(crate) fn is_bound(&self) -> bool {
        use DescribeError::{CoreModule, Functions, Invalid, Oversized, Section, Types, Unsupported};
        match self {
            Section(_) | Types(_) | Functions => true,
            Invalid(_) | CoreModule | Unsupported(_) | Oversized(_) => false,
        }
    }
}

/// Describes a component: what it shows, its contract and its documentation.
///
/// # Errors
/// Fails when the component is not valid, can never be instantiated, or is larger than the host reads.
pub(crate) fn read(component: &[u8]) -> Result<ComponentInfo, DescribeError> {
    // The cheapest check comes first.
    let sections = sections(component)?;
    let mut info = shown(component)?;
    sections.complete(&mut info);
    Ok(info)
}

/// Describes a component without its custom sections.
///
/// # Errors
/// As for [`read`].
pub(crate) fn shown(component: &[u8]) -> Result<ComponentInfo, DescribeError> {
    let (outline, unsupported) = features::outline(component)?;
    let Outline { types, imports, exports, units } = outline;
    let types = types.as_ref();
    let mut reader = Reader { types, info: ComponentInfo::default(), budget: TypeBudget::default() };
    for name in exports {
        match types.component_item_for_export(&name).map(|item| item.ty) {
            Some(ComponentEntityType::Func(func)) => reader.export(None, &name, func)?,
            Some(ComponentEntityType::Instance(instance)) => {
                reader.functions(instance, |reader, func, ty| reader.export(Some(&name), func, ty))?;
            }
            // Only functions can be tools.
            _ => {}
        }
    }
    for name in imports {
        let item = types.component_item_for_import(&name).map(|item| item.ty);
        reader.import(name, item)?;
    }
    let mut info = reader.info;
    info.needs = units::needs(units)?;
    info.unsupported = unsupported;
    Ok(info)
}

struct Reader<'a> {
    types: TypesRef<'a>,
    info: ComponentInfo,
    budget: TypeBudget,
}

impl<'a> Reader<'a> {
    /// Visits the functions of an instance, in its order.
    fn functions(
        &mut self,
        instance: ComponentInstanceTypeId,
        mut visit: impl FnMut(&mut Reader<'a>, &'a str, ComponentFuncTypeId) -> Result<(), DescribeError>,
    ) -> Result<(), DescribeError> {
        let Some(instance) = self.types.get(instance) else { return Ok(()) };
        instance.exports.iter().try_for_each(|(name, item)| match item.ty {
            ComponentEntityType::Func(func) => visit(self, name, func),
            _ => Ok(()),
        })
    }

    fn export(
        &mut self,
        interface: Option<&str>,
        name: &str,
        func: ComponentFuncTypeId,
    ) -> Result<(), DescribeError> {
        let full = interface.map_or_else(|| name.to_owned(), |interface| format!("{interface}#{name}"));
        let shown = match never_a_tool(interface, name) {
            Some(reason) => Err(reason.to_owned()),
            None => self.function_ty(func)?,
        };
        match shown {
            // The bound is on tools. Hidden exports are bounded with the whole description, where the answer is sent.
            Ok(ty) if self.info.functions.len() < FUNCTIONS_MAX => {
                let interface = interface.map(str::to_owned);
                self.info.functions.push(Function { interface, name: name.to_owned(), ty: ty.into() });
            }
            Ok(_) => return Err(DescribeError::Functions),
            Err(reason) => self.info.hidden.push(Hidden { name: full, reason }),
        }
        Ok(())
    }

    fn import(&mut self, name: String, item: Option<ComponentEntityType>) -> Result<(), DescribeError> {
        // The name of a type of the world itself. Nobody has to provide it, so the engine does not count it as an import.
        if let Some(ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(_), .. }) = item {
            return Ok(());
        }
        // The registry declares stand-ins only for imports that no built-in capability owns, so only their types are
        // kept. The types of the others are the engine's.
        let wanted = capability::built_in(&name).is_none();
        let mut functions = BTreeMap::new();
        let mut add = |reader: &mut Reader<'a>, name: &str, func| {
            let ty = if wanted { reader.function_ty(func)?.ok() } else { None };
            functions.insert(name.to_owned(), ty);
            Ok(())
        };
        match item {
            Some(ComponentEntityType::Func(func)) => add(self, &name, func)?,
            Some(ComponentEntityType::Instance(instance)) => self.functions(instance, add)?,
            _ => {}
        }
        self.info.imports.push(Import { name, functions });
        Ok(())
    }

    /// The type as plain data, or the reason why it cannot cross to JSON.
    fn function_ty(
        &mut self,
        func: ComponentFuncTypeId,
    ) -> Result<Result<FunctionTy, String>, DescribeError> {
        let Some(func) = self.types.get(func) else { return Ok(Err("has no type".into())) };
        if func.async_ {
            return Ok(Err("is asynchronous, which this version does not run".into()));
        }
        Ok(types::function(self.types, func, &mut self.budget)?)
    }
}

/// The reason why an export is never a tool. `None` for all others. Toolchains add some exports for themselves, and
/// others are entry points of other kinds of component.
fn never_a_tool(interface: Option<&str>, name: &str) -> Option<&'static str> {
    // The canonical ABI's helpers, and the start functions of WASI reactors and commands.
    let internal = name.starts_with("cabi_") || name == "_initialize" || name == "_start";
    match interface {
        _ if internal => Some("internal to the toolchain that built the component"),
        None if name == "init" || name == "exports-init" => {
            Some("initializes the language runtime of the component")
        }
        Some("exports") => Some("internal to the toolchain that built the component"),
        Some(interface) if interface.starts_with("wasi:") => Some("an entry point of a program, not a tool"),
        // WIT names functions of resources with a prefix in brackets: `[method]file.read`.
        _ if name.starts_with('[') => Some("belongs to a resource, which cannot cross to JSON"),
        _ => None,
    }
}
