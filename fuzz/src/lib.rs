//! The properties that fuzzing checks, one function for each kind of untrusted bytes.
//!
//! Owns what must hold for arbitrary input: no panic, and what is stated in each function. Must not know the fuzzer:
//! `fuzz_targets` has one line for each function, and `cargo xtask fuzz` collects the seeds and runs them. The inputs
//! in `corpus` found a fault once, or reach a branch that seeds do not; the tests of this crate run them. To add a
//! target: a function here with its name in [`TARGETS`], a file in `fuzz_targets`, a `[[bin]]`, a folder in `corpus`,
//! and its seeds in `xtask/src/fuzz/seeds.rs`.

mod types;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use airlock::config::ConfigFile;
use airlock::seam::Examiner;
use airlock::signature::{Component, Envelope, Evidence, Policy, Signed};
use airlock_contract::arguments::{self, ArgumentLimits};
use airlock_contract::expression::{Expression, Scope};
use airlock_contract::manifest::Manifest;
use airlock_contract::surface::Parts;
use airlock_contract::tool::{Contract, Moment};
use airlock_contract::{message, package};
use airlock_types::diagnostic::Diagnostics;
use airlock_types::digest::sha256;
use airlock_types::text;
use serde_json::Value;

/// What a target does with one input.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 7] = [
    ("arguments", arguments),
    ("component", component),
    ("contract", contract),
    ("expression", expression),
    ("mcp_line", mcp_line),
    ("registry", registry),
    ("signature", signature),
];

/// Longest error that one set of arguments gets, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

static EXAMINER: LazyLock<Option<Examiner>> = LazyLock::new(Examiner::new);
static CONTRACT: LazyLock<Result<Contract, String>> = LazyLock::new(types::contract);

/// The arguments of a call: accepted ones are accepted again in their canonical form, which is then the same; an error
/// is bounded and visible, and what it offers as an example is valid.
pub fn arguments(bytes: &[u8]) {
    let contract = CONTRACT.as_ref().expect("the contract of the target holds");
    let Ok(args) = arguments::parse(bytes, &ArgumentLimits::default()) else { return };
    match contract.validate(args, None) {
        Ok(valid) => {
            let canonical = valid.canonical();
            let again = arguments::parse(canonical.as_bytes(), &ArgumentLimits::default());
            let again = again.map_err(|violation| vec![violation]);
            let again =
                again.and_then(|args| contract.validate(args, None).map_err(|(violations, _)| violations));
            assert_eq!(again.as_ref().map(|again| again.canonical()).ok(), Some(canonical));
        }
        Err((violations, mended)) => {
            assert!(!violations.is_empty(), "a refusal says what is wrong");
            let example = contract.mended(mended, Moment::without_session(0));
            if let Some(Value::Object(example)) = &example {
                assert!(contract.validate(example.clone(), None).is_ok(), "an example is valid: {example:?}");
            }
            let text = message::text("tool", &violations, example.as_ref());
            assert!(text.len() <= MESSAGE_BYTES_MAX, "{} bytes", text.len());
            assert_eq!(text, text::visible(&text), "an error hides nothing");
        }
    }
}

/// A component: it is described or refused; a contract that was packed into it is found again.
pub fn component(bytes: &[u8]) {
    let packed = package::Packed { contract: Some("effects = \"read\"".into()), ..Default::default() };
    if let Ok(component) = package::embed(bytes, &packed) {
        assert_eq!(package::packed(&component).ok(), Some(Some(packed)), "a packed contract is found again");
    }
    let examiner = EXAMINER.as_ref().expect("the compiler starts");
    assert!(examiner.answers(bytes), "a component is compiled or refused");
}

/// A `contract.toml`: it fits the functions of the target, or each problem is shown with its place.
pub fn contract(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let bound =
        Manifest::parse(text, "contract.toml").and_then(|manifest| manifest.bind(&[types::function()]));
    if let Err(problems) = bound {
        is_shown(&problems);
    }
}

