use super::*;
use crate::ids::{Epoch, ProducerId, Seq};
use crate::proof::{AnchorRef, AnchorState};
use crate::signed::{GroupHeader, PublicKey, Signature};
use crate::time::UnixMs;
use crate::util::cbor::{Reader, Writer};
use crate::wire::{Omitted, Presence};
use alloy_primitives::hex;
use alloy_primitives::{Address, B256};
use proptest::prelude::*;

const SUBSCRIBE_TAIL: ClientFrame<'static> = ClientFrame::Subscribe {
    from: None,
    signatures: false,
};

/// A header of two messages, with bytes that are easy to recognize.
fn header() -> GroupHeader {
    let mut key = [0x55; 33];
    key[0] = 2;
    GroupHeader {
        count: 2,
        previous: B256::repeat_byte(0x22),
        key: PublicKey::from_bytes(key).unwrap(),
        signature: Signature([0x44; 64]),
    }
}

fn client_frames() -> Vec<(ClientFrame<'static>, &'static str)> {
    vec![
        (
            ClientFrame::Hello {
                producer: ProducerId([0xab; 16]),
                key: None,
            },
            "820150abababababababababababababababab",
        ),
        (
            ClientFrame::Hello {
                producer: ProducerId([0xab; 16]),
                key: Some(header().key),
            },
            "830150abababababababababababababababab5821025555555555555555555555555555555555555555555555555555555555555555",
        ),
        (
            ClientFrame::Publish {
                producer_seq: 7,
                payload: b"hi",
            },
            "830207426869",
        ),
        (
            ClientFrame::Group {
                producer_seq: 7,
                previous: header().previous,
                signature: header().signature,
                payloads: vec![b"hi", b"you"],
            },
            "8504075820222222222222222222222222222222222222222222222222222222222222222258404444444444444444444444444444444444\
             44444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444448242686943796f75",
        ),
        (
            ClientFrame::Subscribe {
                from: Some(Seq(1_000)),
                signatures: false,
            },
            "82031903e8",
        ),
        (SUBSCRIBE_TAIL, "8203f6"),
        (
            ClientFrame::Subscribe {
                from: Some(Seq(1_000)),
                signatures: true,
            },
            "83031903e801",
        ),
        (ClientFrame::Join { grant: "AbCd" }, "82056441624364"),
        (ClientFrame::Abilities(Abilities::SECOND_WELCOME), "820601"),
        (
            ClientFrame::Abilities(Abilities::WANTS_PRESENCE.and(Abilities::MAY_BE_LISTED)),
            "820606",
        ),
        (
            ClientFrame::Abilities(Abilities::SECOND_WELCOME.and(Abilities::TAKES_GROUPS)),
            "820609",
        ),
    ]
}

fn relay_frames() -> Vec<(RelayFrame<'static>, &'static str)> {
    let mut frames = session_frames();
    frames.extend(chain_frames());
    frames.extend(presence_frames());
    frames
}

fn presence_frames() -> Vec<(RelayFrame<'static>, &'static str)> {
    let of = |authors| {
        RelayFrame::Presence(Presence {
            readers: 300,
            publishers: 2,
            authors,
        })
    };
    vec![
        (of(Vec::new()), "83181a19012c02"),
        (
            of(vec![Address::repeat_byte(0x11)]),
            "84181a19012c0281541111111111111111111111111111111111111111",
        ),
    ]
}

