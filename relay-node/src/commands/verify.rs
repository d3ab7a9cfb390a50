//! `relay-node verify`: checks a receipt against the chain alone.
//!
//! What always holds: no StreamChain server is asked; the result is "holds" only when every field of the receipt is
//! bound to an event that the contract emitted which the caller believes. [`mod@judge`] is pure; the shell around it
//! fetches what it judges by.

mod author;
mod judge;
mod step;

use super::authors::{SignatureArgs, wallet_agrees, wallet_question};
use super::node_answer::read_answer;
use super::trust::TrustArgs;
use crate::error_text::printable;
use clap::Args;
use judge::{Evidence, Verdict, judge};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;
use streamchain_chain::ethereum::{Answer, BlockId, NodeUrl, Request, RpcError};
use streamchain_protocol::ids::StreamRef;
use streamchain_protocol::proof::Receipt;

/// What the help text of the command ends with.
pub(crate) const VERIFY_EXAMPLES: &str = "\
EXAMPLE
    curl -s https://streamchain.example/v1/streams/demo/messages/17/receipt > receipt.json
    relay-node verify receipt.json --rpc https://ethereum-rpc.example --contract 0x5FbD…0aa3 --owner 0x7099…79C8

The command prints who signed the message, with which key, and who vouches for the key: the author's own address or wallet, or the
operator. A receipt without a signature has the operator's word for its author; --require-signature refuses it. Where you know the key
of a service, name both: --author-key 0x7099…79C8=0x02a1…

The command computes the proof itself and asks the chain whether its root was anchored. It asks no StreamChain server.

EXIT CODES
    0  the receipt holds
    1  the receipt does not hold: the failed step says why
    2  it could not be checked: the file is unreadable, or the RPC endpoint is unreachable";

/// `relay-node verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// File with the receipt; - stands for standard input
    pub receipt: PathBuf,
    /// The stream that the receipt must be of, by id or name
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<StreamRef>,
    /// Whom the caller believes.
    #[command(flatten)]
    pub signatures: SignatureArgs,
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// The receipt holds.
pub(crate) const HOLDS: u8 = 0;
/// The receipt does not hold.
pub(crate) const DOES_NOT_HOLD: u8 = 1;
/// The receipt could not be checked.
pub(crate) const NOT_CHECKED: u8 = 2;

/// Largest receipt that is read, bytes: a 64 KiB payload in hex and a full proof are under 140 KiB.
const MAX_RECEIPT_BYTES: u64 = 1024 * 1024;

/// How long the RPC endpoint may take for one answer.
const RPC_TIMEOUT: Duration = Duration::from_secs(20);

/// Checks, prints each step, and says with which code to exit.
pub(crate) fn run(args: &VerifyArgs) -> u8 {
    match check(args) {
        Ok(verdict) => {
            print!("{verdict}");
            if verdict.holds() { HOLDS } else { DOES_NOT_HOLD }
        }
        Err(reason) => {
            println!("? could not be checked: {}", printable(&reason));
            NOT_CHECKED
        }
    }
}

fn check(args: &VerifyArgs) -> Result<Verdict, String> {
    let text = read(args)?;
    // A file that is JSON but no receipt was changed, or is another thing: that is an answer, not a failure.
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| format!("{}: not JSON: {error}", args.receipt.display()))?;
    let receipt: Receipt = match serde_json::from_value(value) {
        Ok(receipt) => receipt,
        Err(error) => return Ok(Verdict::not_a_receipt(&error.to_string())),
    };
    let trust = args.trust.resolve()?;
    if matches!(args.stream, Some(StreamRef::Name(_))) && trust.owner.is_none() {
        return Err("whose stream? Anybody may use its name: give --owner, or --stream with an id".into());
    }
    if let Some(round) = &receipt.round {
        let (owner, rounds_owner) = (receipt.stream.owner, round.stream.owner);
        if let Some(missing) = trust.lacks_rounds(args.stream.as_ref(), owner, rounds_owner) {
            return Err(missing);
        }
    }
    let offline = Verdict::offline(&receipt, &trust, args.stream.as_ref(), &args.signatures);
    if !offline.holds() {
        return Ok(offline);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let evidence = runtime
        .map_err(|error| error.to_string())?
        .block_on(fetch(&trust.rpc, &receipt, &offline))?;
    Ok(judge(offline, &receipt, &trust, &evidence))
}

fn read(args: &VerifyArgs) -> Result<String, String> {
    let mut text = String::new();
    let read = if args.receipt.as_os_str() == "-" {
        std::io::stdin().take(MAX_RECEIPT_BYTES).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(&args.receipt);
        file.and_then(|file| file.take(MAX_RECEIPT_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| format!("{}: {error}", args.receipt.display()))?;
    Ok(text)
}

/// Asks the endpoint for all that the receipt is judged by.
async fn fetch(url: &str, receipt: &Receipt, offline: &Verdict) -> Result<Evidence, String> {
    let url = &NodeUrl::parse(url).ok_or("--rpc: expected an http:// or https:// URL")?;
    let http = reqwest::Client::builder()
        .timeout(RPC_TIMEOUT)
        .build()
        .map_err(|error| error.to_string())?;
    let ask = async |request: Request| {
        call(&http, url, &request)
            .await
            .map_err(|error| format!("{url}: {}: {error}", request.method()))
    };
    let Answer::ChainId(chain_id) = ask(Request::ChainId).await? else {
        return Err(format!("{url}: no chain id"));
    };
    let Answer::Receipt(transaction) = ask(Request::Receipt(receipt.anchor.tx)).await? else {
        return Err(format!("{url}: no transaction receipt"));
    };
    // Some nodes know no finalized block: then the result says nothing about finality.
    let finalized = match ask(Request::Block(BlockId::Finalized)).await {
        Ok(Answer::Block(Some(block))) => Some(block.number),
        _ => None,
    };
    // A wallet may have other owners by now: then the state behind the anchor is asked, where the endpoint still has it.
    let mut wallet = None;
    if let Some(question) = offline.wallet_question() {
        for at in [BlockId::Latest, BlockId::Number(receipt.anchor.block)] {
            let (hash, signature) = (question.hash, question.signature.clone());
            let request = wallet_question(receipt.message.author, hash, signature, at);
            match wallet_agrees(call(&http, url, &request).await) {
                Ok(agrees) => wallet = Some(agrees),
                Err(error) if wallet.is_none() => {
                    return Err(format!("{url}: {}: {error}", request.method()));
                }
                Err(_) => {}
            }
            if wallet == Some(true) {
                break;
            }
        }
    }
    Ok(Evidence {
        chain_id,
        transaction,
        finalized,
        wallet,
    })
}

async fn call(http: &reqwest::Client, url: &NodeUrl, request: &Request) -> Result<Answer, RpcError> {
    let broken = |error: reqwest::Error| RpcError::Transport(crate::error_text::with_causes(&error));
    let mut post = http.post(url.as_str());
    if let Some(credentials) = url.authorization() {
        post = post.header("authorization", credentials);
    }
    let sent = post
        .header("content-type", "application/json")
        .body(request.body())
        .send()
        .await;
    read_answer(sent.map_err(broken)?, request, broken).await
}
