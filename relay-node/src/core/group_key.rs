//! The key by which a client signs its groups, ready to verify with.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use streamchain_protocol::signed::{GroupDigest, PublicKey, Signature};

/// A client's key, read once for all groups of a session.
#[derive(Debug, Clone)]
pub struct GroupKey(ParsedPublicKey);

impl GroupKey {
    /// Reads a key; `None` when it is no point of the curve.
    pub fn new(key: &PublicKey) -> Option<Self> {
        let point = key.point().ok()?.to_uncompressed();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .ok()
            .map(Self)
    }

    /// Returns whether the key signed the group.
    pub fn verify(&self, signed: &GroupDigest, signature: &Signature) -> bool {
        self.verify_bytes(&signed.preimage(), signature)
    }

    /// Returns whether the key signed these bytes.
    pub fn verify_bytes(&self, bytes: &[u8], signature: &Signature) -> bool {
        self.0.verify_sig(bytes, &signature.0).is_ok()
    }
}
