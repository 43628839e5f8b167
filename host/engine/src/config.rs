//! `airlock.toml`: the operator's words.
//!
//! Owns every setting, its default, and the errors that point at its line. Unknown keys are refused: what is
//! accepted is enforced. Must not know tokio or wasmtime. To add a setting: a field here with its docs and
//! default, the place that enforces it (destructured without `..`), and a line in `docs/settings.md`, which a
//! test holds against this file.

mod caller;
mod http;
mod journal;
pub mod origin;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

pub use self::caller::{BudgetConfig, CallerConfig};
pub use self::http::{HttpConfig, OauthConfig};
pub use self::journal::JournalConfig;
pub use self::origin::KeySource;
pub use self::server::ServerConfig;
use crate::file;
use airlock_contract::caps::Caps;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::effect::Effect;
use airlock_types::grant::Grants;
use airlock_types::limit::CompileLimits;
use airlock_types::limit::PartialLimits;

/// The longest public name: clients put prefixes of their own before it.
pub const NAME_CHARS_MAX: usize = 45;

/// The largest registry: a thousand times what people write by hand.
const REGISTRY_BYTES_MAX: u64 = 4 << 20;

/// The longest chain of fallbacks.
const FALLBACKS_MAX: usize = 4;

/// A registry, as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The host as a whole.
    #[serde(default)]
    pub host: HostConfig,
    /// What compiling one component may use.
    #[serde(default)]
    pub compile: CompileConfig,
    /// What arguments may be.
    #[serde(default)]
    pub arguments: ArgumentsConfig,
    /// Serving over stdio and HTTP.
    #[serde(default)]
    pub server: ServerConfig,
    /// Serving over HTTP.
    #[serde(default)]
    pub http: HttpConfig,
    /// Records of calls.
    #[serde(default)]
    pub journal: JournalConfig,
    /// Callers that show a token of an OAuth server.
    #[serde(default)]
    pub oauth: Option<Spanned<OauthConfig>>,
    /// Callers, by name.
    #[serde(default)]
    pub callers: BTreeMap<Spanned<String>, CallerConfig>,
    /// The tools, by public name.
    #[serde(default)]
    pub tools: BTreeMap<Spanned<String>, ToolConfig>,
}

impl Config {
    /// Whether there is anybody who could call over HTTP.
    pub fn can_be_called_over_http(&self) -> bool {
        self.http.allow_anonymous
            || self.oauth.is_some()
            || self.callers.values().any(|caller| !caller.tokens.is_empty())
    }
}

/// The host as a whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// The folder of the journal and of compiled code, made where it is missing, open to nobody else.
    /// Relative to the registry's file. Default `.airlock`.
    pub state: PathBuf,
    /// Guests that run at once, all tools together. Default 64, at most 256.
    pub calls_max: u32,
    /// Attempts that wait for one of these places; the next one is turned away. Default 256.
    pub wait_max: u32,
    /// Time for a whole call, in milliseconds: waiting, retries and fallbacks included. Default 30,000.
    pub call_deadline_ms: u64,
}

impl Default for HostConfig {
    fn default() -> HostConfig {
        HostConfig { state: ".airlock".into(), calls_max: 64, wait_max: 256, call_deadline_ms: 30_000 }
    }
}

/// What compiling one component may use; the defaults are those of [`CompileLimits`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of `CompileLimits`")]
pub struct CompileConfig {
    pub cpu_s_max: Option<u64>,
    pub memory_bytes_max: Option<u64>,
    pub wall_s_max: Option<u64>,
    pub component_bytes_max: Option<u64>,
}

impl CompileConfig {
    /// The limits, defaults filled in.
    pub fn limits(&self) -> CompileLimits {
        let default = CompileLimits::default();
        let CompileConfig { cpu_s_max, memory_bytes_max, wall_s_max, component_bytes_max } = self;
        CompileLimits {
            cpu_s_max: cpu_s_max.unwrap_or(default.cpu_s_max),
            memory_bytes_max: memory_bytes_max.unwrap_or(default.memory_bytes_max),
            wall_s_max: wall_s_max.unwrap_or(default.wall_s_max),
            component_bytes_max: component_bytes_max.unwrap_or(default.component_bytes_max),
        }
    }
}

/// What arguments may be, before any schema is asked; the defaults are those of [`Caps`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of `Caps`")]
pub struct ArgumentsConfig {
    pub bytes_max: Option<usize>,
    pub depth_max: Option<usize>,
    pub string_bytes_max: Option<usize>,
    pub values_max: Option<usize>,
}

impl ArgumentsConfig {
    /// The caps, defaults filled in.
    pub fn caps(&self) -> Caps {
        let default = Caps::default();
        let ArgumentsConfig { bytes_max, depth_max, string_bytes_max, values_max } = self;
        Caps {
            bytes_max: bytes_max.unwrap_or(default.bytes_max),
            depth_max: depth_max.unwrap_or(default.depth_max),
            string_bytes_max: string_bytes_max.unwrap_or(default.string_bytes_max),
            values_max: values_max.unwrap_or(default.values_max),
        }
    }
}

