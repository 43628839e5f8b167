//! `airlock verify [TOOL|FILE.wasm]`: says who made a component, by its signatures. Exits with 0 if every component is
//! verified, otherwise with 1.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::print::{Message, Printer};
use super::{EXIT_NO, Ended, REGISTRY};
use airlock::config::{ConfigFile, ToolConfig};
use airlock::environment::World;
use airlock::host;
use airlock::lock::Lock;
use airlock::registry;
use airlock::registry::AcceptedSigner;
use airlock::sandbox::cache::Cache;
use airlock::signature::{Fault, Key, Policy, Signed, Signer};
use airlock_types::environment::Environment as _;
use airlock_types::words::did_you_mean;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An entry of the registry, by its key or a tool's name, or a component's file [default: all entries]
    what: Option<String>,
    /// For a file: a key that must have signed it, `key:…` or `minisign:…`; several times for several keys [default: what the
    /// registry says]
    #[arg(long, value_name = "KEY")]
    key: Vec<Key>,
    /// For a file: how many of the keys must have signed it [default: all]
    #[arg(long, value_name = "N")]
    threshold: Option<usize>,
    /// For a file: the name that the signature must be about [default: that of the file]
    #[arg(long)]
    name: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A component that is verified.
struct Asked {
    /// The key of its entry, or its file.
    what: String,
    path: PathBuf,
    policy: Policy,
    accepted: Vec<AcceptedSigner>,
    /// Whether the policy is that of a registry, and not of the options.
    is_of_registry: bool,
}

/// What is known of a component: who made it, why it fails, or why it cannot be read.
enum Known {
    Judged(Result<Signed, Fault>),
    Unusable(String),
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let path = args.what.as_deref().map(Path::new).filter(|path| path.extension().is_some());
    let asked = match path {
        Some(path) => vec![of_file(args, path, registry)?],
        None => of_registry(args, registry)?,
    };
    let (cache, now_s) = (host::user_cache()?, World::new().wall().as_secs());
    let mut results = Vec::new();
    for one in &asked {
        let known = verified(one, &cache, now_s).await;
        if !args.json {
            told(printer, one, &known);
        }
        results.push(known);
    }
    if args.json {
        let list: Vec<Value> = asked.iter().zip(&results).map(|(one, known)| as_json(one, known)).collect();
        printer.json(&json!({"components": list}))?;
    }
    if asked.is_empty() {
        printer.note(format!("warning: `{}` has no tools: nothing was verified", registry.display()));
    }
    let all = results.iter().all(|known| matches!(known, Known::Judged(Ok(Signed::Verified(_)))));
    Ok(if all { 0 } else { EXIT_NO })
}

async fn verified(one: &Asked, cache: &Cache, now_s: u64) -> Known {
    let was_signed = !one.accepted.is_empty();
    let result = match registry::verified(&one.path, cache, &one.policy, was_signed, now_s).await {
        Ok(result) => result,
        Err(err) => return Known::Unusable(format!("`{}`: {err}", one.path.display())),
    };
    let since = |signed: Signed| {
        one.accepted.iter().try_for_each(|before| signed.since(&before.key, before.serial))?;
        Ok(signed)
    };
    Known::Judged(result.and_then(since))
}

