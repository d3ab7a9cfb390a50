//! What a receipt's author's part is refused for; the signatures are checked in `streamchain-chain`, by the same table.

use crate::proof::{AuthorError, Receipt, ReceiptError, check_time};
use crate::signed::Certificate;
use crate::time::UnixSec;
use alloy_primitives::{Address, Bytes};
use serde_json::Value;

fn receipts() -> Vec<Value> {
    let text = include_str!("../../../../contracts/test/vectors/forgeries.json");
    let table: Value = serde_json::from_str(text).unwrap();
    table["receipts"].as_array().unwrap().clone()
}

fn receipt(title: &str) -> Receipt {
    let found = receipts().into_iter().find(|case| case["title"] == title);
    serde_json::from_value(found.unwrap()["receipt"].clone()).unwrap()
}

#[test]
fn the_authors_part_is_checked_without_a_signature() {
    for case in receipts() {
        let title = &case["title"];
        let receipt: Receipt = serde_json::from_value(case["receipt"].clone()).unwrap();
        match case["wrong"].as_str() {
            None | Some("signature") => assert_eq!(receipt.check(), Ok(()), "{title}"),
            Some("message" | "time") => {
                assert!(matches!(receipt.check(), Err(ReceiptError::Author(_))), "{title}");
            }
            // A certificate with another signature is right but for it.
            _ => assert!(
                matches!(receipt.check(), Ok(()) | Err(ReceiptError::Author(_))),
                "{title}"
            ),
        }
    }
}

#[test]
fn a_key_signs_for_its_author_until_it_ends() {
    let service = |expires, revoked| Certificate::Service {
        account: Address::ZERO,
        issued: UnixSec(100),
        expires,
        revoked,
    };
    let at = |certificate: &Certificate, second| check_time(certificate, UnixSec(second));
    let for_ever = service(None, None);
    assert!(at(&for_ever, 99).is_err() && at(&for_ever, 100).is_ok() && at(&for_ever, u64::MAX).is_ok());
    let ending = service(Some(UnixSec(200)), None);
    assert!(at(&ending, 200).is_ok());
    let why = |result: Result<(), AuthorError>| match result {
        Err(AuthorError::NotValid { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(at(&ending, 201)), "it had expired");
    let revoked = service(Some(UnixSec(200)), Some(UnixSec(150)));
    assert!(at(&revoked, 150).is_ok(), "its earlier messages stay provable");
    assert_eq!(why(at(&revoked, 151)), "it was revoked");
}

#[test]
fn a_wallets_sign_in_says_how_long_its_key_signs() {
    let mut given = receipt("a wallet's message by a sign-in with an end");
    let author = given.author.as_mut().unwrap();
    let Certificate::Wallet {
        message,
        issued,
        expires,
        ..
    } = &mut author.certificate
    else {
        panic!("a wallet's certificate");
    };
    assert!(message.contains("Issued At: 2026-01-01T00:00:00.000Z"));
    assert_eq!(
        (issued.0, expires.0),
        (1_767_225_600 - 60, 1_767_225_600 + 86_400)
    );
    *expires = UnixSec(expires.0 + 1);
    assert!(matches!(
        given.check(),
        Err(ReceiptError::Author(AuthorError::Life { .. }))
    ));
}

#[test]
fn receipts_of_before_are_read_and_hold() {
    let old = receipt("a message without the author's part");
    assert_eq!((old.check(), &old.author), (Ok(()), &None));
    assert!(!serde_json::to_string(&old).unwrap().contains("\"key\""));
}

#[test]
fn the_payload_is_bound_by_the_authors_part_too() {
    let mut given = receipt("a page's first message");
    given.message.payload = Bytes::from_static(b"one more");
    given.leaf = given.computed_leaf();
    given.proof.clear();
    (given.root, given.anchor.root) = (given.leaf, given.leaf);
    assert!(matches!(
        given.check(),
        Err(ReceiptError::Author(AuthorError::Proof { .. }))
    ));
}
