//! One entry of a registry: its component is read and described, each of its tools is prepared, and then the component is
//! compiled or found in the cache, and linked.
//!
//! Owns the order: whatever the description shows to be wrong is found before anything compiles. Owns the steps that
//! concern one entry alone, so that entries can load in parallel. Must not know the other entries.

mod author;
mod code;
mod component;
mod holds;
mod notes;
pub(super) mod policy;
mod record;
mod reserved;
pub(super) mod secrets;
mod signed;
mod tool;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use toml::Spanned;
use wasmtime::Engine;

use super::{LoadEvent, LoadFailure, Purpose, STEP_MAX, imports};
use crate::blocking::{Lane, Lost};
use crate::capability::Capabilities;
use crate::config::{ConfigFile, Forms, ToolConfig};
use crate::registry::code::Code;
use crate::registry::name;
use crate::registry::tool::{Component, Tool};
use crate::sandbox::cache::{Cache, Known, Lookup, Source};
use crate::sandbox::compile::CompileError;
use crate::sandbox::run;
use crate::sandbox::run::ToolLanes;
use crate::signature::{Authentic, Signed};
use airlock_contract::component::{ComponentInfo, Function};
use airlock_contract::surface;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::limit::Limits;
use author::author;
use code::{Prepared, runnable};
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
    /// The thread that maps and links its code for a first call.
    pub(super) first_calls: Lane,
    /// The code of this entry that is served now. None where nothing is to run.
    pub(super) older: Option<Arc<Code>>,
    /// The threads for blocking work of the tools.
    pub(super) lanes: ToolLanes,
    /// The state folder, resolved by the first entry that asks. None if it is not there.
    pub(super) state: Arc<OnceLock<Option<PathBuf>>>,
    /// The line of each setting of tools and callers.
    pub(super) lines: Arc<BTreeMap<String, usize>>,
    /// The texts of these settings.
    pub(super) texts: Arc<BTreeMap<String, String>>,
    /// How tables and lists are written.
    pub(super) forms: Arc<Forms>,
    /// A folder besides the state folder that no tool may be granted: the one of a journal elsewhere.
    pub(super) apart: Option<PathBuf>,
    pub(super) purpose: Purpose,
    /// The time at which its signatures must hold, since 1970 in seconds.
    pub(super) now_s: u64,
    /// Whether one of its tools was signed when it was accepted.
    pub(super) was_signed: bool,
}

/// Receives the events of a load.
type Watch<'w> = dyn Fn(LoadEvent) + Sync + 'w;

/// A component after its first step.
enum Begun {
    /// Its tools need nothing more now.
    Loaded(Tools),
    /// Its code is to be made, mapped or linked.
    Prepared(Source, Prepared, String),
    /// The cache does not know it.
    Unknown(Source, Authentic),
}

impl Entry {
    /// Loads the tools. Other threads do all the work, since a server that reloads has calls to serve meanwhile.
    pub(super) async fn load(self: Arc<Self>, watch: &Watch<'_>) -> Loaded {
        let name = self.key.get_ref();
        watch(LoadEvent::Started(name.clone()));
        let (tools, cached) = match self.aside(Entry::begin).await? {
            Begun::Loaded(tools) => (tools, true),
            Begun::Prepared(source, prepared, executed) => {
                self.finish(source, prepared, Some(executed), watch).await?
            }
            Begun::Unknown(source, authentic) => self.described_anew(source, authentic, watch).await?,
        };
        watch(LoadEvent::Ready { name: name.clone(), cached });
        Ok(tools)
    }

    /// Reads the component, and prepares its tools if the cache knows it. In one step, since a registry may have thousands
    /// of entries.
    fn begin(&self) -> Result<Begun, Diagnostics> {
        let (mut source, authentic) = self.read()?;
        let Some(Known { info, executed, judged }) = source.known() else {
            return Ok(Begun::Unknown(source, authentic));
        };
        let prepared = self.prepare((info, &judged), source.digest().to_owned(), authentic)?;
        self.note_judged(&prepared, judged, &executed);
        if let Some(older) = self.linked_alike(&prepared, &executed) {
            let (code, tools) = self.code(prepared, executed)?;
            return Ok(Begun::Loaded(runnable(&code.taking_over(older).into(), tools)));
        }
        match self.purpose {
            Purpose::Look => Ok(Begun::Loaded(prepared.tools)),
            Purpose::Run if self.waits_for_calls(&prepared, &executed) => {
                let (code, tools) = self.code(prepared, executed)?;
                Ok(Begun::Loaded(runnable(&code.into(), tools)))
            }
            Purpose::Run | Purpose::Prove => Ok(Begun::Prepared(source, prepared, executed)),
        }
    }

    /// The code that is served now, if linking it for these tools would come to the same.
    fn linked_alike(&self, prepared: &Prepared, executed: &str) -> Option<&Code> {
        let Prepared { tools: _, component, bindings, allowances } = prepared;
        let older = self.older.as_deref().filter(|older| Engine::same(&older.engine, &self.engine))?;
        older.is_linked_for(executed, &component.info, bindings, allowances).then_some(older)
    }

