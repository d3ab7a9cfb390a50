//! Signals between two sessions of one stream, for a direct connection of their browsers.

use crate::api::stream::{PostSignal, ReadSignals};
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::rate_limit;
use crate::request::{Call, MAX_JSON_BYTES, from_json};
use crate::response::{Answer, done, json};
use serde::Deserialize;
use serde_json::{Value, json};
use streamchain_edge_core::signalling::{MAX_PEERS_ASKED, Peer};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{SessionId, SessionRef, StreamRef};

#[derive(Deserialize)]
struct Posted {
    to: String,
    signal: String,
}

/// `POST /v1/sessions/{session}/signals`: leaves a signal in another session's mailbox.
pub(crate) async fn post(mut call: Call, at: PathParameters) -> Answer {
    let from = at.session()?;
    call.need_type("application/json")?;
    let author = reader(&call, from).await?;
    let posted: Posted = from_json(&call.body(MAX_JSON_BYTES).await?)?;
    let to: SessionRef = posted.to.parse()?;
    if to.stream != from.stream {
        return Err(Problem::new(
            Kind::NoSuchSession,
            "that session is of another stream",
        ));
    }
    let asked = PostSignal {
        session: from.session,
        author,
        to: to.session,
        signal: posted.signal,
    };
    call.stream(from.stream)?.call(asked).await?;
    done(202)
}

/// `GET /v1/sessions/{session}/signals?after=`: what is in the session's mailbox, and who else looks for peers.
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let owner = at.session()?;
    let author = reader(call, owner).await?;
    let after = call.number("after")?.unwrap_or(0);
    let linked = call.query("peers")?;
    let asked = ReadSignals {
        session: owner.session,
        author,
        after,
        client: rate_limit::client(call.headers(), &call.config),
        peers: sessions(linked.as_deref().unwrap_or_default(), owner)?,
    };
    let looked = call.stream(owner.stream)?.call(asked).await?;
    let name = |session: SessionId| {
        let stream = owner.stream;
        SessionRef { stream, session }.to_string()
    };
    let peer = |peer: &Peer| json!({"session": name(peer.session), "author": peer.author});
    let peers: Vec<_> = looked.peers.iter().map(peer).collect();
    let signals = looked.signals.iter();
    let signals: Vec<_> = signals
        .map(|signal| json!({"number": signal.number, "from": peer(&signal.from), "signal": signal.signal}))
        .collect();
    let mut answer = json!({"peers": peers, "signals": signals});
    if let (Some(_), Value::Object(members)) = (linked, &mut answer) {
        let gone: Vec<String> = looked.gone.into_iter().map(name).collect();
        members.insert("gone".into(), json!(gone));
    }
    json(200, &answer)
}

/// The sessions of `?peers=`, separated by commas: those of the same stream.
fn sessions(text: &str, owner: SessionRef) -> Result<Vec<SessionId>, Problem> {
    let named = text.split(',').filter(|one| !one.is_empty());
    let parsed = named.map(|one| Ok(one.parse::<SessionRef>()?));
    let parsed: Vec<SessionRef> = parsed.collect::<Result<_, Problem>>()?;
    if parsed.len() > MAX_PEERS_ASKED {
        let detail = format!("peers: expected at most {MAX_PEERS_ASKED} sessions");
        return Err(Problem::new(Kind::BadRequest, detail));
    }
    let of_stream = parsed.into_iter().filter(|one| one.stream == owner.stream);
    Ok(of_stream.map(|one| one.session).collect())
}

/// Who asks, if they may read the stream: a direct connection brings its messages.
async fn reader(call: &Call, session: SessionRef) -> Result<alloy_primitives::Address, Problem> {
    let author = auth::need_principal(call).await?.author;
    auth::need(call, &StreamRef::Short(session.stream), Right::Read).await?;
    Ok(author)
}
