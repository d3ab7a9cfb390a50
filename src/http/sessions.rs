//! Sessions: an offer becomes an answer in one request, and the relay is never asked.

use super::ice_servers::{self, TurnUser};
use super::streams::new_stream;
use crate::api::stream::{EndSession, OpenSession, SessionOpened};
use crate::auth::principal as auth;
use crate::auth::sign_in::guest;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::random;
use crate::rate_limit;
use crate::request::Call;
use crate::response::{Answer, done, respond};
use alloy_primitives::{Address, hex};
use streamchain_edge_core::directory::Chosen;
use streamchain_edge_core::stream_log::{NewStream, Refusal};
use streamchain_protocol::auth::Rights;
use streamchain_protocol::auth::{FingerprintHash, MaxMessage, SessionToken, ice_password};
use streamchain_protocol::ids::{SessionId, SessionRef, StreamRef};
use streamchain_protocol::limits::{MAX_OFFER_BYTES, SESSION_TOKEN_LIFE_S};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::webrtc::{Answer as SdpAnswer, Offer};

/// When a client comes again that found no relay, seconds: as often as a relay renews.
const NO_RELAY_RETRY_S: &str = "2";

/// How many streams a connection takes where its relay lets others join: a relay's limit.
const STREAMS_ON_CONNECTION: &str = "64";

/// `POST /v1/streams/{stream}/sessions`: the shape of WHIP (RFC 9725).
pub(crate) async fn open(mut call: Call, at: PathParameters) -> Answer {
    let stream = &at.stream()?;
    call.need_type("application/sdp")?;
    let principal = auth::principal(&call).await?;
    let body = call.body(MAX_OFFER_BYTES).await?;
    let offer = std::str::from_utf8(&body).map_err(|_| Problem::new(Kind::BadOffer, "not SDP: not UTF-8"))?;
    let offer = Offer::parse(offer)?;
    let (author, guest) = match &principal {
        Some(principal) => (principal.author, None),
        None => {
            let guest = guest(&call).await?;
            (guest.author, Some(guest))
        }
    };
    let create = new_if_absent(&call, stream)?;
    let short = call.short(stream);
    let session = SessionId(random::bytes()?);
    let asked = OpenSession {
        create,
        session,
        author,
        account: principal.as_ref().map(|one| one.account),
        operator: principal.as_ref().is_some_and(|one| one.operator),
        limit: principal.as_ref().map_or(Rights::ALL, |one| one.scope.on(short)),
        client: rate_limit::client(call.headers(), &call.config),
        joins: None,
        location: call.location(),
    };
    let opened = match call.stream(short)?.call(asked).await {
        Err(problem) if problem.kind() == Kind::NoRelay && call.prefers("respond-async")? => {
            return later(&problem);
        }
        opened => opened?,
    };
    let session = SessionRef {
        stream: short,
        session,
    };
    let end = principal.as_ref().and_then(|one| one.claims.end);
    let sdp = write_answer(&call, &offer, &opened, session, (author, end))?;
    let location = format!("/v1/sessions/{session}");
    let account = principal.as_ref().map_or(author, |one| one.account);
    // A guest that is new has no credentials of its own yet, and may never come back.
    let own = match &principal {
        Some(one) => ice_servers::own(&call, one.account).await,
        None => Vec::new(),
    };
    let links = ice_servers::links(&call, &opened.chosen, TurnUser { account, end }, &own);
    let author = hex::encode_prefixed(author);
    let relay = relay_header(&opened.chosen);
    let mut headers = vec![
        ("content-type", "application/sdp"),
        ("location", &location),
        ("streamchain-author", &author),
        ("streamchain-relay", &relay),
    ];
    if opened.chosen.joins {
        headers.push(("streamchain-streams", STREAMS_ON_CONNECTION));
    }
    // Signatures are over the stream's id, which follows from owner and name.
    let owner = hex::encode_prefixed(call.config.operator);
    if matches!(stream, StreamRef::Name(_)) {
        headers.push(("streamchain-owner", &owner));
    }
    headers.extend(
        guest
            .iter()
            .map(|guest| ("streamchain-access-token", guest.token.as_str())),
    );
    headers.extend(links.iter().map(|link| ("link", link.as_str())));
    respond(201, &headers, sdp.into_bytes())
}

