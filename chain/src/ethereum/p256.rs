//! The signatures of clients' keys: ECDSA over P-256 with SHA-256, as WebCrypto makes them and as Ethereum verifies them
//! (EIP-7951).

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use streamchain_protocol::signed::{self, PublicKey};

/// Returns whether `signature` over `message` is `key`'s. Both values of `s` are taken; zero and values from the order up are not.
pub fn verify(key: &PublicKey, message: &[u8], signature: &signed::Signature) -> bool {
    let Ok(key) = VerifyingKey::from_sec1_bytes(key.as_bytes()) else {
        return false;
    };
    Signature::from_slice(&signature.0).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}
