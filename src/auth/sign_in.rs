//! Sign-ins with a wallet (EIP-4361), and guests, who have none: those who are a key, and those whom the edge makes.

use crate::api::limits;
use crate::config::Config;
use crate::config::chain::ChainConfig;
use crate::outbound::json_rpc::Rpc;
use crate::problem::{Kind, Problem};
use crate::random;
use crate::rate_limit;
use crate::request::Call;
use alloy_primitives::{Address, B256, Bytes};
use streamchain_chain::ethereum::ASKED_BY;
use streamchain_chain::ethereum::eip191;
use streamchain_chain::ethereum::eip6492::Undeployed;
use streamchain_chain::ethereum::{BlockId, Request as ChainRequest, RpcError};
use streamchain_edge_core::key_proof::KeyProof;
use streamchain_edge_core::rate_policy::Policy;
use streamchain_protocol::auth::AccessClaims;
use streamchain_protocol::auth::siwe::{NonceError, SignInNonce, SiweError};
use streamchain_protocol::limits::GUEST_TOKEN_LIFE_S;
use streamchain_protocol::time::UnixMs;

/// The nonce, if this deployment gave it out and it counts now.
pub(crate) fn verify_nonce(call: &Call, nonce: &str) -> Result<SignInNonce, SiweError> {
    let mut verified = Err(NonceError::Foreign);
    for master in call.config.masters() {
        verified = SignInNonce::verify(nonce, &master.nonce_key(), call.now.to_sec());
        if verified != Err(NonceError::Foreign) {
            break;
        }
    }
    verified.map_err(|_| SiweError::Nonce)
}

/// Whether the account signed: by its own key, or as its contract says (EIP-1271), even if that is yet to be deployed
/// (EIP-6492). What a contract says is the nodes' word: all of them are asked, and none that answers may contradict. The word of
/// nodes makes nobody an operator, unless the configuration says that the operator is a contract wallet.
pub(crate) async fn check_signature(
    call: &Call,
    account: Address,
    hash: B256,
    signature: Bytes,
) -> Result<(), Problem> {
    if eip191::signer(hash, &signature) == Some(account) {
        return Ok(());
    }
    if call.config.signs_by_key(account) {
        return Err(SiweError::Signature.into());
    }
    let Ok(chain) = ChainConfig::of(&call.env) else {
        return Err(SiweError::Signature.into());
    };
    let at = BlockId::Latest;
    let request = match Undeployed::parse(&signature) {
        Some(undeployed) => ChainRequest::Run {
            program: undeployed.program(account, hash),
            from: ASKED_BY,
            at,
        },
        None => ChainRequest::Call {
            to: account,
            data: eip191::ask_contract(hash, signature),
            at,
        },
    };
    let outcomes = Rpc::new(chain.chain_id, chain.urls).call_all(&request).await;
    let is_nodes_fault =
        |outcome: &Result<_, RpcError>| matches!(outcome, Err(error) if error.is_nodes_fault());
    match eip191::nodes_agree(&request, &outcomes) {
        Some(true) => Ok(()),
        None if outcomes.iter().any(is_nodes_fault) => Err(Problem::new(
            Kind::ChainUnreachable,
            "the signature is not the account's own, and its contract can't be asked now",
        )
        .header("retry-after", "5")),
        _ => Err(SiweError::Signature.into()),
    }
}

/// An author without a wallet, and the token that proves it.
pub(crate) struct Guest {
    /// A random address, or that of its key.
    pub author: Address,
    /// The access token.
    pub token: String,
    /// When it expires, Unix milliseconds.
    pub expires: UnixMs,
}

/// The guest that a request without credentials is by: the key that it proves to have, or a new one.
pub(crate) async fn guest(call: &Call) -> Result<Guest, Problem> {
    match guest_of_key(call).await? {
        Some(guest) => Ok(guest),
        None => token_of_guest(&call.config, Address::from(random::bytes::<20>()?), call.now),
    }
}

/// The guest whose key the request proves to have; `None` without a proof. The same key gives the same author, and each
/// proof a new token.
pub(crate) async fn guest_of_key(call: &Call) -> Result<Option<Guest>, Problem> {
    let headers = call.headers();
    let Some(proof) = headers.get("streamchain-key-proof")? else {
        return Ok(None);
    };
    let key = headers.get("streamchain-key")?.unwrap_or_default();
    let proof = KeyProof::parse(&key, &proof)?;
    proof
        .check_time(call.now.to_sec())
        .map_err(|error| Problem::from(error).with("now", call.now.to_sec()))?;
    let client = rate_limit::client(headers, &call.config);
    limits::take(&call.env, &call.id, &call.config, Policy::ProofsAddress, &client).await?;
    let author = proof.verify(&call.host())?;
    token_of_guest(&call.config, author, call.now).map(Some)
}

fn token_of_guest(config: &Config, author: Address, now: UnixMs) -> Result<Guest, Problem> {
    let iat = now.to_sec();
    let exp = iat.plus_s(GUEST_TOKEN_LIFE_S);
    let token = AccessClaims {
        sub: author,
        iat,
        exp,
        guest: true,
        since: None,
        end: None,
        key: None,
        scope: None,
    }
    .sign(&config.master.access_key());
    Ok(Guest {
        author,
        token,
        expires: exp.to_ms(),
    })
}
