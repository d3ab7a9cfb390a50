//! `relay-node verify-stream`: rebuilds every root of a stream from its stored messages, and compares with the chain.
//!
//! What always holds: a stream "agrees" only when every event of the contract about it was found to be the root of
//! messages that were read and hashed here, without a gap from message 0 on. What the edge states itself, such as the
//! roots of its segments or its table of anchors, does not count. Contract, owner and anchorer are those that the caller
//! believes; a stream's id must be that of the owner and the name that the edge gives.
//!
//! Messages are anchored by anchors of their stream, or by runs in rounds: then the lists of runs of the stream's bucket are
//! read from the first round on, and each must give the root that the chain has.
//!
//! What authors signed is checked as well: every group's signature, every producer's chain of groups, and who vouches for each key.
//!
//! [`ledger`], [`rounds`] and [`signatures`] are pure and compare; [`chain`] reads the contract's events with the machine that the edge's
//! Listener runs; [`edge`] and [`history`] read what is stored; [`report`] is what people and programs see.

mod chain;
mod edge;
mod history;
mod ledger;
mod message;
mod report;
mod round_fault;
mod rounds;
mod signatures;

use super::authors::{Attested, SignatureArgs, wallet_agrees, wallet_question};
use super::trust::{Trust, TrustArgs, is_another};
use chain::{Anchors, Node};
use clap::Args;
use edge::{EdgeReader, StreamEntry};
use history::Messages;
use ledger::{Anchor, Difference, Ledger, Summary};
use message::Message;
use report::{Outcome, Progress, Report};
use rounds::Rounds;
use signatures::{KeyUse, SignatureFault, Signatures};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamchain_chain::authors::Voucher;
use streamchain_chain::ethereum::BlockId;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, StreamId, StreamRef};
use streamchain_protocol::proof::bucket::bucket_of;
use streamchain_protocol::time::UnixSec;

/// What the help text of the command ends with.
pub(crate) const VERIFY_STREAM_EXAMPLES: &str = "\
EXAMPLES
    relay-node verify-stream --edge https://streamchain.example --rpc https://ethereum-rpc.example --contract 0x5FbD…0aa3
    relay-node verify-stream --edge http://127.0.0.1:8787 --config .streamchain/verify.json --stream demo --json

The command reads and hashes every stored message, and compares every root with the contract's events. Where messages
are in rounds it reads the list of runs of every round. It checks every signature of an author, and that no group of a producer is
missing, cut short, doubled or out of order. History does not say which producers messages without signatures are of: they are
counted, and --require-signature refuses them. Stored messages that wait for an anchor are counted; they are
not a difference. Progress is written to standard error.

EXIT CODES
    0  all roots agree
    1  something differs: the output has the first difference of each stream
    2  it could not be checked: the edge or the RPC endpoint is unreachable, or the RPC node contradicts itself";

/// `relay-node verify-stream`
#[derive(Debug, Args)]
pub struct VerifyStreamArgs {
    /// The edge's URL
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub edge: String,
    /// Whom the caller believes.
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub signatures: SignatureArgs,
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

/// How many lists of runs are asked for side by side: there is one for each round, half a million in a year.
const LISTS_AT_ONCE: usize = 16;

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
    let rounds_owner = trust.rounds_owner.or_else(|| config.rounds_owner());
    let mut rounds = rounds_owner.map(|owner| Rounds::new(owner, streams.iter().map(|stream| stream.id)));
    let mut open = None;
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
        let mut sources = Sources {
            chain_id,
            edge: &edge,
            node: &node,
            anchors: &mut anchors,
            rounds: rounds.as_mut(),
            required: &args.signatures,
        };
        let outcome = verify_stream(&mut sources, &stream, &mut progress, &trust).await?;
        let anchorers = sources.anchorers(stream.id);
        if let Some(rounds) = rounds.as_ref().filter(|rounds| rounds.has(stream.id)) {
            if let Some(missing) = trust.lacks_rounds(args.stream.as_ref(), stream.owner, rounds.owner) {
                return Err(missing);
            }
            open = open.or_else(|| trust.open_about_rounds(stream.owner, rounds.owner));
        }
        report.add(&stream, anchorers, outcome);
    }
    report.blocks(anchors.start(), anchors.end());
    report.rounds(rounds.as_ref(), &anchors, open);
    report.strangers(&anchors, rounds.as_ref());
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

