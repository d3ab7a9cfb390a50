//! Who signs a session's groups, and whether a signature holds: P-256 with SHA-256, by the crypto library that DTLS uses.
//!
//! What always holds: a key signs for a session only when it makes the session's author itself, or when the edge has said that it
//! is the author's, and not longer than the edge has said.

use crate::core::group_key::GroupKey;
use streamchain_protocol::Address;
use streamchain_protocol::signed::{GroupDigest, KeyError, PublicKey, Signature, author_of};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::KeyState;

/// A key in the form that signatures are verified with.
#[derive(Debug, Clone)]
pub(crate) struct VerifyingKey {
    public: PublicKey,
    key: GroupKey,
}

impl VerifyingKey {
    /// An error for a key that is no point of the curve.
    pub(crate) fn new(public: PublicKey) -> Result<Self, KeyError> {
        let key = GroupKey::new(&public).ok_or(KeyError::NotOnCurve)?;
        Ok(Self { public, key })
    }

    pub(crate) fn key(&self) -> PublicKey {
        self.public
    }

    /// Whether this key signed the group. Costs about 60 µs.
    pub(crate) fn verifies(&self, group: &GroupDigest, signature: &Signature) -> bool {
        self.key.verify(group, signature)
    }
}

/// Who signs the groups of a session.
#[derive(Debug)]
pub(crate) enum Signer {
    /// *hello* named no key.
    Nobody,
    /// The edge has not said yet whether the key is the author's.
    Asked(VerifyingKey),
    /// The key signs for the author, before this second if there is one.
    Known(VerifyingKey, Option<UnixSec>),
    /// The key does not sign for the author: why.
    Refused(String),
}

impl Signer {
    /// The signer of a session of `author` whose *hello* named this key.
    pub(crate) fn of(key: Option<PublicKey>, author: Address) -> Self {
        let Some(key) = key else {
            return Self::Nobody;
        };
        match (VerifyingKey::new(key), author_of(&key)) {
            (Ok(key), Ok(own)) if own == author => Self::Known(key, None),
            (Ok(key), _) => Self::Asked(key),
            (Err(error), _) => Self::Refused(error.to_string()),
        }
    }

    /// The key that the edge is to be asked about.
    pub(crate) fn asked(&self) -> Option<PublicKey> {
        match self {
            Self::Asked(key) => Some(key.key()),
            Self::Nobody | Self::Known(..) | Self::Refused(_) => None,
        }
    }

    /// Takes the edge's answer about the key that was asked about.
    pub(crate) fn answer(&mut self, state: Option<&KeyState>) {
        let Self::Asked(key) = self else {
            return;
        };
        *self = match state {
            Some(KeyState { ok: true, until, .. }) => Self::Known(key.clone(), *until),
            Some(KeyState { reason, .. }) => Self::Refused(match reason {
                Some(reason) => format!("the key is not one of the author's: {reason}"),
                None => "the key is not one of the author's".into(),
            }),
            None => Self::Refused("the edge knows nothing of the key".into()),
        };
    }

    /// The key that signs at `now`, or why there is none.
    pub(crate) fn key(&self, now: UnixSec) -> Result<&VerifyingKey, String> {
        match self {
            Self::Known(key, until) if until.is_none_or(|until| now < until) => Ok(key),
            Self::Known(_, until) => Err(format!(
                "the key has expired at {}",
                until.map_or(0, |until| until.0)
            )),
            Self::Refused(reason) => Err(reason.clone()),
            Self::Asked(_) => Err("the edge has not said yet whose key this is".into()),
            Self::Nobody => Err("hello named no key".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use streamchain_protocol::B256;
    use streamchain_protocol::ids::{ProducerId, StreamId};
    use streamchain_protocol::signed::Point;

    fn pair() -> (EcdsaKeyPair, PublicKey) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = (point[..32].try_into().unwrap(), point[32..].try_into().unwrap());
        let key = PublicKey::of_point(&Point { x, y });
        (pair, key)
    }

    fn group() -> GroupDigest {
        GroupDigest {
            stream: StreamId([1; 32]),
            author: Address::repeat_byte(2),
            producer: ProducerId([3; 16]),
            first: 4,
            count: 2,
            previous: B256::repeat_byte(5),
            root: B256::repeat_byte(6),
        }
    }

    #[test]
    fn a_signature_holds_for_its_group_and_its_key_alone() {
        let ((pair, key), (_, other)) = (pair(), pair());
        let signed = pair.sign(&SystemRandom::new(), &group().preimage()).unwrap();
        let signature = Signature(signed.as_ref().try_into().unwrap());
        assert!(VerifyingKey::new(key).unwrap().verifies(&group(), &signature));
        assert!(!VerifyingKey::new(other).unwrap().verifies(&group(), &signature));
        let changes: [fn(&mut GroupDigest); 7] = [
            |group| group.stream = StreamId([9; 32]),
            |group| group.author = Address::ZERO,
            |group| group.producer = ProducerId([9; 16]),
            |group| group.first = 5,
            |group| group.count = 3,
            |group| group.previous = B256::ZERO,
            |group| group.root = B256::ZERO,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = group();
            change(&mut changed);
            let holds = VerifyingKey::new(key).unwrap().verifies(&changed, &signature);
            assert!(!holds, "change {index}");
        }
        let mut broken = signature;
        broken.0[40] ^= 1;
        assert!(!VerifyingKey::new(key).unwrap().verifies(&group(), &broken));
    }

    #[test]
    fn a_key_signs_for_its_own_author_without_a_question() {
        let (_, key) = pair();
        let own = author_of(&key).unwrap();
        assert!(Signer::of(Some(key), own).key(UnixSec(u64::MAX)).is_ok());
        let other = Signer::of(Some(key), Address::ZERO);
        assert_eq!(other.asked(), Some(key));
        assert!(other.key(UnixSec(0)).is_err());
    }

    #[test]
    fn the_edge_says_until_when_a_key_signs() {
        let (_, key) = pair();
        let answered = |state: Option<KeyState>| {
            let mut signer = Signer::of(Some(key), Address::ZERO);
            signer.answer(state.as_ref());
            signer
        };
        let of = |ok, until, reason: Option<&str>| KeyState {
            ok,
            until,
            reason: reason.map(str::to_owned),
        };
        let known = answered(Some(of(true, Some(UnixSec(100)), None)));
        assert!(known.key(UnixSec(99)).is_ok());
        assert!(known.key(UnixSec(100)).unwrap_err().contains("expired at 100"));
        let refused = answered(Some(of(false, None, Some("revoked"))));
        assert!(refused.key(UnixSec(0)).unwrap_err().contains("revoked"));
        assert!(
            answered(None).key(UnixSec(0)).is_err(),
            "an edge that says nothing"
        );
    }

    #[test]
    fn a_key_that_is_no_point_signs_nothing() {
        // No point of P-256 has this x.
        let key = (0..=255u8)
            .map(|byte| {
                let mut bytes = [byte; 33];
                bytes[0] = 2;
                PublicKey::from_bytes(bytes).unwrap()
            })
            .find(|key| key.point().is_err())
            .unwrap();
        let signer = Signer::of(Some(key), Address::ZERO);
        assert_eq!(signer.asked(), None);
        assert!(signer.key(UnixSec(0)).is_err());
    }
}
