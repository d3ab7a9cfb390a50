//! The keys that sign for authors: `/v1/authors/{author}/keys/{publicKey}`, and who vouches for them.

use crate::api::limits;
use crate::api::stream::{GetAccess, GetState, Publisher};
use crate::path::PathParameters;
use crate::problem::{Kind, Problem, need_right_on};
use crate::rate_limit;
use crate::request::Call;
use crate::response::{Answer, json, put_member};
use crate::storage::d1;
use crate::storage::d1::certificates::{self, Put};
use alloy_primitives::Address;
use serde_json::json;
use streamchain_edge_core::archive::Fullness;
use streamchain_edge_core::certificates::{
    KeptCertificate, KeyFault, MAX_AUTHOR_KEYS, at_time, check_key, check_wait, is_own,
};
use streamchain_edge_core::rate_policy::Policy;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{StreamId, StreamName, StreamRef};
use streamchain_protocol::signed::{Certificate, PublicKey};
use streamchain_protocol::time::{UnixMs, UnixSec};

/// `GET /v1/authors/{author}/keys/{publicKey}`: the certificate that counts at `?at=` (Unix seconds; now unless given), or
/// else the newest. `?stream=` (the id) and `?name=` say for which stream it is to count: sign-ins may name streams. Nothing is
/// asked about that stream, so the answer says nothing about whether there is one.
pub(crate) async fn get(call: Call, at: PathParameters) -> Answer {
    let (author, key) = (at.author()?, at.public_key()?);
    let time = call.number("at")?.map_or(call.now.to_sec(), UnixSec);
    let mut shown = json!({ "author": author, "key": key });
    if is_own(author, &key) {
        put_member(&mut shown, "kind", &"self");
        return json(200, &shown);
    }
    let stream = asked_stream(&call)?;
    let stream = stream.as_ref().map(|(id, name)| (*id, name));
    let is_for = |one: &KeptCertificate| stream.is_none_or(|(id, name)| one.is_for(id, name));
    let kept = certificates::of_key(&call.env.d1("DB")?, author, key, time, is_for).await?;
    let Some(found) = at_time(&kept, stream, time) else {
        return Err(Problem::new(
            Kind::NoSuchKey,
            "nobody vouches for this key of this author",
        ));
    };
    let certificate = serde_json::to_value(&found.certificate).map_err(Problem::internal)?;
    for (name, value) in certificate.as_object().into_iter().flatten() {
        put_member(&mut shown, name, value);
    }
    if let Some(chain_id) = found.chain_id {
        put_member(&mut shown, "chainId", &chain_id);
    }
    json(200, &shown)
}

/// The stream that `?stream=` (its id) and `?name=` say; a name alone is one of the operator's streams. An id alone is passed over,
/// as before: whether a sign-in names the stream can't be said without its name.
fn asked_stream(call: &Call) -> Result<Option<(StreamId, StreamName)>, Problem> {
    let Some(name) = call.query("name")? else {
        return Ok(None);
    };
    let name: StreamName = name.parse()?;
    let id = match call.query("stream")? {
        Some(id) => id.parse()?,
        None => StreamId::of(call.config.operator, &name),
    };
    Ok(Some((id, name)))
}

