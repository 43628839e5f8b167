//! One entry of a registry: its component is read and described, each of its tools is prepared, and then the component is
//! compiled or found in the cache, and linked.
//!
//! Owns the order: whatever the description shows to be wrong is found before anything compiles. Owns the steps that
//! concern one entry alone, so that entries can load in parallel. Must not know the other entries.

mod author;
mod component;
mod holds;
mod notes;
mod policy;
mod record;
mod reserved;
pub(super) mod secrets;
mod signed;
mod tool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use wasmtime::Engine;
use wasmtime::component::Component as Code;

use super::{LoadEvent, LoadFailure, Purpose, STEP_MAX, imports};
use crate::blocking::{Lane, Lost};
use crate::capability::{Binding, Capabilities};
use crate::config::{ConfigFile, ToolConfig};
use crate::policy::Allowances;
use crate::registry::name;
use crate::registry::tool::{Component, Runnable, Tool};
use crate::sandbox::cache::{Cache, Lookup, Source};
use crate::sandbox::compile::CompileError;
use crate::sandbox::run;
use crate::sandbox::run::{LinkError, ToolLanes};
use crate::signature::{Authentic, Signed};
use airlock_contract::component::{ComponentInfo, Function};
use airlock_contract::surface;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::grant::Effective;
use airlock_types::limit::Limits;
use author::author;
pub(super) use reserved::reserved;
use tool::Agreed;

/// Most hidden functions that an error lists.
const HIDDEN_MAX: usize = 20;

/// Prepared tools, each with its notes for a reviewer.
type Tools = Vec<(Tool, Vec<String>)>;

/// The tools of an entry, or why there are none.
pub(super) type Loaded = Result<Tools, LoadFailure>;

/// One entry, with everything that loading it needs.
pub(super) struct Entry {
    pub(super) file: Arc<ConfigFile>,
    pub(super) key: Spanned<String>,
    pub(super) config: ToolConfig,
    pub(super) engine: Engine,
    pub(super) cache: Arc<Cache>,
    pub(super) capabilities: Capabilities,
    /// The thread that runs the blocking steps.
    pub(super) steps: Lane,
    /// The threads for blocking work of the tools.
    pub(super) lanes: ToolLanes,
    /// The line of each setting of tools and callers.
    pub(super) lines: Arc<BTreeMap<String, usize>>,
    /// The texts of these settings.
    pub(super) texts: Arc<BTreeMap<String, String>>,
    /// A folder besides the state folder that no tool may be granted: the one of a journal elsewhere.
    pub(super) apart: Option<PathBuf>,
    pub(super) purpose: Purpose,
    /// The time at which its signatures must hold, since 1970 in seconds.
    pub(super) now_s: u64,
    /// Whether one of its tools was signed when it was accepted.
    pub(super) was_signed: bool,
}

/// Tools that only lack their code, and what linking it takes.
struct Prepared {
    tools: Tools,
    component: Arc<Component>,
    bindings: BTreeMap<String, Binding>,
    allowances: Arc<Allowances>,
}

impl Entry {
    /// Loads the tools. Other threads do all the work, since a server that reloads has calls to serve meanwhile.
    pub(super) async fn load(self: Arc<Self>, watch: &(dyn Fn(LoadEvent) + Sync)) -> Loaded {
        let name = self.key.get_ref();
        watch(LoadEvent::Started(name.clone()));
        // Several steps, so that the thread of this entry is free while a compile process runs.
        let (mut source, authentic) = self.aside(Entry::read).await?;
        let known = source.known();
        let is_known = known.is_some();
        let info = match known {
            Some(info) => info,
            None => self.cache.describe(source.bytes()).await.map_err(|err| match self.failed(&err) {
                LoadFailure::Wrong(problems) => signed::instead(&self, &authentic, problems).into(),
                failed => failed,
            })?,
        };
        let digest = source.digest().to_owned();
        let prepared = self.aside(|entry| entry.prepare(info, digest, authentic)).await?;
        let (tools, cached) = match self.purpose {
            Purpose::Look => (prepared.tools, true),
            Purpose::Run => self.finish(source, prepared, is_known).await?,
        };
        watch(LoadEvent::Ready { name: name.clone(), cached });
        Ok(tools)
    }

    /// Gives prepared tools their code. Also returns whether it was in the cache.
    async fn finish(
        self: &Arc<Self>,
        source: Source,
        prepared: Prepared,
        is_known: bool,
    ) -> Result<(Tools, bool), LoadFailure> {
        let looked = self.aside(move |entry| Ok(entry.cache.look(&entry.engine, source))).await?;
        let (code, cached) = match looked {
            Lookup::Found(code) => (*code, true),
            Lookup::Missing(missing) => {
                let code = self.cache.compile(&self.engine, missing).await;
                (code.map_err(|err| self.failed(&err))?, false)
            }
        };
        let link = move |entry: &Entry| {
            let component = prepared.component.clone();
            let tools = entry.link(&code, prepared)?;
            // Only of components that can be loaded: what is refused leaves nothing behind.
            if !is_known {
                entry.cache.keep_description(&entry.engine, &component.digest, &component.info);
            }
            Ok(tools)
        };
        Ok((self.aside(link).await?, cached))
    }

