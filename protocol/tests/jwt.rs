//! Access tokens beside the crate `jsonwebtoken`: what one signs the other reads, and both refuse what was changed.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use proptest::prelude::*;
use streamchain_protocol::Address;
use streamchain_protocol::auth::{AccessClaims, AccessError, KeyRef, Right, Rights, Scope};
use streamchain_protocol::ids::{KeyId, ShortId};
use streamchain_protocol::time::UnixSec;

const NOW_S: u64 = 1_800_000_000;

fn claims() -> impl Strategy<Value = AccessClaims> {
    let key = any::<([u8; 20], [u8; 8])>().prop_map(|(account, id)| KeyRef {
        account: Address::from(account),
        id: KeyId(id),
    });
    let streams = prop::option::of(prop::collection::vec(any::<[u8; 20]>().prop_map(ShortId), 0..4));
    let scope = (streams, 0u8..8).prop_map(|(streams, bits)| Scope {
        streams,
        rights: Rights::from_bits(bits),
    });
    let options = (
        prop::option::of((0..NOW_S).prop_map(UnixSec)),
        prop::option::of((0..NOW_S).prop_map(UnixSec)),
        prop::option::of(key),
        prop::option::of(scope),
    );
    (any::<[u8; 20]>(), 0..NOW_S, 1..NOW_S, any::<bool>(), options).prop_map(
        |(sub, iat, life, guest, (since, end, key, scope))| AccessClaims {
            sub: Address::from(sub),
            iat: UnixSec(iat),
            exp: UnixSec(NOW_S + life),
            guest,
            since,
            end,
            key,
            scope,
        },
    )
}

/// What the crate makes of a token; it is given no clock, so times are not its business here.
fn theirs(token: &str, key: &[u8; 32]) -> Option<AccessClaims> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.validate_exp = false;
    let read = decode(token, &DecodingKey::from_secret(key), &rules);
    read.ok().map(|token| token.claims)
}

proptest! {
    #[test]
    fn what_ours_signs_the_crate_reads(claims in claims(), key: [u8; 32]) {
        prop_assert_eq!(theirs(&claims.sign(&key), &key), Some(claims));
    }

    #[test]
    fn both_sign_to_the_same_text(claims in claims(), key: [u8; 32]) {
        let encoded = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&key)).unwrap();
        let read = AccessClaims::verify(&encoded, &key, UnixSec(NOW_S));
        // The crate writes its header in another order, which ours does not take: one header has one text.
        let is_ours = encoded.split('.').next() == claims.sign(&key).split('.').next();
        prop_assert_eq!(read, if is_ours { Ok(claims.clone()) } else { Err(AccessError::Shape) });
        let body = |token: &str| token.split('.').nth(1).map(str::to_owned);
        prop_assert_eq!(body(&encoded), body(&claims.sign(&key)));
    }

    #[test]
    fn what_ours_takes_the_crate_takes(
        claims in claims(), key: [u8; 32], at: prop::sample::Index, new in "[A-Za-z0-9_.=-]{0,2}", cut in 0usize..3,
    ) {
        let token = claims.sign(&key);
        let at = at.index(token.len());
        let end = (at + cut).min(token.len());
        let changed = format!("{}{new}{}", &token[..at], &token[end..]);
        if let Ok(read) = AccessClaims::verify(&changed, &key, UnixSec(NOW_S)) {
            prop_assert_eq!(theirs(&changed, &key), Some(read));
        }
        prop_assert_eq!(AccessClaims::verify(&changed, &key, UnixSec(NOW_S)).is_ok(), changed == token);
    }

    #[test]
    fn both_refuse_another_key(claims in claims(), key: [u8; 32], other: [u8; 32]) {
        prop_assume!(key != other);
        let token = claims.sign(&key);
        prop_assert_eq!(AccessClaims::verify(&token, &other, UnixSec(NOW_S)), Err(AccessError::Signature));
        prop_assert_eq!(theirs(&token, &other), None);
    }
}

#[test]
fn both_refuse_other_algorithms() {
    let claims = AccessClaims {
        sub: Address::ZERO,
        iat: UnixSec(1),
        exp: UnixSec(NOW_S),
        guest: false,
        since: None,
        end: None,
        key: None,
        scope: Some(Scope {
            streams: None,
            rights: Rights::of(&[Right::Read]),
        }),
    };
    let key = [7; 32];
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(&key)).unwrap();
        assert_eq!(
            AccessClaims::verify(&token, &key, UnixSec(NOW_S)),
            Err(AccessError::Shape)
        );
        assert_eq!(theirs(&token, &key), None);
    }
}