/// The frames about a session and its messages.
fn session_frames() -> Vec<(RelayFrame<'static>, &'static str)> {
    let limits = ChannelLimits {
        payload: 65_536,
        batch_ms: 50,
        buffer: 4_096,
        messages_per_s: 0,
        bytes_per_s: 0,
        group_messages: 0,
        signed: false,
    };
    let rated = ChannelLimits {
        messages_per_s: 1_000,
        bytes_per_s: 4_194_304,
        ..limits
    };
    let welcomes = vec![
        (
            RelayFrame::Welcome {
                epoch: Epoch(3),
                head: Seq(12),
                committed: Seq(10),
                stored: None,
                limits,
            },
            "8610030c0af6a3677061796c6f61641a000100006862617463685f6d73183266627566666572191000",
        ),
        (
            RelayFrame::Welcome {
                epoch: Epoch(3),
                head: Seq(12),
                committed: Seq(10),
                stored: Some(4),
                limits: rated,
            },
            "8610030c0a04a5677061796c6f61641a000100006862617463685f6d731832666275666665721910006e6d657373616765735f7065725f73\
             1903e86b62797465735f7065725f731a00400000",
        ),
    ];
    let signed = (
        RelayFrame::Welcome {
            epoch: Epoch(3),
            head: Seq(12),
            committed: Seq(10),
            stored: Some(4),
            limits: ChannelLimits {
                group_messages: 256,
                signed: true,
                ..limits
            },
        },
        "8610030c0a04a5677061796c6f61641a000100006862617463685f6d731832666275666665721910006e67726f75705f6d65737361676573\
             190100667369676e656401",
    );
    [welcomes, vec![signed], message_frames(), group_frames()].concat()
}

/// The frames about messages and what became of them.
fn message_frames() -> Vec<(RelayFrame<'static>, &'static str)> {
    let author = Address::repeat_byte(0x11);
    vec![
        (
            RelayFrame::Message {
                epoch: Epoch(3),
                seq: Seq(12),
                time: UnixMs(1_700_000_000_000),
                author,
                payload: b"hi",
            },
            "8611030c1b0000018bcfe56800541111111111111111111111111111111111111111426869",
        ),
        (
            RelayFrame::Accepted {
                producer_seq: 7,
                seq: Some(Seq(12)),
                count: None,
            },
            "8312070c",
        ),
        (
            RelayFrame::Accepted {
                producer_seq: 7,
                seq: Some(Seq(12)),
                count: Some(2),
            },
            "8412070c02",
        ),
        (RelayFrame::Committed { committed: Seq(13) }, "82130d"),
        (
            RelayFrame::Gap {
                from: Seq(0),
                to: Seq(10),
            },
            "8316000a",
        ),
        (
            RelayFrame::error(ErrorCode::TooLarge, "too large"),
            "83170269746f6f206c61726765",
        ),
        (
            RelayFrame::Error {
                code: ErrorCode::RateLimited as u64,
                text: "too fast",
                retry_ms: Some(500),
            },
            "84170a68746f6f20666173741901f4",
        ),
    ]
}

/// The frames that bring a signed group.
fn group_frames() -> Vec<(RelayFrame<'static>, &'static str)> {
    let author = Address::repeat_byte(0x11);
    vec![
        (
            RelayFrame::Signature {
                epoch: Epoch(3),
                seq: Seq(12),
                producer: ProducerId([0xab; 16]),
                producer_seq: 7,
                group: header(),
            },
            "891819030c0250abababababababababababababababab075820222222222222222222222222222222222222222222222222222222222222\
             2222582102555555555555555555555555555555555555555555555555555555555555555558404444444444444444444444444444444444\
             4444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444",
        ),
        (
            RelayFrame::SignedGroup(SignedGroup {
                epoch: Epoch(3),
                seq: Seq(12),
                time: UnixMs(1_700_000_000_000),
                author,
                producer: ProducerId([0xab; 16]),
                producer_seq: 7,
                header: header(),
                payloads: vec![b"hi", b"you"],
            }),
            "8b181b030c1b0000018bcfe5680054111111111111111111111111111111111111111150abababababababababababababababab07582022222222\
             2222222222222222222222222222222222222222222222222222222258210255555555555555555555555555555555555555555555555555555555\
             5555555558404444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444\
             44444444444444444444448242686943796f75",
        ),
    ]
}

