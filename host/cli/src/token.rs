//! `airlock token new NAME`: makes a bearer token, shows it once, and prints the digest for the registry.

use super::Ended;
use super::print::{Message, Printer};
use airlock::caller::token;
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock_types::environment::Environment as _;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a token: prints the token to stdout, and its entry for the registry to stderr
    New {
        /// The caller's name, as under `[callers]`
        name: String,
    },
}

pub(super) fn run(verb: &Verb, printer: &Printer) -> Ended {
    let Verb::New { name } = verb;
    // Before the token is made: a name that the registry would reject would make the token useless.
    if let Err(why) = ConfigFile::named_caller(name) {
        return Err(Message(why).into());
    }
    let (token, digest) = token::new(World::new().seed());
    // Only the token goes to stdout, so that it can be piped into a secret store.
    printer.line(&token);
    printer.note(format!(
        "This is the only time that the token is shown. The registry keeps its digest:\n\n\
         [callers.{name}]\n\
         tools = [\"*\"]            # or the names that it may call\n\
         tokens = [\"{digest}\"]\n\n\
         The caller sends the header `Authorization: Bearer TOKEN`."
    ));
    Ok(0)
}
