//! `/v1/streams/{stream}/messages/{seq}/receipt`: a message's proof, from its leaf to the root on chain.
//!
//! What always holds: no receipt goes out that does not check.

use crate::api::stream::GetState;
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, json};
use crate::storage::d1::anchors;
use crate::storage::d1::streams;
use crate::storage::history::History;
use streamchain_edge_core::receipt_building::Sources;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::proof::ReceiptAnchor;

/// `GET /v1/streams/{stream}/messages/{seq}/receipt`
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
    let Some(anchor) = anchors::covering(&db, row.id, seq).await? else {
        return missing(call, stream, seq).await;
    };
    let end = Seq(anchor.first.0 + anchor.count);
    let history = History::of(&call.env)?;
    let covered = history.roots(row.id, anchor.first, end).await?;
    let segment = history
        .with_records(row.id, seq, seq.next(), 1)
        .await?
        .into_iter()
        .next();
    let receipt = segment.and_then(|segment| {
        let sources = Sources {
            chain_id: call.config.chain_id,
            contract,
            stream: (row.id, row.owner, row.name),
            anchor: ReceiptAnchor {
                first: anchor.first,
                count: anchor.count,
                root: anchor.root,
                tx: anchor.tx,
                block: anchor.block,
                block_hash: anchor.block_hash,
                log_index: anchor.log_index,
            },
            covered: covered.iter().map(|one| (one.first, one.root)).collect(),
            segment: (segment.first, segment.records),
        };
        sources.receipt(seq)
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
    let state = call.stream(call.short(stream))?.call(GetState {}).await?;
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
