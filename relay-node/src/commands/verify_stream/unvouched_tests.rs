//! Who vouches for keys, as far as it needs no chain.

use super::*;
use crate::commands::verify_stream::unvouched::MAX_NAMED;

const AUTHOR: Address = Address::repeat_byte(0xaa);
const BEGIN: UnixSec = UnixSec(1_000);
/// When the check runs.
const NOW: UnixSec = UnixSec(2_000);

fn key() -> PublicKey {
    PublicKey::from_bytes([2; 33]).unwrap()
}

fn signatures() -> Signatures {
    Signatures::new(StreamId([5; 32]), "demo".parse().unwrap(), 1)
}

fn used(seq: u64, at: UnixSec) -> KeyUse {
    KeyUse {
        author: AUTHOR,
        key: key(),
        times: (at, at),
        seq: Seq(seq),
        messages: 2,
    }
}

/// A certificate for 100 seconds; two of them differ by what is signed.
fn certificate(issued: UnixSec, signature: u8) -> Certificate {
    Certificate::Wallet {
        message: String::new(),
        signature: vec![signature].into(),
        issued,
        expires: issued.plus_s(100),
        revoked: None,
    }
}

fn wallet() -> Result<Voucher, Unvouched> {
    let domain = "chat.example".into();
    Ok(Voucher::Wallet { domain })
}

#[test]
fn a_certificate_that_a_wallet_refuses_hides_no_other() {
    let mut signatures = signatures();
    let group = used(1, BEGIN);
    signatures.keep(&group, Some(certificate(BEGIN, 1)), &Err(Unvouched::Refused), NOW);
    assert_eq!(
        signatures.vouched(&group, NOW),
        None,
        "another one may cover the time"
    );
    signatures.keep(&group, Some(certificate(BEGIN, 2)), &wallet(), NOW);
    assert_eq!(signatures.vouched(&group, NOW), Some(wallet()));
    assert_eq!(signatures.vouched(&used(2, BEGIN.plus_s(101)), NOW), None);
}

#[test]
fn the_edge_is_asked_about_a_refused_key_so_often() {
    let mut signatures = signatures();
    for seq in 0..u64::from(MAX_QUESTIONS) {
        let group = used(seq, BEGIN);
        assert_eq!(signatures.vouched(&group, NOW), None, "question {seq}");
        signatures.keep(&group, Some(certificate(BEGIN, 1)), &Err(Unvouched::Refused), NOW);
    }
    assert_eq!(
        signatures.vouched(&used(99, BEGIN), NOW),
        Some(Err(Unvouched::Refused))
    );
    assert_eq!(
        signatures.vouched(&used(99, BEGIN.plus_s(101)), NOW),
        None,
        "a later sign-in"
    );
    let known = signatures.certified.values().map(|one| one.known.len());
    assert_eq!(known.sum::<usize>(), 1, "a certificate is kept once");
}

#[test]
fn a_key_without_certificates_is_asked_about_once() {
    let mut signatures = signatures();
    signatures.keep(&used(1, BEGIN), None, &Err(Unvouched::Absent), NOW);
    assert_eq!(
        signatures.vouched(&used(2, BEGIN.plus_s(9)), NOW),
        Some(Err(Unvouched::Absent))
    );
}

#[test]
fn groups_are_counted_and_the_first_are_named() {
    let mut signatures = signatures();
    let groups = MAX_NAMED as u64 + 5;
    for seq in 0..groups {
        signatures.count_unvouched(&used(seq, BEGIN), Unvouched::Refused, false);
    }
    assert_eq!(signatures.summary().unvouched, 2 * groups);
    let (refusal, unvouched) = signatures.attested();
    assert_eq!((refusal, unvouched.groups), (None, groups));
    let seqs = unvouched.named.iter().map(|group| group.seq.0);
    assert!(seqs.eq(0..MAX_NAMED as u64));
}

#[test]
fn the_first_forged_or_required_one_is_the_fault() {
    let forged = |required: bool, reason: Unvouched| {
        let mut signatures = signatures();
        signatures.count_unvouched(&used(1, BEGIN), reason.clone(), required);
        signatures.count_unvouched(&used(2, BEGIN), reason, required);
        match signatures.attested().0 {
            Some(SignatureFault::NotVouched { seq, .. }) => Some(seq),
            _ => None,
        }
    };
    let silent = || Unvouched::Silent("late".into());
    let elsewhere = || Unvouched::Elsewhere(AuthorError::OtherStream);
    for harmless in [Unvouched::Refused, silent(), elsewhere()] {
        assert_eq!(forged(false, harmless.clone()), None, "{harmless}");
        assert_eq!(forged(true, harmless), Some(Seq(1)));
    }
    for fault in [
        Unvouched::Absent,
        Unvouched::Invalid(AuthorError::OtherKey(key()).into()),
    ] {
        assert_eq!(forged(false, fault.clone()), Some(Seq(1)), "{fault}");
    }
}
