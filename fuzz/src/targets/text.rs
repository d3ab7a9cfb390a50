//! Texts: SDP, sign-in messages, tokens, ids, settings, JSON.

use crate::fixed;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use std::str::FromStr;
use streamchain_edge_core::rate_policy::Policies;
use streamchain_edge_core::stream_log::Cursor;
use streamchain_protocol::Address;
use streamchain_protocol::auth::siwe::{Expected, SignIn, SignInNonce};
use streamchain_protocol::auth::{
    AccessClaims, ApiKey, FingerprintHash, MaxMessage, SessionRights, SessionToken, TokenError, mac_bytes,
};
use streamchain_protocol::ids::{ProducerId, RelayId, SessionId, SessionRef, ShortId, StreamName, StreamRef};
use streamchain_protocol::signed::key_resource;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::util::json;
use streamchain_protocol::webrtc::Offer;

/// `{"alg":"HS256","typ":"JWT"}`, with which every access token begins.
const JWT_HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

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
    let Some(key) = fixed::nonce_key() else { return };
    with_text(bytes, |text| {
        let Ok(message) = SignIn::parse(text) else { return };
        if let Ok(Some(delegation)) = message.delegation() {
            let resource = key_resource(&delegation.key);
            assert!(
                message.resources.contains(&resource.as_str()),
                "a key has one text"
            );
        }
        let domains = [fixed::DOMAIN.to_owned()];
        let expected = Expected {
            domains: &domains,
            chain_id: fixed::CHAIN_ID,
        };
        if message.check(&expected, fixed::NOW.to_ms()).is_err() {
            return;
        }
        if let Ok(nonce) = SignInNonce::verify(message.nonce, &key, fixed::NOW) {
            assert_eq!(nonce.sign(&key), message.nonce, "a nonce has one text");
        }
    });
}

/// Reads the bytes as a token, and as the claims of a token that is signed with the right key.
pub(super) fn access_token(bytes: &[u8]) {
    let Some(key) = fixed::access_key() else { return };
    with_text(bytes, |text| {
        verify_access(text, &key);
        let signed = format!("{JWT_HEADER}.{}", BASE64URL.encode(text));
        let tag = BASE64URL.encode(mac_bytes(&key, &[signed.as_bytes()]));
        verify_access(&format!("{signed}.{tag}"), &key);
    });
}

fn verify_access(token: &str, key: &[u8; 32]) {
    // Only what this key signed verifies, so signing it again gives the very text.
    if let Ok(claims) = AccessClaims::verify(token, key, fixed::NOW) {
        assert!(claims.exp >= fixed::NOW, "an expired token does not verify");
        let again = AccessClaims::verify(&claims.sign(key), key, fixed::NOW);
        assert_eq!(again, Ok(claims), "a token that verifies says what was signed");
    }
}

/// Reads the bytes as a token, and as the claims of a token that is signed with the right key.
pub(super) fn session_token(bytes: &[u8]) {
    let Some(keys) = fixed::session_keys() else { return };
    with_text(bytes, |text| {
        if let Ok(token) = SessionToken::verify(text, &keys, fixed::NOW) {
            assert_eq!(token.sign(&keys), text, "nothing but what was signed verifies");
        }
        let Some(claims) = BASE64.decode(text).ok().and_then(|body| session_claims(&body)) else {
            return;
        };
        let last = claims.end.map_or(claims.expires, |end| end.min(claims.expires));
        let late = fixed::NOW.0.saturating_sub(last.0);
        let expected = if late > 0 {
            Err(TokenError::Expired(late))
        } else {
            Ok(claims)
        };
        let verified = SessionToken::verify(&claims.sign(&keys), &keys, fixed::NOW);
        assert_eq!(
            verified, expected,
            "a token that is signed says its claims until it expires"
        );
    });
}

/// Returns the claims in the bytes of a token, whoever signed it.
fn session_claims(body: &[u8]) -> Option<SessionToken> {
    let ([version, flags, rest @ ..], behind) = body.split_first_chunk::<70>()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (session, rest) = rest.split_first_chunk()?;
    let (stream, rest) = rest.split_first_chunk()?;
    let (author, fingerprint) = rest.split_first_chunk::<20>()?;
    let mut token = SessionToken {
        rights: SessionRights {
            subscribe: flags & 1 != 0,
            publish: flags & 2 != 0,
        },
        expires: UnixSec(u32::from_be_bytes(*expires).into()),
        session: SessionId(*session),
        stream: ShortId(*stream),
        author: Address::from(*author),
        fingerprint: FingerprintHash(fingerprint.try_into().ok()?),
        relay_begins: flags & 4 != 0,
        max_message: match flags >> 3 {
            0 => MaxMessage::UNKNOWN,
            31 => MaxMessage::of_offer(0),
            code => MaxMessage::of_offer(1 << (code - 1)),
        },
        end: None,
    };
    if *version == 2 {
        let units = u16::from_be_bytes(*behind.first_chunk()?);
        token.end = Some(token.made().plus_s(u64::from(units) * 10));
    }
    Some(token)
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
        if let Ok(tree) = json::tree(text)
            && !has_float(&tree)
        {
            let again = json::tree(&tree.to_string());
            assert_eq!(again.ok(), Some(tree), "a tree that is written is read again");
        }
    });
}

/// Whether a number in the tree is a float: those may change in their last bit, and no document of ours has any.
fn has_float(tree: &serde_json::Value) -> bool {
    match tree {
        serde_json::Value::Number(number) => number.is_f64(),
        serde_json::Value::Array(items) => items.iter().any(has_float),
        serde_json::Value::Object(members) => members.values().any(has_float),
        _ => false,
    }
}
