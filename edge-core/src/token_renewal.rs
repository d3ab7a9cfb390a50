//! What a token says that is made from another one: a newer one, or one for less.

use streamchain_protocol::auth::{AccessClaims, Scope};
use streamchain_protocol::limits::{ACCESS_TOKEN_LIFE_S, SIGN_IN_LIFE_S};
use streamchain_protocol::time::UnixSec;

/// Why no token is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenewalError {
    /// The sign-in that stands behind the token is too old.
    #[error("the sign-in is a day old: sign in again")]
    SignInOver,
}

/// The claims of a token for whom `claims` are, at most for `asked` and, if given, for `life_s` seconds.
///
/// Nothing stands behind a guest that could be asked again, and a service has its key: their tokens are narrowed, never
/// prolonged. A wallet's is prolonged until its sign-in is over. A token that was asked for with `life_s` is the last of
/// its line to hold that long: what is made from it ends with it.
pub fn renewed(
    claims: AccessClaims,
    asked: &Scope,
    life_s: Option<u64>,
    now: UnixSec,
) -> Result<AccessClaims, RenewalError> {
    let is_wallet = !claims.guest && claims.key.is_none();
    let renewable = match is_wallet {
        true => claims.since.unwrap_or(claims.iat).plus_s(SIGN_IN_LIFE_S),
        false => claims.exp,
    };
    let asked_end = life_s.map(|life_s| now.plus_s(life_s));
    let end = sooner(claims.end, asked_end);
    let last = renewable.min(end.unwrap_or(renewable));
    if last < now {
        return Err(RenewalError::SignInOver);
    }
    let longest = if claims.guest && claims.key.is_none() {
        last
    } else {
        now.plus_s(ACCESS_TOKEN_LIFE_S)
    };
    let scope = claims.scope.clone().unwrap_or(Scope::ALL).narrowed(asked);
    Ok(AccessClaims {
        iat: now.max(claims.iat),
        exp: last.min(longest),
        end,
        scope: (scope != Scope::ALL).then_some(scope),
        ..claims
    })
}

