//! `relay-node verify-stream`: rebuilds every root of a stream from its stored messages, and compares with the chain.
//!
//! What always holds: a stream "agrees" only when every event of the contract about it was found to be the root of
//! messages that were read and hashed here, without a gap from message 0 on. What the edge states itself, such as the
//! roots of its segments or its table of anchors, does not count. Contract, owner and anchorer are those that the caller
//! believes; a stream's id must be that of the owner and the name that the edge gives.
//!
//! [`ledger`] is pure and compares; [`chain`] reads the contract's events with the machine that the edge's Listener
//! runs; [`edge`] reads what is stored; [`report`] is what people and programs see.

mod chain;
mod edge;
mod ledger;
mod report;

use super::trust::{Trust, TrustArgs, is_another};
use chain::{Anchors, Node};
use clap::Args;
use edge::{EdgeReader, StreamEntry};
use ledger::{Anchor, Difference, Ledger};
use report::{Outcome, Progress, Report};
use std::time::Duration;
use streamchain_protocol::ids::{Seq, StreamId, StreamRef};

/// What the help text of the command ends with.
pub(crate) const VERIFY_STREAM_EXAMPLES: &str = "\
EXAMPLES
    relay-node verify-stream --edge https://streamchain.example --rpc https://ethereum-rpc.example --contract 0x5FbD…0aa3
    relay-node verify-stream --edge http://127.0.0.1:8787 --config .streamchain/verify.json --stream demo --json

The command reads and hashes every stored message, and compares every root with the contract's events. Stored messages
that wait for an anchor are counted; they are not a difference. Progress is written to standard error.

EXIT CODES
    0  all roots agree
    1  something differs: the output has the first difference of each stream
    2  it could not be checked: the edge or the RPC endpoint is unreachable, or the RPC node contradicts itself";

/// `relay-node verify-stream`
#[derive(Debug, Args)]
pub(crate) struct VerifyStreamArgs {
    /// The edge's URL
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub edge: String,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// One stream, by id or name. A name means the stream of --owner, or else the one that the edge has under it
    /// [default: all streams that the edge lists, or all of --owner]
    #[arg(long)]
    pub stream: Option<StreamRef>,
    /// Block from which events are read [default: the one that the edge names]. One that is too late shows as a gap
    #[arg(long, value_name = "NUMBER")]
    pub from_block: Option<u64>,
    /// Seconds to wait, in all, for blocks that the node has not given whole; they are read again meanwhile
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub patience: u64,
    /// Access token, for private streams
    #[arg(long, env = "STREAMCHAIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub(crate) const AGREES: u8 = 0;
pub(crate) const DIFFERS: u8 = 1;
pub(crate) const NOT_CHECKED: u8 = 2;

/// In a reorganisation the edge may be behind or ahead of the chain for a moment: it is asked again this often, with a
/// pause, before it counts as a difference.
const LOOKS: u32 = 4;
const LOOK_PAUSE: Duration = Duration::from_secs(3);

/// Checks, prints, and says with which code to exit.
pub(crate) fn run(args: &VerifyStreamArgs) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = match runtime {
        Ok(runtime) => runtime.block_on(verify(args)),
        Err(error) => Err(error.to_string()),
    };
    match report {
        Ok(report) => {
            report.print(args.json);
            if report.agrees() { AGREES } else { DIFFERS }
        }
        Err(reason) => {
            report::print_not_checked(&reason, args.json);
            NOT_CHECKED
        }
    }
}

async fn verify(args: &VerifyStreamArgs) -> Result<Report, String> {
    let trust = args.trust.resolve()?;
    let edge = EdgeReader::new(&args.edge, args.token.as_deref())?;
    let config = edge.config().await?;
    let node = Node::new(&trust.rpc)?;
    let chain_id = node.chain_id().await?;
    if let Some(refusal) = trust.refuses_chain(chain_id) {
        return Err(refusal);
    }
    let from_block = args.from_block.unwrap_or(config.contract_block);
    let patience = Duration::from_secs(args.patience);
    let mut anchors = Anchors::new(chain_id, trust.contract, from_block, patience)?;
    let streams = match &args.stream {
        Some(wanted) => vec![edge.stream(&meant(wanted, &trust)).await?],
        None => edge.streams().await?,
    };
    let mut progress = Progress::new();
    let mut report = Report::new(chain_id, &trust, trust.open_questions(args.stream.as_ref()));
    for stream in streams {
        let wanted = args.stream.as_ref().map(|wanted| meant(wanted, &trust));
        if let Some(difference) = is_not_meant(&stream, wanted.as_ref(), &trust) {
            report.add(&stream, [], Outcome::Differs(difference));
            continue;
        }
        if trust.owner.is_some_and(|owner| owner != stream.owner) {
            report.leave_out_other_owner();
            continue;
        }
        // Among all streams there may be some that the caller may not read: they are listed, and are no difference.
        if args.stream.is_none() && !edge.may_read(stream.id).await? {
            report.leave_out(stream.name);
            continue;
        }
        let outcome = verify_stream(&edge, &node, &mut anchors, &stream, &mut progress, &trust).await?;
        report.add(&stream, anchors.anchorers(stream.id), outcome);
    }
    report.blocks(anchors.start(), anchors.end());
    report.strangers(&anchors);
    report.doubtful(anchors.doubtful_blocks());
    report.compared_something()?;
    Ok(report)
}

