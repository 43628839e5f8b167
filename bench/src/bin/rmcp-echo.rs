//! A server of rmcp and nothing else: the cost of the protocol library alone.

use airlock_bench::echo::Echo;
use rmcp::ServiceExt as _;
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Echo.serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}
