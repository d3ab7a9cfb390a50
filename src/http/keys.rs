//! `/v1/keys`: API keys, for services that act for an account.

use super::author_keys;
use super::tokens::{wanted_scope, withdraw};
use crate::api::account::{AddKey, ListKeys, RemoveKey};
use crate::auth::principal::{self as auth, Principal, PrincipalKind};
use crate::path::{PathParameters, parse_public_key};
use crate::problem::{Kind, Problem};
use crate::random;
use crate::request::{Call, MAX_JSON_BYTES};
use crate::response::{Answer, done, json, put_member};
use crate::storage::d1::certificates;
use alloy_primitives::Address;
use serde::Deserialize;
use serde_json::{Value, json};
use streamchain_edge_core::account::{AccountError, KeptKey, MAX_KEY_NAME_CHARS};
use streamchain_edge_core::certificates::{KeptCertificate, check_key, service_issued};
use streamchain_edge_core::token_renewal::sooner;
use streamchain_protocol::auth::ApiKey;
use streamchain_protocol::auth::Rights;
use streamchain_protocol::auth::{KeyRef, Scope};
use streamchain_protocol::ids::KeyId;
use streamchain_protocol::signed::{Certificate, PublicKey};
use streamchain_protocol::time::{UnixMs, UnixSec};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    streams: Option<Vec<String>>,
    rights: Rights,
    expires: Option<UnixMs>,
    #[serde(rename = "publicKey")]
    public_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedPublicKey {
    #[serde(rename = "publicKey")]
    public_key: String,
}

/// Keys are made and revoked by wallets alone, with tokens that are not narrowed.
async fn need_wallet(call: &Call) -> Result<Principal, Problem> {
    let principal = auth::need_principal(call).await?;
    if principal.kind == PrincipalKind::Wallet && principal.scope == Scope::ALL {
        return Ok(principal);
    }
    let detail = "API keys are for wallets that signed in, with a token that is not narrowed";
    Err(Problem::new(Kind::Forbidden, detail))
}

/// `POST /v1/keys`: the answer is the only one that shows the key. A key ends with the sign-in or the token that it was
/// made with, where these have an end of their own.
pub(crate) async fn create(mut call: Call, _at: PathParameters) -> Answer {
    call.need_type("application/json")?;
    let principal = need_wallet(&call).await?;
    let account = principal.account;
    let wanted: Wanted = call.json(MAX_JSON_BYTES).await?;
    let out_of_shape = |detail: &str| Problem::new(Kind::BadRequest, detail);
    let length = wanted.name.chars().count();
    if length == 0 || length > MAX_KEY_NAME_CHARS || wanted.name.chars().any(char::is_control) {
        return Err(out_of_shape("name: expected 1 to 64 characters"));
    }
    if wanted.rights == Rights::NONE {
        return Err(out_of_shape(
            "rights: expected one or more of read, write, manage",
        ));
    }
    if wanted.expires.is_some_and(|expires| expires <= call.now) {
        return Err(out_of_shape(
            "expires: expected a time to come, Unix milliseconds",
        ));
    }
    let public_key = wanted.public_key.as_deref().map(parse_public_key).transpose()?;
    let id = KeyId(random::bytes()?);
    let key = ApiKey::new(KeyRef { account, id }, random::bytes()?);
    let kept = KeptKey {
        id,
        name: wanted.name,
        hash: key.hash(),
        scope: wanted_scope(&call, wanted.streams.as_deref(), Some(wanted.rights))?,
        created: call.now,
        expires: sooner(wanted.expires, principal.claims.end.map(UnixSec::to_ms)),
    };
    call.account(account)?.call(AddKey { key: kept.clone() }).await?;
    let mut shown = describe(account, &kept);
    if let Some(public_key) = public_key {
        if let Err(problem) = certify_service(&call, account, &kept, public_key, &[]).await {
            // Nobody was shown the key.
            call.account(account)?.call(RemoveKey { key: id }).await?;
            return Err(problem);
        }
        put_member(&mut shown, "publicKey", &public_key.to_base64());
    }
    put_member(&mut shown, "key", &key.to_text());
    json(201, &shown)
}

