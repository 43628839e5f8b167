//! `airlock serve --stdio`: the tools over MCP.

use std::path::Path;
use std::sync::Arc;

use super::print::{Printer, Said};
use super::{Ended, open};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Over stdin and stdout; whoever starts the program is its client
    #[arg(long)]
    stdio: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, _: &Printer) -> Ended {
    if !args.stdio {
        return Err(Said("say how to serve: `airlock serve --stdio`".into()).into());
    }
    let host = Arc::new(open::host(registry).await?);
    crate::transport::stdio::serve(host).await?;
    Ok(0)
}