/// The frames about what is on chain.
fn chain_frames() -> Vec<(RelayFrame<'static>, &'static str)> {
    let author = Address::repeat_byte(0x11);
    let (root, tx) = (B256::repeat_byte(0x22), B256::repeat_byte(0x33));
    let state = AnchorState::Final;
    vec![
        (
            RelayFrame::Anchored(AnchorRef {
                first: Seq(0),
                count: 13,
                root,
                tx,
                block: 99,
                state,
            }),
            "8714000d582022222222222222222222222222222222222222222222222222222222222222225820333333333333333333333333333333333333333333333333333333333333333318\
             6301",
        ),
        (
            RelayFrame::Chain {
                block: 99,
                log_index: 2,
                author,
                payload: b"hi",
                tx,
                state: AnchorState::Anchored,
                omitted: None,
            },
            "87151863025411111111111111111111111111111111111111114268695820333333333333333333333333333333333333333333333333\
             333333333333333300",
        ),
        (
            RelayFrame::Chain {
                block: 99,
                log_index: 2,
                author,
                payload: b"",
                tx,
                state: AnchorState::Final,
                omitted: Some(Omitted {
                    size: 65_537,
                    digest: root,
                }),
            },
            "8915186302541111111111111111111111111111111111111111405820333333333333333333333333333333333333333333333333333333\
             3333333333011a0001000158202222222222222222222222222222222222222222222222222222222222222222",
        ),
        (
            RelayFrame::ChainState {
                block: 99,
                log_index: 2,
                tx,
                state: AnchorState::Reverted,
            },
            "8518181863025820333333333333333333333333333333333333333333333333333333333333333302",
        ),
    ]
}

#[test]
fn every_client_frame_has_the_bytes_that_the_document_shows() {
    for (frame, expected) in client_frames() {
        let mut out = Vec::new();
        frame.write(&mut out);
        assert_eq!(hex::encode(&out), expected, "{frame:?}");
        assert_eq!(ClientFrame::read(&mut Reader::new(&out)), Ok(Some(frame)));
    }
}

#[test]
fn every_relay_frame_has_the_bytes_that_the_document_shows() {
    for (frame, expected) in relay_frames() {
        let mut out = Vec::new();
        frame.write(&mut out);
        assert_eq!(hex::encode(&out), expected, "{frame:?}");
        assert_eq!(RelayFrame::read(&mut Reader::new(&out)), Ok(Some(frame)));
    }
}

#[test]
fn the_document_shows_every_frame() {
    let document = include_str!("../../../../docs/PROTOCOL.md").replace(char::is_whitespace, "");
    let hexes = client_frames()
        .into_iter()
        .map(|(_, hex)| hex)
        .chain(relay_frames().into_iter().map(|(_, hex)| hex));
    for expected in hexes {
        assert!(document.contains(expected), "docs/PROTOCOL.md lacks {expected}");
    }
}

#[test]
fn frames_share_a_message_and_unknown_ones_are_ignored() {
    let mut out = Vec::new();
    SUBSCRIBE_TAIL.write(&mut out);
    Writer::new(&mut out)
        .array(3)
        .uint(99)
        .text("later")
        .array(1)
        .map(0);
    ClientFrame::Publish {
        producer_seq: 0,
        payload: b"x",
    }
    .write(&mut out);
    let mut reader = Reader::new(&out);
    assert_eq!(ClientFrame::read(&mut reader), Ok(Some(SUBSCRIBE_TAIL)));
    assert_eq!(ClientFrame::read(&mut reader), Ok(None));
    assert!(matches!(
        ClientFrame::read(&mut reader),
        Ok(Some(ClientFrame::Publish { .. }))
    ));
    assert!(reader.is_at_end());
}

#[test]
fn a_frame_of_a_later_version_may_have_more_items() {
    let mut out = Vec::new();
    Writer::new(&mut out)
        .array(3)
        .uint(kind::COMMITTED)
        .uint(5)
        .text("new");
    let expected = RelayFrame::Committed { committed: Seq(5) };
    assert_eq!(RelayFrame::read(&mut Reader::new(&out)), Ok(Some(expected)));
}

