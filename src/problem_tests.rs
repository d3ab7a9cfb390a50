use super::*;
use streamchain_protocol::ids::{Epoch, Seq};

#[test]
fn every_kind_is_found_by_the_type_of_its_document() {
    for (kind, word, status, _) in KINDS {
        assert_eq!(kind.row().0, word);
        assert_eq!(Kind::of_type(&format!("{TYPE_PREFIX}{word}")), Some(kind));
        assert!((400..600).contains(&status));
    }
    assert_eq!(Kind::of_type("about:blank"), None);
}

#[test]
fn a_hidden_stream_is_shown_as_one_that_is_not_there() {
    let access = Access {
        owner: alloy_primitives::Address::ZERO,
        settings: streamchain_protocol::stream_settings::StreamSettings {
            read: streamchain_protocol::stream_settings::ReadAccess::Private,
            write: streamchain_protocol::stream_settings::WriteAccess::Closed,
            ..Default::default()
        },
        member: Rights::NONE,
    };
    for has_credentials in [false, true] {
        let hidden = need_right_on(&access, has_credentials, Rights::NONE, Right::Read).unwrap_err();
        assert_eq!(hidden.word().1, 403, "the audit log has it as a refusal");
        assert_eq!(hidden.shown(), Problem::from(Refusal::NoSuchStream));
    }
    let reader = Rights::of(&[Right::Read]);
    let refused = need_right_on(&access, true, reader, Right::Manage).unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
}

#[test]
fn a_refusal_becomes_a_document_that_says_what_was_expected() {
    let gap = Problem::from(Refusal::Gap {
        given: Seq(4),
        expected: Seq(2),
    })
    .document();
    assert_eq!(gap["type"], "https://streamchain.dev/problems/gap");
    assert_eq!(
        (gap["status"].as_u64(), gap["expected"].as_u64()),
        (Some(409), Some(2))
    );
    let stale = Problem::from(Refusal::StaleEpoch {
        given: Epoch(1),
        epoch: Epoch(3),
    })
    .document();
    assert_eq!(stale["epoch"], 3);
    assert_eq!(
        stale["detail"],
        "epoch 1 is not the stream's epoch 3: release the stream"
    );
}