/// The stream that a session makes which is the first to name it.
pub(super) fn new_if_absent(call: &Call, stream: &StreamRef) -> Result<Option<NewStream>, Problem> {
    match stream {
        StreamRef::Name(name) if call.config.auto_create && !name.is_system() => {
            new_stream(call, name.clone()).map(Some)
        }
        _ => Ok(None),
    }
}

/// The relay that was chosen, and why: an item of RFC 9651 with parameters.
fn relay_header(chosen: &Chosen) -> String {
    let mut header = format!("\"{}\"", chosen.relay);
    if let Some(why) = chosen.why {
        header += &format!(";reason={}", why.reason.word());
        if let Some(km) = why.km {
            header += &format!(";km={km}");
        }
    }
    header
}

/// The answer to a client that says by `Prefer: respond-async` (RFC 7240 §4.1) that it comes again: that there is no relay
/// yet is no failure to it, and is not shown as one by a browser.
fn later(problem: &Problem) -> Answer {
    let body = serde_json::to_vec(&problem.document()).map_err(Problem::internal)?;
    let headers = [
        ("content-type", "application/problem+json"),
        ("retry-after", NO_RELAY_RETRY_S),
    ];
    respond(202, &headers, body)
}

/// Signs the session for the relay that was chosen, with that relay's keys. It is the author's, and ends with the
/// author's credentials where these can't be renewed beyond some time.
fn write_answer(
    call: &Call,
    offer: &Offer,
    opened: &SessionOpened,
    session: SessionRef,
    (author, end): (Address, Option<UnixSec>),
) -> Result<String, Problem> {
    let chosen = &opened.chosen;
    let keys = call.config.relay_key(&chosen.relay, chosen.key).session_keys();
    let expires = call.now.to_sec().plus_s(SESSION_TOKEN_LIFE_S);
    // A relay that knows of no end is given less time to start the session, and then goes on with it.
    let (expires, end) = match end {
        Some(end) if !chosen.session_ends => (end.min(expires), None),
        end => (expires, end),
    };
    let token = SessionToken {
        rights: opened.rights.of_session(),
        expires,
        session: session.session,
        stream: session.stream,
        author,
        fingerprint: FingerprintHash::of(&offer.fingerprint),
        relay_begins: offer.relay_begins,
        max_message: MaxMessage::of_offer(offer.max_message_size),
        end,
    };
    let ice_ufrag = token.sign(&keys);
    let answer = SdpAnswer {
        offer,
        ice_pwd: &ice_password(&ice_ufrag, &keys),
        ice_ufrag: &ice_ufrag,
        fingerprint: &chosen.fingerprint,
        candidates: &chosen.candidates,
        // Positive for every reader: RFC 8866 wants a number that fits 63 bits.
        origin: u64::from_be_bytes(session.session.0) >> 1,
    };
    Ok(answer.write())
}

/// `DELETE /v1/sessions/{session}`: by the author who opened it.
pub(crate) async fn end(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let session = at.session()?;
    let author = auth::need_principal(call).await?.author;
    let SessionRef { stream, session } = session;
    let ended = call.stream(stream)?.call(EndSession { session, author }).await;
    ended.map_err(not_there)?;
    done(200)
}

/// The problem with a session's stream: whether the stream is there is not for everybody to know.
pub(super) fn not_there(problem: Problem) -> Problem {
    match problem.kind() {
        Kind::NoSuchStream => Refusal::NoSuchSession.into(),
        _ => problem,
    }
}