/// One tool, or several where a component shows several functions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolConfig {
    /// The component's file; relative to the registry's file.
    pub component: Spanned<PathBuf>,
    /// Which functions are shown: a list of WIT names, or a table of WIT name to public name. Default all.
    #[serde(default)]
    pub functions: Option<Spanned<Functions>>,
    /// The effect class, where the operator knows better than the contract.
    #[serde(default)]
    pub effects: Option<Spanned<Effect>>,
    /// What the tool may reach. Default nothing.
    #[serde(default)]
    pub grants: Option<Spanned<Grants>>,
    /// What one attempt may use.
    #[serde(default)]
    pub limits: PartialLimits,
    /// Retries.
    #[serde(default)]
    pub retry: RetryConfig,
    /// Who answers when this tool cannot, in order; public names.
    #[serde(default)]
    pub fallback: Vec<Spanned<String>>,
    /// The least time in which an attempt is worth starting, in milliseconds. Default the contract's, or
    /// 1,000.
    #[serde(default)]
    pub useful_ms_min: Option<u64>,
    /// Calls of this tool at once, and how many wait.
    #[serde(default)]
    pub bulkhead: BulkheadConfig,
    /// Imports that nothing provides, by name.
    #[serde(default)]
    pub imports: BTreeMap<Spanned<String>, ImportConfig>,
}

/// Which functions of a component are shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Functions {
    /// These, under names made from their own.
    Listed(Vec<String>),
    /// These, under these public names.
    Named(BTreeMap<String, String>),
}

/// Retries of one tool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// Attempts in all, the first included. Default 3, at most 10.
    pub attempts: Option<Spanned<u32>>,
    /// Whether an implausible answer is worth another attempt. Default false.
    #[serde(default)]
    pub implausible: bool,
}

/// Calls of one tool at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BulkheadConfig {
    /// Calls that run at once. Default 8.
    pub run: u32,
    /// Calls that wait; the next one is turned away. Default 64.
    pub wait: u32,
}

impl Default for BulkheadConfig {
    fn default() -> BulkheadConfig {
        BulkheadConfig { run: 8, wait: 64 }
    }
}

/// An import that nothing provides.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ImportConfig {
    /// `"trap"`: whoever calls it is ended.
    Word(ImportWord),
    /// Fixed results, by function; `null` for a function without a result. The others trap.
    Fixed(BTreeMap<String, Value>),
}

/// The words that may stand for an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportWord {
    /// Whoever calls it is ended.
    Trap,
}

/// A registry's file, read and checked as far as it can be without its components.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Its text, for errors.
    pub source: Arc<str>,
    /// What it says.
    pub config: Config,
}

impl ConfigFile {
    /// Reads a registry's file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn read(path: &Path) -> Result<ConfigFile, Diagnostics> {
        let text = file::read_text(path, REGISTRY_BYTES_MAX).map_err(|err| {
            let message = format!("the registry `{}` cannot be read: {err}", path.display());
            Diagnostics::from(Diagnostic::without_place(
                message,
                Some("name one with `--registry FILE`; `example-tools/airlock.toml` is an example".into()),
            ))
        })?;
        ConfigFile::parse(&text, path)
    }

    /// Parses a registry's text.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn parse(text: &str, path: &Path) -> Result<ConfigFile, Diagnostics> {
        let source: Arc<str> = text.into();
        let name = path.display().to_string();
        let config: Config = toml::from_str(text)
            .map_err(|err| Diagnostics::from(Diagnostic::from_toml(&err, &name, &source)))?;
        let file = ConfigFile { path: path.to_owned(), source, config };
        let problems = file.problems();
        if problems.is_empty() { Ok(file) } else { Err(Diagnostics(problems)) }
    }

    /// The folder that relative paths are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The folder of the journal and of compiled code.
    pub fn state(&self) -> PathBuf {
        self.folder().join(&self.config.host.state)
    }

    /// What is accepted, and should be written in another way.
    pub fn warnings(&self) -> Vec<String> {
        server::warnings(&self.config).into_iter().collect()
    }

    /// An error that points into this file.
    pub fn error(
        &self,
        span: std::ops::Range<usize>,
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

    fn problems(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if self.config.host.calls_max == 0 || self.config.host.calls_max > 256 {
            problems.push(Diagnostic::without_place(
                format!("`host.calls_max` is {}; it must be 1 to 256", self.config.host.calls_max),
                None,
            ));
        }
        problems.extend(caller::problems(self));
        problems.extend(http::problems(self));
        problems.extend(journal::problems(self));
        problems.extend(server::problems(self));
        for (name, tool) in &self.config.tools {
            problems.extend(self.name_problem(name));
            problems.extend(self.tool_problems(name.get_ref(), tool));
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

    fn tool_problems(&self, name: &str, tool: &ToolConfig) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if let Some(attempts) = &tool.retry.attempts
            && !(1..=10).contains(attempts.get_ref())
        {
            problems.push(self.error(attempts.span(), "`retry.attempts` must be 1 to 10", "here", None));
        }
        if tool.bulkhead.run == 0 {
            problems.push(self.error(
                tool.component.span(),
                format!("`tools.{name}.bulkhead.run` is 0: the tool could never run"),
                "this tool",
                None,
            ));
        }
        if tool.fallback.len() > FALLBACKS_MAX {
            let span = tool.fallback[FALLBACKS_MAX].span();
            problems.push(self.error(
                span,
                format!("at most {FALLBACKS_MAX} fallbacks"),
                "one too many",
                None,
            ));
        }
        for grant in tool.grants.iter().flat_map(|grants| &grants.get_ref().files) {
            if !grant.guest.starts_with('/') || grant.guest.contains("..") {
                let span = tool.grants.as_ref().map_or(0..0, Spanned::span);
                let message = format!("`{}` is not an absolute path of a guest", grant.guest);
                problems.push(self.error(span, message, "in these grants", Some("write `/data`".into())));
            }
        }
        problems
    }
}
