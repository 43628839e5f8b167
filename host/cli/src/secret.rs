//! `airlock secret set|list|remove`: the values that the host adds to requests of tools. No verb shows one.

mod target;

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::Ended;
use super::print::{Message, Printer};
use super::sealed;
use super::sealed::Age;
use airlock::config::{ConfigFile, SecretConfig, SecretSource};
use airlock::secret;
use airlock::secret::SecretError;
use airlock::secret::store;
use airlock_types::grant::http::secret::is_secret_name;

/// Most bytes that are read from stdin. The longest accepted value is shorter, which the rules of values then say.
const INPUT_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Write the value of a secret, which is read from stdin or asked for on the terminal
    Set {
        /// The name, as under `[secrets]`
        name: String,
    },
    /// List the secrets: where each one is, whether it can be read, which tools use it
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove the file of a secret
    Remove {
        /// The name, as under `[secrets]`
        name: String,
    },
}

pub(super) fn run(verb: &Verb, registry: &Path, printer: &Printer) -> Ended {
    let file = ConfigFile::read(registry)?;
    match verb {
        Verb::Set { name } => set(&file, name, printer),
        Verb::List { json } => list(&file, *json, printer),
        Verb::Remove { name } => remove(&file, name, printer),
    }
}

/// The entry of a secret; none if the registry does not declare it.
fn source<'f>(file: &'f ConfigFile, name: &str) -> anyhow::Result<Option<SecretSource<'f>>> {
    if !is_secret_name(name) {
        let how = "a name has letters, digits, `_` and `-`, 64 at most, a letter first";
        return Err(Message(format!("`{name}` cannot be the name of a secret: {how}")).into());
    }
    let entry = file.config.secrets.iter().find(|(key, _)| key.get_ref() == name);
    Ok(entry.and_then(|(_, config)| config.source().ok()))
}

/// The file of a secret; the variable, if it comes from one.
fn file_of<'f>(file: &ConfigFile, name: &str, source: Option<SecretSource<'f>>) -> Result<PathBuf, &'f str> {
    match source {
        Some(SecretSource::Env(variable)) => Err(variable),
        Some(SecretSource::File(path) | SecretSource::Age { file: path, identity: _ }) => {
            Ok(file.folder().join(path))
        }
        None => Ok(store::undeclared(file, name)),
    }
}

fn of_environment(name: &str, how: &str) -> Message {
    Message(format!("`{name}` comes from the environment of the host: {how}"))
}

fn set(file: &ConfigFile, name: &str, printer: &Printer) -> Ended {
    let source = source(file, name)?;
    let path = file_of(file, name, source)
        .map_err(|variable| of_environment(name, &format!("set the variable `{variable}` there")))?;
    // Before the value is asked for.
    target::check(file, name, &path)?;
    let value = secret::value(secret::without_line_end(input(name)?));
    let value = value.map_err(|err| Message(format!("`{name}` was not set: {err}")))?;
    // Readers take one line end for no part of the value.
    let line = Zeroizing::new(format!("{}\n", *value).into_bytes());
    match source {
        Some(SecretSource::Age { identity, .. }) => {
            let identity = file.folder().join(identity);
            let identities = secret::identities(&identity);
            let identities = identities.map_err(|err| Message(format!("{err}: {}", err.hint(name))))?;
            let sealed = sealed::seal(&line, &identities);
            let sealed = sealed.map_err(|why| Message(format!("`{}`: {why}", identity.display())))?;
            written(&path, &sealed)?;
        }
        Some(SecretSource::Env(_) | SecretSource::File(_)) => written(&path, &line)?,
        None => {
            store::folder(file)?;
            written(&path, &line)?;
        }
    }
    printer.note(format!("`{name}` is in `{}`.", path.display()));
    if source.is_none() {
        let path = file.config.host.state.join("secrets").join(name);
        printer.note(format!("The registry does not declare it yet:\n\n[secrets.{name}]\nfile = {path:?}"));
    }
    Ok(0)
}

fn written(path: &Path, content: &[u8]) -> Result<(), Message> {
    let written = store::write(path, content);
    written.map_err(|err| Message(format!("`{}` cannot be written: {err}", path.display())))
}