/// What a stream is compared with, read as far as it is needed.
struct Sources<'a> {
    chain_id: u64,
    edge: &'a EdgeReader,
    node: &'a Node,
    anchors: &'a mut Anchors,
    /// `None`: neither the caller nor the edge says whose rounds there are.
    rounds: Option<&'a mut Rounds>,
    /// What the caller requires of authors' signatures.
    required: &'a SignatureArgs,
}

impl Sources<'_> {
    /// The accounts that anchored a stream, or the rounds that it has runs in.
    fn anchorers(&self, stream: StreamId) -> BTreeSet<Address> {
        let mut all = self.anchors.anchorers(stream);
        if let Some(rounds) = self.rounds.as_ref().filter(|rounds| rounds.has(stream)) {
            all.extend(self.anchors.anchorers(rounds.stream));
        }
        all
    }

    /// All that the chain says of a stream, in order: its own anchors, and then its runs in rounds, since a stream goes from
    /// the one to the other once. Reads the lists of its bucket of all rounds that the chain has.
    async fn on_chain(&mut self, stream: StreamId) -> Result<Result<Vec<Anchor>, Difference>, String> {
        let mut all = self.anchors.of(stream);
        let Some(rounds) = self.rounds.as_mut() else {
            return Ok(Ok(all));
        };
        let on_chain = self.anchors.of(rounds.stream);
        let bucket = bucket_of(stream);
        loop {
            let due = rounds.due(bucket, &on_chain);
            if due.is_empty() {
                break;
            }
            let numbers: Vec<u64> = due
                .iter()
                .take(LISTS_AT_ONCE)
                .map(|round| round.first.0)
                .collect();
            let lists = self.edge.bucket_lists(&numbers, bucket).await?;
            for (round, list) in due.iter().zip(lists) {
                if let Err(fault) = rounds.take(bucket, round, list) {
                    return Ok(Err(fault.into()));
                }
            }
        }
        all.extend(rounds.anchors(stream, &on_chain));
        Ok(Ok(all))
    }
}

async fn verify_stream(
    sources: &mut Sources<'_>,
    stream: &StreamEntry,
    progress: &mut Progress,
    trust: &Trust,
) -> Result<Outcome, String> {
    let on_chain = match claimed_on_chain(sources, stream.id).await? {
        Ok(on_chain) => on_chain,
        Err(difference) => return Ok(Outcome::Differs(difference)),
    };
    let refusal = sources
        .anchorers(stream.id)
        .into_iter()
        .find_map(|by| trust.refuses_anchorer(by));
    if let Some(refusal) = refusal {
        return Ok(Outcome::Differs(Difference::Another(refusal)));
    }
    // The chain was read before the messages: what an event covers is stored by then.
    let mut ledger = match Ledger::new(stream.id, on_chain) {
        Ok(ledger) => ledger,
        Err(difference) => return Ok(Outcome::Differs(difference)),
    };
    if let Some(Err(fault)) = sources.rounds.as_ref().map(|rounds| rounds.follow(stream.id)) {
        return Ok(Outcome::Differs(fault.into()));
    }
    let mut signatures = Signatures::new(stream.id, stream.name.clone(), sources.chain_id);
    match read_all(sources, stream, (&mut ledger, &mut signatures), progress).await? {
        Err(difference) => Ok(Outcome::Differs(difference)),
        Ok(head) => Ok(match ledger.finish(head) {
            Ok(summary) => Outcome::Agrees(Summary {
                signed: signatures.summary(),
                ..summary
            }),
            Err(difference) => Outcome::Differs(difference),
        }),
    }
}

/// All that the chain says of a stream, or the first difference between that and what the edge claims of the chain.
async fn claimed_on_chain(
    sources: &mut Sources<'_>,
    stream: StreamId,
) -> Result<Result<Vec<Anchor>, Difference>, String> {
    let mut looks = 0;
    loop {
        looks += 1;
        // The edge is asked first: what it has seen by now, the chain has.
        let progress = sources.edge.progress(stream).await?;
        let claimed = sources.edge.anchors(stream).await?;
        sources.anchors.read(sources.node).await?;
        let on_chain = match sources.on_chain(stream).await? {
            Ok(on_chain) => on_chain,
            Err(difference) => return Ok(Err(difference)),
        };
        match ledger::claims(&on_chain, &claimed, progress.anchored) {
            Some(_) if looks < LOOKS => tokio::time::sleep(LOOK_PAUSE).await,
            Some(difference) => return Ok(Err(difference)),
            None => return Ok(Ok(on_chain)),
        }
    }
}

