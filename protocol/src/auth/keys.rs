//! Keys from one master secret, by HKDF-SHA256 (RFC 5869).
//!
//! The edge holds the master secret; a relay holds only its own [`RelayKey`], so that one stolen relay key
//! opens no other relay.

use crate::ids::{RelayId, RelayKeyId, WebhookId};
use crate::webrtc::TurnSecret;
use alloy_primitives::hex;
use hkdf::Hkdf;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// HMAC-SHA256, as every MAC of ours is.
pub(crate) type HmacSha256 = Hmac<Sha256>;

/// Why a secret was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: expected 64 hexadecimal digits (32 bytes)")]
pub struct KeyError(pub &'static str);

fn derive(secret: &[u8; 32], info: &[&[u8]]) -> [u8; 32] {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(None, secret).expand_multi_info(info, &mut key);
    #[allow(
        clippy::unreachable,
        reason = "HKDF refuses only outputs above 255 hashes (RFC 5869 §2.3); a key of zeros must never be used"
    )]
    if expanded.is_err() {
        unreachable!("HKDF refuses only outputs above 8,160 bytes");
    }
    key
}

fn parse(what: &'static str, text: &str) -> Result<[u8; 32], KeyError> {
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim().trim_start_matches("0x"), &mut key).map_err(|_| KeyError(what))?;
    Ok(key)
}

/// Bytes of a block of SHA-256, to which HMAC fills a shorter key up with zeros (RFC 2104 §2).
const BLOCK_BYTES: usize = 64;

/// Returns an HMAC-SHA256 with the key `key`, fed with `parts`.
pub(crate) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> HmacSha256 {
    let mut block = [0; BLOCK_BYTES];
    block[..32].copy_from_slice(key);
    let mut mac = <HmacSha256 as KeyInit>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// Returns the HMAC-SHA256 of `parts` with the key `key`.
pub fn mac_bytes(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    mac(key, parts).finalize().into_bytes().into()
}

/// The edge's one secret, from which all others come.
#[derive(Clone)]
pub struct MasterSecret([u8; 32]);

impl MasterSecret {
    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        parse("MASTER_SECRET", text).map(Self)
    }

    /// Returns the key of one relay.
    pub fn relay_key(&self, relay: &RelayId) -> RelayKey {
        RelayKey(derive(
            &self.0,
            &[b"streamchain/relay/v1/", relay.as_str().as_bytes()],
        ))
    }

    /// Returns the key that signs the nonces of sign-ins.
    pub fn nonce_key(&self) -> [u8; 32] {
        derive(&self.0, &[b"streamchain/nonce/v1"])
    }

    /// Returns the key that signs access tokens.
    pub fn access_key(&self) -> [u8; 32] {
        derive(&self.0, &[b"streamchain/access/v1"])
    }

    /// Returns the key of a webhook's secret of this version.
    pub(super) fn webhook_key(&self, id: WebhookId, version: u64) -> [u8; 32] {
        let info: [&[u8]; 3] = [b"streamchain/webhook/v1/", &id.0, &version.to_be_bytes()];
        derive(&self.0, &info)
    }

    /// Returns the key by which the audit log's hashes of client addresses are made.
    pub fn audit_key(&self) -> [u8; 32] {
        derive(&self.0, &[b"streamchain/audit/v1"])
    }
}

/// What a relay and the edge share: it makes and checks the session tokens of that relay alone.
#[derive(Clone)]
pub struct RelayKey([u8; 32]);

