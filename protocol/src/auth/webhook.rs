//! The secret that a webhook's deliveries are signed with, as the specification Standard Webhooks has it.

use super::keys::{MasterSecret, mac_bytes};
use crate::ids::WebhookId;
use crate::time::UnixSec;
use alloy_primitives::hex;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

/// What the text of a secret begins with, by the specification.
const PREFIX: &str = "whsec_";

/// What the fingerprint is made of: no signed content begins so, for an id of a delivery stands there.
const FINGERPRINT_OF: &[u8] = b"streamchain/webhook-fingerprint/v1";

/// Bytes of a secret's fingerprint: enough to tell the secrets of two master secrets apart.
const FINGERPRINT_BYTES: usize = 8;

/// The secret of one webhook and version.
#[derive(Clone)]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// Derives the secret of a webhook: another one for each version, so that it can be changed and is stored nowhere.
    pub fn of(master: &MasterSecret, id: WebhookId, version: u64) -> Self {
        Self(master.webhook_key(id, version))
    }

    /// Returns the text that its owner is given: the prefix, and the bytes in Base64.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(self.0))
    }

    /// Returns what shows, without the secret, whether it is still the same: another master secret gives another.
    pub fn fingerprint(&self) -> String {
        let digest = mac_bytes(&self.0, &[FINGERPRINT_OF]);
        hex::encode(digest.first_chunk::<FINGERPRINT_BYTES>().unwrap_or(&[0; 8]))
    }

    /// Returns the signature of a delivery, as the header `webhook-signature` has it.
    pub fn sign(&self, id: &str, timestamp: UnixSec, body: &str) -> String {
        let timestamp = timestamp.0.to_string();
        let parts = [id, ".", &timestamp, ".", body].map(str::as_bytes);
        format!("v1,{}", BASE64.encode(mac_bytes(&self.0, &parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_specifications_example_is_signed_alike() {
        let bytes = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        // A secret there has 24 bytes; HMAC fills up with zeros (RFC 2104 §2), so 8 zeros behind change nothing.
        let mut key = [0; 32];
        key[..24].copy_from_slice(&bytes);
        let body = r#"{"test": 2432232314}"#;
        let signature = WebhookSecret(key).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", UnixSec(1_614_265_330), body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_webhook_version_and_master_secret_has_another_secret() {
        let of = |master: &str, id: u8, version: u64| {
            let master = MasterSecret::from_hex(&master.repeat(32)).unwrap();
            WebhookSecret::of(&master, WebhookId([id; 8]), version)
        };
        let all = [of("11", 1, 1), of("11", 1, 2), of("11", 2, 1), of("22", 1, 1)];
        for (index, one) in all.iter().enumerate() {
            assert!(one.to_text().starts_with("whsec_") && one.fingerprint().len() == 16);
            for other in &all[index + 1..] {
                assert_ne!(one.to_text(), other.to_text());
                assert_ne!(one.fingerprint(), other.fingerprint());
            }
        }
        assert_eq!(of("11", 1, 1).to_text(), of("11", 1, 1).to_text());
    }
}
