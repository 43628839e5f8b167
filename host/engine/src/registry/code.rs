//! The code of a component, which is mapped and linked when a call needs it.
//!
//! Owns when that happens, and that what runs is what was loaded: code is found by the digest of the component that the
//! registry was loaded with, and a component that changed since is refused. Must not know tools or what a call decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};
use wasmtime::Engine;
use wasmtime::component::{Component as Mapped, ComponentExportIndex};

use super::load::STEP_MAX;
use super::tool::Component;
use crate::blocking::{Lane, Lost};
use crate::capability::{Binding, Capabilities};
use crate::policy::{Allowances, Permit};
use crate::sandbox::cache::{Cache, Lookup};
use crate::sandbox::compile::CompileError;
use crate::sandbox::run;
use crate::sandbox::run::{LinkError, Linked, Outside, RunError};
use airlock_contract::component::{ComponentInfo, Function};
use airlock_types::environment::{SharedEnvironment, ms};

/// For how long a try that failed answers those who come after it. It may have kept a core busy for as long as a compile process
/// may run, and many callers may ask for the same code.
const FAILED_FOR: Duration = Duration::from_secs(10);

/// Why the code of a component that was loaded is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodeError {
    /// The cache has lost the code, and it cannot be made anew.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The cache has lost the code, and the file has another component by now.
    #[error("its file changed since it was loaded, and its compiled code is gone: reload the registry")]
    Changed,
    /// It cannot be linked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It does not export a function that its description has.
    #[error("it has lost its export `{0}`")]
    Export(String),
    /// It is not linked for what the permit grants.
    #[error("it is not linked for what this call is granted")]
    Form,
    /// The file system does not answer.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// What linking a component takes, and its code once it was linked.
pub(crate) struct Code {
    pub(crate) engine: Engine,
    pub(crate) cache: Arc<Cache>,
    pub(crate) capabilities: Capabilities,
    /// The thread that maps and links it for its first call.
    pub(crate) thread: Lane,
    pub(crate) component: Arc<Component>,
    /// Digest of what is executed, under which the cache keeps the code.
    pub(crate) executed: String,
    pub(crate) bindings: BTreeMap<String, Binding>,
    pub(crate) allowances: Arc<Allowances>,
    /// What its forms reach besides code, one for each of [`Allowances::forms`]. Found when the registry is loaded, so that
    /// what is wrong with it is told then.
    pub(crate) outside: Vec<Outside>,
    pub(crate) ready: OnceCell<Ready>,
    /// The last try, if it failed. Locked while one goes on: there is one at a time.
    pub(crate) failed: Mutex<Option<Failed>>,
}

/// A try to make code ready that failed, for all who wanted it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Failed {
    error: Arc<CodeError>,
    /// When the next try may be made.
    until: Duration,
}

impl Failed {
    /// For how long no other try is made, in milliseconds.
    pub(crate) fn retry_after_ms(&self, environment: &SharedEnvironment) -> u64 {
        ms(self.until.saturating_sub(environment.monotonic()))
    }
}

/// A component that is linked.
pub(crate) struct Ready {
    /// One for each of [`Allowances::forms`].
    linked: Vec<Linked>,
    /// One for each function of the component.
    exports: Vec<ComponentExportIndex>,
}

/// What an attempt of a tool needs of its component.
pub(crate) struct Runnable {
    pub(crate) code: Arc<Code>,
    /// Which function of the component it is.
    pub(crate) function: usize,
}

/// A linked component and the function that is called.
#[derive(Clone, Copy)]
pub(crate) struct Form<'a> {
    pub(crate) linked: &'a Linked,
    pub(crate) function: &'a ComponentExportIndex,
}

impl From<Failed> for RunError {
    fn from(error: Failed) -> RunError {
        RunError::Failed(wasmtime::format_err!("{error}"))
    }
}

impl Runnable {
    /// What runs under a permit, if its code is linked by now.
    pub(crate) fn linked(&self, permit: &Permit) -> Option<Form<'_>> {
        let Ready { linked, exports } = self.code.ready.get()?;
        Some(Form { linked: linked.get(permit.form())?, function: exports.get(self.function)? })
    }

    /// What runs under a permit. The first call maps and links the code.
    ///
    /// # Errors
    /// When the code is not there any more, or the permit is of another component.
    pub(crate) async fn under(
        &self,
        permit: &Permit,
        environment: &SharedEnvironment,
    ) -> Result<Form<'_>, Failed> {
        if self.code.ready.get().is_none() {
            self.code.make_ready(environment).await?;
        }
        let now = environment.monotonic();
        self.linked(permit).ok_or_else(|| Failed { error: Arc::new(CodeError::Form), until: now })
    }
}

