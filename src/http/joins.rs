//! Joining: another stream on a connection that is open, without another offer.

use super::sessions::{new_if_absent, not_there};
use crate::api::stream::{FindSession, OpenSession};
use crate::auth::principal::{self as auth, Principal};
use crate::path::PathParameters;
use crate::problem::Problem;
use crate::random;
use crate::rate_limit;
use crate::request::Call;
use crate::response::{Answer, put_member, respond};
use alloy_primitives::hex;
use serde_json::json;
use streamchain_edge_core::stream_log::Refusal;
use streamchain_protocol::auth::{JoinGrant, Right};
use streamchain_protocol::ids::{RelayId, SessionId, SessionRef, StreamRef};
use streamchain_protocol::limits::SESSION_TOKEN_LIFE_S;

/// Who asks, and the relay of their connection. The account's object and the stream's are asked at the same time, since a page opens
/// many streams one after the other; nothing of the relay is used before the credentials were found good.
async fn caller_and_relay(call: &Call, connection: SessionRef) -> Result<(Principal, RelayId), Problem> {
    let object = call.stream(connection.stream)?;
    let find = async |author| {
        let session = connection.session;
        object.call(FindSession { session, author }).await
    };
    let Some(author) = auth::author_in_header(call)? else {
        let principal = auth::need_principal(call).await?;
        let relay = find(principal.author).await.map_err(not_there)?;
        return Ok((principal, relay));
    };
    let (principal, relay) = futures_util::future::join(auth::need_principal(call), find(author)).await;
    let principal = principal?;
    match principal.author == author {
        true => Ok((principal, relay.map_err(not_there)?)),
        false => Err(Refusal::NoSuchSession.into()),
    }
}

/// `POST /v1/sessions/{session}/streams/{stream}`: a grant for another stream on the session's connection, for its author.
pub(crate) async fn join(call: Call, at: PathParameters) -> Answer {
    let (connection, stream) = (at.session()?, &at.stream()?);
    let (principal, relay) = caller_and_relay(&call, connection).await?;
    let author = principal.author;
    let short = call.short(stream);
    let session = SessionId(random::bytes()?);
    let asked = OpenSession {
        create: new_if_absent(&call, stream)?,
        session,
        author,
        account: Some(principal.account),
        operator: principal.operator,
        limit: principal.scope.on(short),
        client: rate_limit::client(call.headers(), &call.config),
        joins: Some(relay),
        location: call.location(),
    };
    let opened = call.stream(short)?.call(asked).await?;
    let chosen = &opened.chosen;
    let grant = JoinGrant {
        rights: opened.rights.of_session(),
        expires: call.now.to_sec().plus_s(SESSION_TOKEN_LIFE_S),
        connection: connection.session,
        session,
        stream: short,
        author,
        end: principal.claims.end,
    };
    let keys = call.config.relay_key(&chosen.relay, chosen.key).session_keys();
    let joined = SessionRef {
        stream: short,
        session,
    };
    let mut body = json!({
        "grant": grant.sign(&keys),
        "session": joined.to_string(),
        "stream": short,
        "author": author,
        "read": opened.rights.has(Right::Read),
        "write": opened.rights.has(Right::Write),
    });
    // Signatures are over the stream's id, which follows from owner and name.
    if matches!(stream, StreamRef::Name(_)) {
        put_member(&mut body, "owner", &hex::encode_prefixed(call.config.operator));
    }
    let location = format!("/v1/sessions/{joined}");
    let headers = [
        ("content-type", "application/json"),
        ("location", location.as_str()),
    ];
    respond(
        201,
        &headers,
        serde_json::to_vec(&body).map_err(Problem::internal)?,
    )
}