    /// Runs a step on the entry's thread, within [`STEP_MAX`].
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Entry) -> Result<T, Diagnostics> + Send + 'static,
    ) -> Result<T, LoadFailure> {
        let entry = self.clone();
        match self.steps.run_within(STEP_MAX, move || work(&entry)).await {
            Ok(done) => Ok(done?),
            Err(Lost::Panicked) => Err(self.here("loading it failed: the host panicked".into(), None).into()),
            Err(lost @ Lost::TimedOut(_)) => {
                let hint =
                    "look whether the file systems of its component and granted folders answer".to_owned();
                let message = format!("loading `{}` was given up: {lost}", self.path().display());
                Err(LoadFailure::Stuck(self.here(message, Some(hint))))
            }
        }
    }

    /// Reads the component, with its description if the cache has it. One that lacks required signatures goes no further.
    fn read(&self) -> Result<(Source, Authentic), Diagnostics> {
        let path = self.path();
        // Reading opens and closes the file. For a file of the state folder that would drop SQLite's locks.
        if self.is_of_state(&path) {
            return Err(self.component(format!("`{}` lies in the state folder", path.display()), None));
        }
        let bytes = self.cache.read(&path).map_err(|err| match err {
            CompileError::Unreadable(err) => {
                let message = format!("`{}` cannot be read: {err}", path.display());
                self.component(message, component::hint(&path))
            }
            err => self.unusable(&err),
        })?;
        let authentic = signed::authenticate(self, &bytes)?;
        Ok((self.cache.source(&self.engine, bytes).map_err(|err| self.unusable(&err))?, authentic))
    }

    fn is_of_state(&self, path: &Path) -> bool {
        // Resolved, so that a link into the state folder is found.
        let real = self.file.state().canonicalize().and_then(|state| Ok((path.canonicalize()?, state)));
        real.is_ok_and(|(path, state)| path.starts_with(state))
    }

    fn path(&self) -> PathBuf {
        self.file.folder().join(self.config.component.get_ref())
    }

    /// A component that was not described or compiled. Only the process that did it may do better next time.
    fn failed(&self, err: &CompileError) -> LoadFailure {
        match err {
            CompileError::Process(_) => LoadFailure::Failed(self.unusable(err)),
            _ => self.unusable(err).into(),
        }
    }

    fn unusable(&self, err: &CompileError) -> Diagnostics {
        self.component(format!("`{}`: {err}", self.path().display()), None)
    }

    /// A problem with the component.
    fn component(&self, message: String, hint: Option<String>) -> Diagnostics {
        self.file.error(self.config.component.span(), message, "this component", hint).into()
    }

    /// A problem with the whole entry.
    fn here(&self, message: String, hint: Option<String>) -> Diagnostics {
        self.file.error(self.key.span(), message, "this tool", hint).into()
    }

    fn unlinked(&self, err: &LinkError) -> Diagnostics {
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

    /// The error of a component without a usable function, with the reason for each hidden one.
    fn nothing(&self, info: &ComponentInfo) -> Diagnostics {
        if let Some(functions) = &self.config.functions
            && functions.get_ref().is_empty()
        {
            let message = "`functions` is empty: the tool would show nothing";
            return self.file.error(functions.span(), message, "leave it out to show all", None).into();
        }
        let hidden = info.hidden.iter().take(HIDDEN_MAX);
        let hidden: Vec<_> = hidden.map(|h| format!("`{}` {}", h.name, h.reason)).collect();
        let message = format!("`{}` shows no function that can be a tool", self.path().display());
        self.here(message, (!hidden.is_empty()).then(|| hidden.join("; ")))
    }

    /// Checks that each function with fallbacks or rules of its own becomes a tool.
    fn fallback_functions(&self, named: &[(String, Function)]) -> Result<(), Diagnostics> {
        let shown: Vec<Function> = named.iter().map(|(_, function)| function.clone()).collect();
        for function in self.config.fallback.functions() {
            name::find(function.get_ref(), &shown).map_err(|err| {
                Diagnostics::from(self.file.error(function.span(), err, "these fallbacks", None))
            })?;
        }
        self.held_functions(&shown)
    }

    /// The functions that become tools, with their public names.
    fn named(&self, info: &ComponentInfo) -> Result<Vec<(String, Function)>, Diagnostics> {
        let Entry { file, key, config, .. } = self;
        let functions = config.functions.as_ref().map(Spanned::get_ref);
        let named = name::assign(key.get_ref(), functions, &info.functions).map_err(|err| {
            let span = config.functions.as_ref().map_or(key.span(), Spanned::span);
            Diagnostics::from(file.error(span, err, "here", None))
        })?;
        // An entry without a tool is a mistake, not an empty success.
        if named.is_empty() {
            return Err(self.nothing(info));
        }
        let named: Vec<(String, Function)> = named.into_iter().map(|(name, f)| (name, f.clone())).collect();
        self.fallback_functions(&named)?;
        Ok(named)
    }

    /// Turns a description into tools without code: contract, grants, imports, names, then one tool for each function.
    fn prepare(
        &self,
        info: ComponentInfo,
        digest: String,
        authentic: Authentic,
    ) -> Result<Prepared, Diagnostics> {
        let Entry { file, key, config, .. } = self;
        let path = self.path();
        if let Some(unsupported) = &info.unsupported {
            return Err(self.unusable(&CompileError::Unsupported(unsupported.clone())));
        }
        let author = author(&path, &info);
        let mut author = author.map_err(|problems| signed::instead(self, &authentic, problems))?;
        // Before anything that the component says is believed.
        let signed = signed::judge(self, authentic, &info)?;
        let grants = Arc::new(self.grants()?);
        let requests = self.requests(&info, &author.manifest, &grants);
        let bindings = imports::bindings(file, config, &info, &self.capabilities)?;
        let capabilities = &self.capabilities;
        run::provided(capabilities, &info, &bindings).map_err(|err| self.unlinked(&err))?;
        let named = self.named(&info)?;
        let limits = Limits::agree(&config.limits, &author.manifest.limits);
        let allowances = Arc::new(self.allowances(&info, &author.manifest, (&requests, &grants), &limits)?);
        let component = self.described(digest, signed, info);
        let (allowance, most) = (allowances.usual().clone(), allowances.most().effective());
        let (possible, is_open_world) = (capabilities.effect(most), capabilities.is_open_world(most));
        let too_small = notes::too_small(key.get_ref(), &component.info.needs, &limits);
        let source = Arc::new(self.source(component.info.contract.is_some(), &requests));
        let of_policy = notes::of_policy(&source, &requests, (&grants, allowance.effective()), self.now_s);
        let record = self.record()?;
        let agreed = Agreed {
            component: &component,
            author: &author.manifest,
            requests: &requests,
            grants: &grants,
            allowances: &allowances,
            source: &source,
            record: &record,
            possible,
            is_open_world,
        };
        // Once for each entry, and not for each of its functions.
        let mut of_entry = [too_small, of_policy].concat();
        let mut tools = Vec::new();
        for (public, function) in named {
            let said = author.tools.remove(&function.address()).unwrap_or_default();
            let of_entry = std::mem::take(&mut of_entry);
            tools.push(self.tool(&agreed, (public, &function), said, of_entry)?);
        }
        Ok(Prepared { tools, component, bindings, allowances })
    }

    /// The component, with who signed it.
    fn described(&self, digest: String, signed: Signed, info: ComponentInfo) -> Arc<Component> {
        let (wit, signed_until_ms) = (surface::wit(&info), signed::ends_ms(self, &signed));
        Arc::new(Component { path: self.path(), digest: digest.into(), wit, signed, signed_until_ms, info })
    }

    /// Links the code of prepared tools.
    fn link(&self, code: &Code, prepared: Prepared) -> Result<Tools, Diagnostics> {
        let Prepared { mut tools, component, bindings, allowances } = prepared;
        // A form for each set of grants: what is not granted is replaced when a component is linked.
        let link = |effective: &Effective| {
            let (info, lanes) = (&component.info, self.lanes.clone());
            run::link(&self.engine, &self.capabilities, code, info, effective, &bindings, lanes)
        };
        let linked: Result<Vec<_>, _> = allowances.forms().iter().map(link).collect();
        let linked = linked.map_err(|err| self.unlinked(&err))?;
        for (tool, _) in &mut tools {
            let function = &tool.contract.function;
            // Found now, so that a call needs no lookup by name.
            let export = run::locate(code, function).ok_or_else(|| {
                let path = component.path.display();
                self.here(format!("`{path}` has lost its export `{}`", function.name), None)
            })?;
            tool.runnable = Some(Runnable { linked: linked.clone(), export });
        }
        Ok(tools)
    }
}

/// Whether an import, in backticks, is one of WASI 0.3.
fn is_wasi_03(name: &str) -> bool {
    name.starts_with("`wasi:") && name.contains("@0.3.")
}
