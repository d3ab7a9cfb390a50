//! `/v1/streams/{stream}/members`: who may do more with a stream than everybody.
//!
//! What always holds: after each change the member's sessions on the stream, and those of its services, are opened
//! again with the rights that hold now.

use super::tokens::service_authors;
use crate::auth::principal as auth;
use crate::objects::call::{Method, Outcome, call as ask, expect_json, json_body, outcome};
use crate::objects::stream::api::{Member, Membership, WithdrawHere};
use crate::objects::stream_stub;
use crate::problem::Problem;
use crate::request::{Call, JSON_MAX_BYTES};
use crate::response::{Answer, json};
use alloy_primitives::Address;
use serde_json::json;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::StreamRef;

/// `GET /v1/streams/{stream}/members`
pub async fn list(call: &Call, stream: &StreamRef) -> Answer {
    auth::need(call, stream, Right::Manage).await?;
    let stub = stream_stub(&call.env, call.short(stream))?;
    match outcome::<Vec<Member>>(ask(&stub, Method::Get, "/members", None).await?).await? {
        Outcome::Refused(response) => Ok(response),
        Outcome::Done(members) => json(200, &json!({ "members": members })),
    }
}

/// `PUT /v1/streams/{stream}/members/{address}`: the member has these rights from now on, and no others.
pub async fn put(mut call: Call, stream: &StreamRef, member: Address) -> Answer {
    call.need_type("application/json")?;
    auth::need(&call, stream, Right::Manage).await?;
    let membership: Membership = call.json(JSON_MAX_BYTES).await?;
    let stub = stream_stub(&call.env, call.short(stream))?;
    let path = format!("/members/{member:#x}");
    let answer = ask(&stub, Method::Put, &path, json_body(&membership)?).await?;
    withdraw(&call, stream, member).await?;
    Ok(answer)
}

/// `DELETE /v1/streams/{stream}/members/{address}`
pub async fn remove(call: &Call, stream: &StreamRef, member: Address) -> Answer {
    auth::need(call, stream, Right::Manage).await?;
    let stub = stream_stub(&call.env, call.short(stream))?;
    let answer = ask(&stub, Method::Delete, &format!("/members/{member:#x}"), None).await?;
    // Even when there was no such member: the answer to an earlier try may have been lost before this.
    withdraw(call, stream, member).await?;
    Ok(answer)
}

async fn withdraw(call: &Call, stream: &StreamRef, member: Address) -> Result<(), Problem> {
    let mut authors = vec![member];
    authors.extend(service_authors(call, member).await?);
    let stub = stream_stub(&call.env, call.short(stream))?;
    let told = ask(
        &stub,
        Method::Post,
        "/withdraw",
        json_body(&WithdrawHere { authors })?,
    )
    .await?;
    expect_json::<serde_json::Value>(told).await?;
    Ok(())
}
