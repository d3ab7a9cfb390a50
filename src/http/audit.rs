//! `/v1/audit`: the operator's questions to the audit log.

use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::{Call, parse_number};
use crate::response::{Answer, json_without_nulls, put_member};
use crate::storage::d1::audit::{self, AuditRow, Wanted};
use serde_json::{Value, json};
use streamchain_protocol::limits::MAX_EXACT_INTEGER;

/// Most entries on one page, and how many there are unless the request says so.
const MAX_PAGE_ENTRIES: u64 = 500;
const DEFAULT_PAGE_ENTRIES: u64 = 100;

/// `GET /v1/audit`: entries, the newest first.
pub(crate) async fn list(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    auth::need_operator(call).await?;
    let outcome = call.query("outcome")?;
    if outcome
        .as_deref()
        .is_some_and(|word| !["done", "refused", "failed"].contains(&word))
    {
        return Err(Problem::new(
            Kind::BadRequest,
            "outcome: expected done, refused or failed",
        ));
    }
    let number = |name: &str, default: u64| -> Result<u64, Problem> {
        let text = call.query(name)?;
        text.map_or(Ok(default), |text| parse_number(name, &text))
    };
    let wanted = Wanted {
        actor: call.query("actor")?,
        action: call.query("action")?,
        outcome,
        from: number("from", 0)?,
        to: number("to", MAX_EXACT_INTEGER)?,
        below: number("cursor", MAX_EXACT_INTEGER)?,
        limit: number("limit", DEFAULT_PAGE_ENTRIES)?.clamp(1, MAX_PAGE_ENTRIES),
    };
    let rows = audit::list(&call.env.d1("DB")?, &wanted).await?;
    let is_full = rows.len() as u64 == wanted.limit;
    let cursor = rows.last().filter(|_| is_full).map(|row| row.id);
    let entries: Vec<Value> = rows.into_iter().map(describe).collect();
    json_without_nulls(200, json!({ "entries": entries, "cursor": cursor }))
}

/// The entry with its number and seq.
fn describe(row: AuditRow) -> Value {
    let mut entry = row.entry;
    put_member(&mut entry, "id", &row.id);
    if let Some(seq) = row.seq {
        put_member(&mut entry, "seq", &seq);
    }
    entry
}
