//! What retention leaves of a record: names, codes, times, usage, and digests of components and policies.

use super::{Attempt, Confidential, Decision, Denial, Finding, Jitter, Plan, Record, Recording, Trap};

impl<J> Record<J> {
    /// Erases what the caller and the tools said, and what tells of it: arguments, reply, logs, places of requests, values in
    /// findings, messages of traps, and the digest of the arguments with the seed of the jitter, from which short ones could be guessed. What is left is
    /// the head of the record: the log of a journal commits to it when the record is written. `erased_unix_ms` stays as it is.
    pub fn erase(&mut self) {
        // Destructured without `..`: a new field does not compile until it is kept or erased by name.
        let Record {
            format: _,
            id: _,
            tool: _,
            caller: _,
            session: _,
            trace: _,
            started_unix_ms: _,
            ended_unix_ms: _,
            code: _,
            args,
            facts,
            repeat: _,
            component: _,
            hold: _,
            decision,
            policy: _,
            plan,
            path: _,
            attempts,
            reply,
            parts,
            confidential,
            erased_unix_ms: _,
        } = self;
        *args = None;
        // What was looked up is made of the arguments, and what was found of results.
        *facts = None;
        if let Some(Decision { ruling: _, reasons, denied }) = decision {
            // Reasons name what was asked for.
            reasons.clear();
            denied.iter_mut().for_each(erase_denial);
        }
        if let Some(Plan { version: _, args_digest, jitter, deadline_ms: _, routes: _, worst_case: _ }) = plan
        {
            args_digest.clear();
            // The waits of a plan follow from it and the arguments: with both, a guess of the arguments could be checked.
            if let Jitter::Seeded(seed) = jitter {
                seed.clear();
            }
        }
        attempts.iter_mut().for_each(erase_attempt);
        *reply = None;
        parts.clear();
        if let Some(Confidential { fields: _, sealed, lacks: _ }) = confidential {
            sealed.clear();
        }
    }
}

fn erase_attempt(attempt: &mut Attempt) {
    let Attempt {
        route: _,
        component: _,
        number: _,
        code: _,
        usage: _,
        log,
        trap,
        denials: _,
        denied,
        uses,
        findings,
        effects,
        recording,
    } = attempt;
    log.clear();
    if let Some(Trap { message, frames: _ }) = trap {
        message.clear();
    }
    denied.iter_mut().for_each(erase_denial);
    uses.iter_mut().for_each(|used| used.what.clear());
    for Finding { kind: _, verdict: _, path, expected, got } in findings {
        // A path has keys of the result in it.
        [path, expected, got].into_iter().for_each(String::clear);
    }
    if let Some(effects) = effects {
        // Their number stays: the same as `dispatched - settled`.
        effects.open_at.clear();
    }
    if let Some(recording) = recording {
        erase_recording(recording);
    }
}

fn erase_recording(recording: &mut Recording) {
    // Of short cassettes and outcomes, digests tell whether a guess is right.
    let Recording { mode: _, imports: _, bytes: _, sha256, end_sha256, lacks, sealed: _, cassette } =
        recording;
    [sha256, end_sha256, cassette].into_iter().for_each(String::clear);
    *lacks = Some("what the call and its tool said was erased".to_owned());
}

fn erase_denial(denial: &mut Denial) {
    let Denial {
        capability: _,
        asked,
        kind: _,
        rule: _,
        at: _,
        grant,
        below: _,
        how: _,
        replaces: _,
        reported: _,
    } = denial;
    // The line that would grant it names what was asked for.
    *grant = None;
    asked.clear();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Jitter, Record};

    #[test]
    fn nothing_is_left_from_which_arguments_could_be_guessed() {
        let record = json!({
            "format": 3, "id": "a", "tool": "t", "caller": "c", "started_unix_ms": 0, "ended_unix_ms": 1, "code": "ok",
            "args": {"pin": 1234}, "component": null, "path": [], "attempts": [], "reply": {"result": 1},
            "plan": {"version": 1, "args_digest": "0f", "jitter": {"seeded": "00ff"}, "deadline_ms": 1, "routes": []},
        });
        let mut record: Record = serde_json::from_value(record).unwrap();
        record.erase();
        let plan = record.plan.unwrap();
        assert_eq!((record.args, record.reply, plan.args_digest.as_str()), (None, None, ""));
        assert_eq!(plan.jitter, Jitter::Seeded(String::new()));
    }
}
