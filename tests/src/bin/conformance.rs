//! The host for the official conformance suite: the product with the suite's fixtures around it.
//!
//! `conformance REGISTRY` listens on a free port of this machine. It prints its URL on the first line, and on the
//! following lines what answered each request. It ends with its stdin. Nothing here is part of the product.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock::sandbox::compiler::Compiler;
use airlock_server::transport::http::{MCP_PATH, listen, serve};
use airlock_tests::conformance::Fixtures;
use anyhow::Context as _;
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let registry: PathBuf = std::env::args_os().nth(1).context("say which registry")?.into();
    let mut file = ConfigFile::read(&registry)?;
    // The suite sends no token.
    file.config.http.allow_anonymous = true;
    let compiler = Compiler::program(airlock_tests::program());
    let host = Arc::new(Host::builder().registry(&file).compiler(compiler).open().await?);
    let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    anstream::println!("http://{}{MCP_PATH}", listener.local_addr()?);
    let fixtures = Fixtures::new(host.clone(), file);
    serve(host, listener, move || fixtures.clone(), end_of_stdin()).await?;
    Ok(())
}

async fn end_of_stdin() {
    let mut stdin = tokio::io::stdin();
    let mut rest = [0; 64];
    while stdin.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}
