//! `/v1/streams/{stream}/members`: who may do more with a stream than everybody.
//!
//! What always holds: after each change the member's sessions on the stream, and those of its services, are opened
//! again with the rights that hold now.

use super::tokens::service_authors;
use crate::api::stream::{ListMembers, Member, PutMember, RemoveMember, Withdraw};
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::Problem;
use crate::request::{Call, MAX_JSON_BYTES};
use crate::response::{Answer, done, json};
use crate::storage::d1::readers;
use alloy_primitives::Address;
use serde::Deserialize;
use serde_json::json;
use streamchain_protocol::auth::{Right, Rights};
use streamchain_protocol::ids::StreamRef;

/// `GET /v1/streams/{stream}/members`
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    auth::need(call, stream, Right::Manage).await?;
    let members = call.stream(call.short(stream))?.call(ListMembers {}).await?;
    json(200, &json!({ "members": members }))
}

#[derive(Deserialize)]
struct Membership {
    rights: Rights,
}

/// `PUT /v1/streams/{stream}/members/{address}`: the member has these rights from now on, and no others.
pub(crate) async fn put(mut call: Call, at: PathParameters) -> Answer {
    let stream = &at.stream()?;
    let address = at.member()?;
    call.need_type("application/json")?;
    auth::need(&call, stream, Right::Manage).await?;
    let Membership { rights } = call.json(MAX_JSON_BYTES).await?;
    let services = service_authors(&call, address).await?;
    let asked = PutMember {
        address,
        rights,
        services: services.clone(),
    };
    let put = call.stream(call.short(stream))?.call(asked).await;
    withdraw_newer(&call, stream, address, &services).await?;
    put?;
    note_reader(&call, stream, address, rights.has(Right::Read)).await?;
    json(200, &Member { address, rights })
}

/// `DELETE /v1/streams/{stream}/members/{address}`
pub(crate) async fn remove(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    let address = at.member()?;
    auth::need(call, stream, Right::Manage).await?;
    let services = service_authors(call, address).await?;
    let asked = RemoveMember {
        address,
        services: services.clone(),
    };
    let removed = call.stream(call.short(stream))?.call(asked).await;
    withdraw_newer(call, stream, address, &services).await?;
    removed?;
    note_reader(call, stream, address, false).await?;
    done(200)
}

/// Notes for lists of streams whether a member may read; the stream's object has decided it.
async fn note_reader(
    call: &Call,
    stream: &StreamRef,
    member: Address,
    may_read: bool,
) -> Result<(), Problem> {
    let db = call.env.d1("DB")?;
    readers::put(&db, member, call.short(stream), may_read).await?;
    Ok(())
}

/// Ends the sessions of services that came while the change was made: it ended those of the `known` ones itself.
async fn withdraw_newer(
    call: &Call,
    stream: &StreamRef,
    member: Address,
    known: &[Address],
) -> Result<(), Problem> {
    let mut authors = service_authors(call, member).await?;
    authors.retain(|author| !known.contains(author));
    if authors.is_empty() {
        return Ok(());
    }
    call.stream(call.short(stream))?.call(Withdraw { authors }).await
}
