//! Texts: SDP, sign-in messages, tokens, ids, settings, JSON.

use std::str::FromStr;
use streamchain_edge_core::rate_policy::Policies;
use streamchain_edge_core::stream_log::Cursor;
use streamchain_protocol::auth::siwe::SignIn;
use streamchain_protocol::auth::{AccessClaims, ApiKey, MasterSecret, SessionToken};
use streamchain_protocol::ids::{ProducerId, RelayId, SessionId, SessionRef, ShortId, StreamName, StreamRef};
use streamchain_protocol::util::json;
use streamchain_protocol::webrtc::Offer;

/// A time at which the tokens of the corpus are good, Unix seconds.
const NOW_S: u64 = 1_700_000_000;

/// What is read as text; nothing for bytes that are no UTF-8, which no parser of text is given.
fn with_text(bytes: &[u8], run: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        run(text);
    }
}

pub(super) fn offer(bytes: &[u8]) {
    with_text(bytes, |text| {
        if let Ok(offer) = Offer::parse(text) {
            let safe = offer.mid.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(safe, "a mid that is written into an answer has no line break");
            assert!((1..=32).contains(&offer.mid.len()), "a mid has a bound");
        }
    });
}

pub(super) fn siwe(bytes: &[u8]) {
    with_text(bytes, |text| {
        // Reading alone: what the message says is judged against what the edge expects, in tests of its own.
        let _ = SignIn::parse(text);
    });
}

fn secret() -> Option<MasterSecret> {
    MasterSecret::from_hex(&"5a".repeat(32)).ok()
}

pub(super) fn access_token(bytes: &[u8]) {
    let Some(key) = secret().map(|secret| secret.access_key()) else {
        return;
    };
    with_text(bytes, |text| {
        // Only what this key signed verifies, so signing it again gives the very text.
        if let Ok(claims) = AccessClaims::verify(text, &key, streamchain_protocol::time::UnixSec(NOW_S)) {
            let again = AccessClaims::verify(
                &claims.sign(&key),
                &key,
                streamchain_protocol::time::UnixSec(NOW_S),
            );
            assert_eq!(again, Ok(claims), "a token that verifies says what was signed");
        }
    });
}

pub(super) fn session_token(bytes: &[u8]) {
    let (Some(secret), Ok(relay)) = (secret(), RelayId::from_str("relay-1")) else {
        return;
    };
    let keys = secret.relay_key(&relay).session_keys();
    with_text(bytes, |text| {
        if let Ok(token) = SessionToken::verify(text, &keys, streamchain_protocol::time::UnixSec(NOW_S)) {
            assert_eq!(token.sign(&keys), text, "nothing but what was signed verifies");
        }
    });
}

pub(super) fn api_key(bytes: &[u8]) {
    with_text(bytes, |text| {
        if let Some(key) = ApiKey::parse(text) {
            assert_eq!(key.to_text(), text, "a key has one text");
        }
    });
}

pub(super) fn ids(bytes: &[u8]) {
    with_text(bytes, |text| {
        if let Ok(name) = StreamName::from_str(text) {
            assert_eq!(name.as_str(), text, "a name is kept as it is");
        }
        if let Ok(relay) = RelayId::from_str(text) {
            assert_eq!(relay.as_str(), text, "a relay's id is kept as it is");
        }
        let _ = (StreamRef::from_str(text), SessionRef::from_str(text));
        let _ = (
            ProducerId::from_str(text),
            SessionId::from_str(text),
            ShortId::from_str(text),
        );
    });
}

pub(super) fn cursor(bytes: &[u8]) {
    with_text(bytes, |text| {
        if let Ok(cursor) = Cursor::from_str(text) {
            let again = Cursor::from_str(&cursor.to_string());
            assert_eq!(again, Ok(cursor), "a cursor that is written is read again");
        }
    });
}

pub(super) fn rate_policy(bytes: &[u8]) {
    with_text(bytes, |text| {
        let _ = Policies::parse(text);
    });
}

pub(super) fn json_text(bytes: &[u8]) {
    with_text(bytes, |text| {
        if let Ok(tree) = json::tree(text) {
            let again = json::tree(&tree.to_string());
            assert_eq!(again.ok(), Some(tree), "a tree that is written is read again");
        }
    });
}
