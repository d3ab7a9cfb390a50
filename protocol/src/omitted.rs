//! Payloads that are left out.

use crate::limits::MAX_PAYLOAD_BYTES;
use alloy_primitives::{B256, Bytes, keccak256};
use serde::{Deserialize, Serialize};

/// What is known of a payload that is left out: one on the chain that is above the limits of the protocol, or one that was
/// erased from storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// Its size in bytes.
    pub size: u64,
    /// Its keccak256 hash.
    pub digest: B256,
}

impl Omitted {
    /// Returns what is known of a payload.
    pub fn of(payload: &[u8]) -> Self {
        Self {
            size: payload.len() as u64,
            digest: keccak256(payload),
        }
    }

    /// Returns the payload as it is kept: an empty one in place of one that is above the limit.
    pub fn limited(payload: Bytes) -> (Bytes, Option<Self>) {
        match payload.len() > MAX_PAYLOAD_BYTES {
            true => (Bytes::new(), Some(Self::of(&payload))),
            false => (payload, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_up_to_the_limit_are_kept_whole() {
        let fits = Bytes::from(vec![1; MAX_PAYLOAD_BYTES]);
        assert_eq!(Omitted::limited(fits.clone()), (fits, None));
        let large = Bytes::from(vec![1; MAX_PAYLOAD_BYTES + 1]);
        let omitted = Omitted {
            size: 65_537,
            digest: keccak256(&large),
        };
        assert_eq!(Omitted::limited(large), (Bytes::new(), Some(omitted)));
    }
}
