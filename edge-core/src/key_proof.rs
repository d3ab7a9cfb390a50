//! Being a key: a page or guest shows with each new token that it has the private key, and its author is the key.
//!
//! What always holds: a proof counts for one host and for some minutes; who sees one gets no more than a token of that
//! author, as who sees a token has one.

use streamchain_chain::ethereum::p256;
use streamchain_protocol::Address;
use streamchain_protocol::signed::{KeyError, PublicKey, Signature, author_of};
use streamchain_protocol::time::UnixSec;

/// How far the seconds of a proof may be from the edge's clock: clocks of phones and laptops are off by a minute or two.
const KEY_PROOF_LIFE_S: u64 = 300;

/// The word that a proof's preimage begins with, so that no other signature of a key passes for a proof.
const PROOF_DOMAIN: &[u8] = b"streamchain/key-proof/v1";

/// Most digits of the seconds.
const MAX_DIGITS: usize = 12;

/// The headers of a proof, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProof {
    /// The key.
    pub key: PublicKey,
    /// When it was made, by the clock of whoever made it.
    pub seconds: UnixSec,
    /// The signature over its preimage.
    pub signature: Signature,
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProofError {
    /// A header is out of shape.
    #[error("StreamChain-Key and StreamChain-Key-Proof: {0}")]
    Key(#[from] KeyError),
    /// The proof is not seconds, a dot and a signature.
    #[error("StreamChain-Key-Proof: expected the Unix time in seconds, a dot, and a signature in base64url")]
    Form,
    /// The proof is too old, or of a time to come.
    #[error("the proof is of second {given}, which is more than {KEY_PROOF_LIFE_S} s from the edge's clock")]
    Time {
        /// The second that the proof names.
        given: UnixSec,
    },
    /// The signature is not the key's over this host and time.
    #[error("the signature is not the key's over this host and time")]
    Signature,
}

impl KeyProof {
    /// Reads the headers.
    pub fn parse(key: &str, proof: &str) -> Result<Self, KeyProofError> {
        let (seconds, signature) = proof.split_once('.').ok_or(KeyProofError::Form)?;
        let is_number =
            (1..=MAX_DIGITS).contains(&seconds.len()) && seconds.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = seconds.parse().ok().filter(|_| is_number);
        Ok(Self {
            key: PublicKey::from_base64(key)?,
            seconds: UnixSec(seconds.ok_or(KeyProofError::Form)?),
            signature: Signature::from_base64(signature)?,
        })
    }

    /// Returns the bytes that are signed, for a host as the client sees it in the URL.
    pub fn preimage(&self, host: &str) -> Vec<u8> {
        let host = host.to_ascii_lowercase();
        let length = u16::try_from(host.len()).unwrap_or(u16::MAX);
        [
            PROOF_DOMAIN,
            &length.to_be_bytes(),
            host.as_bytes(),
            self.key.as_bytes(),
            &self.seconds.0.to_be_bytes(),
        ]
        .concat()
    }

    /// Checks the proof's time, which costs nothing.
    pub fn check_time(&self, now: UnixSec) -> Result<(), KeyProofError> {
        let given = self.seconds;
        let off = now.since(given).max(given.since(now));
        (off <= KEY_PROOF_LIFE_S)
            .then_some(())
            .ok_or(KeyProofError::Time { given })
    }

    /// Verifies the signature. Returns the author that the key is.
    pub fn verify(&self, host: &str) -> Result<Address, KeyProofError> {
        let author = author_of(&self.key)?;
        p256::verify(&self.key, &self.preimage(host), &self.signature)
            .then_some(author)
            .ok_or(KeyProofError::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::p256::ecdsa::SigningKey;
    use ::p256::ecdsa::signature::Signer;
    use proptest::prelude::*;

    const HOST: &str = "streams.example:8443";

    fn key(byte: u8) -> (SigningKey, PublicKey) {
        let signing = SigningKey::from_slice(&[byte; 32]).unwrap();
        let point = signing.verifying_key().to_encoded_point(true);
        (
            signing,
            PublicKey::from_bytes(point.as_bytes().try_into().unwrap()).unwrap(),
        )
    }

    fn proof(byte: u8, seconds: u64, host: &str) -> KeyProof {
        let (signing, key) = key(byte);
        let mut proof = KeyProof {
            key,
            seconds: UnixSec(seconds),
            signature: Signature([0; 64]),
        };
        let signature: ::p256::ecdsa::Signature = signing.sign(&proof.preimage(host));
        proof.signature = Signature(signature.to_bytes().into());
        proof
    }

    fn headers(proof: &KeyProof) -> (String, String) {
        let text = format!("{}.{}", proof.seconds.0, proof.signature.to_base64());
        (proof.key.to_base64(), text)
    }

    #[test]
    fn a_proof_survives_its_headers_and_gives_the_author() {
        let made = proof(1, 1_700_000_000, HOST);
        let (key, text) = headers(&made);
        let read = KeyProof::parse(&key, &text).unwrap();
        assert_eq!(read, made);
        assert_eq!(read.verify(HOST), Ok(author_of(&made.key).unwrap()));
        assert_eq!(read.verify(&HOST.to_uppercase()), read.verify(HOST));
    }

    #[test]
    fn a_proof_is_for_one_host_key_and_time() {
        let made = proof(1, 1_700_000_000, HOST);
        assert_eq!(made.verify("other.example"), Err(KeyProofError::Signature));
        let later = KeyProof {
            seconds: UnixSec(made.seconds.0 + 1),
            ..made
        };
        assert_eq!(later.verify(HOST), Err(KeyProofError::Signature));
        let other = KeyProof {
            key: key(2).1,
            ..made
        };
        assert_eq!(other.verify(HOST), Err(KeyProofError::Signature));
    }

    #[test]
    fn a_proof_counts_for_minutes_on_both_sides() {
        let made = proof(1, 10_000, HOST);
        for now in [9_700, 10_000, 10_300] {
            assert_eq!(made.check_time(UnixSec(now)), Ok(()), "{now}");
        }
        for now in [0, 9_699, 10_301, u64::MAX] {
            assert!(made.check_time(UnixSec(now)).is_err(), "{now}");
        }
    }

    #[test]
    fn headers_out_of_shape_are_refused() {
        let (key, text) = headers(&proof(1, 5, HOST));
        let signature = text.split_once('.').unwrap().1;
        for wrong in [
            "",
            ".",
            "5",
            "5.",
            &format!("+5.{signature}"),
            &format!(".{signature}"),
            &format!("5.{signature}A"),
        ] {
            assert!(KeyProof::parse(&key, wrong).is_err(), "{wrong}");
        }
        assert!(KeyProof::parse(&key[1..], &text).is_err());
    }

    proptest! {
        #[test]
        fn any_headers_are_survived(key in "[A-Za-z0-9_.-]{0,50}", proof in "[0-9]{0,14}[.]?[A-Za-z0-9_-]{0,90}") {
            if let Ok(read) = KeyProof::parse(&key, &proof) {
                let _ = read.verify(HOST);
            }
        }
    }
}