#[test]
fn rubbish_is_refused_with_the_field_named() {
    for (bytes, field) in [
        ("", "frame"),
        ("00", "frame"),
        ("80", "frame"),
        ("9f01ff", "frame"),
        ("9bffffffffffffffff", "frame"),
        ("8101", "hello"),
        ("820141ab", "producer"),
        ("83020742", "payload"),
        ("83021bffffffffffffffff40", "producer_seq"),
        ("8203f5", "from"),
        ("82035bffffffffffffffff", "from"),
        ("8303f6f5", "signatures"),
        ("830150abababababababababababababababab4102", "key"),
        (
            "830150abababababababababababababababab5821045555555555555555555555555555555555555555555555555555555555555555",
            "key",
        ),
        ("8404074040", "group"),
        ("850407582022", "previous"),
        ("8105", "join"),
        ("82054161", "grant"),
        ("82056261ff", "grant"),
        ("8106", "abilities"),
        ("820640", "abilities"),
    ] {
        let error = ClientFrame::read(&mut Reader::new(&hex::decode(bytes).unwrap())).unwrap_err();
        assert!(
            error.to_string().starts_with(field),
            "{bytes}: {error}, expected one about {field}"
        );
    }
}

#[test]
fn a_group_has_1_to_256_messages() {
    let group = |payloads: Vec<&'static [u8]>| {
        let mut out = Vec::new();
        ClientFrame::Group {
            producer_seq: 0,
            previous: B256::ZERO,
            signature: header().signature,
            payloads,
        }
        .write(&mut out);
        out
    };
    for (count, is_read) in [(0, false), (1, true), (256, true), (257, false)] {
        let bytes = group(vec![b"x"; count]);
        let read = ClientFrame::read(&mut Reader::new(&bytes));
        assert_eq!(read.is_ok(), is_read, "{count} messages: {read:?}");
    }
    let mut endless = group(vec![]);
    endless.pop();
    endless.extend(hex::decode("9b001fffffffffffff").unwrap());
    assert!(ClientFrame::read(&mut Reader::new(&endless)).is_err());
}

#[test]
fn a_group_as_one_frame_has_1_to_256_messages_and_their_seqs() {
    let read = |seq, count| {
        let mut bytes = Vec::new();
        RelayFrame::SignedGroup(SignedGroup {
            epoch: Epoch(1),
            seq: Seq(seq),
            time: UnixMs(1),
            author: Address::ZERO,
            producer: ProducerId([0; 16]),
            producer_seq: 0,
            header: header(),
            payloads: vec![b"x"; count],
        })
        .write(&mut bytes);
        let read = RelayFrame::read(&mut Reader::new(&bytes));
        read.map(|_| ()).map_err(|error| error.to_string())
    };
    assert!(read(0, 1).is_ok() && read(0, 256).is_ok());
    for count in [0, 257] {
        assert!(read(0, count).unwrap_err().starts_with("payloads"), "{count}");
    }
    let most = (1 << 53) - 1;
    assert!(read(most - 2, 2).is_ok());
    assert!(read(most - 1, 2).unwrap_err().starts_with("seq"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let mut reader = Reader::new(&bytes);
        while !reader.is_at_end() {
            if ClientFrame::read(&mut reader).is_err() { break; }
        }
        let mut reader = Reader::new(&bytes);
        while !reader.is_at_end() {
            if RelayFrame::read(&mut reader).is_err() { break; }
        }
    }

    #[test]
    fn a_damaged_frame_is_survived(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let hexes: Vec<_> = client_frames().into_iter().map(|(_, hex)| hex)
            .chain(relay_frames().into_iter().map(|(_, hex)| hex)).collect();
        let mut bytes = hex::decode(which.get(&hexes)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let _ = ClientFrame::read(&mut Reader::new(&bytes));
        let _ = RelayFrame::read(&mut Reader::new(&bytes));
    }
}