fn of_file(args: &Args, path: &Path, registry: &Path) -> anyhow::Result<Asked> {
    let twice =
        args.key.iter().enumerate().find(|(at, key)| args.key[..*at].iter().any(|one| one.is_same(key)));
    if let Some((_, key)) = twice {
        return Err(Message(format!("`{key}` is given twice: one key signs once")).into());
    }
    // Without a registry in this folder, a file is verified by the options alone.
    if args.key.is_empty() && (registry != Path::new(REGISTRY) || registry.exists()) {
        return by_registry(args, path, registry);
    }
    let threshold = args.threshold.unwrap_or(args.key.len());
    if threshold > args.key.len() || threshold == 0 && !args.key.is_empty() {
        return Err(Message(format!("`--threshold` is {threshold} of {} keys", args.key.len())).into());
    }
    let name = args.name.clone().unwrap_or_else(|| file_name(path));
    let policy = Policy { require: args.key.clone(), threshold, name, ..Policy::default() };
    let (what, accepted) = (path.display().to_string(), Vec::new());
    Ok(Asked { what, path: path.to_owned(), policy, accepted, is_of_registry: false })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file by what a registry says of it: of its entry, or else of every component.
fn by_registry(args: &Args, path: &Path, registry: &Path) -> anyhow::Result<Asked> {
    if args.threshold.is_some() {
        return Err(
            Message("`--threshold` is for the keys of `--key`; the registry has its own".into()).into()
        );
    }
    let file = ConfigFile::read(registry)?;
    let real = path.canonicalize().ok();
    let is_it = |config: &ToolConfig| {
        let other = file.folder().join(config.component.get_ref());
        real.is_some() && other.canonicalize().ok() == real
    };
    let entry = file.config.tools.iter().find(|(_, config)| is_it(config));
    let (mut policy, accepted) = match entry {
        Some((key, config)) => {
            (file.config.signature_policy(config), accepted(&file, key.get_ref(), config)?)
        }
        None => (file.config.signature_policy_of(file_name(path)), Vec::new()),
    };
    policy.name = args.name.clone().unwrap_or(policy.name);
    Ok(Asked {
        what: path.display().to_string(),
        path: path.to_owned(),
        policy,
        accepted,
        is_of_registry: true,
    })
}

fn of_registry(args: &Args, registry: &Path) -> anyhow::Result<Vec<Asked>> {
    if !args.key.is_empty() || args.threshold.is_some() || args.name.is_some() {
        let message = "`--key`, `--threshold` and `--name` are for a file: the registry has `[signatures]`";
        return Err(Message(message.into()).into());
    }
    let file = ConfigFile::read(registry)?;
    let wanted = |key: &str, config: &ToolConfig| {
        args.what.as_deref().is_none_or(|what| what == key || config.may_show(key, what))
    };
    // An entry of this name is meant before a tool of another one.
    let is_key = |key: &str| args.what.as_deref() == Some(key);
    let any_key = file.config.tools.keys().any(|key| is_key(key.get_ref()));
    let entries = file.config.tools.iter().filter(|(key, config)| match any_key {
        true => is_key(key.get_ref()),
        false => wanted(key.get_ref(), config),
    });
    let asked: Vec<Asked> = entries
        .map(|(key, config)| {
            Ok(Asked {
                what: key.get_ref().clone(),
                path: file.folder().join(config.component.get_ref()),
                policy: file.config.signature_policy(config),
                accepted: accepted(&file, key.get_ref(), config)?,
                is_of_registry: true,
            })
        })
        .collect::<anyhow::Result<_>>()?;
    match &args.what {
        Some(what) if asked.is_empty() => {
            let near = did_you_mean(what, file.config.tools.keys().map(|key| key.get_ref().as_str()));
            let near = near.map_or_else(String::new, |near| format!("; {near}"));
            Err(Message(format!("the registry has no `[tools.{what}]`{near}; a file ends with `.wasm`"))
                .into())
        }
        _ => Ok(asked),
    }
}

/// The signers that the lock has of the tools of an entry.
fn accepted(file: &ConfigFile, key: &str, config: &ToolConfig) -> anyhow::Result<Vec<AcceptedSigner>> {
    let lock = Lock::read(file).map_err(|err| Message(err.to_string()))?.accepted();
    let tools = lock.into_iter().filter(|(name, _)| config.may_show(key, name));
    Ok(tools.flat_map(|(_, definition)| definition.signers.unwrap_or_default()).collect())
}

fn told(printer: &Printer, one: &Asked, known: &Known) {
    match known {
        Known::Unusable(why) => {
            printer.line(format!("{}  unusable", one.what));
            printer.line(format!("  {why}"));
        }
        Known::Judged(Ok(signed)) => {
            printer.line(format!("{}  {}", one.what, signed.state()));
            for signer in signed.signers() {
                printer.line(format!("  {}", signer.text()));
            }
            if let Signed::Unverified(strangers) = signed {
                printer.line(unverified(*strangers, one));
            }
        }
        Known::Judged(Err(fault)) => {
            printer.line(format!("{}  failed", one.what));
            printer.line(format!("  {}: {fault}", fault.code()));
            printer.line(format!("  {}", hint(one, fault)));
        }
    }
}

/// What can be done about it, with what was given.
fn hint(one: &Asked, fault: &Fault) -> &'static str {
    if one.is_of_registry { fault.hint() } else { fault.hint_by_keys() }
}

/// Why nothing is known of who made a component.
fn unverified(strangers: usize, Asked { policy, is_of_registry, .. }: &Asked) -> String {
    match (strangers, policy.require.is_empty() && policy.trust.is_empty()) {
        (0, _) => "  it has no signature".into(),
        (_, true) if *is_of_registry => {
            "  it is signed, and the registry names no key to verify that: `[signatures]` with `require` or `trust`".into()
        }
        (_, true) => "  it is signed, and no key is given to verify that: `--key`".into(),
        (_, false) => "  it is signed, and by none of the trusted keys".into(),
    }
}

fn as_json(one: &Asked, known: &Known) -> Value {
    let signer = |signer: &Signer| {
        let Signer { key, serial, expires } = signer;
        json!({"key": key, "serial": serial, "expires": expires})
    };
    match known {
        Known::Unusable(why) => {
            json!({"name": one.what, "file": one.path, "state": "unusable", "message": why})
        }
        Known::Judged(Ok(signed)) => json!({
            "name": one.what,
            "file": one.path,
            "state": signed.state(),
            "signers": signed.signers().iter().map(signer).collect::<Vec<_>>(),
        }),
        Known::Judged(Err(fault)) => json!({
            "name": one.what,
            "file": one.path,
            "state": "failed",
            "code": fault.code(),
            "message": fault.to_string(),
            "hint": hint(one, fault),
        }),
    }
}