/// The operator vouches for a service's key, as long as the API key lives. `before` is what is kept for the key already.
async fn certify_service(
    call: &Call,
    account: Address,
    kept: &KeptKey,
    key: PublicKey,
    before: &[KeptCertificate],
) -> Result<(), Problem> {
    key.point()
        .map_err(|error| Problem::new(Kind::BadRequest, format!("publicKey: {error}")))?;
    let certificate = Certificate::Service {
        account,
        issued: service_issued(before, call.now.to_sec()),
        expires: kept.expires.map(UnixMs::to_sec),
        revoked: None,
    };
    let author = KeyRef { account, id: kept.id }.author();
    let kept = KeptCertificate {
        author,
        key,
        chain_id: None,
        certificate,
    };
    author_keys::certify(call, &kept).await
}

/// `PUT /v1/keys/{key}/public-key`: from now on the service signs with this key, and with no other. The same again changes
/// nothing.
pub(crate) async fn put_public_key(mut call: Call, at: PathParameters) -> Answer {
    let id = at.key()?;
    call.need_type("application/json")?;
    let account = need_wallet(&call).await?.account;
    let wanted: WantedPublicKey = call.json(MAX_JSON_BYTES).await?;
    let key = parse_public_key(&wanted.public_key)?;
    let keys = call.account(account)?.call(ListKeys {}).await?.keys;
    let is_good = |kept: &&KeptKey| kept.id == id && kept.expires.is_none_or(|expires| call.now < expires);
    let kept = keys.iter().find(is_good).ok_or(AccountError::NoSuchKey)?;
    let author = KeyRef { account, id }.author();
    let (db, now) = (call.env.d1("DB")?, call.now.to_sec());
    let before = certificates::of_key(&db, author, key, now, |one| one.signs(now)).await?;
    if check_key(&before, None, now).is_err() {
        certify_service(&call, account, kept, key, &before).await?;
    }
    certificates::revoke_others(&db, author, key, now).await?;
    // Sessions that signed with another key begin again.
    withdraw(&call, vec![author]).await?;
    json(
        200,
        &json!({ "id": id, "author": author, "publicKey": key.to_base64() }),
    )
}

/// `GET /v1/keys`: the account's own.
pub(crate) async fn list(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let account = need_wallet(call).await?.account;
    let kept = call.account(account)?.call(ListKeys {}).await?;
    let keys: Vec<Value> = kept.keys.iter().map(|key| describe(account, key)).collect();
    json(200, &json!({ "keys": keys }))
}

/// `DELETE /v1/keys/{key}`: the key, its tokens and its sessions are over. The operator may name the account in
/// `?account=`.
pub(crate) async fn remove(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let id = at.key()?;
    let own = need_wallet(call).await?.account;
    let account = match call.query("account")? {
        None => own,
        Some(text) => {
            auth::need_operator(call).await?;
            text.parse()
                .map_err(|_| Problem::new(Kind::BadRequest, "account: expected 0x and 40 digits"))?
        }
    };
    call.account(account)?.call(RemoveKey { key: id }).await?;
    let author = KeyRef { account, id }.author();
    // Sessions end also while the database does not answer.
    let ended = withdraw(call, vec![author]).await;
    certificates::revoke(&call.env.d1("DB")?, &[author], call.now.to_sec()).await?;
    ended?;
    done(200)
}

fn describe(account: Address, key: &KeptKey) -> Value {
    let mut shown = json!({
        "id": key.id, "name": key.name, "author": KeyRef { account, id: key.id }.author(),
        "rights": key.scope.rights, "created": key.created,
    });
    if let Some(streams) = &key.scope.streams {
        put_member(&mut shown, "streams", streams);
    }
    if let Some(expires) = key.expires {
        put_member(&mut shown, "expires", &expires);
    }
    shown
}
