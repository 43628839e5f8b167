//! A program that gives its tools a capability of its own: an outbox, through which a component sends mail.
//!
//! `cargo run -p airlock --features in-process-compiler --example custom_capability`, in the folder of the repository,
//! after `cargo xtask guests`.
//!
//! The component (`tests/guests/mailer`) imports `example:mail/outbox`. The registry grants it to one of two tools; the
//! other one is denied. The provider says that sending is a `write`, so the host writes an intent before such a call
//! starts, and does not repeat an attempt of which a mail has left.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::{Arc, Mutex, PoisonError};

use airlock::capability::wasmtime;
use airlock::capability::{Effect, Facts, Import, Provider, State};
use airlock::{Arguments, Call, Capability, Code, Compiler, Host, Journal};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

/// Mail leaves for this domain only: a provider has bounds of its own, which no grant widens.
const DOMAIN: &str = "@example.com";

/// What a reviewer sees (`effects`, `inspect`, MCP's annotations) follows from these.
const FACTS: Facts = Facts::custom("outbox", &["example:mail/outbox"], Effect::Write, "sends mail");

/// Keeps mail instead of sending it.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<String>>>);

impl Outbox {
    fn sent(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// An `Ok` with an error is the tool's to handle; an `Err` ends it.
    async fn send(
        &self,
        mut store: StoreContextMut<'_, State>,
        to: &str,
        text: &str,
    ) -> wasmtime::Result<Result<u64, String>> {
        if !to.ends_with(DOMAIN) {
            return Ok(Err(format!("mail goes to {DOMAIN} only")));
        }
        // Before the mail leaves, and only if it does: this is the host's proof of what happened.
        let dispatched = store.data_mut().dispatch(&FACTS, Effect::Write).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{to}: {text}"));
        // It is known what became of the mail. Without this a call that fails later would end as `outcome-unknown`.
        dispatched.settle();
        Ok(Ok(self.sent()))
    }
}

impl Provider for Outbox {
    fn facts(&self) -> Facts {
        FACTS
    }

    fn link(&self, linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
        // The name has the version that the component wants.
        let mut instance = linker.instance(&import.name)?;
        let outbox = self.clone();
        instance.func_wrap_async("send", move |store, (to, text): (String, String)| {
            let outbox = outbox.clone();
            Box::new(async move { Ok((outbox.send(store, &to, &text).await?,)) })
        })?;
        let outbox = self.clone();
        // Reading needs no dispatch.
        instance.func_wrap("sent", move |_, (): ()| Ok((outbox.sent(),)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let outbox = Outbox::default();
    let host = Host::builder()
        .registry("examples/custom_capability.toml")
        .journal(Journal::memory())
        .compiler(Compiler::in_process_for_trusted_components())
        .capability(Capability::Custom(Arc::new(outbox.clone())))
        .open()
        .await?;

    let cases = [
        ("mail_invite", r#"{"to": "ada@example.com", "text": "Tea at four?"}"#, Code::Ok),
        // Just outside of the provider's bounds: an error of the tool, and no mail.
        ("mail_invite", r#"{"to": "eve@example.org", "text": "Tea at four?"}"#, Code::ToolError),
        // Without the grant: the call is denied, and no mail.
        ("denied_invite", r#"{"to": "ada@example.com", "text": "Tea at five?"}"#, Code::PolicyDenied),
        ("mail_sent", "{}", Code::Ok),
    ];
    for (tool, args, expected) in cases {
        let reply = host.call(Call::new(tool, Arguments::Text(args.to_owned().into()))).await;
        let result = || reply.result.map(|value| value.to_string()).unwrap_or_default();
        let said = reply.error.map_or_else(result, |error| error.message);
        println!("{tool} {args}\n  {}: {said}", reply.code);
        if reply.code != expected {
            return Err(format!("expected `{expected}`").into());
        }
    }
    println!("the outbox holds {} mail", outbox.sent());
    if outbox.sent() == 1 { Ok(()) } else { Err("expected one mail".into()) }
}
