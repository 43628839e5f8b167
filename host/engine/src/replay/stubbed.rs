//! A host that makes whole calls, whose attempts are answered from recordings: for a shadow run of an agent.
//!
//! Owns which recording answers an attempt, and what time it is. Every stage around an attempt is real. Must not know who
//! calls, or where recordings are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Mode, Recorded, valid, with_limits};
use crate::call::recording;
use crate::execute::{Attempt, Attempted, Execute, Outcome, Running, Sandbox};
use crate::host::{Host, HostBuilder, OpenError};
use crate::registry::Tool;
use crate::tape::{Player, Tape};
use airlock_contract::Val;
use airlock_types::cassette::{Cassette, FORMAT, Header};
use airlock_types::digest::unhex;
use airlock_types::environment::{Environment, SharedEnvironment, Sleep};
use airlock_types::record::v3;
use airlock_types::usage::TrapReport;

/// What the message of a trap begins with that says that no recording answers an attempt.
pub const UNRECORDED: &str = "not recorded: ";

/// What the message of a trap begins with that says that a recorded attempt came to something else than was recorded: what the
/// caller would get is not what it was.
pub const NOT_REPEATED: &str = "not repeated: ";

/// Opens a host whose attempts are answered from these recordings. An attempt is answered by the newest recording of its tool
/// with the same arguments. With other arguments it runs without a recorded import, and ends as a trap that says so if it asks
/// for one. No effect leaves. Clocks begin at the newest recording, and go on as those of the builder do; pauses between attempts pass
/// at once.
///
/// # Errors
/// As for [`HostBuilder::open`].
pub async fn stubbed(builder: HostBuilder<'_>, mut recorded: Vec<Recorded>) -> Result<Host, OpenError> {
    recorded.sort_by_key(|one| one.started_unix_ms);
    let newest = recorded.last().map_or(0, |one| one.started_unix_ms);
    let stubs = Arc::new(OnceLock::new());
    let filled = stubs.clone();
    let execute = move |sandbox: Sandbox| Arc::new(Stubbed { stubs: filled, sandbox }) as Arc<dyn Execute>;
    let began = Duration::from_millis(newest);
    let builder =
        builder.over_environment(|world| Arc::new(Clock { began, since: world.monotonic(), world }));
    let host = builder.without_lock().execute(execute).open().await?;
    let mut by_tool: Stubs = BTreeMap::new();
    let generation = host.generation();
    for one in recorded {
        let Ok(tool) = generation.registry().resolve(&one.tool) else { continue };
        // Arguments that the contract does not take any more come to no attempt.
        let Ok(args) = valid(tool, &one) else { continue };
        let args = args.values().to_vec();
        let Recorded { cassette, effects, end_sha256, .. } = one;
        let stub = Stub { tool: tool.clone(), args, cassette, effects, end_sha256 };
        by_tool.entry(one.tool).or_default().push(stub);
    }
    // Set once, before the first call.
    let _ = stubs.set(by_tool);
    drop(generation);
    Ok(host)
}

/// The recordings of each tool, the newest last.
type Stubs = BTreeMap<String, Vec<Stub>>;

struct Stub {
    tool: Arc<Tool>,
    args: Vec<Val>,
    cassette: Cassette,
    /// What it did to the world.
    effects: v3::Effects,
    /// SHA-256 of the outcome, hex; empty where it was not recorded.
    end_sha256: String,
}

impl Stub {
    /// Whether an outcome is the recorded one.
    fn repeats(&self, outcome: &Outcome) -> bool {
        self.end_sha256.is_empty() || recording::end(&self.tool, outcome, 0).digest() == self.end_sha256
    }
}

/// Runs each attempt with recorded imports.
struct Stubbed {
    stubs: Arc<OnceLock<Stubs>>,
    sandbox: Sandbox,
}

impl Execute for Stubbed {
    fn run<'a>(&'a self, attempt: Attempt<'a>) -> Running<'a> {
        Box::pin(async move {
            let stubs = self.stubs.get().and_then(|stubs| stubs.get(attempt.tool()));
            let found = stubs.and_then(|stubs| stubs.iter().rev().find(|stub| stub.args == attempt.args));
            let cassette = found.map_or_else(unrecorded, |stub| stub.cassette.clone());
            let cassette = with_limits(cassette, attempt.permit);
            let effects = found.map(|stub| stub.effects.clone()).unwrap_or_default();
            let tool = attempt.tool().to_owned();
            let (attempted, left) = played(&self.sandbox, attempt, (cassette, &effects)).await;
            let message = match (found, left, &attempted) {
                (Some(_), Some(left), _) => {
                    format!("{NOT_REPEATED}`{tool}` asked for something else: {left}")
                }
                (None, Some(left), _) => format!("{UNRECORDED}`{tool}` with these arguments: {left}"),
                (Some(stub), None, Ok(outcome)) if !stub.repeats(outcome) => {
                    format!("{NOT_REPEATED}`{tool}` with recorded arguments came to something else")
                }
                (_, None, _) => return attempted,
            };
            Ok(Outcome::Trap(TrapReport { message, frames: Vec::new() }))
        })
    }
}

/// Of arguments that were not recorded: a guest that asks for nothing runs all the same.
fn unrecorded() -> Cassette {
    Cassette { format: FORMAT, header: Header::default(), entries: Vec::new(), end: None }
}

/// Runs an attempt with the imports of a cassette, found by their arguments. Beside its outcome: what it asked for that the
/// cassette does not have. Its traces have what the attempt did on record, if it asks for that again.
pub(crate) async fn played(
    sandbox: &Sandbox,
    attempt: Attempt<'_>,
    (cassette, effects): (Cassette, &v3::Effects),
) -> (Attempted, Option<String>) {
    let seed = unhex(&cassette.header.seed).and_then(|seed| seed.try_into().ok()).unwrap_or(attempt.seed);
    let tape = Tape::playing(Player::new(cassette, Mode::Stub));
    // Without a ledger no effect leaves, whatever the guest does.
    let (traces, ledger) = (attempt.traces, attempt.ledger);
    let alone = Attempt { traces: &mut *traces, ledger: None, tape: tape.clone(), seed, ..attempt };
    let attempted = sandbox.run(alone).await;
    let Some(player) = tape.player() else { return (attempted, None) };
    player.settle().await;
    let has_ended = !player.is_over();
    let (asked, divergence) = player.finish();
    if let Some(ledger) = ledger {
        // A retry, and what the caller is told, depend on it.
        traces.effects = ledger.recall((!asked.is_empty()).then_some(effects));
    }
    let left = match divergence {
        Some(divergence) => {
            let asked = divergence.replayed.map(|import| format!(", `{}`", import.name));
            Some(format!("{}{}", divergence.what, asked.unwrap_or_default()))
        }
        None if has_ended => None,
        None => Some("it asked for more than is on record".to_owned()),
    };
    (attempted, left)
}

/// A clock that began at another time.
struct Clock {
    began: Duration,
    /// When it began, by the clock of `world`.
    since: Duration,
    world: SharedEnvironment,
}

impl Environment for Clock {
    fn wall(&self) -> Duration {
        self.began.saturating_add(self.world.monotonic().saturating_sub(self.since))
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic()
    }

    fn seed(&self) -> [u8; 32] {
        self.world.seed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.world.sleep(duration)
    }

    fn pause(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}
