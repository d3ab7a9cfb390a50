//! `GET /v1/streams?match=sensors.*`: the streams whose names match, and those that come to match, for whoever may read them.
//!
//! What always holds: streams that are not for whoever asks change nothing in an answer, neither its rows nor its cursor; a
//! question costs a bounded number of queries, however long it waits.

use super::listing::{listed, visible_to};
use crate::auth::principal::Principal;
use crate::clock;
use crate::path::parse_address;
use crate::problem::{Kind, Problem};
use crate::request::{Call, parse_number};
use crate::response::{Answer, json_without_nulls};
use crate::storage::d1::streams::{self, Matching, Part, StreamRow};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;
use streamchain_edge_core::matching::{MAX_MATCHES, MatchCursor};
use streamchain_protocol::auth::Right;
use streamchain_protocol::pattern::Pattern;
use streamchain_protocol::time::UnixMs;
use worker::{D1Database, Delay};

/// Longest time that a question waits for new streams, seconds: well below what proxies allow a request.
const MAX_WAIT_S: u64 = 20;

/// How often the table is looked at for all questions that wait at this instance, milliseconds.
const LOOK_MS: u64 = 1_000;

thread_local! {
    /// When the table was looked at, and how many streams it had.
    static LOOKED: Cell<(UnixMs, u64)> = const { Cell::new((UnixMs(0), 0)) };
}

/// The page behind the cursor `after`; where there is nothing yet, waits up to `wait` seconds for it.
pub(super) async fn list(call: &Call, principal: Option<&Principal>, pattern: &str) -> Answer {
    let bad = |detail: String| Problem::new(Kind::BadRequest, detail).with("field", "match");
    let pattern: Pattern = pattern.parse().map_err(|error| bad(format!("match: {error}")))?;
    let owner = call.query("owner")?;
    let owner = owner.map(|owner| parse_address(&owner)).transpose()?;
    let wanted = Matching {
        owner: owner.unwrap_or(call.config.operator),
        names: (pattern.least().to_owned(), pattern.above()),
        visible: visible_to(principal),
    };
    let limit = call.number("limit")?.unwrap_or(MAX_MATCHES as u64);
    let limit = limit.clamp(1, MAX_MATCHES as u64) as usize;
    let wait = call
        .query("wait")?
        .map(|text| parse_number("wait", &text))
        .transpose()?;
    let until = call.now.plus_ms(wait.unwrap_or(0).min(MAX_WAIT_S) * 1_000);
    let db = call.env.d1("DB")?;
    let after = call.query("after")?.map(|text| text.parse::<MatchCursor>());
    let mut cursor = match after.transpose().map_err(|error| bad(error.to_string()))? {
        Some(cursor) => cursor,
        None => MatchCursor {
            mark: streams::count(&db).await?,
            behind: None,
        },
    };
    let is_first = call.query("after")?.is_none();
    let rows = if is_first || cursor.behind.is_some() {
        let behind = cursor.behind.as_ref().map_or("", |name| name.as_str());
        let part = Part::Names {
            mark: cursor.mark,
            behind,
        };
        let rows = streams::matching(&db, &wanted, part, limit).await?;
        let last = rows.last().filter(|_| rows.len() == limit);
        cursor = MatchCursor::after_names(cursor.mark, last.map(|row| &row.name));
        rows
    } else {
        wait_for_new(&db, &wanted, &mut cursor, limit, until).await?
    };
    let streams: Vec<Value> = rows
        .iter()
        .filter(|row| may_read(principal, row))
        .map(listed)
        .collect();
    // Whoever reads on waits for nothing while there are names left.
    let more = cursor.behind.is_some().then_some(true);
    json_without_nulls(
        200,
        json!({ "streams": streams, "after": cursor.to_string(), "more": more }),
    )
}

/// Whether the credentials of a request are for this stream: a narrowed token opens none but its own.
fn may_read(principal: Option<&Principal>, row: &StreamRow) -> bool {
    principal.is_none_or(|one| one.scope.on(row.id.short()).has(Right::Read))
}

/// The streams made since; waits until there are some, or it is `until`.
async fn wait_for_new(
    db: &D1Database,
    wanted: &Matching,
    cursor: &mut MatchCursor,
    limit: usize,
    until: UnixMs,
) -> Result<Vec<StreamRow>, Problem> {
    loop {
        let (from, to) = cursor.new_places(count(db).await?);
        if from < to {
            let rows = streams::matching(db, wanted, Part::New(from, to), limit).await?;
            let last = rows.last().filter(|_| rows.len() == limit);
            *cursor = MatchCursor::after_new(to, last.map(|row| row.place));
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        let left = until.since(clock::now());
        if left == 0 {
            return Ok(Vec::new());
        }
        Delay::from(Duration::from_millis(left.min(LOOK_MS))).await;
    }
}

/// How many streams there are: asked once for all that wait at this instance.
async fn count(db: &D1Database) -> Result<u64, Problem> {
    let now = clock::now();
    let (at, known) = LOOKED.get();
    if now.since(at) < LOOK_MS {
        return Ok(known);
    }
    // Those that come meanwhile are answered with what was known.
    LOOKED.set((now, known));
    let count = streams::count(db).await?;
    LOOKED.set((now, count));
    Ok(count)
}
