//! Runs a server while its disk, its files, its compile processes and its upstream fail and it is killed, and checks what
//! must still hold afterwards: no acknowledged effect is lost, none is made twice, every call ends in a typed answer, and
//! memory stays bounded.
//!
//! Owns the schedule. `place` has the files and the small disk, `trouble` what goes wrong, `clients` those who call
//! meanwhile, `other` a process that has the journal beside the server, `clock` calls under a clock that jumps, `report` the observations and the faults. `kills` is a run of its own, of nothing but kills. To add a kind of trouble: a
//! variant of `trouble::Trouble`, which undoes itself when its time is over.

mod clients;
mod clock;
mod kills;
mod other;
mod place;
mod report;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::draw::Draw;
use crate::orders::{Fate, Orders};
use crate::server::Server;
use crate::soak::{Sample, now};
use clients::Client;
pub use kills::{Kills, kills};
pub use other::other;
use place::Place;
pub use report::Report;
use trouble::Trouble;

/// Time between two troubles, in which the server must recover.
const REST: Duration = Duration::from_secs(3);

/// Orders whose fates are drawn beforehand: more than are placed in the longest run.
const FATES: usize = 200_000;

/// What becomes of those orders that have another fate than to be answered: one of `RARE`. None is applied late: these
/// clients place each order once, and nobody asks again.
const KINDS: [Fate; 7] = [
    Fate::Refused(503),
    Fate::Refused(504),
    Fate::AnswerLost,
    Fate::Lost,
    Fate::Hangs,
    Fate::Stuck,
    Fate::Eager,
];

/// So rare that the breaker of the tool is closed most of the time.
const RARE: u64 = 6;

/// The server of the moment. Each start is a new value; between two there is none.
pub(crate) type Running = watch::Receiver<Option<Arc<Server>>>;

/// Runs clients and troubles for a time, in the order that the seed gives.
///
/// # Errors
/// When the server does not start, or cannot be observed.
pub async fn run(length: Duration, seed: u64) -> anyhow::Result<Report> {
    let mut draw = Draw(seed);
    let fates: Vec<Fate> =
        (0..FATES).map(|_| if draw.below(RARE) == 0 { draw.of(&KINDS) } else { Fate::Answered }).collect();
    let orders = Arc::new(Orders::start(&fates).await?);
    let place = Place::new(&orders)?;
    let mut report = Report::new(length);
    let (turn, running) = watch::channel(Some(Arc::new(place.start()?)));
    let until = now() + length;
    let mut clients = JoinSet::new();
    for client in Client::all(&orders) {
        clients.spawn(client.run(running.clone(), until));
    }
    clients.spawn(clock::run(place.beside()?, until));
    // Each kind once in a round, so that a short run has all of them.
    let mut round: Vec<Trouble> = Vec::new();
    while now() < until {
        tokio::time::sleep(REST.min(until.saturating_duration_since(now()))).await;
        report.samples.push(Sample::of(server(&turn)?.id())?);
        if round.is_empty() {
            round = draw.shuffled(&Trouble::ALL);
        }
        if let Some(trouble) = round.pop() {
            let struck = trouble.strike(&place, &turn).await?;
            report.struck(trouble, struck);
            report.samples.push(Sample::of(server(&turn)?.id())?);
        }
    }
    while let Some(tally) = clients.join_next().await {
        report.take(tally?);
    }
    trouble::restart(&place, &turn).await?;
    let last = server(&turn)?;
    report.close(&last, &orders, &place).await?;
    Ok(report)
}

/// The server that runs now.
fn server(turn: &watch::Sender<Option<Arc<Server>>>) -> anyhow::Result<Arc<Server>> {
    turn.borrow().clone().ok_or_else(|| anyhow::anyhow!("no server runs"))
}
