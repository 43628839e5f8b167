//! Measures the edges of a call: wrong arguments beside right ones of the same size, and many callers beside one.
//!
//! Owns the forms of wrong arguments. To add one: an arm in `forms`.

mod forms;

use std::time::Duration;

use airlock::host::Host;
use airlock_contract::arguments;
use airlock_contract::tool::Contract;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use anyhow::{Result, ensure};

use crate::clock::now;
use crate::figures::{Edges, Refused};
use crate::load::Pace;
use crate::registry::Repository;
use crate::stats::{Times, median};
use crate::{http, library};
use forms::Form;

/// Bytes of arguments. Below 64 KiB each mend of wrong arguments is tried.
const SIZES: [usize; 3] = [1_000, 50_000, 500_000];

/// Bytes that the calls of one turn send, and the bounds of their number.
const TURN_BYTES: usize = 1_000_000;
const TURN_CALLS: (usize, usize) = (5, 100);

/// Measures every figure.
///
/// # Errors
/// When a call is not answered as expected.
pub async fn measure(repository: &Repository, quick: bool) -> Result<Edges> {
    let host = library::open(&repository.echoes()?).await?;
    let mut refused = Vec::new();
    for bytes in SIZES {
        for form in forms::forms(bytes) {
            refused.push(beside_right(&host, &form, if quick { 3 } else { 15 }).await?);
        }
    }
    drop(host);
    Ok(Edges { refused, callers: http::callers(repository, Pace::of(quick))? })
}

/// Measures a form in turn with its right arguments.
async fn beside_right(host: &Host, form: &Form, rounds: usize) -> Result<Refused> {
    let tool = host.visible(&Caller::local()).resolve(form.tool)?.clone();
    let (mut rights, mut wrongs) = (Vec::new(), Vec::new());
    let (mut ratios, mut alone_ratios) = (Vec::new(), Vec::new());
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        let right = turn(host, form, &form.right).await?;
        let wrong = turn(host, form, &form.wrong).await?;
        let alone = [&form.right, &form.wrong].map(|text| alone(host, &tool.contract, text));
        if round > 0 {
            ratios.push(ratio(&wrong, &right));
            alone_ratios.push(ratio(&alone[1], &alone[0]));
            rights.extend(right);
            wrongs.extend(wrong);
        }
    }
    Ok(Refused {
        form: form.name.to_owned(),
        bytes: form.wrong.len(),
        right: Times::of(&rights),
        wrong: Times::of(&wrongs),
        ratio: median(&ratios),
        alone_ratio: median(&alone_ratios),
    })
}

fn ratio(wrong: &[Duration], right: &[Duration]) -> f64 {
    Times::of(wrong).p50_us / Times::of(right).p50_us
}

fn calls_of(text: &str) -> usize {
    let (least, most) = TURN_CALLS;
    (TURN_BYTES / text.len().max(1)).clamp(least, most)
}

async fn turn(host: &Host, form: &Form, text: &str) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..calls_of(text) {
        let call = Call::new(form.tool, Arguments::Text(text.as_bytes().to_vec().into()));
        let start = now();
        let reply = host.call(call).await;
        times.push(start.elapsed());
        let is_expected = (reply.code == Code::Ok) == (text == form.right);
        ensure!(is_expected, "{}: answered with {}: {:?}", form.name, reply.code, reply.error);
    }
    // Outside the timed calls: the next turn starts with an empty queue.
    library::settle(host)?;
    Ok(times)
}

/// Parses and validates arguments, without a call.
fn alone(host: &Host, contract: &Contract, text: &str) -> Vec<Duration> {
    let limits = host.argument_limits();
    let one = |_| {
        let start = now();
        let parsed = arguments::parse(text.as_bytes(), &limits);
        // Dropping what came of them is part of their cost.
        drop(parsed.map(|args| contract.validate(args, None)));
        start.elapsed()
    };
    (0..calls_of(text)).map(one).collect()
}
