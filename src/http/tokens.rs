//! `/v1/auth/…`: access tokens: for guests, for wallets that sign in (EIP-4361), narrower ones, and their end.

use super::author_keys;
use crate::api::account::{CheckCredentials, ListKeys, Revoke, SignIn as UseNonce};
use crate::api::relays::WithdrawAuthors;
use crate::auth::principal::{self as auth, Principal, PrincipalKind};
use crate::auth::sign_in::{self, check_signature, verify_nonce};
use crate::path::PathParameters;
use crate::problem::{Kind, Problem, unauthorized};
use crate::random;
use crate::request::{Call, MAX_JSON_BYTES};
use crate::response::{Answer, done, json};
use crate::storage::d1::certificates;
use alloy_primitives::{Address, Bytes, hex};
use serde::Deserialize;
use serde_json::json;
use streamchain_chain::ethereum::eip191;
use streamchain_edge_core::account::MAX_SCOPE_STREAMS;
use streamchain_edge_core::certificates::KeptCertificate;
use streamchain_edge_core::token_renewal::renewed;
use streamchain_protocol::auth::Rights;
use streamchain_protocol::auth::siwe::{Expected, SignIn, SignInNonce, SiweError};
use streamchain_protocol::auth::{AccessClaims, KeyRef, Scope};
use streamchain_protocol::ids::{ShortId, StreamRef};
use streamchain_protocol::limits::ACCESS_TOKEN_LIFE_S;
use streamchain_protocol::signed::Certificate;
use streamchain_protocol::time::{UnixMs, UnixSec};

/// Longest signature, bytes: contract wallets join those of many owners, and say how they are deployed.
const MAX_SIGNATURE_BYTES: usize = 4_096;

/// `POST /v1/auth/guest`: a new author with a token, or a new token for the author that the request's key is.
pub(crate) async fn guest(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let guest = sign_in::guest(call).await?;
    json(
        201,
        &json!({"token": guest.token, "author": guest.author, "expires": guest.expires}),
    )
}

/// `POST /v1/auth/nonce`: what a sign-in message must carry.
pub(crate) async fn nonce(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let domains = domains(call)?;
    let nonce = SignInNonce::new(random::bytes()?, call.now.to_sec());
    json(
        201,
        &json!({
            "nonce": nonce.sign(&call.config.master.nonce_key()), "expires": nonce.expires.to_ms(),
            "domain": domains.first(), "chainId": call.config.chain_id,
        }),
    )
}

/// The domains that people may sign in to. Off development chains the deployment names them: a request's host is what its
/// sender wrote.
fn domains(call: &Call) -> Result<Vec<String>, Problem> {
    match call.config.sign_in_fault() {
        Some(fault) => Err(Problem::new(Kind::Misconfigured, fault)),
        None if call.config.siwe_domains.is_empty() => Ok(vec![call.host()]),
        None => Ok(call.config.siwe_domains.clone()),
    }
}

#[derive(Deserialize)]
struct SignedMessage {
    message: String,
    signature: Bytes,
}

/// `POST /v1/auth/wallet`: a signed message of EIP-4361 becomes an access token.
pub(crate) async fn wallet(mut call: Call, _at: PathParameters) -> Answer {
    call.need_type("application/json")?;
    let SignedMessage { message, signature } = call.json(MAX_JSON_BYTES).await?;
    let signed = SignIn::parse(&message)?;
    let (domains, host) = (domains(&call)?, call.host());
    let expected = Expected {
        domains: &domains,
        chain_id: call.config.chain_id,
    };
    signed.check(&expected, call.now)?;
    if call.config.is_anchorer_alone(signed.address) {
        return Err(Problem::new(Kind::SignInRefused, auth::ANCHORER_REFUSED).with("reason", "anchorer"));
    }
    let nonce = verify_nonce(&call, signed.nonce)?;
    let authorities: Vec<&str> = domains.iter().chain([&host]).map(String::as_str).collect();
    let streams = signed.streams(&authorities)?;
    let streams = streams.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let delegation = signed.delegation()?;
    let scope = match streams.is_empty() {
        true => None,
        false => Some(wanted_scope(&call, Some(&streams), None)?),
    };
    if signature.len() > MAX_SIGNATURE_BYTES {
        return Err(SiweError::Signature.into());
    }
    let hash = eip191::hash(&message);
    check_signature(&call, signed.address, hash, signature.clone()).await?;
    let used = UseNonce {
        nonce: signed.nonce.to_owned(),
        expires: nonce.expires,
    };
    let issued = call.account(signed.address)?.call(used).await?.issued;
    if let Some(delegation) = delegation {
        let certificate = Certificate::Wallet {
            message: message.clone(),
            signature,
            issued: delegation.issued,
            expires: delegation.expires,
            revoked: None,
        };
        let kept = KeptCertificate {
            author: signed.address,
            key: delegation.key,
            chain_id: Some(signed.chain_id),
            certificate,
        };
        certify(&call, &kept, issued).await?;
    }
    let end = signed.expires.map(UnixMs::to_sec);
    let answer = answer_token(
        &call,
        &AccessClaims {
            sub: signed.address,
            iat: issued,
            exp: end
                .unwrap_or(UnixSec(u64::MAX))
                .min(issued.plus_s(ACCESS_TOKEN_LIFE_S)),
            guest: false,
            since: Some(issued),
            end,
            key: None,
            scope,
        },
    )?;
    answer
        .headers()
        .set("streamchain-author", &hex::encode_prefixed(signed.address))?;
    Ok(answer)
}

