//! The code of an entry's component, as it is found or to be found.
//!
//! Owns what can be wrong with it, in the words of the registry. Must not know when it is linked.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use super::{Entry, Tools};
use crate::capability::Binding;
use crate::policy::Allowances;
use crate::registry::code::{Code, CodeError, Runnable};
use crate::registry::tool::Component;
use crate::sandbox::run::{LinkError, Outside};
use airlock_contract::component::Function;
use airlock_types::diagnostic::Diagnostics;

/// Tools that only lack their code, and what linking it takes.
pub(super) struct Prepared {
    pub(super) tools: Tools,
    pub(super) component: Arc<Component>,
    pub(super) bindings: BTreeMap<String, Binding>,
    pub(super) allowances: Arc<Allowances>,
}

impl Prepared {
    /// The full addresses of the functions that are shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = String> {
        self.tools.iter().map(|(tool, _)| tool.contract.function.full_address())
    }
}

/// Gives tools the code of their component.
pub(super) fn runnable(code: &Arc<Code>, mut tools: Tools) -> Tools {
    let functions = &code.component.info.functions;
    for (tool, _) in &mut tools {
        let own = |function: &Function| function.full_address() == tool.contract.function.full_address();
        // A tool is made of one of them.
        tool.runnable =
            functions.iter().position(own).map(|function| Runnable { code: code.clone(), function });
    }
    tools
}

impl Entry {
    /// The code of prepared tools, which is not linked yet, and the tools. What it reaches besides is found now.
    pub(super) fn code(&self, prepared: Prepared, executed: String) -> Result<(Code, Tools), Diagnostics> {
        let Prepared { tools, component, bindings, allowances } = prepared;
        // A form for each set of grants: what is not granted is replaced when a component is linked.
        let outside = allowances.forms().iter().map(|effective| {
            Outside::of(&self.capabilities, effective, self.lanes.clone()).map_err(|err| self.unlinked(&err))
        });
        let outside = outside.collect::<Result<_, _>>()?;
        let code = Code {
            engine: self.engine.clone(),
            cache: self.cache.clone(),
            capabilities: self.capabilities.clone(),
            thread: self.first_calls.clone(),
            component,
            executed,
            bindings,
            allowances,
            outside,
            ready: OnceCell::new(),
            failed: Mutex::default(),
        };
        Ok((code, tools))
    }

    pub(super) fn unready(&self, err: &CodeError) -> Diagnostics {
        match err {
            CodeError::Link(err) => self.unlinked(err),
            CodeError::Compile(err) => self.unusable(err),
            CodeError::Export(_) | CodeError::Changed | CodeError::Form | CodeError::Lost(_) => {
                self.here(format!("`{}`: {err}", self.path().display()), None)
            }
        }
    }

    pub(super) fn unlinked(&self, err: &LinkError) -> Diagnostics {
        let hint = match err {
            LinkError::Unknown(names) if names.iter().any(|name| is_wasi_03(name)) => {
                "build the component for WASI 0.2: this version does not run WASI 0.3"
            }
            LinkError::Unknown(_) => {
                "declare them: `imports.\"NAME\" = \"trap\"`, or fixed results per function"
            }
            LinkError::Signature(_) | LinkError::Engine(_) => {
                "build the component against the interfaces that the host provides"
            }
            LinkError::Store(_) => {
                "mend or move away the file, name another folder as `host.state`, or leave out `grants.keyvalue`"
            }
            LinkError::Tls(_) => {
                "install the package `ca-certificates`, or name a file of roots by the variable `SSL_CERT_FILE`"
            }
        };
        self.here(format!("`{}`: {err}", self.path().display()), Some(hint.to_owned()))
    }
}

/// Whether an import, in backticks, is one of WASI 0.3.
fn is_wasi_03(name: &str) -> bool {
    name.starts_with("`wasi:") && name.contains("@0.3.")
}