/// An expression of a contract: it costs no more than its bound, or is refused at a place inside its text.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let function = types::function();
    let result = function.ty.result.clone();
    let scope = Scope {
        args: function.ty.params.as_slice().into(),
        result: result.map(Arc::new),
        ..Scope::default()
    };
    match Expression::compile_bool(text, &scope.into()) {
        Ok(expression) => types::judge(&expression, &function.ty),
        Err(refused) => {
            assert!(text.get(refused.span.clone()).is_some(), "{refused:?} is not inside of {text:?}")
        }
    }
}

/// A line of MCP over stdio: a request is answered under the id that is written in it.
pub fn mcp_line(bytes: &[u8]) {
    let id = airlock_server::seam::line_id(bytes);
    let Ok(Value::Object(message)) = serde_json::from_slice::<Value>(bytes) else { return };
    if let (Some(written @ Value::String(_)), true) = (message.get("id"), message.contains_key("method")) {
        // As values: a string has many spellings in JSON, and a refused line shows the client's own.
        let answered: Option<Value> = id.and_then(|id| serde_json::from_str(&id).ok());
        assert_eq!(answered.as_ref(), Some(written));
    }
}

/// An `airlock.toml`: it is read, or each problem is shown with its place.
pub fn registry(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(problems) = ConfigFile::parse(text, Path::new("airlock.toml")) {
        is_shown(&problems);
    }
}

fn is_shown(problems: &Diagnostics) {
    let text = problems.render(false);
    assert!(!text.trim().is_empty(), "a refusal says what is wrong");
    assert_eq!(text, text::visible(&text), "an error hides nothing");
}

/// A component without content. A file of minisign in the corpus is of it.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

/// The keys of the signatures in the corpus.
const KEYS: [&str; 2] = [
    "key:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    "minisign:RWTTQc18JCpwo6M76mJAe/FsC5vPr8hCaj7xc7n7hoI2jMynmlBQRzvk",
];

/// The files with signatures beside a component: what verifies one component verifies no other, and envelopes that are read
/// are written as the same.
pub fn signature(bytes: &[u8]) {
    let keys = KEYS.iter().map(|key| key.parse().expect("the keys of the target hold")).collect();
    let policy = Policy { trust: keys, name: "empty.wasm".into(), ..Policy::default() };
    let other = [EMPTY, &[0, 2, 1, b'x']].concat();
    let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
    for (beside, minisig) in [(Some(bytes), None), (None, text)] {
        let verified = |component: &[u8]| is_verified(component, beside, minisig.clone(), &policy);
        assert!(!(verified(EMPTY) && verified(&other)), "one signature of two components");
    }
    let Ok(envelopes) = Envelope::lines(bytes) else { return };
    let lines: String = envelopes.iter().filter_map(|envelope| envelope.line().ok()).collect();
    assert_eq!(Envelope::lines(lines.as_bytes()).ok(), Some(envelopes), "envelopes are read back");
}

fn is_verified(component: &[u8], beside: Option<&[u8]>, minisig: Option<String>, policy: &Policy) -> bool {
    let parts = Parts { wit: "w".into(), surface: "s".into(), contract: None, requests: Default::default() };
    let digest = sha256(component);
    let about = Component { name: &policy.name, digest: &digest, parts: &parts };
    let judged = Evidence::read(component, beside, minisig)
        .and_then(|found| found.authenticate(component, policy, false))
        .and_then(|authentic| authentic.judge(Some(&about), policy, 0));
    matches!(judged, Ok(Signed::Verified(_)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_target_has_a_program() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
        let mut programs: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        programs.sort();
        assert_eq!(programs, TARGETS.map(|(name, _)| format!("{name}.rs")));
    }

    #[test]
    fn what_was_found_once_is_not_found_again() {
        for (name, target) in TARGETS {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "{} is empty", folder.display());
            inputs.iter().for_each(|input| target(&fs::read(input).unwrap()));
        }
    }
}
