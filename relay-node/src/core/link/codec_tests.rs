use super::codec::{read_down, read_follow, read_up, write_frame};
use super::*;
use crate::core::replay_buffer::EncodedMessage;
use crate::core::reply::{Refusal, Reply};
use crate::core::send_queue::NoticeFrame;
use bytes::Bytes;
use proptest::prelude::*;
use streamchain_protocol::ids::{Epoch, ProducerId, Seq};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::signed::{GroupHeader, PublicKey, Signature};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};
use streamchain_protocol::wire::{Presence, ProducerKey};
use streamchain_protocol::{Address, B256};

fn bytes_of(frame: LinkFrame) -> Bytes {
    let mut out = Vec::new();
    write_frame(&frame, "ticket", &mut out);
    out.into()
}

fn relay_frame(frame: &RelayFrame<'_>) -> Bytes {
    let mut out = Vec::new();
    frame.write(&mut out);
    out.into()
}

fn message(seq: u64, payload: &[u8]) -> Bytes {
    relay_frame(&RelayFrame::Message {
        epoch: Epoch(3),
        seq: Seq(seq),
        time: UnixMs(1),
        author: Address::ZERO,
        payload,
    })
}

/// The P-256 base point, compressed.
fn key() -> PublicKey {
    "0x036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        .parse()
        .unwrap()
}

fn signature(seq: u64) -> Bytes {
    relay_frame(&RelayFrame::Signature {
        epoch: Epoch(3),
        seq: Seq(seq),
        producer: ProducerId([1; 16]),
        producer_seq: 0,
        group: GroupHeader {
            count: 1,
            previous: B256::ZERO,
            key: key(),
            signature: Signature([2; 64]),
        },
    })
}

fn run(first: u64, messages: Vec<(Bytes, Option<Bytes>)>) -> DownFrame {
    let messages = messages.into_iter();
    DownFrame::Messages {
        first: Seq(first),
        messages: messages
            .map(|(message, signature)| EncodedMessage { message, signature })
            .collect(),
    }
}

fn up_frames() -> Vec<UpFrame> {
    let producer = ProducerKey {
        author: Address::repeat_byte(7),
        id: ProducerId([8; 16]),
    };
    let hello = |key, ip: &str| {
        let network = Network::of(ip.parse().unwrap());
        UpFrame::Hello(Greeting {
            publisher: 9,
            producer,
            key,
            network,
        })
    };
    let publish = |signed, payloads: &[&'static [u8]]| {
        UpFrame::Publish(Forwarded {
            publisher: 9,
            producer_seq: 4,
            payloads: payloads
                .iter()
                .map(|payload| Bytes::from_static(payload))
                .collect(),
            signed,
        })
    };
    let signed = Some((B256::repeat_byte(5), Signature([6; 64])));
    vec![
        UpFrame::Credit(1_000),
        hello(None, "192.0.2.1"),
        hello(Some(key()), "2001:db8:1:2::"),
        publish(None, &[b"hello"]),
        publish(signed, &[b"one", b"", b"three"]),
        UpFrame::Leave(9),
        UpFrame::Unfollow,
        UpFrame::Here(presence(1)),
    ]
}

fn down_frames() -> Vec<DownFrame> {
    let answer = |reply| DownFrame::Answer {
        publisher: 9,
        producer_seq: 4,
        reply,
    };
    let notice = relay_frame(&RelayFrame::ChainState {
        block: 1,
        log_index: 2,
        tx: B256::repeat_byte(3),
        state: AnchorState::Final,
    });
    let following = |signed| DownFrame::Following {
        epoch: Epoch(3),
        head: Seq(10),
        committed: Seq(8),
        signed,
        start: Seq(2),
    };
    let withdrawn = |author| DownFrame::Withdrawn {
        author,
        before: UnixSec(1_700_000_000),
        again: true,
    };
    vec![
        following(None),
        following(Some(Signed::Required)),
        run(
            5,
            vec![(message(5, b"a"), Some(signature(5))), (message(6, b""), None)],
        ),
        DownFrame::Committed(Seq(7)),
        DownFrame::Notice(NoticeFrame {
            end: Seq(4),
            whole: notice.clone(),
            brief: Some(notice),
        }),
        DownFrame::Welcome {
            publisher: 9,
            stored: None,
        },
        answer(Reply::Accepted(Seq(11))),
        answer(Reply::Duplicate(None)),
        answer(Reply::Refused(Refusal {
            cost: 50,
            ..Refusal::new(ErrorCode::BadSignature, 4, "why".into())
        })),
        answer(Reply::TooFast(500)),
        answer(Reply::Passed),
        withdrawn(None),
        withdrawn(Some(Address::repeat_byte(7))),
        DownFrame::Erased(Seq(1)),
        DownFrame::Ended(Ended::Gone),
        DownFrame::Presence(presence(1).into()),
    ]
}

fn presence(authors: usize) -> Presence {
    Presence {
        readers: 3,
        publishers: 2,
        authors: vec![Address::repeat_byte(7); authors],
    }
}

