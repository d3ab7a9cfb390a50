//! Keys, groups and digests equal those of the libraries that contracts/test/vectors/signed.mjs uses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on"
)]

use serde::Deserialize;
use streamchain_protocol::ids::{ProducerId, StreamId};
use streamchain_protocol::proof::merkle::process_proof;
use streamchain_protocol::signed::{
    GroupDigest, PublicKey, Signature, author_of, group_leaf, group_proof, group_root, key_of_resource,
    key_resource,
};
use streamchain_protocol::{Address, B256, Bytes, keccak256};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    keys: Vec<Key>,
    bad_keys: Vec<BadKey>,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Key {
    key: PublicKey,
    base64url: String,
    x: B256,
    y: B256,
    author: Address,
}

#[derive(Deserialize)]
struct BadKey {
    title: String,
    key: String,
}

#[derive(Deserialize)]
struct Group {
    title: String,
    stream: StreamId,
    author: Address,
    producer: ProducerId,
    first: u64,
    count: u32,
    previous: B256,
    payloads: Vec<Bytes>,
    root: B256,
    proofs: Vec<Path>,
    preimage: Bytes,
    digest: B256,
}

#[derive(Deserialize)]
struct Path {
    index: usize,
    proof: Vec<B256>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../contracts/test/vectors/signed.json")).expect("the file's shape")
}

impl Group {
    fn hashes(&self) -> Vec<B256> {
        self.payloads.iter().map(keccak256).collect()
    }
}

#[test]
fn a_key_has_its_point_its_texts_and_its_author() {
    for given in vectors().keys {
        let point = given.key.point().unwrap();
        assert_eq!((B256::from(point.x), B256::from(point.y)), (given.x, given.y));
        assert_eq!(PublicKey::of_point(&point), given.key);
        assert_eq!(given.key.to_base64(), given.base64url);
        assert_eq!(PublicKey::from_base64(&given.base64url), Ok(given.key));
        assert_eq!(given.key.to_string().parse(), Ok(given.key));
        assert_eq!(author_of(&given.key), Ok(given.author));
        assert_eq!(key_of_resource(&key_resource(&given.key)), Some(Ok(given.key)));
    }
}

#[test]
fn what_is_no_point_is_no_key() {
    for bad in vectors().bad_keys {
        let point = bad.key.parse::<PublicKey>().and_then(|key| key.point());
        assert!(point.is_err(), "{}", bad.title);
    }
}

#[test]
fn texts_of_another_length_or_alphabet_are_refused() {
    let key = &vectors().keys[0];
    let text = &key.base64url;
    for bad in [
        String::new(),
        text[1..].to_owned(),
        format!("{text}="),
        format!("{text}A"),
        text.replacen(&text[1..2], "+", 1),
        text.replacen(&text[1..2], "é", 1),
    ] {
        assert!(PublicKey::from_base64(&bad).is_err(), "{bad}");
    }
    let hex = key.key.to_string();
    for bad in [&hex[2..], &hex[..66], &format!("{hex}00"), ""] {
        assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
    }
    // 64 bytes are 85 and a third characters: what the last one holds beyond them must be zero.
    let signature = Signature([0xff; 64]);
    let text = signature.to_base64();
    assert_eq!(Signature::from_base64(&text), Ok(signature));
    assert!(
        Signature::from_base64(&format!("{}x", &text[..85])).is_err(),
        "bits that say nothing"
    );
}

#[test]
fn groups_have_the_roots_paths_and_digests_of_the_vectors() {
    for given in vectors().groups {
        let hashes = given.hashes();
        assert_eq!(hashes.len(), given.count as usize, "{}", given.title);
        assert_eq!(group_root(given.first, &hashes), given.root, "{}", given.title);
        for Path { index, proof } in &given.proofs {
            assert_eq!(group_proof(given.first, &hashes, *index).as_ref(), Some(proof));
            let leaf = group_leaf(given.first + *index as u64, hashes[*index]);
            assert_eq!(process_proof(leaf, proof), given.root);
        }
        let signed = GroupDigest {
            stream: given.stream,
            author: given.author,
            producer: given.producer,
            first: given.first,
            count: given.count,
            previous: given.previous,
            root: given.root,
        };
        assert_eq!(Bytes::from(signed.preimage()), given.preimage, "{}", given.title);
        assert_eq!(signed.digest(), given.digest, "{}", given.title);
    }
}

#[test]
fn no_messages_have_no_root_of_a_group() {
    assert_eq!(group_root(0, &[]), B256::ZERO);
    assert_eq!(group_proof(0, &[], 0), None);
}
