//! `streamchain receipt`: gets the receipt of a message.

use crate::edge::EdgeArgs;
use crate::exit::Exit;
use crate::output::{Format, Output};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use streamchain_client::core::Failure;
use streamchain_client::http::Method;
use streamchain_protocol::ids::StreamRef;

/// What the help text of the command ends with.
pub(crate) const RECEIPT_EXAMPLES: &str = "\
EXAMPLES
    streamchain receipt demo 17 --edge https://streamchain.example > receipt.json
    streamchain receipt demo 17 --wait 60 | streamchain verify - --rpc https://ethereum-rpc.example --contract 0x5FbD…0aa3

A receipt is there once the message is anchored on the chain, and is the same for ever.";

/// How often the edge is asked while the message is not anchored.
const POLL: Duration = Duration::from_secs(1);

/// `streamchain receipt`
#[derive(Debug, Args)]
pub(crate) struct ReceiptArgs {
    /// The stream, by name or id
    pub(crate) stream: StreamRef,
    /// The message
    pub(crate) seq: u64,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    /// Wait at most so many seconds until the message is anchored
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
    /// File to write it to [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

pub(crate) async fn run(args: &ReceiptArgs) -> Result<(), Exit> {
    let edge = args.edge.client()?;
    let path = format!("/v1/streams/{}/messages/{}/receipt", args.stream, args.seq);
    let end = Instant::now() + Duration::from_secs(args.wait);
    let receipt: Value = loop {
        match edge.json(Method::GET, &path, None).await {
            Ok(receipt) => break receipt,
            Err(Failure::Refused { slug, .. }) if slug == "not-anchored" && Instant::now() < end => {
                tokio::time::sleep(POLL).await;
            }
            Err(failure) => return Err(failure.into()),
        }
    };
    let text = serde_json::to_string_pretty(&receipt).map_err(|error| Exit::NotDone(error.to_string()))?;
    match &args.output {
        Some(file) => std::fs::write(file, format!("{text}\n"))
            .map_err(|error| Exit::NotDone(format!("{}: {error}", file.display()))),
        None => {
            let mut output = Output::new(Format::Text);
            output.line(&text)?;
            output.flush()
        }
    }
}
