//! What is recorded of an attempt: its tape before it runs, and its recording once it has ended.
//!
//! Owns the head of a cassette and the stored form of an outcome. Must not know how imports are recorded.

use serde_json::Value;

use crate::execute::{Attempted, Outcome};
use crate::policy::Permit;
use crate::registry::Tool;
use crate::sandbox::engine;
use crate::tape::{Recorder, Tape};
use airlock_contract::lift::lift;
use airlock_types::cassette::{End, Header, RecordMode, Recording};
use airlock_types::digest::hex;
use airlock_types::usage;

/// The tape of an attempt, which records as the operator says.
pub(super) fn tape(tool: &Tool, permit: &Permit) -> Tape {
    let record = &tool.record;
    if record.mode == RecordMode::Off {
        return Tape::default();
    }
    let recorder = Recorder::new(record.mode, record.bytes_max, permit.limits().fuel);
    if let Some(name) = permit.effective().custom.iter().next() {
        recorder.lack(&format!("the capability `{name}` of the program is not recorded"));
    }
    Tape::recording(recorder)
}

/// An attempt on its tape.
pub(super) struct Taped<'a> {
    pub(super) tape: Tape,
    pub(super) tool: &'a Tool,
    pub(super) permit: &'a Permit,
    pub(super) seed: [u8; 32],
    /// Whether effects could leave.
    pub(super) has_intent: bool,
}

impl Taped<'_> {
    /// What was recorded. None for a tool that is not recorded.
    pub(super) fn finish(&self, attempted: &Attempted, usage: &usage::Usage) -> Option<Box<Recording>> {
        let recorder = self.tape.recorder()?;
        let end = match attempted {
            Ok(outcome) => end(self.tool, outcome, usage.fuel),
            Err(_) => {
                recorder.lack("the host failed");
                End { kind: "host".to_owned(), detail: Value::Null, fuel: usage.fuel }
            }
        };
        if let Ok(Outcome::SecretEcho { .. }) = attempted {
            recorder.lack("a response had a secret in it, which is not recorded");
        }
        let random = self.permit.effective().random.is_some();
        if random && !recorder.is_full() {
            recorder.lack("its random bytes are recorded with `record = \"full\"` alone");
        }
        let header = if recorder.is_full() { self.header() } else { Header::default() };
        Some(Box::new(recorder.finish(header, end, self.tool.record.sealing())))
    }

    fn header(&self) -> Header {
        let (limits, effective) = (self.permit.limits(), self.permit.effective());
        Header {
            host: env!("CARGO_PKG_VERSION").to_owned(),
            engine: engine::NAME.to_owned(),
            settings: engine::DETERMINISM.to_owned(),
            component: self.tool.component.digest.to_string(),
            policy: self.permit.policy().to_string(),
            seed: hex(&self.seed),
            fuel_max: limits.fuel,
            memory_bytes_max: limits.memory_bytes_max,
            has_intent: self.has_intent,
            env: (*effective.env).clone(),
            config: (*effective.config).clone(),
        }
    }
}

/// The stored form of an outcome.
pub(crate) fn end(tool: &Tool, outcome: &Outcome, fuel: u64) -> End {
    let (kind, detail) = match outcome {
        Outcome::Value(None) => (End::VALUE, Value::Null),
        Outcome::Value(Some(value)) => {
            let ty = tool.contract.function.ty.result.as_ref();
            // A value that is not of its type is a fault of the host, which judging it reports.
            (End::VALUE, ty.and_then(|ty| lift(ty, value).ok()).unwrap_or_default())
        }
        // Without the frames: names of functions come and go with a build.
        Outcome::Trap(trap) => ("trap", trap.message.clone().into()),
        Outcome::Limit(hit) => (hit.code().as_str(), Value::Null),
        Outcome::Denied { capability, function } => {
            ("denied", vec![capability.clone(), function.clone()].into())
        }
        Outcome::SecretEcho { secret } => ("secret-echo", secret.clone().into()),
    };
    End { kind: kind.to_owned(), detail, fuel }
}
