//! Capabilities that an embedding program adds through the library, and imports that nothing grants.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use airlock::capability::wasmtime;
use airlock::capability::wasmtime::component::Linker;
use airlock::capability::{Capability, Facts, Import, Provider, State};
use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError};
use airlock_contract::package::{Packed, embed};
use airlock_journal::Journal;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::effect::Effect;
use airlock_types::record::Record;
use airlock_types::record::v3::Step;
use airlock_types::reply::Reply;

const FACTS: Facts = Facts::custom("outbox", &["example:mail/outbox"], Effect::Write, "sends mail");

/// Delivers mail to `@example.com` only.
#[derive(Clone, Default)]
struct Outbox {
    sent: Arc<AtomicU64>,
    /// Messages that `dispatch` refused.
    refused: Arc<Mutex<Vec<String>>>,
}

impl Provider for Outbox {
    fn facts(&self) -> Facts {
        FACTS
    }

    fn link(&self, linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
        let mut instance = linker.instance(&import.name)?;
        let outbox = self.clone();
        instance.func_wrap_async("send", move |mut store, (to, _text): (String, String)| {
            let outbox = outbox.clone();
            Box::new(async move {
                if !to.ends_with("@example.com") {
                    return Ok((Err::<u64, _>("no such domain".to_owned()),));
                }
                match store.data_mut().dispatch(&FACTS, Effect::Write).await {
                    Ok(dispatched) if to.starts_with("ada") => dispatched.settle(),
                    // Of mail to others the outbox never learns what became of it.
                    Ok(_open) => {}
                    Err(err) => {
                        outbox.refused.lock().unwrap().push(err.to_string());
                        return Err(err.into());
                    }
                }
                Ok((Ok(outbox.sent.fetch_add(1, Ordering::AcqRel) + 1),))
            })
        })?;
        let outbox = self.clone();
        instance.func_wrap("sent", move |_, (): ()| Ok((outbox.sent.load(Ordering::Acquire),)))
    }
}

/// A folder with the mailer, and a host with the outbox.
struct Mailer {
    folder: tempfile::TempDir,
    outbox: Outbox,
}

impl Mailer {
    fn new() -> Mailer {
        Mailer { folder: tempfile::tempdir().unwrap(), outbox: Outbox::default() }
    }

    /// The mailer with this contract embedded, or without a contract.
    fn file(&self, contract: Option<&str>, settings: &str) -> ConfigFile {
        let bytes = std::fs::read(root().join("tests/guests/build/mailer.wasm")).unwrap();
        let packed = contract.map(|text| Packed { contract: Some(text.into()), ..Packed::default() });
        let bytes = packed.map_or(bytes.clone(), |packed| embed(&bytes, &packed).unwrap());
        registry(self.folder.path(), &bytes, settings)
    }

    async fn open(&self, file: &ConfigFile) -> Result<Host, OpenError> {
        let outbox = Capability::Custom(Arc::new(self.outbox.clone()));
        Host::builder().registry(file).journal(Journal::memory()).capability(outbox).open().await
    }

    /// Calls a function of a plain mailer with these settings.
    async fn check(&self, settings: &str, function: &str, args: &str, expect: Code) -> (Reply, Record) {
        let host = self.open(&self.file(None, settings)).await.unwrap();
        call(&host, function, args, expect).await
    }

    fn sent(&self) -> u64 {
        self.outbox.sent.load(Ordering::Acquire)
    }
}

fn registry(folder: &Path, component: &[u8], settings: &str) -> ConfigFile {
    std::fs::write(folder.join("one.wasm"), component).unwrap();
    let text = format!("[tools.mail]\ncomponent = \"one.wasm\"\n{settings}");
    std::fs::write(folder.join("airlock.toml"), text).unwrap();
    ConfigFile::read(&folder.join("airlock.toml")).unwrap()
}

async fn call(host: &Host, function: &str, args: &str, expect: Code) -> (Reply, Record) {
    let reply = host.call(Call::new(function, Arguments::Text(args.to_owned().into()))).await;
    assert_eq!(reply.code, expect, "{:?}", reply.error);
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    (reply, record)
}

#[track_caller]
fn says(opened: Result<Host, OpenError>, pieces: &[&str]) {
    let Err(err) = opened else { panic!("it opens") };
    let text = match err {
        OpenError::Registry(diagnostics) => diagnostics.to_string(),
        err => err.to_string(),
    };
    assert!(pieces.iter().all(|piece| text.contains(piece)), "{text}");
}

const GRANTED: &str = "grants.custom.outbox = true\n";
const ADA: &str = r#"{"to": "ada@example.com", "text": "tea"}"#;
const EVE: &str = r#"{"to": "eve@example.org", "text": "tea"}"#;
const TO_ADA: &str = r#"{"to": "ada@example.com"}"#;
const ASKS: &str = "[capabilities.custom.outbox]\nreason = \"invitations\"\n";

