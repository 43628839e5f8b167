//! Measures the cost of counting: a guest that only computes, with fuel, with epochs, with both and with neither.
//!
//! The product needs both: fuel makes a call cost the same everywhere, epochs end a call in time. Must not use the
//! product's engine, in which neither can be switched off.

use std::time::Duration;

use anyhow::{Result, anyhow};
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, TypeSection, ValType,
};
use wasmtime::{Config, Engine, Instance, Module, Store, TypedFunc};

use crate::clock::timed;
use crate::figures::Metered;
use crate::stats::median;

/// Lengths of the loop's body, in steps. The counters are checked once per iteration, so one step is the worst case;
/// the other is a body of ordinary length.
const BODIES: [usize; 2] = [1, 32];

/// Steps of one run, whatever the length of the body.
const STEPS: usize = 4_000_000;

/// Independent sums that the steps add to in turn.
const SUMS: u32 = 4;

/// Ways of counting: name, fuel, epochs.
const WAYS: [(&str, bool, bool); 4] =
    [("neither", false, false), ("epochs", false, true), ("fuel", true, false), ("both", true, true)];

/// An instance with one way of counting.
struct Guest {
    store: Store<()>,
    run: TypedFunc<i32, i64>,
}

/// Measures every way of counting, in turn.
///
/// # Errors
/// When a guest does not compile or return.
pub fn measure(quick: bool) -> Result<Vec<Metered>> {
    let rounds = if quick { 5 } else { 40 };
    let bodies = BODIES.map(|body| of_body(body, rounds));
    bodies.into_iter().collect::<wasmtime::Result<_>>().map_err(|err| anyhow!("{err:#}"))
}

fn of_body(steps: usize, rounds: usize) -> wasmtime::Result<Metered> {
    let wasm = module(steps);
    let mut guests = Vec::new();
    for (_, fuel, epochs) in WAYS {
        guests.push(guest(&wasm, fuel, epochs)?);
    }
    let mut ratios = [const { Vec::new() }; WAYS.len()];
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        let mut times = [Duration::ZERO; WAYS.len()];
        for (guest, time) in guests.iter_mut().zip(&mut times) {
            *time = guest.time(STEPS / steps)?;
        }
        // `WAYS` begins with the run that counts nothing.
        let bare = times[0].as_secs_f64();
        if round > 0 {
            ratios.iter_mut().zip(times).for_each(|(all, time)| all.push(time.as_secs_f64() / bare));
        }
    }
    let ways = WAYS.iter().zip(&ratios).map(|((name, ..), ratios)| ((*name).to_owned(), median(ratios)));
    Ok(Metered { steps, ways: ways.collect() })
}

impl Guest {
    fn time(&mut self, turns: usize) -> wasmtime::Result<Duration> {
        let turns = i32::try_from(turns)?;
        let (done, took) = timed(|| self.run.call(&mut self.store, turns));
        done.map(|_| took)
    }
}

fn guest(wasm: &[u8], fuel: bool, epochs: bool) -> wasmtime::Result<Guest> {
    let mut config = Config::new();
    // All other settings are the engine's defaults and equal for all ways.
    config.consume_fuel(fuel).epoch_interruption(epochs);
    let engine = Engine::new(&config)?;
    let mut store = Store::new(&engine, ());
    if fuel {
        // So much that it never runs out: only counting is measured.
        store.set_fuel(u64::MAX)?;
    }
    // Never reached: only the check costs. Half of the range, because wasmtime 48 adds the deadline to the current
    // epoch without a check for overflow.
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = Instance::new(&mut store, &Module::from_binary(&engine, wasm)?, &[])?;
    let run = instance.get_typed_func(&mut store, "run")?;
    Ok(Guest { store, run })
}

/// The module with `run(turns)`: a loop whose body has this many steps. The steps are independent, because waiting for
/// each other would hide the cost of counting.
fn module(steps: usize) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I64]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    let mut body = Function::new([(SUMS, ValType::I64)]);
    body.instructions().loop_(BlockType::Empty);
    for (step, sum) in (0..steps).zip((1..=SUMS).cycle()) {
        body.instructions().local_get(0).i64_extend_i32_u().i64_const(step as i64).i64_xor();
        body.instructions().local_get(sum).i64_add().local_set(sum);
    }
    body.instructions().local_get(0).i32_const(1).i32_sub().local_tee(0).br_if(0).end();
    body.instructions().local_get(1);
    for sum in 2..=SUMS {
        body.instructions().local_get(sum).i64_add();
    }
    body.instructions().end();
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&functions).section(&exports).section(&code);
    module.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_counting_gives_the_same_result() {
        let wasm = module(3);
        let results = WAYS.map(|(_, fuel, epochs)| {
            let mut guest = guest(&wasm, fuel, epochs).unwrap();
            guest.run.call(&mut guest.store, 1_000).unwrap()
        });
        assert!(results.iter().all(|result| *result == results[0]) && results[0] != 0, "{results:?}");
    }
}