/// As the tables of docs/PROTOCOL.md give it; made by hand.
#[test]
fn frames_are_the_bytes_that_the_tables_give() {
    let hex = |frame| alloy_primitives::hex::encode(bytes_of(frame));
    let follow = UpFrame::Follow(Follow {
        known: Some((Epoch(3), Seq(24))),
        credit: 256,
        network: None,
        granted: None,
    });
    assert_eq!(
        hex(LinkFrame::Up(follow)),
        "8501667469636b65740318181901 00".replace(' ', "")
    );
    let (credit, publish) = (up_frames().remove(0), up_frames().remove(3));
    assert_eq!(hex(LinkFrame::Up(credit)), "82021903e8");
    assert_eq!(hex(LinkFrame::Up(publish)), "840409044568656c6c6f");
    assert_eq!(hex(LinkFrame::Up(UpFrame::Unfollow)), "8107");
    let down = |frame| hex(LinkFrame::Down(frame));
    assert_eq!(down(down_frames().remove(0)), "8611030a08f602");
    assert_eq!(down(down_frames().remove(6)), "85160904000b");
    assert_eq!(down(DownFrame::Ended(Ended::Gone)), "82181901");
    let here = hex(LinkFrame::Up(UpFrame::Here(presence(1))));
    assert_eq!(here, format!("840803028154{}", "07".repeat(20)));
    assert_eq!(down(DownFrame::Presence(presence(0).into())), "84181a030280");
}

#[test]
fn what_is_written_is_read_again() {
    for frame in up_frames() {
        let bytes = bytes_of(LinkFrame::Up(frame.clone()));
        assert_eq!(
            format!("{:?}", read_up(&bytes).unwrap().unwrap()),
            format!("{frame:?}")
        );
    }
    for frame in down_frames() {
        let bytes = bytes_of(LinkFrame::Down(frame.clone()));
        assert_eq!(
            format!("{:?}", read_down(&bytes).unwrap().unwrap()),
            format!("{frame:?}")
        );
    }
    for known in [None, Some((Epoch(3), Seq(24)))] {
        let follow = Follow {
            known,
            credit: 77,
            network: None,
            granted: None,
        };
        let bytes = bytes_of(LinkFrame::Up(UpFrame::Follow(follow)));
        assert_eq!(read_follow(&bytes), Ok(("ticket", follow)));
    }
}

#[test]
fn a_later_versions_kinds_and_items_are_passed_over() {
    let later = Bytes::from_static(&[0x82, 0x18, 0x63, 0x61, b'x']);
    assert!(read_up(&later).unwrap().is_none() && read_down(&later).unwrap().is_none());
    let longer = Bytes::from_static(&[0x83, 2, 5, 0x61, b'x']);
    assert!(matches!(read_up(&longer), Ok(Some(UpFrame::Credit(5)))));
    let longer = Bytes::from_static(&[0x83, 19, 5, 0xf6]);
    assert!(matches!(
        read_down(&longer),
        Ok(Some(DownFrame::Committed(Seq(5))))
    ));
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let publish = |signed, payloads| {
        let forwarded = Forwarded {
            publisher: 1,
            producer_seq: 0,
            payloads,
            signed,
        };
        read_up(&bytes_of(LinkFrame::Up(UpFrame::Publish(forwarded)))).is_ok()
    };
    let of = |length: usize| Bytes::from(vec![0; length]);
    let signed = Some((B256::ZERO, Signature([0; 64])));
    assert!(publish(None, vec![of(65_536)]) && !publish(None, vec![of(65_537)]));
    assert!(publish(signed, vec![of(32_768); 2]) && !publish(signed, vec![of(32_769); 2]));
    assert!(publish(signed, vec![of(1); 256]) && !publish(signed, vec![of(1); 257]));
    assert!(!publish(signed, vec![]));
    let messages = |run: DownFrame| read_down(&bytes_of(LinkFrame::Down(run))).is_ok();
    let many = |count| (0..count).map(|seq| (message(seq, b""), None)).collect();
    assert!(messages(run(0, many(256))) && !messages(run(0, many(257))));
    assert!(!messages(run(0, vec![])));
    assert!(!messages(run(1, vec![(message(2, b"a"), None)])), "another seq");
    assert!(
        !messages(run(1, vec![(Bytes::from_static(b"\x80"), None)])),
        "no message"
    );
    let two = [message(1, b"a"), message(2, b"b")].concat().into();
    assert!(!messages(run(1, vec![(two, None)])), "two frames as one");
    let other = vec![(message(1, b"a"), Some(signature(2)))];
    assert!(!messages(run(1, other)), "another group's signature");
    let here = |count| read_up(&bytes_of(LinkFrame::Up(UpFrame::Here(presence(count))))).is_ok();
    assert!(here(100) && !here(101));
    let notice = DownFrame::Notice(NoticeFrame {
        end: Seq(0),
        whole: message(1, b"a"),
        brief: None,
    });
    assert!(!messages(notice), "a message is no notice");
    assert!(
        read_up(&Bytes::from_static(&[0x80, 7])).is_err(),
        "a frame has a kind"
    );
    assert!(
        read_up(&Bytes::from_static(&[0x81, 7, 0])).is_err(),
        "nothing is behind a frame"
    );
    let follow = bytes_of(LinkFrame::Up(UpFrame::Unfollow));
    assert!(read_follow(&follow).is_err(), "a link begins with *follow*");
}

proptest! {
    #[test]
    fn any_bytes_survive(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = (read_up(&bytes), read_down(&bytes), read_follow(&bytes).is_ok());
    }

    #[test]
    fn changed_frames_survive(which in 0..24_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let ups = up_frames().into_iter().map(LinkFrame::Up);
        let mut frames = ups.chain(down_frames().into_iter().map(LinkFrame::Down));
        let mut bytes = bytes_of(frames.nth(which).unwrap()).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let bytes = Bytes::from(bytes);
        let _ = (read_up(&bytes), read_down(&bytes), read_follow(&bytes).is_ok());
    }
}