impl RelayKey {
    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        parse("relay key", text).map(Self)
    }

    /// As 64 hexadecimal digits: what the relay is configured with.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Returns which key it is.
    pub fn id(&self) -> RelayKeyId {
        let mut id = [0; RelayKeyId::LEN];
        id.copy_from_slice(&derive(&self.0, &[b"streamchain/key-id/v1"])[..RelayKeyId::LEN]);
        RelayKeyId(id)
    }

    /// Returns the keys for session tokens.
    pub fn session_keys(&self) -> SessionKeys {
        SessionKeys {
            token: derive(&self.0, &[b"streamchain/session/v1"]),
            password: derive(&self.0, &[b"streamchain/ice-pwd/v1"]),
            join: derive(&self.0, &[b"streamchain/join/v1"]),
        }
    }

    /// Returns the key of the tickets with which other relays follow this one's streams.
    pub fn link_key(&self) -> LinkKey {
        LinkKey(derive(&self.0, &[b"streamchain/link/v1"]))
    }

    /// Returns the secret of this relay's TURN credentials: the edge issues them, the relay checks them.
    pub fn turn_secret(&self) -> TurnSecret {
        TurnSecret::new(hex::encode(derive(&self.0, &[b"streamchain/turn/v1"])))
    }

    /// Returns what the relay puts behind `Authorization: Bearer ` in its requests to the edge.
    pub fn uplink_bearer(&self, relay: &RelayId) -> String {
        format!(
            "{relay}.{}",
            hex::encode(derive(&self.0, &[b"streamchain/uplink/v1"]))
        )
    }

    /// Returns whether `bearer` (without the `Bearer ` in front) is this relay's. Every wrong one takes the same time.
    pub fn accepts_uplink_bearer(&self, relay: &RelayId, bearer: &str) -> bool {
        // MACs are compared instead of the texts: no prefix of the right one can be found out by its time.
        let expected = mac_bytes(&self.0, &[self.uplink_bearer(relay).as_bytes()]);
        mac(&self.0, &[bearer.as_bytes()]).verify_slice(&expected).is_ok()
    }
}

/// The keys of one relay's session tokens.
#[derive(Clone)]
pub struct SessionKeys {
    pub(crate) token: [u8; 32],
    pub(crate) password: [u8; 32],
    pub(crate) join: [u8; 32],
}

/// The key of the link tickets that one relay takes.
#[derive(Clone)]
pub struct LinkKey(pub(crate) [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_two_relays_differ_and_open_only_their_own() {
        let master = MasterSecret::from_hex(&"11".repeat(32)).unwrap();
        let (a, b): (RelayId, RelayId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (key_a, key_b) = (master.relay_key(&a), master.relay_key(&b));
        assert_ne!(key_a.to_hex(), key_b.to_hex());
        assert!(key_a.accepts_uplink_bearer(&a, &key_a.uplink_bearer(&a)));
        assert!(!key_a.accepts_uplink_bearer(&a, &key_b.uplink_bearer(&b)));
        assert!(!key_a.accepts_uplink_bearer(&a, ""));
        assert_ne!(key_a.id(), key_b.id());
        assert_eq!(
            RelayKey::from_hex(&key_a.to_hex()).unwrap().to_hex(),
            key_a.to_hex()
        );
    }

    #[test]
    fn a_relays_keys_of_two_master_secrets_have_two_ids() {
        let of = |secret: &str| {
            let master = MasterSecret::from_hex(&secret.repeat(32)).unwrap();
            master.relay_key(&"a".parse().unwrap())
        };
        assert_ne!(of("11").id(), of("22").id());
        assert_eq!(of("11").id(), of("11").id());
        assert!(!of("11").to_hex().contains(&of("11").id().to_hex()));
    }

    #[test]
    fn a_secret_of_the_wrong_length_is_refused() {
        assert!(MasterSecret::from_hex("abcd").is_err());
        assert!(RelayKey::from_hex(&"zz".repeat(32)).is_err());
    }

    #[test]
    fn each_relay_has_a_turn_secret_of_its_own() {
        let password = |byte: &str| {
            let key = RelayKey::from_hex(&byte.repeat(32)).unwrap();
            key.turn_secret().password("1:a")
        };
        assert_eq!(password("11"), password("11"));
        assert_ne!(password("11"), password("22"));
    }
}
