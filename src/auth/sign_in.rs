//! Sign-ins with a wallet (EIP-4361), and guests, who have none.

use crate::config::Config;
use crate::config::chain::ChainConfig;
use crate::outbound::json_rpc::Rpc;
use crate::problem::{Kind, Problem};
use crate::random;
use crate::request::Call;
use alloy_primitives::{Address, B256, Bytes};
use streamchain_chain::ethereum::eip191;
use streamchain_chain::ethereum::eip6492::{RUN_BY, Undeployed};
use streamchain_chain::ethereum::{Answer as ChainAnswer, BlockId, Request as ChainRequest};
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
/// (EIP-6492).
pub(crate) async fn check_signature(
    call: &Call,
    account: Address,
    hash: B256,
    signature: Bytes,
) -> Result<(), Problem> {
    if eip191::signer(hash, &signature) == Some(account) {
        return Ok(());
    }
    let Ok(chain) = ChainConfig::of(&call.env) else {
        return Err(SiweError::Signature.into());
    };
    let at = BlockId::Latest;
    let request = match Undeployed::parse(&signature) {
        Some(undeployed) => ChainRequest::Run {
            program: undeployed.program(account, hash),
            from: RUN_BY,
            at,
        },
        None => ChainRequest::Call {
            to: account,
            data: eip191::ask_contract(hash, signature),
            at,
        },
    };
    match Rpc::new(chain.chain_id, chain.urls).call(&request).await {
        Ok(ChainAnswer::Returned(answer)) if eip191::contract_agrees(&answer) => Ok(()),
        Err(error) if error.is_nodes_fault() => Err(Problem::new(
            Kind::ChainUnreachable,
            "the signature is not the account's own, and its contract can't be asked now",
        )
        .header("retry-after", "5")),
        _ => Err(SiweError::Signature.into()),
    }
}

/// An author that nobody holds a key for, and the token that proves it.
pub(crate) struct Guest {
    /// A random address.
    pub author: Address,
    /// The access token.
    pub token: String,
    /// When it expires, Unix milliseconds.
    pub expires: UnixMs,
}

/// Makes a guest.
pub(crate) fn new_guest(config: &Config, now: UnixMs) -> Result<Guest, Problem> {
    let author = Address::from(random::bytes::<20>()?);
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
