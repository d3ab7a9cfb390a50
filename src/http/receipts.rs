//! `/v1/streams/{stream}/messages/{seq}/receipt`: a message's proof, from its leaf to the root on chain.
//!
//! What always holds: no receipt goes out that does not check.

use super::author_keys;
use super::marks;
use super::rounds::checked_bucket;
use crate::api::stream::GetState;
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, json};
use crate::storage::d1::{anchors, rounds, streams};
use crate::storage::history::History;
use alloy_primitives::B256;
use streamchain_edge_core::receipt_building::{RoundSources, Signer, Sources};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{Seq, StreamId, StreamRef};
use streamchain_protocol::proof::bucket::bucket_of;
use streamchain_protocol::proof::range::path;
use streamchain_protocol::proof::{ReceiptAnchor, ReceiptError};
use worker::D1Database;

/// `GET /v1/streams/{stream}/messages/{seq}/receipt`: of version 1 where the message is under an anchor of its stream's
/// own, of version 2 where it is in a round.
pub(crate) async fn get(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    let seq = at.seq()?;
    auth::need(call, stream, Right::Read).await?;
    let Some(contract) = call.config.contract else {
        return Err(Problem::new(
            Kind::NotAnchored,
            "this deployment has no contract yet",
        ));
    };
    let db = call.env.d1("DB")?;
    let Some(row) = streams::find(&db, call.short(stream)).await? else {
        return missing(call, stream, seq).await;
    };
    let Some(proof) = proof_of(call, &db, row.id, seq).await? else {
        return missing(call, stream, seq).await;
    };
    let history = History::of(&call.env)?;
    let covered = history.roots(row.id, proof.first, proof.end).await?;
    let segment = history
        .with_records(row.id, seq, seq.next(), 1)
        .await?
        .into_iter()
        .next();
    let uncovered = || Problem::internal(format!("segments of {stream:?} do not cover {seq}"));
    let segment = segment.ok_or_else(uncovered)?;
    let mut sources = Sources {
        chain_id: call.config.chain_id,
        contract,
        stream: (row.id, row.owner, row.name),
        anchor: proof.anchor,
        covered: covered.iter().map(|one| (one.first, one.root)).collect(),
        segment: (segment.first, segment.records),
        round: proof.round,
        certificate: None,
    };
    if let Some(signer) = sources.signer(seq) {
        let Signer { author, key, time } = signer;
        let of = (sources.stream.0, &sources.stream.2);
        sources.certificate = author_keys::of_message(call, author, key, time, of).await?;
    }
    let mut receipt = sources.receipt(seq).ok_or_else(uncovered)?;
    if let Err(ReceiptError::Author(_)) = receipt.check() {
        // The key did not sign for the author at that time: the receipt shows no more than that the operator says who it was.
        receipt.author = None;
    }
    receipt
        .check()
        .map_err(|error| Problem::internal(format!("receipt of {seq} in {stream:?}: {error}")))?;
    // Once more, for it took several reads: a receipt carries the message.
    auth::need(call, stream, Right::Read).await?;
    json(200, &receipt)
}

/// What leads from a run to the chain.
struct Proof {
    /// The first message of the run.
    first: Seq,
    /// The seq behind its last message.
    end: Seq,
    /// The run's anchor, or that of its round.
    anchor: ReceiptAnchor,
    /// From the run to the round, if it is in one.
    round: Option<RoundSources>,
}

/// What leads from the run with a message to the chain, if the chain has it.
async fn proof_of(
    call: &Call,
    db: &D1Database,
    stream: StreamId,
    seq: Seq,
) -> Result<Option<Proof>, Problem> {
    if let Some(own) = anchors::covering(db, stream, seq).await? {
        return Ok(Some(Proof {
            first: own.first,
            end: Seq(own.first.0 + own.count),
            anchor: ReceiptAnchor {
                first: own.first,
                count: own.count,
                root: own.root,
                tx: own.tx,
                block: own.block,
                block_hash: own.block_hash,
                log_index: own.log_index,
            },
            round: None,
        }));
    }
    let history = History::of(&call.env)?;
    let run = history.run_over(call.config.rounds, stream, seq).await?;
    let Some(run) = run else {
        return Ok(None);
    };
    let Some(place) = run.place else {
        return Ok(None);
    };
    let Some(row) = history.round(run.round).await? else {
        return Ok(None);
    };
    Ok(Some(Proof {
        first: run.first,
        end: run.end(),
        anchor: ReceiptAnchor {
            first: Seq(row.round),
            count: 1,
            root: row.root,
            tx: place.tx,
            block: place.block,
            block_hash: place.block_hash,
            log_index: place.log_index,
        },
        round: Some(RoundSources {
            owner: call.config.rounds_owner,
            runs: checked_bucket(&history, &row, bucket_of(stream)).await?,
            range: range_of(call, db, row.round).await?,
            buckets: row.buckets,
        }),
    }))
}

/// How many rounds are on the chain, and the path of a round in the range over them; `None` when nodes are missing.
async fn range_of(call: &Call, db: &D1Database, round: u64) -> Result<Option<(u64, Vec<B256>)>, Problem> {
    let (on_chain, _) = rounds::marks(db, call.config.rounds).await?;
    let Some(path) = path(round, on_chain) else {
        return Ok(None);
    };
    let nodes = rounds::nodes(db, &path).await?;
    let hash = |at: &(u8, u64)| {
        let node = nodes.iter().find(|node| (node.height, node.index) == *at);
        node.map(|node| node.hash)
    };
    let hashes: Option<Vec<B256>> = path.iter().map(hash).collect();
    Ok(hashes.map(|hashes| (on_chain, hashes)))
}

/// Why there is no receipt.
async fn missing(call: &Call, stream: &StreamRef, seq: Seq) -> Answer {
    auth::need(call, stream, Right::Read).await?;
    let mut state = call.stream(call.short(stream))?.call(GetState {}).await?;
    marks::refresh(call, &mut state).await;
    if seq >= state.head {
        let detail = format!(
            "message {seq} is not stored: the stream has {} messages",
            state.head
        );
        return Err(Problem::new(Kind::NoSuchMessage, detail));
    }
    let detail = format!("message {seq} is stored, but no anchor on chain covers it yet: try again later");
    Err(Problem::new(Kind::NotAnchored, detail).with("anchored", state.anchored))
}
