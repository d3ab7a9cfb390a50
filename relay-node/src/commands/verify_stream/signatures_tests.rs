//! What is remembered of keys, and for how long.

use super::*;
use streamchain_chain::authors::CERTIFICATE_LIFE_S;

const ASKED: UnixSec = UnixSec(1_000);

fn signatures() -> Signatures {
    Signatures::new(StreamId([1; 32]), "demo".parse().unwrap(), 31_337)
}

fn used(second: u64) -> KeyUse {
    KeyUse {
        author: Address::repeat_byte(0x11),
        key: PublicKey::from_bytes([2; 33]).unwrap(),
        times: (UnixSec(second), UnixSec(second)),
        seq: Seq(0),
        messages: 3,
    }
}

fn certificate(revoked: Option<UnixSec>) -> Certificate {
    Certificate::Service {
        account: Address::ZERO,
        issued: UnixSec(500),
        expires: None,
        revoked,
    }
}

#[test]
fn a_key_is_asked_for_again_after_a_while() {
    let mut signatures = signatures();
    signatures.keep(&used(900), Some(certificate(None)), &Ok(Voucher::Operator), ASKED);
    let late = ASKED.plus_s(CERTIFICATE_LIFE_S);
    assert!(signatures.vouched(&used(900), late).is_some());
    assert!(signatures.vouched(&used(1_001), UnixSec(late.0 - 1)).is_some());
    assert_eq!(
        signatures.vouched(&used(1_001), late),
        None,
        "it may have been revoked"
    );
    signatures.keep(
        &used(900),
        Some(certificate(Some(ASKED.plus_s(5)))),
        &Ok(Voucher::Operator),
        late,
    );
    assert!(signatures.vouched(&used(1_001), late).is_some());
    assert_eq!(signatures.vouched(&used(1_006), late), None, "it was revoked");
}

#[test]
fn messages_are_counted_by_who_says_whose_the_key_is() {
    let mut signatures = signatures();
    for attested in [
        Attested::ByAuthor,
        Attested::ByCaller,
        Attested::KeyKnown,
        Attested::ByOperator,
    ] {
        signatures.count(&used(900), attested);
    }
    let summary = signatures.summary();
    assert_eq!(
        (summary.by_authors, summary.by_known_keys, summary.by_operator),
        (6, 3, 3)
    );
}