impl Code {
    /// Whether it is linked, and linking what is executed of another component for these allowances would come to the same.
    /// Needs the same engine. What the forms reach besides code is not part of it.
    pub(crate) fn is_linked_for(
        &self,
        executed: &str,
        info: &ComponentInfo,
        bindings: &BTreeMap<String, Binding>,
        allowances: &Allowances,
    ) -> bool {
        let own = &self.component.info;
        self.ready.get().is_some()
            && self.executed == executed
            && (&own.functions, &own.imports) == (&info.functions, &info.imports)
            && self.bindings == *bindings
            && self.allowances.forms() == allowances.forms()
    }

    /// The same, linked as the older code of [`Code::is_linked_for`]. Reaches what it was made with, and not what the older
    /// one did: secrets were read again.
    pub(crate) fn taking_over(self, older: &Code) -> Code {
        let ready = older.ready.get().map(|Ready { linked, exports }| {
            let linked = linked.iter().zip(&self.outside);
            let linked = linked.map(|(linked, outside)| linked.clone().reaching(outside.clone())).collect();
            Ready { linked, exports: exports.clone() }
        });
        Code { ready: OnceCell::new_with(ready), ..self }
    }

    /// Maps and links the component, unless that is done.
    async fn make_ready(self: &Arc<Self>, environment: &SharedEnvironment) -> Result<(), Failed> {
        let (code, clock) = (self.clone(), environment.clone());
        // A task of its own: a caller that does not wait any more takes nothing from the next one.
        let made = tokio::spawn(async move {
            let mut failed = code.failed.lock().await;
            // Whoever waited for a try has its end, also one that failed.
            if let Some(failed) = failed.as_ref().filter(|failed| clock.monotonic() < failed.until) {
                return Err(failed.clone());
            }
            let made = code.ready.get_or_try_init(|| code.made()).await.map(drop);
            let until = clock.monotonic().saturating_add(FAILED_FOR);
            let made = made.map_err(|error| Failed { error: Arc::new(error), until });
            *failed = made.as_ref().err().cloned();
            made
        });
        let until = environment.monotonic();
        made.await.map_err(|err| Failed { error: Arc::new(Lost::from(err).into()), until })?
    }

    async fn made(self: &Arc<Self>) -> Result<Ready, CodeError> {
        let found = self.aside(|code| code.cache.find(&code.engine, &code.executed)).await?;
        let mapped = match found {
            Some(mapped) => mapped,
            None => self.made_anew().await?,
        };
        self.aside(move |code| code.link(&mapped)).await?
    }

    /// The code of a component that the cache has lost since it was loaded.
    async fn made_anew(self: &Arc<Self>) -> Result<Mapped, CodeError> {
        let look = |code: &Code| {
            let source = code.cache.source(&code.engine, code.cache.read(&code.component.path)?)?;
            // The registry, its lock and its signatures were held against these bytes.
            if source.digest() != &*code.component.digest {
                return Err(CodeError::Changed);
            }
            Ok(code.cache.look(&code.engine, source).0)
        };
        match self.aside(look).await?? {
            Lookup::Found(mapped) => Ok(*mapped),
            Lookup::Missing(missing) => Ok(self.cache.compile(&self.engine, missing).await?),
        }
    }

    /// The same, linked to mapped code.
    pub(crate) fn linked_to(self, mapped: &Mapped) -> Result<Code, CodeError> {
        let ready = self.link(mapped)?;
        Ok(Code { ready: OnceCell::new_with(Some(ready)), ..self })
    }

    /// Links mapped code for each form.
    fn link(&self, mapped: &Mapped) -> Result<Ready, CodeError> {
        let link = |(effective, outside): (_, &Outside)| {
            let (info, bindings) = (&self.component.info, &self.bindings);
            run::link(&self.engine, &self.capabilities, mapped, info, effective, bindings, outside.clone())
        };
        let linked = self.allowances.forms().iter().zip(&self.outside).map(link);
        let linked = linked.collect::<Result<_, LinkError>>()?;
        // Found now, so that a call needs no look-up by name.
        let locate = |function: &Function| {
            run::locate(mapped, function).ok_or_else(|| CodeError::Export(function.name.clone()))
        };
        let exports = self.component.info.functions.iter().map(locate).collect::<Result<_, _>>()?;
        Ok(Ready { linked, exports })
    }

    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Code) -> T + Send + 'static,
    ) -> Result<T, CodeError> {
        let code = self.clone();
        Ok(self.thread.run_within(STEP_MAX, move || work(&code)).await?)
    }
}
