//! `airlock sign COMPONENT --key FILE`: states what a component is, and signs it; `--new-key` makes the key.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Ended;
use super::print::{Message, Printer};
use airlock::environment::World;
use airlock::file;
use airlock::host;
use airlock::registry;
use airlock::signature::{Component, Envelope, Predicate, SigningKey, Statement, envelope_path};
use airlock_contract::package::{SIGNATURES_BYTES_MAX, embed_signatures, signatures};
use airlock_types::digest::sha256;
use airlock_types::environment::Environment as _;
use airlock_types::limit::CompileLimits;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's file
    #[arg(required_unless_present = "new_key")]
    component: Option<PathBuf>,
    /// The private key: an Ed25519 key in PKCS #8 and PEM, as openssl writes it
    #[arg(long, value_name = "FILE", required_unless_present = "new_key")]
    key: Option<PathBuf>,
    /// Make a key, write it to this file, and print its public part
    #[arg(long, value_name = "FILE", conflicts_with_all = ["component", "key"])]
    new_key: Option<PathBuf>,
    /// The name of the component [default: that of its file]
    #[arg(long)]
    name: Option<String>,
    /// The number of this version; it must grow [default: the seconds since 1970]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    serial: Option<u64>,
    /// The end of the statement: 2027-01-31, or a time in RFC 3339 [default: none]
    #[arg(long, value_name = "TIME", value_parser = end)]
    expires: Option<String>,
    /// Put the signature into the component, not into a file beside it
    #[arg(long)]
    embed: bool,
}

/// The end of a statement, as a statement has it.
fn end(text: &str) -> Result<String, String> {
    let time = if text.len() == "2027-01-31".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Predicate::is_time(&time).then_some(time).ok_or_else(|| "write 2027-01-31 or 2027-01-31T12:00:00Z".into())
}

pub(super) async fn run(args: &Args, printer: &Printer) -> Ended {
    let said = |err: String| anyhow::Error::from(Message(err));
    if let Some(path) = &args.new_key {
        return new_key(path, printer);
    }
    // clap has required both.
    let (Some(path), Some(key)) = (&args.component, &args.key) else { return Ok(2) };
    let now = World::new().wall();
    if args.expires.as_ref().is_some_and(|end| Predicate::has_ended(end, now.as_secs())) {
        printer.note("warning: `--expires` has passed: this signature is refused wherever it is verified");
    }
    let key = SigningKey::read(key).map_err(|err| said(err.to_string()))?;
    let here = |err: &dyn std::fmt::Display| said(format!("`{}`: {err}", path.display()));
    let (bytes, parts) = registry::signable(path, &host::user_cache()?).await.map_err(|err| here(&err))?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let (name, digest) = (args.name.as_deref().unwrap_or(&file_name), sha256(&bytes));
    let serial = args.serial.unwrap_or(now.as_secs());
    let component = Component { name, digest: &digest, parts: &parts };
    let statement = Statement::about(&component, serial, args.expires.clone());
    let envelope = key.sign(&statement).map_err(|err| said(err.to_string()))?;
    let (target, others) = others(args.embed, path)?;
    let others =
        Envelope::lines(&others).map_err(|fault| said(format!("`{}`: {fault}", target.display())))?;
    if let Some(before) = key.serial_replaced(&others).filter(|before| *before > serial) {
        printer.note(format!(
            "warning: the serial {serial} is lower than {before}, that of the signature which this one replaces: a registry that has \
             accepted {before} refuses it"
        ));
    }
    let lines = key.replace(&others, &envelope).map_err(|err| said(err.to_string()))?;
    let content = match args.embed {
        true => embed_signatures(&bytes, lines.as_bytes()).map_err(|err| here(&err))?,
        false => lines.into_bytes(),
    };
    file::replace(&target, &content, None)
        .map_err(|err| said(format!("`{}` cannot be written: {err}", target.display())))?;
    printer.line(format!("{}: signed by {}", target.display(), key.public()));
    for (what, value) in [
        ("name", name),
        ("serial", &serial.to_string()),
        ("expires", args.expires.as_deref().unwrap_or("never")),
        ("sha256", &digest),
        ("wit", &parts.wit),
        ("surface", &parts.surface),
        ("contract", parts.contract.as_deref().unwrap_or("none")),
        ("requests", &serde_json::to_string(&parts.requests)?),
    ] {
        printer.line(format!("  {what:<9} {value}"));
    }
    Ok(0)
}

/// The file that gets the signature, and the signatures that it has.
fn others(embed: bool, component: &Path) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    let failed = |path: &Path, err: &dyn std::fmt::Display| {
        anyhow::Error::from(Message(format!("`{}`: {err}", path.display())))
    };
    if embed {
        // Read a second time, with its signatures. It may be another file by now, so the bound of the first time holds.
        let bytes_max = CompileLimits::default().component_bytes_max;
        let bytes = file::read(component, bytes_max).map_err(|err| failed(component, &err))?;
        let found = signatures(&bytes).map_err(|err| failed(component, &err))?.unwrap_or_default();
        return Ok((component.to_owned(), found.to_vec()));
    }
    let path = envelope_path(component);
    match file::read(&path, SIGNATURES_BYTES_MAX as u64) {
        Ok(lines) => Ok((path, lines)),
        Err(err) if err.is_not_found() => Ok((path, Vec::new())),
        Err(err) => Err(failed(&path, &err)),
    }
}

fn new_key(path: &Path, printer: &Printer) -> Ended {
    let (text, key) = SigningKey::make().map_err(|err| Message(err.to_string()))?;
    // Never in the place of another key: what it signed could not be signed again.
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let fill = |mut file: std::fs::File| {
        let filled = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        // A part of a key would be in the way of a whole one.
        filled.inspect_err(|_| drop(std::fs::remove_file(path)))
    };
    file.and_then(fill).map_err(|err| match err.kind() {
        std::io::ErrorKind::AlreadyExists => Message(format!(
            "`{}` is there already, and no key takes the place of another one: choose another name",
            path.display()
        )),
        _ => Message(format!("`{}` cannot be written: {err}", path.display())),
    })?;
    // Only the key goes to stdout, so that it can be piped into a registry.
    printer.line(key.public());
    printer.note(format!(
        "The private key is in `{}`. A registry that requires it:\n\n[signatures]\nrequire = [\"{}\"]",
        path.display(),
        key.public()
    ));
    Ok(0)
}