/// The stream to ask the edge for: an owner's stream has an id that needs nobody's word.
fn meant(wanted: &StreamRef, trust: &Trust) -> StreamRef {
    match (wanted, trust.owner) {
        (StreamRef::Name(name), Some(owner)) => StreamRef::Id(StreamId::of(owner, name)),
        _ => wanted.clone(),
    }
}

/// What is wrong with a stream as the edge gives it: another than was meant, or an id of another owner or name.
fn is_not_meant(stream: &StreamEntry, wanted: Option<&StreamRef>, trust: &Trust) -> Option<Difference> {
    let computed = StreamId::of(stream.owner, &stream.name);
    if computed != stream.id {
        let (owner, name) = (stream.owner, stream.name.clone());
        return Some(Difference::Identity {
            owner,
            name,
            computed,
        });
    }
    let wanted = wanted?;
    let another = is_another(wanted, stream.id, &stream.name);
    let refusal = another.or_else(|| trust.refuses_owner(stream.owner))?;
    Some(Difference::Another(refusal))
}

async fn verify_stream(
    edge: &EdgeReader,
    node: &Node,
    anchors: &mut Anchors,
    stream: &StreamEntry,
    progress: &mut Progress,
    trust: &Trust,
) -> Result<Outcome, String> {
    if let Some(difference) = claims_differ(edge, node, anchors, stream.id).await? {
        return Ok(Outcome::Differs(difference));
    }
    let refusal = anchors
        .anchorers(stream.id)
        .into_iter()
        .find_map(|by| trust.refuses_anchorer(by));
    if let Some(refusal) = refusal {
        return Ok(Outcome::Differs(Difference::Another(refusal)));
    }
    // The chain was read before the messages: what an event covers is stored by then.
    let of_stream = anchors.of(stream.id);
    let mut ledger = match Ledger::new(stream.id, of_stream) {
        Ok(ledger) => ledger,
        Err(difference) => return Ok(Outcome::Differs(difference)),
    };
    match read_all(edge, stream, &mut ledger, progress).await? {
        Err(difference) => Ok(Outcome::Differs(difference)),
        Ok(head) => Ok(match ledger.finish(head) {
            Ok(summary) => Outcome::Agrees(summary),
            Err(difference) => Outcome::Differs(difference),
        }),
    }
}

/// The first anchor that the edge claims and the chain does not have.
async fn claims_differ(
    edge: &EdgeReader,
    node: &Node,
    anchors: &mut Anchors,
    stream: StreamId,
) -> Result<Option<Difference>, String> {
    let mut looks = 0;
    loop {
        looks += 1;
        // The edge is asked first: what it has seen by now, the chain has.
        let progress = edge.progress(stream).await?;
        let claimed = edge.anchors(stream).await?;
        anchors.read(node).await?;
        let on_chain: Vec<Anchor> = anchors.of(stream);
        match ledger::claims(&on_chain, &claimed, progress.anchored) {
            Some(_) if looks < LOOKS => tokio::time::sleep(LOOK_PAUSE).await,
            difference => return Ok(difference),
        }
    }
}

/// Feeds segments and messages to the ledger; gives the head, or the first difference.
async fn read_all(
    edge: &EdgeReader,
    stream: &StreamEntry,
    ledger: &mut Ledger,
    progress: &mut Progress,
) -> Result<Result<Seq, Difference>, String> {
    let mut segments = edge.segments(stream.id);
    let mut messages = edge.messages(stream.id);
    while let Some(segment) = segments.next().await? {
        if let Err(difference) = ledger.begin(segment) {
            return Ok(Err(difference));
        }
        while ledger.is_open() {
            let Some(message) = messages.next().await? else {
                return Ok(Err(ledger.ended()));
            };
            if let Err(difference) = ledger.take(&message) {
                return Ok(Err(difference));
            }
            progress.show(&stream.name, ledger, messages.head());
        }
    }
    // What the edge has not joined into a segment yet.
    while let Some(message) = messages.next().await? {
        if let Err(difference) = ledger.take(&message) {
            return Ok(Err(difference));
        }
        progress.show(&stream.name, ledger, messages.head());
    }
    Ok(Ok(messages.head()))
}