#[tokio::test]
async fn with_a_grant_mail_leaves() {
    let mailer = Mailer::new();
    let (reply, record) = mailer.check(GRANTED, "mail_invite", ADA, Code::Ok).await;
    assert_eq!((reply.result, mailer.sent()), (Some(1.into()), 1));
    assert!(record.attempts[0].denials.is_empty());
}

#[tokio::test]
async fn just_outside_of_the_providers_bounds_no_mail_leaves() {
    let mailer = Mailer::new();
    let (reply, _) = mailer.check(GRANTED, "mail_invite", EVE, Code::ToolError).await;
    assert!(reply.error.unwrap().message.contains("no such domain"));
    assert_eq!(mailer.sent(), 0);
}

#[tokio::test]
async fn without_a_grant_a_plain_component_is_ended_when_it_sends() {
    for settings in ["", "grants.custom.outbox = false\n", "grants.clock = true\n"] {
        let mailer = Mailer::new();
        let (reply, record) = mailer.check(settings, "mail_invite", ADA, Code::PolicyDenied).await;
        assert!(reply.error.unwrap().message.contains("outbox"));
        assert_eq!((mailer.sent(), &*record.attempts[0].denials), (0, &["outbox".to_owned()][..]));
        // Reading is denied, too.
        mailer.check(settings, "mail_sent", "{}", Code::PolicyDenied).await;
    }
}

#[tokio::test]
async fn a_contract_that_requests_it_does_not_run_without_the_grant() {
    let mailer = Mailer::new();
    let contract = format!("effects = \"write\"\n{ASKS}");
    let host = mailer.open(&mailer.file(Some(&contract), "")).await.unwrap();
    let (_, record) = call(&host, "mail_sent", "{}", Code::PolicyDenied).await;
    assert!(record.attempts.is_empty());
    let (_, warnings) = host.summary();
    assert!(warnings[0].contains("asks for outbox (invitations)"), "{warnings:?}");
    assert!(warnings[0].contains("grants.custom.outbox = true"), "{warnings:?}");
    // A reload keeps the capabilities of the program.
    host.reload(&mailer.file(Some(&contract), GRANTED)).await.unwrap();
    call(&host, "mail_invite", ADA, Code::Ok).await;
}

#[tokio::test]
async fn a_contract_that_does_not_request_it_does_not_get_it() {
    let mailer = Mailer::new();
    let host = mailer.open(&mailer.file(Some("effects = \"write\"\n"), GRANTED)).await.unwrap();
    call(&host, "mail_invite", ADA, Code::PolicyDenied).await;
    assert_eq!(mailer.sent(), 0);
}

#[tokio::test]
async fn a_grant_makes_the_tool_a_write_that_is_open_to_the_world() {
    let mailer = Mailer::new();
    for (settings, effect, is_open_world) in [("", Effect::Pure, false), (GRANTED, Effect::Write, true)] {
        let host = mailer.open(&mailer.file(None, settings)).await.unwrap();
        let tools = host.visible(&Caller::local());
        let tool = tools.resolve("mail_invite").unwrap();
        assert_eq!((tool.effect, tool.is_open_world), (effect, is_open_world));
    }
    let read = mailer.file(Some(&format!("effects = \"read\"\n{ASKS}")), GRANTED);
    says(mailer.open(&read).await, &["declares that it is read", "its grants make write possible"]);
}

#[tokio::test]
async fn no_effect_leaves_a_call_without_an_intent() {
    let mailer = Mailer::new();
    let settings = format!("effects = \"read\"\n{GRANTED}");
    let (reply, record) = mailer.check(&settings, "mail_invite", ADA, Code::PolicyDenied).await;
    assert!(reply.error.unwrap().message.contains("outbox"));
    assert_eq!((mailer.sent(), &*record.attempts[0].denials), (0, &["outbox".to_owned()][..]));
    let refused = mailer.outbox.refused.lock().unwrap().clone();
    assert_eq!(refused, ["the tool counts as one without effects, and used `outbox` for one that is write"]);
    mailer.check(&settings, "mail_sent", "{}", Code::Ok).await;
}

#[tokio::test]
async fn an_attempt_is_not_repeated_once_its_effect_left() {
    let mailer = Mailer::new();
    let settings = format!("retry.attempts = 3\nuseful_ms_min = 1\n{GRANTED}");
    let (_, record) = mailer.check(&settings, "mail_send_then_abort", TO_ADA, Code::Trap).await;
    assert_eq!((mailer.sent(), record.attempts.len()), (1, 1));
    let because = "it may have had an effect";
    let stopped = |step: &Step| matches!(step, Step::Stopped { why, .. } if why == because);
    assert!(record.path.iter().any(stopped), "{:?}", record.path);
    // No effect was dispatched before this abort, which proves that the call may run again.
    let (_, record) = mailer.check(&settings, "mail_abort_then_send", TO_ADA, Code::Trap).await;
    assert_eq!((mailer.sent(), record.attempts.len()), (1, 3));
}

