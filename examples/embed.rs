//! A program that calls tools by itself: no server, no database, no second process.
//!
//! `cargo run -p airlock --features in-process-compiler --example embed`, in the folder of the repository.

#![expect(clippy::print_stdout, reason = "it shows the reply")]

use airlock::{Arguments, Call, Code, Compiler, Host, Journal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Host::builder()
        .registry("examples/airlock.toml")
        .journal(Journal::memory())
        .compiler(Compiler::in_process_for_trusted_components())
        .open()
        .await?;
    let arguments = Arguments::Text(r#"{"value": 10, "from": "km", "to": "mile"}"#.into());
    let reply = host.call(Call::new("unit_convert", arguments)).await;
    println!("{}", serde_json::to_string_pretty(&reply)?);
    if reply.code == Code::Ok { Ok(()) } else { Err(reply.code.as_str().into()) }
}
