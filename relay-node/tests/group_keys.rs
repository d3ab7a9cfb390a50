//! The relay's library of elliptic curves agrees with the vectors (contracts/test/vectors/signed.mjs explains the file).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests stop the test that cannot go on"
)]

use relay_node::GroupKey;
use serde::Deserialize;
use streamchain_protocol::signed::{GroupDigest, PublicKey, Signature};
use streamchain_protocol::{Address, B256, Bytes};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    bad_keys: Vec<BadKey>,
    groups: Vec<Group>,
    signatures: Vec<Single>,
}

#[derive(Deserialize)]
struct BadKey {
    title: String,
    key: String,
}

#[derive(Deserialize)]
struct Group {
    title: String,
    stream: B256,
    author: Address,
    producer: Bytes,
    first: u64,
    count: u32,
    previous: B256,
    root: B256,
    key: PublicKey,
    signature: Signature,
}

#[derive(Deserialize)]
struct Single {
    title: String,
    key: PublicKey,
    preimage: Bytes,
    signature: Signature,
    holds: bool,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../contracts/test/vectors/signed.json")).expect("the file's shape")
}

impl Group {
    fn signed(&self) -> GroupDigest {
        GroupDigest {
            stream: streamchain_protocol::ids::StreamId(self.stream.0),
            author: self.author,
            producer: streamchain_protocol::ids::ProducerId(self.producer.as_ref().try_into().unwrap()),
            first: self.first,
            count: self.count,
            previous: self.previous,
            root: self.root,
        }
    }
}

#[test]
fn groups_verify_and_changed_ones_do_not() {
    for group in vectors().groups {
        let key = GroupKey::new(&group.key).unwrap();
        assert!(key.verify(&group.signed(), &group.signature), "{}", group.title);
        let changed = GroupDigest {
            count: group.count + 1,
            ..group.signed()
        };
        assert!(!key.verify(&changed, &group.signature), "{}", group.title);
    }
}

#[test]
fn single_signatures_are_judged_as_by_the_other_libraries() {
    for one in vectors().signatures {
        let key = GroupKey::new(&one.key).unwrap();
        assert_eq!(
            key.verify_bytes(&one.preimage, &one.signature),
            one.holds,
            "{}",
            one.title
        );
    }
}

#[test]
fn a_key_that_is_no_point_is_refused() {
    for bad in vectors().bad_keys {
        let key = bad.key.parse::<PublicKey>().ok();
        assert!(key.and_then(|key| GroupKey::new(&key)).is_none(), "{}", bad.title);
    }
}