#[tokio::test]
async fn an_effect_that_its_provider_does_not_settle_is_unknown() {
    let mailer = Mailer::new();
    let bob = r#"{"to": "bob@example.com"}"#;
    let (reply, record) = mailer.check(GRANTED, "mail_send_then_abort", bob, Code::OutcomeUnknown).await;
    assert_eq!((mailer.sent(), record.attempts.len()), (1, 1));
    assert!(reply.error.unwrap().message.contains("had begun to change something at `outbox`"));
}

#[tokio::test]
async fn a_grant_of_what_was_not_added_is_refused_with_what_there_is() {
    let mailer = Mailer::new();
    for (grant, says_what) in [
        ("grants.custom.outbx = true\n", "no custom capability `outbx`; it has `outbox`"),
        ("grants.custom.outbx = false\n", "no custom capability `outbx`"),
        ("grants.custom.clock = true\n", "no custom capability `clock`"),
    ] {
        says(mailer.open(&mailer.file(None, grant)).await, &[says_what]);
    }
    let none = Host::builder().registry(mailer.file(None, GRANTED)).open().await;
    says(none, &["this host has no custom capability, and so no `outbox`"]);
    let none = Host::builder().registry(mailer.file(None, "")).open().await;
    says(none, &["imports that nothing provides: `example:mail/outbox@1.0.0`"]);
}

#[tokio::test]
async fn an_import_that_a_capability_owns_cannot_be_declared() {
    let mailer = Mailer::new();
    let declared = "imports.\"example:mail/outbox@1.0.0\" = \"trap\"\n";
    says(mailer.open(&mailer.file(None, declared)).await, &["the host provides `example:mail/outbox@1.0.0`"]);
}

#[tokio::test]
async fn another_signature_is_refused_before_anything_is_denied() {
    let component = wat::parse_str(
        r#"(component
            (import "example:mail/outbox@1.0.0" (instance (export "sent" (func (result string)))))
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
    );
    let mailer = Mailer::new();
    for settings in ["", GRANTED] {
        let file = registry(mailer.folder.path(), component.as_ref().unwrap(), settings);
        says(mailer.open(&file).await, &["another signature", "example:mail/outbox@1.0.0", "sent"]);
    }
}

/// Makes a TCP socket and returns the error code, or 255.
fn connecting() -> Vec<u8> {
    let codes = [
        "unknown",
        "access-denied",
        "not-supported",
        "invalid-argument",
        "out-of-memory",
        "timeout",
        "concurrency-conflict",
        "not-in-progress",
        "would-block",
        "invalid-state",
        "new-socket-limit",
        "address-not-bindable",
        "address-in-use",
        "remote-unreachable",
        "connection-refused",
        "connection-reset",
        "connection-aborted",
        "datagram-too-large",
        "name-unresolvable",
        "temporary-resolver-failure",
        "permanent-resolver-failure",
    ];
    let codes = codes.map(|code| format!("\"{code}\"")).join(" ");
    wat::parse_str(format!(
        r#"(component
            (import "wasi:sockets/network@0.2.0" (instance $network
                (type $code (enum {codes})) (export "error-code" (type (eq $code)))
                (type $family (enum "ipv4" "ipv6")) (export "ip-address-family" (type (eq $family)))))
            (alias export $network "error-code" (type $code))
            (alias export $network "ip-address-family" (type $family))
            (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
            (alias export $tcp "tcp-socket" (type $socket))
            (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
                (export "error-code" (type $c (eq $code)))
                (export "ip-address-family" (type $f (eq $family)))
                (export "tcp-socket" (type $s (eq $socket)))
                (export "create-tcp-socket"
                    (func (param "address-family" $f) (result (result (own $s) (error $c)))))))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $create-lowered
                (canon lower (func $create "create-tcp-socket") (memory $memory "memory")))
            (core module $m
                (import "host" "create" (func $create (param i32 i32)))
                (import "host" "memory" (memory 1))
                (func (export "f") (result i32)
                    (call $create (i32.const 0) (i32.const 16))
                    (select (i32.load8_u (i32.const 20)) (i32.const 255) (i32.load8_u (i32.const 16)))))
            (core instance $i (instantiate $m (with "host" (instance
                (export "create" (func $create-lowered)) (export "memory" (memory $memory "memory"))))))
            (func (export "f") (result u8) (canon lift (core func $i "f"))))"#
    ))
    .unwrap()
}

#[tokio::test]
async fn a_socket_is_refused_whatever_is_granted() {
    let folder = tempfile::tempdir().unwrap();
    for settings in ["", "grants.clock = true\ngrants.random = true\n"] {
        let file = registry(folder.path(), &connecting(), settings);
        let host = Host::builder().registry(&file).open().await.unwrap();
        let (reply, _) = call(&host, "mail", "{}", Code::Ok).await;
        assert_eq!(reply.result, Some(1.into()), "`access-denied`");
    }
}
