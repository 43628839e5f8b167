//! One pass over the bytes of a component: all of it is validated, and what the description needs is kept.

use wasmparser::types::Types;
use wasmparser::{
    Encoding, FuncValidatorAllocations, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

use super::DescribeError;
use super::units::{Scopes, Units};

/// A valid component.
pub(super) struct Outline {
    /// Its types.
    pub(super) types: Types,
    /// The names of its imports, in its order.
    pub(super) imports: Vec<String>,
    /// The names of its exports, in its order.
    pub(super) exports: Vec<String>,
    /// What an instance of it takes. None where that depends on core modules from outside.
    pub(super) units: Option<Units>,
}

/// Validates a component, function bodies included, as the engine does before it compiles.
pub(super) fn read(component: &[u8], features: WasmFeatures) -> Result<Outline, DescribeError> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let (mut scopes, mut types) = (Scopes::default(), None);
    let mut allocations = FuncValidatorAllocations::default();
    for payload in parser.parse_all(component) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(std::mem::take(&mut allocations));
                function.validate(&body)?;
                allocations = function.into_allocations();
            }
            ValidPayload::End(found) => types = Some(found),
            ValidPayload::Ok | ValidPayload::Parser(_) => {}
        }
        match &payload {
            Payload::Version { encoding: Encoding::Module, .. } if scopes.is_empty() => {
                return Err(DescribeError::CoreModule);
            }
            Payload::ComponentImportSection(section) if scopes.is_outermost() => {
                for import in section.clone() {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if scopes.is_outermost() => {
                for export in section.clone() {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
        // After it was validated, so that every index is one that exists.
        scopes.see(&payload)?;
    }
    // A file that parses ends with the end of the component.
    let types = types.ok_or(DescribeError::CoreModule)?;
    Ok(Outline { types, imports, exports, units: scopes.units() })
}