/// The value, from a pipe or from a terminal that does not show it. An argument would be in the list of processes.
fn input(name: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    if std::io::stdin().is_terminal() {
        let asked = rpassword::prompt_password(format!("Value of `{name}`: "))?;
        return Ok(Zeroizing::new(asked.into_bytes()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let read = std::io::stdin().take(INPUT_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|err| Message::of_stdin(&err))?;
    Ok(bytes)
}

/// A secret as it is listed.
#[derive(Serialize)]
struct Listed {
    name: String,
    source: String,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Keys of the tools whose grants use it.
    used_by: Vec<String>,
    is_declared: bool,
}

fn list(file: &ConfigFile, json: bool, printer: &Printer) -> Ended {
    let declared = file.config.secrets.iter().filter_map(|(name, config)| listed(file, name, config));
    let is_declared = |name: &String| file.config.secrets.keys().any(|key| key.get_ref() == name);
    let is_file_of = |path: &Path| {
        file.config.secrets.values().flat_map(SecretConfig::files).any(|own| file.folder().join(own) == path)
    };
    let stored =
        store::stored(file).map_err(|err| Message(format!("the stored secrets cannot be listed: {err}")))?;
    let stored =
        stored.into_iter().filter(|name| !is_declared(name) && !is_file_of(&store::undeclared(file, name)));
    let stored = stored.map(|name| Listed {
        source: format!("the file `{}`", store::undeclared(file, &name).display()),
        name,
        problem: None,
        used_by: Vec::new(),
        is_declared: false,
    });
    let all: Vec<Listed> = declared.chain(stored).collect();
    if json {
        printer.json(&all)?;
        return Ok(0);
    }
    if all.is_empty() {
        printer.note("no secret is declared or stored");
    }
    for one in &all {
        printer.line(one);
    }
    Ok(0)
}

fn listed(file: &ConfigFile, name: &Spanned<String>, config: &SecretConfig) -> Option<Listed> {
    let (name, source) = (name.get_ref(), config.source().ok()?);
    let problem = secret::look(name, source, file, Some(&Age)).err();
    let uses = file.config.secret_uses();
    let uses = uses.filter(|(_, grant)| grant.secret.as_ref().is_some_and(|used| used.name == *name));
    let mut used_by: Vec<String> = uses.map(|(key, _)| key.get_ref().clone()).collect();
    used_by.dedup();
    // The path may be a value by mistake.
    let is_hidden = matches!(problem, Some(SecretError::NoFile));
    Some(Listed {
        name: name.clone(),
        source: if is_hidden { "a file".to_owned() } else { source.to_string() },
        problem: problem.map(|err| err.to_string()),
        used_by,
        is_declared: true,
    })
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Listed { name, source, problem, used_by, is_declared } = self;
        let standing = problem.as_deref().unwrap_or("can be read");
        let uses = match (is_declared, used_by.as_slice()) {
            (false, _) => "not declared in the registry".to_owned(),
            (true, []) => "used by no grant".to_owned(),
            (true, keys) => format!("used by {}", keys.join(", ")),
        };
        write!(f, "{name}  {source}  {standing}  {uses}")
    }
}

fn remove(file: &ConfigFile, name: &str, printer: &Printer) -> Ended {
    let source = source(file, name)?;
    let path = file_of(file, name, source)
        .map_err(|variable| of_environment(name, &format!("take the variable `{variable}` out there")))?;
    target::check(file, name, &path)?;
    match std::fs::remove_file(&path) {
        Ok(()) => printer.note(format!("`{}` is removed.", path.display())),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            return Err(
                Message(format!("there is no secret `{name}`: `{}` does not exist", path.display())).into()
            );
        }
        Err(err) => return Err(Message(format!("`{}` cannot be removed: {err}", path.display())).into()),
    }
    if source.is_some() {
        printer.note(format!(
            "The registry still declares `{name}`: tools that use it are not loaded again. A server that runs keeps the \
             value until it ends or the entry is taken out."
        ));
    }
    Ok(0)
}
