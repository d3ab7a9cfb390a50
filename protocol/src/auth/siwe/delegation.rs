//! A sign-in that delegates: for how long its key may sign for the account.

use super::resource::{NotAKey, key, stream};
use super::{CLOCK_SKEW_MS, SignIn, SiweError};
use crate::ids::{StreamId, StreamName, StreamRef};
use crate::limits::CERTIFICATE_LIFE_S;
use crate::signed::PublicKey;
use crate::time::UnixSec;

/// What a sign-in delegates. It follows from the message alone, so whoever has the message knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegation {
    /// The key that signs for the account.
    pub key: PublicKey,
    /// From when it does: *Issued At* or *Not Before*, and a minute earlier, since the signer's clock may be ahead.
    pub issued: UnixSec,
    /// Until when it does: *Expiration Time*, or [`CERTIFICATE_LIFE_S`] behind `issued`.
    pub expires: UnixSec,
}

impl Delegation {
    pub(super) fn of(sign_in: &SignIn<'_>) -> Result<Option<Self>, SiweError> {
        let keys = sign_in.resources.iter().map(|resource| key(resource));
        let named: Vec<PublicKey> = keys
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()
            .map_err(|NotAKey| SiweError::Key)?;
        let key = match named.as_slice() {
            [] => return Ok(None),
            [key] => *key,
            _ => return Err(SiweError::Key),
        };
        let begins = sign_in.not_before.max(Some(sign_in.issued_at));
        let issued = begins
            .unwrap_or(sign_in.issued_at)
            .minus_ms(CLOCK_SKEW_MS)
            .to_sec();
        let expires = sign_in.expires.map(|time| time.to_sec());
        Ok(Some(Self {
            key,
            issued,
            expires: expires.unwrap_or(issued.plus_s(CERTIFICATE_LIFE_S)),
        }))
    }
}

impl SignIn<'_> {
    /// Returns whether the sign-in is for a stream: its resources at its own hosts name that stream, or none. A stream that is
    /// named without an owner is the operator's, whom the caller knows or not.
    pub fn is_for(&self, id: StreamId, name: &StreamName) -> bool {
        let authorities = self.authorities();
        let named: Result<Vec<&str>, _> = self
            .resources
            .iter()
            .filter_map(|resource| stream(resource, &authorities).transpose())
            .collect();
        let is_this = |text: &str| match text.parse() {
            Ok(StreamRef::Name(given)) => given == *name,
            Ok(StreamRef::Id(given)) => given == id,
            Ok(StreamRef::Short(given)) => given == id.short(),
            Err(_) => false,
        };
        named.is_ok_and(|named| named.is_empty() || named.into_iter().any(is_this))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    const KEY: &str = "AhI5tEs7jm_rBcCWSF6t9JQ5u11cxkh8BOHv3NGE9rFD";
    const OWNER: Address = Address::repeat_byte(7);

    /// A sign-in with these lines behind the nonce.
    fn message(lines: &str) -> String {
        format!(
            "example.com wants you to sign in with your Ethereum account:\n\
             0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\n\
             URI: https://app.example\nVersion: 1\nChain ID: 1\nNonce: 12345678\n{lines}"
        )
    }

    fn delegation(lines: &str) -> Result<Option<Delegation>, SiweError> {
        SignIn::parse(&message(lines)).unwrap().delegation()
    }

    fn with_resources(resources: &[&str]) -> Result<Option<Delegation>, SiweError> {
        let list: String = resources.iter().map(|one| format!("\n- {one}")).collect();
        delegation(&format!("Issued At: 2026-01-01T00:00:00.900Z\nResources:{list}"))
    }

    #[test]
    fn a_sign_in_delegates_to_one_key_for_a_month_or_until_its_end() {
        let key = PublicKey::from_base64(KEY).unwrap();
        let urn = format!("urn:streamchain:key:p256:{KEY}");
        let issued = UnixSec(1_767_225_600 - 60);
        let expected = |issued, expires| Ok(Some(Delegation { key, issued, expires }));
        let month = issued.plus_s(CERTIFICATE_LIFE_S);
        assert_eq!(with_resources(&[&urn, "ipfs://x"]), expected(issued, month));
        let ending = format!(
            "Issued At: 2026-01-01T00:00:00Z\nExpiration Time: 2026-01-01T01:00:00Z\n\
             Not Before: 2026-01-01T00:10:00Z\nResources:\n- {urn}"
        );
        assert_eq!(
            delegation(&ending),
            expected(issued.plus_s(600), UnixSec(1_767_225_600 + 3_600))
        );
        assert_eq!(delegation("Issued At: 2026-01-01T00:00:00Z"), Ok(None));
        assert_eq!(
            with_resources(&["urn:other:key:p256:x", "https://example.com/"]),
            Ok(None)
        );
    }

    #[test]
    fn what_looks_like_a_key_of_ours_and_is_none_refuses_the_message() {
        let urn = format!("urn:streamchain:key:p256:{KEY}");
        assert_eq!(with_resources(&[&urn, &urn]), Err(SiweError::Key), "two keys");
        for bad in [
            "urn:streamchain:",
            "urn:streamchain:key",
            "urn:streamchain:key:p256:",
            "urn:streamchain:key:p384:AhI5tEs7jm_rBcCWSF6t9JQ5u11cxkh8BOHv3NGE9rFD",
            "URN:streamchain:key:p256:AhI5tEs7jm_rBcCWSF6t9JQ5u11cxkh8BOHv3NGE9rFD",
            "urn:StreamChain:key:p256:AhI5tEs7jm_rBcCWSF6t9JQ5u11cxkh8BOHv3NGE9rFD",
            "urn:streamchain:key:p256:AhI5tEs7jm_rBcCWSF6t9JQ5u11cxkh8BOHv3NGE9rFD=",
            "urn:streamchain:key:p256:BBI5tEs7jm_rBcCWSF6t9JQ5u11cxkh8BOHv3NGE9rFD",
            "urn:streamchain:key:p256:AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
            "urn:streamchain:anything",
        ] {
            assert_eq!(with_resources(&[bad]), Err(SiweError::Key), "{bad}");
        }
    }

    #[test]
    fn a_sign_in_for_streams_delegates_for_these_alone() {
        let [demo, other] = ["demo", "other"].map(|name| name.parse::<StreamName>().unwrap());
        let id = StreamId::of(OWNER, &demo);
        let is_for = |resource: &str| {
            let lines = format!("Issued At: 2026-01-01T00:00:00Z\nResources:\n- {resource}");
            SignIn::parse(&message(&lines)).unwrap().is_for(id, &demo)
        };
        assert!(is_for("https://example.com/v1/streams/demo"));
        assert!(is_for(&format!("https://app.example/v1/streams/{id}")));
        assert!(is_for(&format!("https://app.example/v1/streams/{}", id.short())));
        assert!(
            is_for("https://elsewhere.example/v1/streams/other"),
            "of another host"
        );
        assert!(!is_for("https://example.com/v1/streams/other"));
        assert!(!is_for(&format!(
            "https://example.com/v1/streams/{}",
            StreamId::of(OWNER, &other)
        )));
        assert!(
            !is_for("https://example.com/v1/streams/demo/messages"),
            "no stream"
        );
    }
}
