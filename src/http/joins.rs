//! Joining: another stream on a connection that is open, without another offer.

use super::sessions::{new_if_absent, not_there};
use crate::api::stream::{FindSession, OpenSession};
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::Problem;
use crate::random;
use crate::rate_limit;
use crate::request::Call;
use crate::response::{Answer, put_member, respond};
use alloy_primitives::hex;
use serde_json::json;
use streamchain_protocol::auth::{JoinGrant, Right};
use streamchain_protocol::ids::{SessionId, SessionRef, StreamRef};
use streamchain_protocol::limits::SESSION_TOKEN_LIFE_S;

/// `POST /v1/sessions/{session}/streams/{stream}`: a grant for another stream on the session's connection, for its author.
pub(crate) async fn join(call: Call, at: PathParameters) -> Answer {
    let (connection, stream) = (at.session()?, &at.stream()?);
    let principal = auth::need_principal(&call).await?;
    let author = principal.author;
    let find = FindSession {
        session: connection.session,
        author,
    };
    let found = call.stream(connection.stream)?.call(find).await;
    let found = found.map_err(not_there)?;
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
        joins: Some(found.relay),
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
