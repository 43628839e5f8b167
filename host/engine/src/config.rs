//! `airlock.toml`: the operator's settings.
//!
//! Owns every setting, its default, and the errors that point at its line. Unknown keys are refused: every accepted
//! setting is enforced. Must not know tokio or wasmtime. To add a setting: a field here with its docs and default, the
//! code that enforces it (destructured without `..`), and a line in `docs/settings.md`, which a test compares with this
//! file.

mod caller;
mod fallback;
mod hold;
mod http;
mod journal;
mod needed;
pub mod origin;
mod paths;
mod places;
mod range;
mod report;
mod secret;
mod server;
mod session;
mod signature;
mod tool;
mod used;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

pub use self::caller::{BudgetConfig, CallerConfig};
pub use self::fallback::{Age, Cached, Fallback, Fallbacks};
pub use self::hold::{
    ApprovalConfig, Approvals, Expires, HoldConfig, ToolHoldConfig, WebhookConfig, WebhookUrl,
};
pub use self::http::{HttpConfig, OauthConfig, listen_address};
pub use self::journal::{
    CheckpointConfig, Every, ExportTo, JournalConfig, KeepFor, Retention, ToolJournalConfig, WithoutJournal,
};
pub use self::origin::KeySource;
pub use self::places::Forms;
pub use self::report::{Day, ReportConfig};
pub use self::secret::{SecretConfig, SecretSource};
pub use self::server::ServerConfig;
pub use self::session::{FactConfig, SessionConfig};
pub use self::signature::SignatureConfig;
pub use self::tool::{
    Approval, BulkheadConfig, Functions, ImportConfig, ImportWord, RetryConfig, ToolConfig,
};
use crate::file;
use airlock_contract::arguments::ArgumentLimits;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::grant::GrantProblem;
use airlock_types::limit::CompileLimits;
use airlock_types::tables;
pub(crate) use places::Places;
pub use used::place;
pub(crate) use used::{SECRETS_FOLDER, lock_path};

/// Length of the longest public name. MCP clients accept 64 characters and put prefixes of their own before the name.
pub const NAME_CHARS_MAX: usize = 45;

/// Size of the largest registry in bytes: a thousand times what people write by hand.
const REGISTRY_BYTES_MAX: u64 = 4 << 20;

/// Most fallbacks of one tool.
const FALLBACKS_MAX: usize = 4;

/// A registry, as its file states it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Settings of the host as a whole.
    #[serde(default)]
    pub host: HostConfig,
    /// Limits on compiling one component.
    #[serde(default)]
    pub compile: CompileConfig,
    /// Limits on arguments, before any schema applies.
    #[serde(default)]
    pub arguments: ArgumentsConfig,
    /// Serving over stdio and HTTP.
    #[serde(default)]
    pub server: ServerConfig,
    /// How `serve --http` listens, and its limits.
    #[serde(default)]
    pub http: HttpConfig,
    /// What a session remembers of its calls.
    #[serde(default)]
    pub session: SessionConfig,
    /// How many records of calls are kept.
    #[serde(default)]
    pub journal: JournalConfig,
    /// Callers that authenticate with a token of an OAuth server. Default none.
    #[serde(default)]
    pub oauth: Option<Spanned<OauthConfig>>,
    /// Callers, by name. `local` and `anonymous` have defaults.
    #[serde(default)]
    pub callers: BTreeMap<Spanned<String>, CallerConfig>,
    /// Where the values of secrets are, by name. Grants name them. Default none.
    #[serde(default)]
    pub secrets: BTreeMap<Spanned<String>, SecretConfig>,
    /// By whom components must be signed. Default by nobody.
    #[serde(default)]
    pub signatures: SignatureConfig,
    /// Rules over tools that hold calls until a person has decided. Default none.
    #[serde(default)]
    pub holds: Vec<Spanned<HoldConfig>>,
    /// For how long held calls wait, and who is told of them.
    #[serde(default)]
    pub approval: ApprovalConfig,
    /// The tools, by registry key, which is the public name or its prefix.
    #[serde(default)]
    pub tools: BTreeMap<Spanned<String>, ToolConfig>,
}

impl Config {
    /// Whether any caller could authenticate over HTTP. Serving refuses to start otherwise.
    pub fn can_be_called_over_http(&self) -> bool {
        // Each of these is a way for a request to get a caller.
        self.http.allow_anonymous
            || self.oauth.is_some()
            || self.callers.values().any(|caller| !caller.tokens.is_empty())
    }
}

