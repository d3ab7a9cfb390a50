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
/// prolonged. A wallet's is prolonged until its sign-in is over.
pub fn renewed(
    claims: AccessClaims,
    asked: &Scope,
    life_s: Option<u64>,
    now: UnixSec,
) -> Result<AccessClaims, RenewalError> {
    let is_wallet = !claims.guest && claims.key.is_none();
    let end = match is_wallet {
        true => claims.since.unwrap_or(claims.iat).plus_s(SIGN_IN_LIFE_S),
        false => claims.exp,
    };
    if end < now {
        return Err(RenewalError::SignInOver);
    }
    let longest = if claims.guest && claims.key.is_none() {
        u64::MAX
    } else {
        ACCESS_TOKEN_LIFE_S
    };
    let life = life_s.unwrap_or(u64::MAX).min(longest);
    let scope = claims.scope.clone().unwrap_or(Scope::ALL).narrowed(asked);
    Ok(AccessClaims {
        iat: now.max(claims.iat),
        exp: end.min(now.plus_s(life)),
        scope: (scope != Scope::ALL).then_some(scope),
        ..claims
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
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
}