    /// Notes that the contracts of these tools are right, unless the cache knows it. A registry may show other functions of a
    /// component than the one before it.
    fn note_judged(&self, prepared: &Prepared, mut judged: BTreeSet<String>, executed: &str) {
        let (before, shown) = (judged.len(), prepared.shown());
        judged.extend(shown);
        if judged.len() > before && self.purpose != Purpose::Look {
            let Component { digest, info, .. } = &*prepared.component;
            self.cache.keep_description(&self.engine, (digest, info), executed, &judged);
        }
    }

    /// Whether this build has judged the contracts of all functions that the entry shows.
    fn is_judged(&self, info: &ComponentInfo, judged: &BTreeSet<String>) -> bool {
        let functions = self.config.functions.as_ref().map(Spanned::get_ref);
        let named = name::assign(self.key.get_ref(), functions, &info.functions);
        named.is_ok_and(|named| named.iter().all(|(_, function)| judged.contains(&function.full_address())))
    }

    /// Whether nothing but the code is left to find, so that a first call can do it. What was linked once by this version
    /// of the host can be again, unless the registry or the program that embeds the host provides what it imports.
    fn waits_for_calls(&self, prepared: &Prepared, executed: &str) -> bool {
        let is_proven = prepared.bindings.is_empty() && self.capabilities.are_built_in();
        is_proven && self.cache.has(&self.engine, executed)
    }

    /// Loads a component that the cache does not know. In several steps, so that the thread of this entry is free while
    /// compile processes run.
    async fn described_anew(
        self: &Arc<Self>,
        source: Source,
        authentic: Authentic,
        watch: &Watch<'_>,
    ) -> Result<(Tools, bool), LoadFailure> {
        let info = self.cache.describe(source.bytes()).await.map_err(|err| match self.failed(&err) {
            LoadFailure::Wrong(problems) => signed::instead(self, &authentic, problems).into(),
            failed => failed,
        })?;
        let digest = source.digest().to_owned();
        let prepared = self.aside(|entry| entry.prepare((info, &BTreeSet::new()), digest, authentic)).await?;
        match self.purpose {
            Purpose::Look => Ok((prepared.tools, true)),
            Purpose::Run | Purpose::Prove => self.finish(source, prepared, None, watch).await,
        }
    }

    /// Gives prepared tools their code. `known` is the digest of what is executed, as the cache has it. Also returns whether the code
    /// was in the cache.
    async fn finish(
        self: &Arc<Self>,
        source: Source,
        prepared: Prepared,
        known: Option<String>,
        watch: &Watch<'_>,
    ) -> Result<(Tools, bool), LoadFailure> {
        let looked = self.aside(move |entry| Ok(entry.cache.look(&entry.engine, source))).await?;
        let (mapped, executed, cached) = match looked {
            (Lookup::Found(mapped), executed) => (*mapped, executed, true),
            (Lookup::Missing(missing), executed) => {
                watch(LoadEvent::Compiling(self.key.get_ref().clone()));
                let mapped = self.cache.compile(&self.engine, missing).await;
                (mapped.map_err(|err| self.failed(&err))?, executed, false)
            }
        };
        let link = move |entry: &Entry| {
            let shown = prepared.shown().collect();
            let older = entry.linked_alike(&prepared, &executed);
            let (code, tools) = entry.code(prepared, executed)?;
            let code = match older {
                Some(older) => code.taking_over(older),
                None => code.linked_to(&mapped).map_err(|err| entry.unready(&err))?,
            };
            // Only of components that can be loaded: what is refused leaves nothing behind. One that named the code of another
            // component was not written by this program.
            if known.as_deref() != Some(&code.executed) {
                let Component { digest, info, .. } = &*code.component;
                entry.cache.keep_description(&entry.engine, (digest, info), &code.executed, &shown);
            }
            Ok(runnable(&Arc::new(code), tools))
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
            Err(lost @ (Lost::Ending | Lost::TimedOut(_))) => {
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
        let state = self.state.get_or_init(|| self.file.state().canonicalize().ok());
        state.as_ref().is_some_and(|state| path.canonicalize().is_ok_and(|path| path.starts_with(state)))
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
    /// `judged` are the functions whose contracts are known to be right.
    fn prepare(
        &self,
        (info, judged): (ComponentInfo, &BTreeSet<String>),
        digest: String,
        authentic: Authentic,
    ) -> Result<Prepared, Diagnostics> {
        let Entry { file, key, config, .. } = self;
        let path = self.path();
        if let Some(unsupported) = &info.unsupported {
            return Err(self.unusable(&CompileError::Unsupported(unsupported.clone())));
        }
        let author = author(&path, &info, self.is_judged(&info, judged));
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
        let too_large = notes::too_large(key.get_ref(), allowance.effective(), &limits);
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
        let mut of_entry = [too_small, too_large, of_policy].concat();
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
}