/// Keeps a wallet's certificate. A revocation ends those that it finds: where one came between the sign-in, which was `issued`
/// then, and its certificate, this ends it.
async fn certify(call: &Call, kept: &KeptCertificate, issued: UnixSec) -> Result<(), Problem> {
    author_keys::certify(call, kept).await?;
    let asked = CheckCredentials {
        issued: Some(issued),
        ..CheckCredentials::default()
    };
    if call.account(kept.author)?.call(asked).await?.refused.is_none() {
        return Ok(());
    }
    certificates::revoke(&call.env.d1("DB")?, &[kept.author], call.now.to_sec()).await?;
    Err(SiweError::Nonce.into())
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Narrower {
    streams: Option<Vec<String>>,
    rights: Option<Rights>,
    life: Option<u64>,
}

/// `POST /v1/auth/token`: another token for whom the request is by: a newer one, or one for less.
pub(crate) async fn token(mut call: Call, _at: PathParameters) -> Answer {
    call.need_type("application/json")?;
    let Principal { claims, .. } = auth::need_principal(&call).await?;
    let wanted: Narrower = call.json(MAX_JSON_BYTES).await?;
    let asked = wanted_scope(&call, wanted.streams.as_deref(), wanted.rights)?;
    let renewed = renewed(claims, &asked, wanted.life, call.now.to_sec());
    answer_token(&call, &renewed.map_err(|error| unauthorized(&error.to_string()))?)
}

/// The streams and rights that a request names, as a scope.
pub(super) fn wanted_scope(
    call: &Call,
    streams: Option<&[String]>,
    rights: Option<Rights>,
) -> Result<Scope, Problem> {
    let short = |text: &String| Ok(call.short(&text.parse::<StreamRef>()?));
    let streams: Option<Vec<ShortId>> = streams
        .map(|streams| streams.iter().map(short).collect::<Result<_, Problem>>())
        .transpose()?;
    if streams
        .as_ref()
        .is_some_and(|streams| streams.len() > MAX_SCOPE_STREAMS)
    {
        let detail = format!("streams: expected at most {MAX_SCOPE_STREAMS}; without them, all are meant");
        return Err(Problem::new(Kind::BadRequest, detail));
    }
    let rights = rights.unwrap_or(Rights::ALL);
    Ok(Scope { streams, rights })
}

fn answer_token(call: &Call, claims: &AccessClaims) -> Answer {
    json(
        201,
        &json!({
            "token": claims.sign(&call.config.master.access_key()), "author": claims.sub,
            "expires": claims.exp.to_ms(),
        }),
    )
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Revocation {
    account: Option<Address>,
    keys: bool,
}

/// `POST /v1/auth/revoke`: no token of the account that was issued until now counts any more, and its sessions end.
/// Its certificates end: what was signed under them stays provable. With `keys`, its API keys go too. The operator may name another account.
pub(crate) async fn revoke(mut call: Call, _at: PathParameters) -> Answer {
    call.need_type("application/json")?;
    let principal = auth::need_principal(&call).await?;
    let asked: Revocation = call.json(MAX_JSON_BYTES).await?;
    let account = asked.account.unwrap_or(principal.account);
    let is_own = account == principal.account && principal.scope == Scope::ALL;
    if principal.kind == PrincipalKind::Service || !is_own {
        auth::need_operator(&call).await?;
    }
    call.account(account)?.call(Revoke { keys: asked.keys }).await?;
    let mut authors = vec![account];
    if asked.keys {
        authors.extend(service_authors(&call, account).await?);
    }
    // Sessions end also while the database does not answer.
    let ended = withdraw(&call, authors.clone()).await;
    certificates::revoke(&call.env.d1("DB")?, &authors, call.now.to_sec()).await?;
    ended?;
    done(200)
}

/// The authors of an account's services, those of keys that were removed lately too.
pub(super) async fn service_authors(call: &Call, account: Address) -> Result<Vec<Address>, Problem> {
    let keys = call.account(account)?.call(ListKeys {}).await?;
    let author = |id| KeyRef { account, id }.author();
    Ok(keys.ids.into_iter().map(author).collect())
}

/// Ends the sessions of these authors everywhere: the relays learn of it with their next renewals.
pub(super) async fn withdraw(call: &Call, authors: Vec<Address>) -> Result<(), Problem> {
    call.relays()?.call(WithdrawAuthors { authors }).await
}
