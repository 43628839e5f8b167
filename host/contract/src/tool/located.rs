//! The contract of a function from a manifest, with the place of what is wrong in the manifest's file.

use super::{Contract, ContractError};
use crate::component::{Function, FunctionDocs};
use crate::manifest::{Manifest, Part, ToolContract};
use airlock_types::diagnostic::Diagnostics;

impl Contract {
    /// Prepares the contract of a function. `said` is what the manifest says of it.
    ///
    /// # Errors
    /// When the parts contradict each other, with the place in the manifest.
    pub fn of(
        manifest: &Manifest,
        function: &Function,
        said: ToolContract,
        docs: &FunctionDocs,
    ) -> Result<Contract, Diagnostics> {
        Contract::prepare(function, said, docs).map_err(|err| {
            let part = match &err {
                ContractError::Keyword { part, .. } => part.clone(),
                ContractError::Schema(_) => Part::Whole,
                ContractError::Example { example, .. } => Part::Example(example.clone()),
            };
            manifest.at(function, &part, format!("`{}`: {err}", function.name)).into()
        })
    }
}