/// Keeps a certificate that was checked, unless one that is kept makes it needless. What is kept is kept for good, so it is
/// counted for the client's address and for the author before.
pub(super) async fn certify(call: &Call, kept: &KeptCertificate) -> Result<(), Problem> {
    let now = call.now.to_sec();
    let expires = match &kept.certificate {
        Certificate::Own {} => return Ok(()),
        Certificate::Wallet { expires, .. } => Some(*expires),
        Certificate::Service { expires, .. } => *expires,
    };
    let db = call.env.d1("DB")?;
    let needless = |one: &KeptCertificate| one.makes_needless(expires, now);
    let before = certificates::of_key(&db, kept.author, kept.key, now, needless).await?;
    if before.iter().any(needless) {
        return Ok(());
    }
    let client = rate_limit::client(call.headers(), &call.config);
    let policy = Policy::CertificatesAddress;
    limits::take(&call.env, &call.id, &call.config, policy, &client).await?;
    let bytes = d1::size(&db).await.unwrap_or(0);
    if Fullness::of(bytes, call.config.archive.database_bytes) == Fullness::Full {
        let detail = "the deployment's database is nearly full: no certificates are kept until its operator makes room";
        return Err(Problem::new(Kind::StorageFull, detail));
    }
    match certificates::put(&db, kept, now).await? {
        Put::Kept => Ok(()),
        Put::Full => {
            let detail = format!(
                "{MAX_AUTHOR_KEYS} keys were certified for this author within 30 days: use one of them"
            );
            Err(Problem::new(Kind::Full, detail))
        }
        Put::Conflict => {
            let detail = "another certificate of this key begins in the same second, or was revoked in it: sign in again";
            Err(Problem::new(Kind::CertificateConflict, detail))
        }
    }
}

/// Checks that a key signs for an author on a stream now. Returns the second before which it does; `None` without an end.
/// A `publisher` learns nothing of a stream that it may not write to.
pub(super) async fn check(
    call: &Call,
    author: Address,
    key: PublicKey,
    stream: &StreamRef,
    publisher: Option<&Publisher>,
) -> Result<Result<Option<UnixSec>, KeyFault>, Problem> {
    if is_own(author, &key) {
        return Ok(Ok(None));
    }
    let now = call.now.to_sec();
    let db = call.env.d1("DB")?;
    let is_for_all = |one: &KeptCertificate| one.signs(now) && !one.names_streams();
    let kept = certificates::of_key(&db, author, key, now, is_for_all).await?;
    let checked = match kept.iter().any(KeptCertificate::names_streams) {
        false => check_key(&kept, None, now),
        true => {
            let (id, name) = named(call, stream, publisher).await?;
            let is_for = |one: &KeptCertificate| one.signs(now) && one.is_for(id, &name);
            let kept = match kept.iter().any(is_for) {
                true => kept,
                false => certificates::of_key(&db, author, key, now, is_for).await?,
            };
            check_key(&kept, Some((id, &name)), now)
        }
    };
    // What comes by HTTP may wait for its relay, which gives it its time.
    Ok(checked.and_then(|until| match publisher {
        Some(_) => check_wait(until, now).map(|()| until),
        None => Ok(until),
    }))
}

/// The whole id and the name of a stream, which sign-ins may name it by. A stream that is given by its name is not asked; one
/// that is given by its id says its name to those alone who may publish there.
async fn named(
    call: &Call,
    stream: &StreamRef,
    publisher: Option<&Publisher>,
) -> Result<(StreamId, StreamName), Problem> {
    if let StreamRef::Name(name) = stream {
        return Ok((StreamId::of(call.config.operator, name), name.clone()));
    }
    if let Some(one) = publisher {
        let account = Some(one.account);
        let access = call
            .stream(call.short(stream))?
            .call(GetAccess { account })
            .await?;
        let rights = access.rights(account, one.operator).and(one.limit);
        need_right_on(&access, true, rights, Right::Write)?;
    }
    let state = call.stream(call.short(stream))?.call(GetState {}).await?;
    Ok((state.id, state.name))
}

/// The certificate of a message's author and key at the message's time; `None` when nobody vouches for the key then.
pub(super) async fn of_message(
    call: &Call,
    author: Address,
    key: PublicKey,
    time: UnixMs,
    (id, name): (StreamId, &StreamName),
) -> Result<Option<Certificate>, Problem> {
    if is_own(author, &key) {
        return Ok(Some(Certificate::Own {}));
    }
    let at = time.to_sec();
    let is_for = |one: &KeptCertificate| one.is_for(id, name);
    let kept = certificates::of_key(&call.env.d1("DB")?, author, key, at, is_for).await?;
    let found = at_time(&kept, Some((id, name)), at);
    Ok(found.map(|found| found.certificate.clone()))
}
