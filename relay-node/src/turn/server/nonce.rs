//! Nonces (RFC 8489 §9.2): signed, bound to one client and short-lived, so that the server keeps none.
//!
//! A nonce of another client, an expired one and an invented one are all stale: the client gets a new one, which costs
//! it a round trip.

use super::client::Client;
use super::limits::NONCE_LIFE_S;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::net::IpAddr;
use streamchain_protocol::time::UnixSec;

/// Random bytes, new for every run of the server.
pub(crate) type NonceKey = [u8; 32];

/// Characters of a nonce: 8 of expiry, 24 of MAC, all hexadecimal.
const NONCE_CHARS: usize = 32;
const EXPIRY_CHARS: usize = 8;

/// A nonce for `client`, good for [`NONCE_LIFE_S`] from `now`.
pub(crate) fn issue(key: &NonceKey, client: &Client, now: UnixSec) -> String {
    // 32 bits of seconds last until 2106; afterwards a nonce would only be refused.
    let expiry = format!("{:08x}", now.0.saturating_add(NONCE_LIFE_S) & 0xFFFF_FFFF);
    let tag = mac(key, client, &expiry).finalize().into_bytes();
    tag.iter()
        .take(12)
        .fold(expiry, |text, byte| text + &format!("{byte:02x}"))
}

/// Whether `nonce` was issued to `client` and is still good.
pub(crate) fn is_fresh(key: &NonceKey, client: &Client, nonce: &[u8], now: UnixSec) -> bool {
    let Some((expiry, tag)) = split(nonce) else {
        return false;
    };
    let expires = UnixSec(u64::from_str_radix(expiry, 16).unwrap_or(0));
    expires >= now && mac(key, client, expiry).verify_truncated_left(&tag).is_ok()
}

fn split(nonce: &[u8]) -> Option<(&str, [u8; 12])> {
    let text = std::str::from_utf8(nonce)
        .ok()
        .filter(|text| text.len() == NONCE_CHARS && text.is_ascii())?;
    let (expiry, rest) = text.split_at(EXPIRY_CHARS);
    let mut tag = [0; 12];
    for (index, byte) in tag.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&rest[2 * index..2 * index + 2], 16).ok()?;
    }
    Some((expiry, tag))
}

fn mac(key: &NonceKey, client: &Client, expiry: &str) -> Hmac<Sha1> {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(expiry.as_bytes());
    mac.update(&[client.transport as u8]);
    match client.address.ip() {
        IpAddr::V4(ip) => mac.update(&ip.octets()),
        IpAddr::V6(ip) => mac.update(&ip.octets()),
    }
    mac.update(&client.address.port().to_be_bytes());
    mac
}