/// Settings of the host as a whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HostConfig {
    /// The folder of the journal and of compiled code. Created when it is missing, with no rights for other users.
    /// Relative to the registry's file. Default `.airlock`.
    pub state: PathBuf,
    /// Guests that run at the same time, all tools together. Default 64, at most 256.
    pub calls_max: u32,
    /// Attempts that may wait for one of these slots; further ones are rejected. Default 256.
    pub wait_max: u32,
    /// Time for a whole call in milliseconds, with waiting, retries and fallbacks. Default 30,000.
    pub call_deadline_ms: u64,
    /// What agents are shown of tools that cannot run. Default `hide`.
    pub unavailable_tools: Unavailable,
    /// Whether the kernel confines the process that makes calls. Default `auto`.
    pub confine: Confine,
}

/// Whether the program has the kernel confine the process that makes calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Confine {
    /// By what the kernel has. What it lacks is a warning.
    #[default]
    Auto,
    /// Nothing is served when the kernel or the program lacks a part of it.
    Require,
    /// Not at all.
    Off,
}

/// What agents are shown of a tool that can never run: it lacks a grant that it needs, or begins with more than its
/// limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unavailable {
    /// It is in no list. A call of it is refused with the reason, as always.
    #[default]
    Hide,
    /// It is listed, and its description begins with the reason.
    Name,
}

impl Default for HostConfig {
    fn default() -> HostConfig {
        HostConfig {
            state: ".airlock".into(),
            calls_max: 64,
            wait_max: 256,
            call_deadline_ms: 30_000,
            unavailable_tools: Unavailable::default(),
            confine: Confine::default(),
        }
    }
}

/// Limits on compiling one component. The defaults are those of [`CompileLimits`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of `CompileLimits`")]
#[non_exhaustive]
pub struct CompileConfig {
    pub cpu_s_max: Option<u64>,
    pub memory_bytes_max: Option<u64>,
    pub wall_s_max: Option<u64>,
    pub component_bytes_max: Option<u64>,
    pub cache_bytes_max: Option<u64>,
}

impl CompileConfig {
    /// The limits, with the defaults filled in.
    pub fn limits(&self) -> CompileLimits {
        let default = CompileLimits::default();
        // Destructured without `..`, so that a new limit cannot parse without being enforced.
        let CompileConfig { cpu_s_max, memory_bytes_max, wall_s_max, component_bytes_max, cache_bytes_max } =
            self;
        CompileLimits {
            cpu_s_max: cpu_s_max.unwrap_or(default.cpu_s_max),
            memory_bytes_max: memory_bytes_max.unwrap_or(default.memory_bytes_max),
            wall_s_max: wall_s_max.unwrap_or(default.wall_s_max),
            component_bytes_max: component_bytes_max.unwrap_or(default.component_bytes_max),
            cache_bytes_max: cache_bytes_max.unwrap_or(default.cache_bytes_max),
        }
    }
}

/// Limits on arguments, before any schema applies. The defaults are those of [`ArgumentLimits`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of `ArgumentLimits`")]
#[non_exhaustive]
pub struct ArgumentsConfig {
    pub bytes_max: Option<usize>,
    pub depth_max: Option<usize>,
    pub string_bytes_max: Option<usize>,
    pub values_max: Option<usize>,
}

impl ArgumentsConfig {
    /// The limits, with the defaults filled in.
    pub fn argument_limits(&self) -> ArgumentLimits {
        let default = ArgumentLimits::default();
        // Destructured for the same reason.
        let ArgumentsConfig { bytes_max, depth_max, string_bytes_max, values_max } = self;
        ArgumentLimits {
            bytes_max: bytes_max.unwrap_or(default.bytes_max),
            depth_max: depth_max.unwrap_or(default.depth_max),
            string_bytes_max: string_bytes_max.unwrap_or(default.string_bytes_max),
            values_max: values_max.unwrap_or(default.values_max),
        }
    }
}

/// A registry's file, parsed and checked as far as is possible without its components.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConfigFile {
    /// The path, as it was given.
    pub path: PathBuf,
    /// The text of the file, from which errors quote lines.
    pub source: Arc<str>,
    /// The parsed settings.
    pub config: Config,
}

