//! `/v1/streams/{stream}/messages/{seq}/receipt`: a message's proof, from its leaf to the root on chain.
//!
//! What always holds: no receipt goes out that does not check.

use crate::auth::principal as auth;
use crate::objects::call::{Method, Outcome, call as ask, outcome};
use crate::objects::stream_stub;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, json};
use crate::storage::d1::anchors::{self, AnchorRow};
use crate::storage::d1::segments::{self, SegmentRow};
use crate::storage::d1::streams::{self, StreamRow};
use alloy_primitives::{Address, B256};
use streamchain_edge_core::stream_log::LogState;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::proof::leaves;
use streamchain_protocol::proof::merkle::Tree;
use streamchain_protocol::proof::{
    RECEIPT_TYPE, RECEIPT_VERSION, Receipt, ReceiptAnchor, ReceiptMessage, ReceiptStream,
};
use streamchain_protocol::wire::decode_records;

/// `GET /v1/streams/{stream}/messages/{seq}/receipt`
pub async fn get(call: &Call, stream: &StreamRef, seq: Seq) -> Answer {
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
    let Some(anchor) = anchors::covering(&db, row.id, seq).await? else {
        return missing(call, stream, seq).await;
    };
    let end = Seq(anchor.first.0 + anchor.count);
    let covered = segments::roots(&db, row.id, anchor.first, end).await?;
    let segment = segments::with_records(&db, row.id, seq, seq.next(), 1)
        .await?
        .into_iter()
        .next();
    let receipt = segment.and_then(|segment| {
        build(
            &Sources {
                chain_id: call.config.chain_id,
                contract,
                stream: row,
                anchor,
                covered,
                segment,
            },
            seq,
        )
    });
    let receipt =
        receipt.ok_or_else(|| Problem::internal(format!("segments of {stream:?} do not cover {seq}")))?;
    receipt
        .check()
        .map_err(|error| Problem::internal(format!("receipt of {seq} in {stream:?}: {error}")))?;
    json(200, &receipt)
}

/// Why there is no receipt.
async fn missing(call: &Call, stream: &StreamRef, seq: Seq) -> Answer {
    let stub = stream_stub(&call.env, call.short(stream))?;
    let state = match outcome::<LogState>(ask(&stub, Method::Get, "/state", None).await?).await? {
        Outcome::Refused(response) => return Ok(response),
        Outcome::Done(state) => state,
    };
    if seq >= state.head {
        let detail = format!(
            "message {seq} is not stored: the stream has {} messages",
            state.head
        );
        return Err(Problem::new(Kind::NoSuchMessage, detail));
    }
    let detail =
        format!("message {seq} is stored, but no anchor on chain covers it yet: ask again in a while");
    Err(Problem::new(Kind::NotAnchored, detail).with("anchored", state.anchored))
}

/// All that a receipt is made of.
struct Sources {
    chain_id: u64,
    contract: Address,
    stream: StreamRow,
    anchor: AnchorRow,
    /// The segments under the anchor, without their records.
    covered: Vec<SegmentRow>,
    /// The message's segment.
    segment: SegmentRow,
}

/// The joined proof: the path in the segment, then the path of the segment's root in the anchor.
fn build(sources: &Sources, seq: Seq) -> Option<Receipt> {
    let Sources {
        chain_id,
        contract,
        stream,
        anchor,
        covered,
        segment,
    } = sources;
    let index = usize::try_from(seq.0.checked_sub(segment.first.0)?).ok()?;
    let record = decode_records(&segment.records).ok()?.into_iter().nth(index)?;
    let leaves = leaves(stream.id, segment.first, &segment.records)?;
    let mut proof = Tree::new(&leaves)?.proof(index)?;
    let roots: Vec<B256> = covered.iter().map(|segment| segment.root).collect();
    let place = covered.iter().position(|one| one.first == segment.first)?;
    let anchored = Tree::new(&roots)?;
    proof.extend(anchored.proof(place)?);
    Some(Receipt {
        r#type: RECEIPT_TYPE.to_owned(),
        version: RECEIPT_VERSION,
        chain_id: *chain_id,
        contract: *contract,
        stream: ReceiptStream {
            id: stream.id,
            owner: stream.owner,
            name: stream.name.clone(),
        },
        message: ReceiptMessage {
            seq,
            time: record.time,
            author: record.author,
            payload: record.payload,
        },
        leaf: *leaves.get(index)?,
        proof,
        root: anchored.root(),
        anchor: ReceiptAnchor {
            first: anchor.first,
            count: anchor.count,
            root: anchor.root,
            tx: anchor.tx,
            block: anchor.block,
            block_hash: anchor.block_hash,
            log_index: anchor.log_index,
        },
    })
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
