//! The keys and the time that targets verify with: fixed, so that the corpora can hold inputs that verify.

use std::str::FromStr;
use streamchain_protocol::auth::{MasterSecret, SessionKeys};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::{Address, B256};

/// The time at which inputs are verified.
pub const NOW: UnixSec = UnixSec(1_700_000_000);

/// The site that sign-in messages are for.
pub const DOMAIN: &str = "example.org";

/// The chain that sign-in messages are for.
pub const CHAIN_ID: u64 = 1;

/// The hash that signatures are of.
pub const SIGNED_HASH: B256 = B256::repeat_byte(7);

/// The account whose private key is 32 times the byte 0x5A: it signs in, and signs [`SIGNED_HASH`].
pub const WALLET: Address = Address::new([
    0xA8, 0x04, 0x9B, 0xB6, 0x81, 0x81, 0x79, 0x91, 0x24, 0xF9, 0x8E, 0x46, 0x7D, 0xD7, 0x49, 0xE1, 0x20,
    0xAB, 0xFA, 0x64,
]);

fn secret() -> Option<MasterSecret> {
    MasterSecret::from_hex(&"5a".repeat(32)).ok()
}

/// Returns the key of access tokens.
pub fn access_key() -> Option<[u8; 32]> {
    secret().map(|secret| secret.access_key())
}

/// Returns the key of the nonces of sign-ins.
pub fn nonce_key() -> Option<[u8; 32]> {
    secret().map(|secret| secret.nonce_key())
}

/// Returns the keys of session tokens.
pub fn session_keys() -> Option<SessionKeys> {
    let relay = RelayId::from_str("relay-1").ok()?;
    secret().map(|secret| secret.relay_key(&relay).session_keys())
}
