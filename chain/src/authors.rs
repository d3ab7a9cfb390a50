//! Who signed a message, and who vouches for the key: the checks that need elliptic curves.
//!
//! What always holds: what is returned was verified, but for the answer of a contract wallet, which only the chain can give.

use crate::ethereum::{eip191, p256};
use streamchain_protocol::auth::siwe::SignIn;
use streamchain_protocol::proof::{AuthorError, Receipt, check_certificate};
use streamchain_protocol::signed::{Certificate, GroupDigest, PublicKey, Signature};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::{Address, B256, Bytes};

/// How long what the edge says of a key counts for messages that come after it was asked, seconds: so long may a revocation go
/// unseen by a reader that goes on, and so seldom is the edge asked about each key.
pub const CERTIFICATE_LIFE_S: u64 = 5 * 60;

/// Returns whether what the edge said of a key when it was `asked` still counts `now`, for a message of the time `used`. A later
/// revocation changes nothing for a message that was there when the edge was asked.
pub fn still_counts(asked: UnixSec, used: UnixSec, now: UnixSec) -> bool {
    // A clock that was set back says nothing about how long it is ago.
    let age = now.0.checked_sub(asked.0);
    used <= asked || age.is_some_and(|age| age < CERTIFICATE_LIFE_S)
}

/// Why an author's signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorFault {
    /// The signature is not the key's, or is over something else.
    #[error("the signature is not key {0}'s over this group")]
    Signature(PublicKey),
    /// The certificate does not vouch for the key.
    #[error(transparent)]
    Certificate(#[from] AuthorError),
}

/// Who vouches for it that a key is an author's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voucher {
    /// The author's address is made of the key: nobody else needs to vouch.
    Own,
    /// The author's wallet signed the delegation in a sign-in at `domain`.
    Wallet {
        /// Where it signed in.
        domain: String,
    },
    /// The signature under the sign-in is no plain wallet's: the chain says whether it is the contract wallet's.
    ContractWallet {
        /// Where it signed in.
        domain: String,
        /// The hash that the wallet signed (EIP-191).
        hash: B256,
        /// The signature (EIP-1271 or EIP-6492).
        signature: Bytes,
    },
    /// The operator says that the service's account registered the key.
    Operator,
}

/// Checks that a key signed a group.
pub fn check_group(signed: &GroupDigest, key: &PublicKey, signature: &Signature) -> Result<(), AuthorFault> {
    p256::verify(key, &signed.preimage(), signature)
        .then_some(())
        .ok_or(AuthorFault::Signature(*key))
}

/// Checks a certificate of `author` for `key`, whatever the time; returns who vouches.
pub fn voucher(
    certificate: &Certificate,
    key: &PublicKey,
    author: Address,
    chain_id: u64,
) -> Result<Voucher, AuthorFault> {
    check_certificate(certificate, key, author, chain_id)?;
    let Certificate::Wallet {
        message, signature, ..
    } = certificate
    else {
        return Ok(match certificate {
            Certificate::Own {} => Voucher::Own,
            _ => Voucher::Operator,
        });
    };
    let domain = SignIn::parse(message)
        .map_err(AuthorError::from)?
        .domain
        .to_owned();
    let hash = eip191::hash(message);
    if eip191::signer(hash, signature) == Some(author) {
        return Ok(Voucher::Wallet { domain });
    }
    Ok(Voucher::ContractWallet {
        domain,
        hash,
        signature: signature.clone(),
    })
}

/// Verifies the author's part of a receipt that [`Receipt::check`] found right; `None` when it has none, so that the operator
/// attests the author.
pub fn check_author(receipt: &Receipt) -> Option<Result<Voucher, AuthorFault>> {
    let author = receipt.author.as_ref()?;
    let signed = author.signed(&receipt.stream, &receipt.message);
    let checked = check_group(&signed, &author.key, &author.signature);
    Some(checked.and_then(|()| {
        voucher(
            &author.certificate,
            &author.key,
            receipt.message.author,
            receipt.chain_id,
        )
    }))
}
