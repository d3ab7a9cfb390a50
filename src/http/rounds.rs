//! `/v1/rounds`: the rounds, and what each has. Everything here is for everybody: a list that is not public proves nothing.
//!
//! What always holds: what is said of a round that is fixed never changes, and no list goes out that does not lead to the
//! root of its round.

use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, json_without_nulls, respond};
use crate::storage::d1::rounds::{self, RoundRow};
use crate::storage::history::History;
use serde_json::{Value, json};
use streamchain_protocol::proof::bucket::{BucketRoot, bucket_proof, bucket_root, round_root};
use streamchain_protocol::proof::run::{RunEntry, encode_runs};

/// The media type of a list of runs as bytes.
const BYTES: &str = "application/octet-stream";

/// For a year, the longest that is usual: what is fixed never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// `GET /v1/rounds`: those from `from` on, in order. `next` is where to go on.
pub(crate) async fn list(call: Call, _at: PathParameters) -> Answer {
    let (from, limit) = (call.number("from")?.unwrap_or(0), call.page_rows()?);
    let db = call.env.d1("DB")?;
    let rounds = rounds::list(&db, call.config.rounds, from, limit).await?;
    let next = rounds.last().filter(|_| rounds.len() == limit);
    let next = next.map(|last| last.round + 1);
    json_without_nulls(200, json!({ "rounds": rounds, "next": next }))
}

/// `GET /v1/rounds/{round}`: the round, with its buckets that have runs.
pub(crate) async fn get(call: Call, at: PathParameters) -> Answer {
    let history = History::of(&call.env)?;
    let row = find(&history, at.round()?).await?;
    let listed = rounds::list(&history.db, call.config.rounds, row.round, 1).await?;
    let mut shown = serde_json::to_value(listed.first()).map_err(Problem::internal)?;
    let buckets = (0..=u8::MAX).zip(row.buckets.iter());
    let buckets = buckets.filter(|(_, of)| **of != BucketRoot::default());
    let buckets: Vec<Value> = buckets
        .map(|(bucket, of)| json!({ "bucket": bucket, "runs": of.runs, "root": of.root }))
        .collect();
    crate::response::put_member(&mut shown, "buckets", &buckets);
    json_without_nulls(200, shown)
}

/// `GET /v1/rounds/{round}/buckets/{bucket}`: all runs of the round whose stream ids begin with the bucket's byte, and the
/// path to the round's root; with `Accept: application/octet-stream` the runs alone, as bytes.
pub(crate) async fn bucket(call: Call, at: PathParameters) -> Answer {
    let bucket = at.bucket()?;
    let history = History::of(&call.env)?;
    let row = find(&history, at.round()?).await?;
    let entries = checked_bucket(&history, &row, bucket).await?;
    let (media_type, body) = match call.accepts(BYTES)? {
        true => (BYTES, encode_runs(&entries)),
        false => {
            let shown = json!({
                "round": row.round, "bucket": bucket, "runs": entries.len(), "root": bucket_root(&entries).root,
                "proof": bucket_proof(row.round, bucket, &row.buckets), "roundRoot": row.root, "entries": entries,
            });
            ("application/json", shown.to_string().into_bytes())
        }
    };
    let headers = [
        ("content-type", media_type),
        ("cache-control", IMMUTABLE),
        ("vary", "accept"),
    ];
    respond(200, &headers, body)
}

async fn find(history: &History, round: u64) -> Result<RoundRow, Problem> {
    let row = history.round(round).await?;
    row.ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no round {round} yet")))
}

/// The runs of a bucket, which lead to the root of the round.
pub(super) async fn checked_bucket(
    history: &History,
    row: &RoundRow,
    bucket: u8,
) -> Result<Vec<RunEntry>, Problem> {
    let entries = history.bucket(row, bucket).await?;
    let leads_there = row.buckets.get(usize::from(bucket)) == Some(&bucket_root(&entries))
        && round_root(row.round, &row.buckets) == row.root;
    match leads_there {
        true => Ok(entries),
        false => Err(Problem::internal(format!(
            "the list of bucket {bucket} does not lead to the root of round {}",
            row.round
        ))),
    }
}