/// Feeds segments and messages to the ledger, and messages to the check of signatures; gives the head, or the first difference.
async fn read_all(
    sources: &Sources<'_>,
    stream: &StreamEntry,
    (ledger, signatures): (&mut Ledger, &mut Signatures),
    progress: &mut Progress,
) -> Result<Result<Seq, Difference>, String> {
    let mut segments = sources.edge.segments(stream.id);
    let mut messages = Messages::new(sources.edge, stream.id);
    loop {
        // Behind the last segment is what the edge has not joined into one yet.
        let segment = segments.next().await?;
        if let Some(Err(difference)) = segment.map(|segment| ledger.begin(segment)) {
            return Ok(Err(difference));
        }
        while ledger.is_open() || segment.is_none() {
            let Some(message) = messages.next().await? else {
                return Ok(match (ledger.is_open(), signatures.finish(messages.head())) {
                    (true, _) => Err(ledger.ended()),
                    (false, Err(fault)) => Err(fault.into()),
                    (false, Ok(())) => Ok(messages.head()),
                });
            };
            if let Err(difference) = ledger.take(&message) {
                return Ok(Err(difference));
            }
            if let Err(fault) = take_signature(sources, signatures, &message).await? {
                return Ok(Err(fault.into()));
            }
            progress.show(&stream.name, ledger, messages.head());
        }
    }
}

/// Checks what a message shows of its author's signature, with the certificates and wallets that it takes.
async fn take_signature(
    sources: &Sources<'_>,
    signatures: &mut Signatures,
    message: &Message,
) -> Result<Result<(), SignatureFault>, String> {
    let required = |attested| match sources.required.refuses(attested) {
        Some(reason) => Err(SignatureFault::Required {
            seq: message.seq,
            author: message.author,
            reason,
        }),
        None => Ok(()),
    };
    let used = match signatures.take(message) {
        Ok(None) if message.group.is_none() => return Ok(required(Attested::ByOperator)),
        Ok(None) => return Ok(Ok(())),
        Ok(Some(used)) => used,
        Err(fault) => return Ok(Err(fault)),
    };
    let voucher = match signatures.vouched(&used, now()) {
        Some(voucher) => voucher,
        None => match find_voucher(sources, signatures, &used).await? {
            Ok(voucher) => voucher,
            Err(fault) => return Ok(Err(fault)),
        },
    };
    let attested = sources.required.attested(used.author, &used.key, &voucher);
    signatures.count(&used, attested);
    Ok(required(attested))
}

/// Asks the edge for the certificate of a key, and the chain about a contract wallet.
async fn find_voucher(
    sources: &Sources<'_>,
    signatures: &mut Signatures,
    used: &KeyUse,
) -> Result<Result<Voucher, SignatureFault>, String> {
    let asked = now();
    let certificate = sources
        .edge
        .certificate(signatures.stream(), used.author, &used.key, used.times.1)
        .await?;
    let voucher = match signatures.judge(used, certificate.as_ref()) {
        Ok(voucher) => voucher,
        Err(fault) => return Ok(Err(fault)),
    };
    if let Voucher::ContractWallet { hash, signature, .. } = &voucher {
        let request = wallet_question(used.author, *hash, signature.clone(), BlockId::Latest);
        let answer = wallet_agrees(sources.node.call(&request).await);
        if !answer.map_err(|error| format!("{}: {error}", request.method()))? {
            let KeyUse { seq, author, key, .. } = *used;
            return Ok(Err(SignatureFault::NoCertificate { seq, author, key }));
        }
    }
    if let Some(certificate) = certificate {
        signatures.keep(used, certificate, voucher.clone(), asked);
    }
    Ok(Ok(voucher))
}

fn now() -> UnixSec {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSec(since.as_secs())
}
