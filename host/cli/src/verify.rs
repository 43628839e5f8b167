//! `airlock verify [TOOL|FILE.wasm]`: says who made a component, by its signatures. Exits with 0 if every component is
//! verified, otherwise with 1.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::print::{Message, Printer};
use super::{EXIT_NO, Ended};
use airlock::config::{ConfigFile, ToolConfig};
use airlock::environment::World;
use airlock::host;
use airlock::lock::Lock;
use airlock::registry;
use airlock::registry::AcceptedSigner;
use airlock::sandbox::cache::Cache;
use airlock::signature::{Fault, Key, Policy, Signed, Signer};
use airlock_types::environment::Environment as _;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A key of `[tools]` in the registry, or a component's file [default: all tools of the registry]
    what: Option<String>,
    /// For a file: a key that must have signed it, `key:…` or `minisign:…`; several times for several keys
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
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let path = args.what.as_deref().map(Path::new).filter(|path| path.extension().is_some());
    let asked = match path {
        Some(path) => vec![of_file(args, path)?],
        None => of_registry(args, registry)?,
    };
    let (cache, now_s) = (host::user_cache()?, World::new().wall().as_secs());
    let mut results = Vec::new();
    for one in &asked {
        let result = verified(one, &cache, now_s).await?;
        if !args.json {
            told(printer, one, &result);
        }
        results.push(result);
    }
    if args.json {
        let list: Vec<Value> = asked.iter().zip(&results).map(|(one, result)| as_json(one, result)).collect();
        printer.json(&json!({"components": list}))?;
    }
    let all = results.iter().all(|result| matches!(result, Ok(Signed::Verified(_))));
    Ok(if all { 0 } else { EXIT_NO })
}

async fn verified(one: &Asked, cache: &Cache, now_s: u64) -> anyhow::Result<Result<Signed, Fault>> {
    let was_signed = !one.accepted.is_empty();
    let result = registry::verified(&one.path, cache, &one.policy, was_signed, now_s).await;
    let result = result.map_err(|err| Message(format!("`{}`: {err}", one.path.display())))?;
    let since = |signed: Signed| {
        one.accepted.iter().try_for_each(|before| signed.since(&before.key, before.serial))?;
        Ok(signed)
    };
    Ok(result.and_then(since))
}

fn of_file(args: &Args, path: &Path) -> anyhow::Result<Asked> {
    let twice =
        args.key.iter().enumerate().find(|(at, key)| args.key[..*at].iter().any(|one| one.is_same(key)));
    if let Some((_, key)) = twice {
        return Err(Message(format!("`{key}` is given twice: one key signs once")).into());
    }
    let threshold = args.threshold.unwrap_or(args.key.len());
    if threshold > args.key.len() || threshold == 0 && !args.key.is_empty() {
        return Err(Message(format!("`--threshold` is {threshold} of {} keys", args.key.len())).into());
    }
    let file_name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = args.name.clone().unwrap_or_else(file_name);
    let policy = Policy { require: args.key.clone(), threshold, name, ..Policy::default() };
    Ok(Asked { what: path.display().to_string(), path: path.to_owned(), policy, accepted: Vec::new() })
}

fn of_registry(args: &Args, registry: &Path) -> anyhow::Result<Vec<Asked>> {
    if !args.key.is_empty() || args.threshold.is_some() || args.name.is_some() {
        let message = "`--key`, `--threshold` and `--name` are for a file: the registry has `[signatures]`";
        return Err(Message(message.into()).into());
    }
    let file = ConfigFile::read(registry)?;
    let lock = Lock::read(&file).map_err(|err| Message(err.to_string()))?.accepted();
    let wanted = |key: &str| args.what.as_deref().is_none_or(|what| what == key);
    let accepted = |key: &str, config: &ToolConfig| {
        let tools = lock.iter().filter(|(name, _)| config.may_show(key, name));
        tools.flat_map(|(_, definition)| definition.signers.clone().unwrap_or_default()).collect()
    };
    let entries = file.config.tools.iter().filter(|(key, _)| wanted(key.get_ref()));
    let asked: Vec<Asked> = entries
        .map(|(key, config)| Asked {
            what: key.get_ref().clone(),
            path: file.folder().join(config.component.get_ref()),
            policy: file.config.signature_policy(config),
            accepted: accepted(key.get_ref(), config),
        })
        .collect();
    match &args.what {
        Some(what) if asked.is_empty() => {
            Err(Message(format!("the registry has no `[tools.{what}]`; a file ends with `.wasm`")).into())
        }
        _ => Ok(asked),
    }
}

fn told(printer: &Printer, one: &Asked, result: &Result<Signed, Fault>) {
    match result {
        Ok(signed) => {
            printer.line(format!("{}  {}", one.what, signed.state()));
            for Signer { key, serial, expires } in signed.signers() {
                let end = expires.as_ref().map_or_else(String::new, |end| format!(", until {end}"));
                printer.line(format!("  {key}, serial {serial}{end}"));
            }
            if let Signed::Unverified(strangers) = signed {
                printer.line(unverified(*strangers, &one.policy));
            }
        }
        Err(fault) => {
            printer.line(format!("{}  failed", one.what));
            printer.line(format!("  {}: {fault}", fault.code()));
            printer.line(format!("  {}", fault.hint()));
        }
    }
}

/// Why nothing is known of who made a component.
fn unverified(strangers: usize, policy: &Policy) -> String {
    match (strangers, policy.require.is_empty() && policy.trust.is_empty()) {
        (0, _) => "  it has no signature".into(),
        (_, true) => "  it is signed, and no key is given to verify that: `--key`, or `[signatures]`".into(),
        (_, false) => "  it is signed, and by none of the trusted keys".into(),
    }
}

fn as_json(one: &Asked, result: &Result<Signed, Fault>) -> Value {
    let signer = |signer: &Signer| {
        let Signer { key, serial, expires } = signer;
        json!({"key": key, "serial": serial, "expires": expires})
    };
    match result {
        Ok(signed) => json!({
            "name": one.what,
            "file": one.path,
            "state": signed.state(),
            "signers": signed.signers().iter().map(signer).collect::<Vec<_>>(),
        }),
        Err(fault) => json!({
            "name": one.what,
            "file": one.path,
            "state": "failed",
            "code": fault.code(),
            "message": fault.to_string(),
            "hint": fault.hint(),
        }),
    }
}