/// The sooner of two limits, either of which may be absent.
pub fn sooner<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use proptest::prelude::*;
    use streamchain_protocol::auth::{KeyRef, Right, Rights};
    use streamchain_protocol::ids::KeyId;

    const NOW_S: u64 = 1_700_000_000;

    fn wallet() -> AccessClaims {
        AccessClaims {
            sub: Address::repeat_byte(1),
            iat: UnixSec(NOW_S - 100),
            exp: UnixSec(NOW_S + 10),
            guest: false,
            since: Some(UnixSec(NOW_S - 100)),
            end: None,
            key: None,
            scope: None,
        }
    }

    fn life(claims: AccessClaims, life_s: Option<u64>) -> u64 {
        let renewed = renewed(claims, &Scope::ALL, life_s, UnixSec(NOW_S)).unwrap();
        assert_eq!(renewed.iat, UnixSec(NOW_S));
        renewed.exp.0 - NOW_S
    }

    #[test]
    fn a_wallets_token_is_prolonged_until_its_sign_in_is_over() {
        assert_eq!(life(wallet(), None), ACCESS_TOKEN_LIFE_S);
        assert_eq!(life(wallet(), Some(60)), 60);
        assert_eq!(life(wallet(), Some(u64::MAX)), ACCESS_TOKEN_LIFE_S);
        let nearly_over = AccessClaims {
            since: Some(UnixSec(NOW_S - SIGN_IN_LIFE_S + 5)),
            ..wallet()
        };
        assert_eq!(life(nearly_over, None), 5);
        let over = AccessClaims {
            since: Some(UnixSec(NOW_S - SIGN_IN_LIFE_S - 1)),
            ..wallet()
        };
        let refused = renewed(over, &Scope::ALL, None, UnixSec(NOW_S));
        assert_eq!(refused, Err(RenewalError::SignInOver));
    }

    #[test]
    fn tokens_of_guests_and_services_are_not_prolonged() {
        let guest = AccessClaims {
            guest: true,
            since: None,
            ..wallet()
        };
        assert_eq!(life(guest, None), 10);
        let key = KeyRef {
            account: Address::repeat_byte(2),
            id: KeyId([3; 8]),
        };
        let service = AccessClaims {
            key: Some(key),
            since: None,
            ..wallet()
        };
        assert_eq!((life(service.clone(), None), life(service, Some(3))), (10, 3));
    }

    #[test]
    fn a_token_is_narrowed_and_never_widened() {
        let reading = Scope {
            streams: None,
            rights: Rights::of(&[Right::Read]),
        };
        let narrowed = renewed(wallet(), &reading, None, UnixSec(NOW_S)).unwrap();
        assert_eq!(narrowed.scope.as_ref(), Some(&reading));
        let again = renewed(narrowed, &Scope::ALL, None, UnixSec(NOW_S)).unwrap();
        assert_eq!(again.scope, Some(reading));
        assert_eq!(
            renewed(wallet(), &Scope::ALL, None, UnixSec(NOW_S))
                .unwrap()
                .scope,
            None
        );
    }

    #[test]
    fn what_has_a_life_is_not_renewed_beyond_it() {
        let short = renewed(wallet(), &Scope::ALL, Some(60), UnixSec(NOW_S)).unwrap();
        let later = UnixSec(NOW_S + 50);
        let again = renewed(short.clone(), &Scope::ALL, None, later).unwrap();
        assert_eq!((again.exp, again.end), (short.exp, Some(short.exp)));
        let longer = renewed(again.clone(), &Scope::ALL, Some(600), later).unwrap();
        assert_eq!(longer.exp, short.exp);
        let over = renewed(again, &Scope::ALL, None, UnixSec(NOW_S + 61));
        assert_eq!(over, Err(RenewalError::SignInOver));
    }

    fn anybody() -> impl Strategy<Value = AccessClaims> {
        let key = KeyRef {
            account: Address::repeat_byte(2),
            id: KeyId([3; 8]),
        };
        let end = prop::option::of((0..2 * SIGN_IN_LIFE_S).prop_map(|s| UnixSec(NOW_S + s)));
        (0..3u8, end).prop_map(move |(kind, end)| AccessClaims {
            iat: UnixSec(NOW_S),
            exp: UnixSec(NOW_S + ACCESS_TOKEN_LIFE_S).min(end.unwrap_or(UnixSec(u64::MAX))),
            since: (kind == 0).then_some(UnixSec(NOW_S)),
            guest: kind == 1,
            key: (kind == 2).then_some(key),
            end,
            ..wallet()
        })
    }

    proptest! {
        /// Whatever is renewed from whatever, and when: no token holds longer than any of those before it was to be
        /// renewed, nor than a life that was asked for on the way.
        #[test]
        fn no_chain_of_renewals_outlives_a_limit(
            first in anybody(),
            steps in prop::collection::vec((0..1_000u64, prop::option::of(0..2_000u64)), 1..40),
        ) {
            let (mut claims, mut now) = (first.clone(), UnixSec(NOW_S));
            let mut limit = first.end.unwrap_or(UnixSec(u64::MAX));
            limit = limit.min(match first.guest || first.key.is_some() {
                true => first.exp,
                false => UnixSec(NOW_S + SIGN_IN_LIFE_S),
            });
            for (pause, life) in steps {
                now = now.plus_s(pause);
                if now > claims.exp {
                    break; // The token is refused before anything is made from it.
                }
                let Ok(next) = renewed(claims.clone(), &Scope::ALL, life, now) else { break };
                limit = limit.min(life.map_or(UnixSec(u64::MAX), |life| now.plus_s(life)));
                prop_assert!(next.exp <= limit, "{next:?} outlives {limit}");
                prop_assert!(next.end.is_none_or(|end| end >= next.exp));
                claims = next;
            }
        }
    }
}