impl ConfigFile {
    /// Reads a registry's file.
    ///
    /// # Errors
    /// Every problem that was found, each with its line.
    pub fn read(path: &Path) -> Result<ConfigFile, Diagnostics> {
        let text = file::read_text(path, REGISTRY_BYTES_MAX).map_err(|err| {
            let message = format!("the registry `{}` cannot be read: {err}", path.display());
            let hint = err.is_not_found().then(|| "name one with `--registry FILE`".to_owned());
            Diagnostics::from(Diagnostic::without_place(message, hint))
        })?;
        ConfigFile::parse(&text, path)
    }

    /// Parses a registry's text.
    ///
    /// # Errors
    /// Every problem that was found, each with its line.
    pub fn parse(text: &str, path: &Path) -> Result<ConfigFile, Diagnostics> {
        let source: Arc<str> = text.into();
        let name = path.display().to_string();
        let config: Config = tables::from_str(text).map_err(|err| {
            let hidden = secret::without_line(&err, &name, &source);
            Diagnostics::from(hidden.unwrap_or_else(|| Diagnostic::from_toml(&err, &name, &source)))
        })?;
        let file = ConfigFile { path: path.to_owned(), source, config };
        // After parsing: types and unknown keys are serde's errors, these are rules between values.
        let problems = file.problems();
        if problems.is_empty() { Ok(file) } else { Err(Diagnostics(problems)) }
    }

    /// The folder that the file's relative paths start from.
    pub fn folder(&self) -> &Path {
        // A bare file name has an empty parent, which is not a path that can be opened.
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The path of the state folder: the journal and the compiled code.
    pub fn state(&self) -> PathBuf {
        self.folder().join(&self.config.host.state)
    }

    /// The line of each setting of tools and callers, by its name.
    pub(crate) fn places(&self) -> Places {
        places::places(&self.source)
    }

    /// Where a setting below `tools`, `callers` or `holds` stands, by its name: `tools.web.grants.http[0]`.
    pub(crate) fn span_of(&self, name: &str) -> Option<Range<usize>> {
        places::span(&self.source, name)
    }

    /// Notes about settings that are accepted and should be written in another way.
    pub fn warnings(&self) -> Vec<String> {
        server::warnings(&self.config).into_iter().collect()
    }

    /// An error that points into this file.
    pub fn error(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        hint: Option<String>,
    ) -> Diagnostic {
        Diagnostic {
            message: message.into(),
            file: self.path.display().to_string(),
            source: self.source.clone(),
            span: Some(span),
            label: label.into(),
            hint,
        }
    }

    /// All problems at once, so that an operator can fix them in one go.
    fn problems(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        problems.extend(airlock_types::range::problems(
            &self.path.display().to_string(),
            &self.source,
            &range::SETTINGS,
        ));
        problems.extend(self.lock_problem());
        problems.extend(paths::problems(&self.path.display().to_string(), &self.source));
        problems.extend(caller::problems(self));
        problems.extend(hold::problems(self));
        problems.extend(http::problems(self));
        problems.extend(secret::problems(self));
        problems.extend(server::problems(self));
        problems.extend(signature::problems(self));
        for (name, tool) in &self.config.tools {
            problems.extend(self.name_problem(name));
            problems.extend(self.tool_problems(tool));
        }
        problems
    }

    fn name_problem(&self, name: &Spanned<String>) -> Option<Diagnostic> {
        let text = name.get_ref();
        let fits = !text.is_empty()
            && text.len() <= NAME_CHARS_MAX
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        (!fits).then(|| {
            self.error(
                name.span(),
                format!("`{text}` cannot be a tool's name"),
                format!("a-z, 0-9 and _, at most {NAME_CHARS_MAX} characters"),
                None,
            )
        })
    }

    fn tool_problems(&self, tool: &ToolConfig) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for one_too_many in tool.fallback.lists().into_iter().filter_map(|names| names.get(FALLBACKS_MAX)) {
            problems.push(self.error(
                one_too_many.span(),
                format!("at most {FALLBACKS_MAX} fallbacks"),
                "one too many",
                None,
            ));
        }
        if let Some(grants) = &tool.grants {
            let problem = |GrantProblem { message, hint }| {
                self.error(grants.span(), message, "in these grants", Some(hint.into()))
            };
            problems.extend(grants.get_ref().problems().into_iter().map(problem));
        }
        if let Some(report) = &tool.report {
            let problem = |GrantProblem { message, hint }| {
                self.error(report.span(), message, "in this report", Some(hint.into()))
            };
            problems.extend(report.get_ref().problems().into_iter().map(problem));
        }
        problems
    }
}
