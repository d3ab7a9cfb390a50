//! The inputs of the corpora that verify, made with the targets' own keys: mutations of them start behind the signature
//! checks. The committed files are exactly what this file makes. After a change of a format,
//! `WRITE_CORPORA=1 cargo test -p streamchain-fuzz --test signed_corpora` writes them again.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use k256::ecdsa::SigningKey;
use relay_node::fuzzing;
use std::path::PathBuf;
use streamchain_chain::ethereum::eip191;
use streamchain_fuzz::fixed::{
    CHAIN_ID, DOMAIN, NOW, SIGNED_HASH, WALLET, access_key, nonce_key, session_keys,
};
use streamchain_protocol::Address;
use streamchain_protocol::auth::siwe::{Expected, SignIn, SignInNonce};
use streamchain_protocol::auth::{
    AccessClaims, FingerprintHash, KeyRef, MaxMessage, Rights, Scope, SessionRights, SessionToken,
};
use streamchain_protocol::ids::{KeyId, SessionId, ShortId};
use streamchain_protocol::time::UnixSec;

fn file(target: &str, name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
        .join(target)
        .join(name)
}

/// Checks that the committed input is the made one, or writes it.
fn assert_committed(target: &str, name: &str, made: &[u8]) {
    let path = file(target, name);
    if std::env::var_os("WRITE_CORPORA").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert!(committed == made, "{}: not as it is made", path.display());
}

#[test]
fn committed_access_tokens_verify() {
    let key = access_key().unwrap();
    let guest = AccessClaims {
        sub: Address::repeat_byte(5),
        iat: NOW,
        exp: UnixSec(NOW.0 + 200_000_000),
        guest: true,
        end: None,
        since: None,
        key: None,
        scope: None,
    };
    let service = AccessClaims {
        guest: false,
        since: Some(UnixSec(NOW.0 - 5)),
        key: Some(KeyRef {
            account: Address::repeat_byte(5),
            id: KeyId([6; 8]),
        }),
        scope: Some(Scope {
            streams: Some(vec![ShortId([4; 20])]),
            rights: Rights::ALL,
        }),
        ..guest.clone()
    };
    for (name, claims) in [("guest-signed", guest), ("service-signed", service)] {
        let token = claims.sign(&key);
        assert_committed("access_token", name, token.as_bytes());
        assert_eq!(AccessClaims::verify(&token, &key, NOW), Ok(claims), "{name}");
    }
}

#[test]
fn committed_session_tokens_verify() {
    let keys = session_keys().unwrap();
    for (name, publish, relay_begins, end) in [
        ("publisher-signed", true, true, None),
        ("subscriber-signed", false, false, None),
        ("ending-signed", true, true, Some(UnixSec(NOW.0 + 600))),
    ] {
        let claims = SessionToken {
            rights: SessionRights {
                subscribe: true,
                publish,
            },
            expires: UnixSec(NOW.0 + 60),
            session: SessionId([3; 8]),
            stream: ShortId([4; 20]),
            author: Address::repeat_byte(5),
            fingerprint: FingerprintHash::of(&[6; 32]),
            relay_begins,
            max_message: MaxMessage::UNKNOWN,
            end,
        };
        let token = claims.sign(&keys);
        assert_committed("session_token", name, token.as_bytes());
        assert_eq!(SessionToken::verify(&token, &keys, NOW), Ok(claims), "{name}");
    }
}

#[test]
fn the_committed_sign_in_passes_every_check() {
    let nonce = SignInNonce::new([7; 8], NOW).sign(&nonce_key().unwrap());
    let wallet = WALLET.to_checksum(None);
    let message = format!(
        "{DOMAIN} wants you to sign in with your Ethereum account:\n{wallet}\n\nSign in to StreamChain.\n\n\
         URI: https://{DOMAIN}/login\nVersion: 1\nChain ID: {CHAIN_ID}\nNonce: {nonce}\n\
         Issued At: 2023-11-14T22:13:20Z\nExpiration Time: 2023-11-14T23:13:20Z\nResources:\n\
         - https://{DOMAIN}/v1/streams/demo"
    );
    assert_committed("siwe", "signed", message.as_bytes());
    let read = SignIn::parse(&message).unwrap();
    let domains = [DOMAIN.to_owned()];
    let expected = Expected {
        domains: &domains,
        chain_id: CHAIN_ID,
    };
    assert_eq!(read.check(&expected, NOW.to_ms()), Ok(()));
    assert!(SignInNonce::verify(read.nonce, &nonce_key().unwrap(), NOW).is_ok());
}

#[test]
fn the_committed_signature_is_the_wallets() {
    let key = SigningKey::from_slice(&[0x5A; 32]).unwrap();
    let (rs, recovery) = key.sign_prehash_recoverable(SIGNED_HASH.as_slice()).unwrap();
    let signature = [&rs.to_bytes()[..], &[27 + recovery.to_byte()]].concat();
    assert_committed("signature", "signed", &signature);
    assert_eq!(eip191::signer(SIGNED_HASH, &signature), Some(WALLET));
}

#[test]
fn committed_turn_requests_are_granted() {
    for (name, request) in fuzzing::signed_turn_requests() {
        assert_committed("turn_request", name, &request);
        assert!(fuzzing::is_granted(&request), "{name}");
    }
}
