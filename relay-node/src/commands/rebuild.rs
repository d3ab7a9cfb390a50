//! `relay-node rebuild`: has the edge rebuild its anchors from its stored segments and the chain alone.
//!
//! What always holds: stored messages and segments are not touched. The tables that are emptied (anchors and chain
//! events) contain only what the chain's events say, and the edge reads those again from the contract's first block.

use clap::Args;
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamchain_protocol::Address;
use streamchain_protocol::auth::AccessClaims;
use streamchain_protocol::auth::MasterSecret;
use streamchain_protocol::time::UnixSec;

/// What the help text of the command ends with.
pub(crate) const REBUILD_EXAMPLES: &str = "\
EXAMPLE
    MASTER_SECRET=… relay-node rebuild --edge https://streamchain.example

Use this when the edge's tables of anchors or chain events are lost or damaged. The edge empties these tables and
reads the contract's events again from CONTRACT_BLOCK on. Stored messages and segments do not change. Until the edge
has finished, receipts are missing; afterwards they are the same as before. The edge refuses while it can't reach the
chain. Check the result with `relay-node verify-stream`.";

/// `relay-node rebuild`
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The edge's URL
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub edge: String,
    /// The edge's MASTER_SECRET, 64 hexadecimal digits, since only the operator may do this
    #[arg(long, env = "MASTER_SECRET", hide_env_values = true)]
    pub master: String,
}

/// How long the edge may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Life of the access token that is made for this one request, seconds: clocks may differ a little.
const TOKEN_LIFE_S: u64 = 300;
/// How often the edge is asked how far it is.
const POLL: Duration = Duration::from_secs(1);
/// Questions in a row that may fail.
const MAX_FAILURES: u32 = 30;

/// Asks for the rebuild, waits until the chain is read to its end, and says whether it was.
pub(crate) fn run(args: &RebuildArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(rebuild(args))
}

/// The part of `GET /v1/config` that is read.
#[derive(Deserialize)]
struct Config {
    operator: Address,
}

/// The part of `GET /v1/status` that is read.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    chain: ChainStatus,
}

/// How far the edge has read the chain.
#[derive(Deserialize, Default)]
struct ChainStatus {
    error: Option<String>,
    cursor: Option<u64>,
    lag: Option<u64>,
}

async fn rebuild(args: &RebuildArgs) -> anyhow::Result<()> {
    let http = Client::builder().timeout(TIMEOUT).build()?;
    let base = format!("{}/v1", args.edge.trim_end_matches('/'));
    let config: Config = ask(http.get(format!("{base}/config"))).await?;
    let token = operator_token(&MasterSecret::from_hex(&args.master)?, config.operator)?;
    let _: IgnoredAny = ask(http.post(format!("{base}/chain/replay")).bearer_auth(token)).await?;
    println!("The edge rebuilds its anchors. Receipts are missing until it has read the chain to its end.");
    let mut failures = 0;
    loop {
        tokio::time::sleep(POLL).await;
        match ask::<Status>(http.get(format!("{base}/status"))).await {
            Err(error) if failures >= MAX_FAILURES => return Err(error),
            Err(_) => failures += 1,
            Ok(status) => {
                failures = 0;
                if print_progress(&status.chain) {
                    return Ok(());
                }
            }
        }
    }
}

/// Prints how far the edge is; whether it has read the chain to its end.
fn print_progress(chain: &ChainStatus) -> bool {
    match (&chain.error, chain.cursor, chain.lag) {
        (Some(error), _, _) => println!("the chain: {error}"),
        (None, Some(cursor), Some(lag)) => {
            let (read, last) = (cursor.saturating_sub(1), (cursor + lag).saturating_sub(1));
            println!("block {read} of {last}");
            if lag == 0 {
                println!("done");
                return true;
            }
        }
        (None, _, _) => {}
    }
    false
}

/// A token for the operator, as the edge itself would sign it.
fn operator_token(master: &MasterSecret, operator: Address) -> anyhow::Result<String> {
    let iat = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = AccessClaims {
        sub: operator,
        iat: UnixSec(iat),
        exp: UnixSec(iat + TOKEN_LIFE_S),
        guest: false,
        since: None,
        end: None,
        key: None,
        scope: None,
    };
    Ok(claims.sign(&master.access_key()))
}

async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> anyhow::Result<T> {
    let response = request.send().await?;
    let (url, status) = (response.url().clone(), response.status());
    let text = response.text().await?;
    anyhow::ensure!(status.is_success(), "{url}: {status} {text}");
    Ok(serde_json::from_str(&text)?)
}
