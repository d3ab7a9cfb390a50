use super::*;
use streamchain_protocol::ids::{Epoch, ProducerId};
use streamchain_protocol::proof::{AnchorRef, AnchorState};
use streamchain_protocol::signed::{GroupHeader, PublicKey, Signature};
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::{Address, B256};

static NOTHING_FRESH: Fresh = Fresh::new();

/// Takes messages while it has room for them.
#[derive(Default)]
struct Peer {
    room: usize,
    got: Vec<String>,
}

impl Sink for Peer {
    fn write(&mut self, message: &[u8]) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        let mut reader = Reader::new(message);
        while !reader.is_at_end() {
            self.got
                .push(match RelayFrame::read(&mut reader).unwrap().unwrap() {
                    RelayFrame::Message { seq, .. } => format!("message {seq}"),
                    RelayFrame::Committed { committed } => format!("committed {committed}"),
                    RelayFrame::Accepted { producer_seq, .. } => format!("accepted {producer_seq}"),
                    RelayFrame::Gap { from, to } => format!("gap {from}..{to}"),
                    RelayFrame::Anchored(anchor) => format!("anchored {}", anchor.first),
                    RelayFrame::Signature { seq, group, .. } => format!("signature {seq}+{}", group.count),
                    RelayFrame::SignedGroup(group) => format!("group {}+{}", group.seq, group.payloads.len()),
                    other => format!("{other:?}"),
                });
        }
        true
    }
}

fn replay(start: u64, end: u64, size: usize) -> ReplayBuffer {
    let mut replay = ReplayBuffer::new(Seq(start), usize::MAX);
    for seq in start..end {
        let payload = vec![0; size];
        let frame = RelayFrame::Message {
            epoch: Epoch(1),
            seq: Seq(seq),
            time: streamchain_protocol::time::UnixMs(0),
            author: Address::ZERO,
            payload: &payload,
        };
        replay.push(encode(&frame).into(), None);
    }
    replay
}

fn notice(end: u64, whole: Bytes) -> NoticeFrame {
    NoticeFrame {
        end: Seq(end),
        whole,
        brief: None,
    }
}

fn view(replay: &ReplayBuffer, committed: u64) -> View<'_> {
    View {
        replay,
        fresh: &NOTHING_FRESH,
        committed: Seq(committed),
    }
}

fn peer(room: usize) -> Peer {
    Peer { room, got: vec![] }
}

#[test]
fn a_message_is_sent_before_it_is_said_to_be_stored() {
    let (mut send_queue, mut peer, replay) = (SendQueue::default(), peer(9), replay(0, 2, 10));
    send_queue.subscribe(Seq(0), false);
    send_queue
        .send(&RelayFrame::Accepted {
            producer_seq: 7,
            seq: None,
            count: None,
        })
        .unwrap();
    send_queue.pump(&view(&replay, 2), &mut peer);
    assert_eq!(peer.got, ["accepted 7", "message 0", "message 1", "committed 2"]);
}

#[test]
fn a_slow_peer_gets_committed_only_for_what_it_was_sent() {
    let (mut send_queue, mut peer, replay) = (SendQueue::default(), peer(1), replay(0, 3, 16_000));
    send_queue.subscribe(Seq(0), false);
    send_queue.pump(&view(&replay, 3), &mut peer);
    assert_eq!(peer.got, ["message 0"]);
    assert!(send_queue.is_blocked());
    peer.room = 2;
    send_queue.unblock();
    send_queue.pump(&view(&replay, 3), &mut peer);
    assert_eq!(peer.got[1..], ["committed 1", "message 1"]);
    peer.room = 9;
    send_queue.unblock();
    send_queue.pump(&view(&replay, 3), &mut peer);
    assert_eq!(peer.got[3..], ["committed 2", "message 2", "committed 3"]);
}

#[test]
fn a_peer_too_far_behind_gets_a_gap_and_goes_on() {
    let (mut send_queue, mut peer, replay) = (SendQueue::default(), peer(9), replay(5, 6, 10));
    send_queue.subscribe(Seq(2), false);
    let sent = send_queue.pump(&view(&replay, 5), &mut peer);
    assert_eq!(peer.got, ["committed 2", "gap 2..5", "message 5", "committed 5"]);
    assert_eq!((sent.gapped, sent.messages), (3, 1));
}

#[test]
fn what_is_not_committed_yet_is_tentative() {
    let (mut send_queue, mut peer, replay) = (SendQueue::default(), peer(9), replay(2, 4, 10));
    send_queue.subscribe(Seq(0), false);
    assert!(!send_queue.is_tentative(), "it was sent nothing");
    send_queue.pump(&view(&replay, 3), &mut peer);
    assert_eq!(peer.got[..2], ["gap 0..2", "message 2"]);
    assert!(send_queue.is_tentative(), "{:?}", peer.got);
    send_queue.pump(&view(&replay, 4), &mut peer);
    assert!(!send_queue.is_tentative(), "{:?}", peer.got);
    send_queue.subscribe(Seq(3), false);
    assert!(
        send_queue.is_tentative(),
        "it is to be told again what is committed"
    );
    send_queue.begin_epoch();
    assert!(!send_queue.is_tentative());

    let replay = groups(&[2], 10);
    let signature = replay.signature(Seq(0)).unwrap();
    let first = replay.chunk(Seq(0), 0, GroupForm::Unsigned).unwrap();
    send_queue.set_message_max(signature.len().max(first.bytes.len()));
    send_queue.subscribe(Seq(0), true);
    peer.room = 1;
    send_queue.pump(&view(&replay, 0), &mut peer);
    assert_eq!(peer.got.last().unwrap(), "signature 0+2");
    assert!(send_queue.is_tentative(), "a signature without its message");
}

#[test]
fn a_publisher_without_subscription_gets_only_committed() {
    let (mut send_queue, mut peer, replay) = (SendQueue::default(), peer(9), replay(0, 4, 10));
    send_queue
        .welcome(
            &RelayFrame::Accepted {
                producer_seq: 0,
                seq: None,
                count: None,
            },
            Seq(2),
        )
        .unwrap();
    send_queue.pump(&view(&replay, 2), &mut peer);
    send_queue.pump(&view(&replay, 4), &mut peer);
    assert_eq!(peer.got, ["accepted 0", "committed 4"], "welcome said 2 already");
}

#[test]
fn an_anchor_waits_for_the_messages_that_it_covers() {
    let (mut send_queue, mut peer, replay) = (SendQueue::default(), peer(1), replay(0, 2, 16_000));
    send_queue.subscribe(Seq(0), false);
    let anchored = |first| {
        RelayFrame::Anchored(AnchorRef {
            first: Seq(first),
            count: 1,
            root: B256::ZERO,
            tx: B256::ZERO,
            block: 1,
            state: AnchorState::Anchored,
        })
    };
    send_queue.notice(&notice(1, encode(&anchored(0)).into()));
    send_queue.notice(&notice(2, encode(&anchored(1)).into()));
    send_queue.pump(&view(&replay, 2), &mut peer);
    assert_eq!(peer.got, ["message 0"]);
    peer.room = 9;
    send_queue.unblock();
    send_queue.pump(&view(&replay, 2), &mut peer);
    assert_eq!(
        peer.got[1..],
        [
            "committed 1",
            "message 1",
            "committed 2",
            "anchored 0",
            "anchored 1"
        ]
    );
}

#[test]
fn a_peer_that_never_reads_overflows_its_bounded_queue() {
    let mut send_queue = SendQueue::default();
    let accepted = RelayFrame::Accepted {
        producer_seq: 1 << 40,
        seq: Some(Seq(1 << 40)),
        count: None,
    };
    let taken = (0..1_000_000)
        .take_while(|_| send_queue.send(&accepted).is_ok())
        .count();
    assert!(taken * encode(&accepted).len() <= MAX_PENDING_BYTES);
    (0..2 * MAX_NOTICES as u64).for_each(|end| send_queue.notice(&notice(end, Bytes::new())));
    assert!(send_queue.notices.len() <= MAX_NOTICES);
}

#[test]
fn what_is_too_large_for_the_peer_is_a_gap_and_blocks_nothing() {
    let mut replay = replay(0, 2, 100);
    for size in [2_000, 3_000, 100] {
        let payload = vec![0; size];
        let frame = RelayFrame::Message {
            epoch: Epoch(1),
            seq: replay.end(),
            time: streamchain_protocol::time::UnixMs(0),
            author: Address::ZERO,
            payload: &payload,
        };
        replay.push(encode(&frame).into(), None);
    }
    let (mut queue, mut peer) = (SendQueue::default(), peer(usize::MAX));
    queue.set_message_max(1_024);
    queue.subscribe(Seq(0), false);
    let state = |block| {
        let frame = RelayFrame::ChainState {
            block,
            log_index: 0,
            tx: B256::ZERO,
            state: AnchorState::Final,
        };
        Bytes::from(encode(&frame))
    };
    let large = Bytes::from(vec![0; 1_025]);
    queue.notice(&NoticeFrame {
        end: Seq(0),
        whole: large.clone(),
        brief: Some(state(1)),
    });
    queue.notice(&notice(0, large));
    let sent = queue.pump(&view(&replay, 5), &mut peer);
    let (state, rest) = peer.got.split_last().unwrap();
    assert_eq!(
        rest,
        ["message 0", "message 1", "gap 2..4", "message 4", "committed 5"]
    );
    assert!(
        state.starts_with("ChainState { block: 1"),
        "the brief one: {state}"
    );
    assert_eq!((sent.messages, sent.gapped), (3, 2));
}

#[test]
fn notices_that_a_peer_does_not_read_have_a_bound_in_bytes() {
    let mut queue = SendQueue::default();
    queue.subscribe(Seq(0), false);
    (0..100).for_each(|_| queue.notice(&notice(0, Bytes::from(vec![0; 65_000]))));
    assert_eq!(queue.notices.len(), MAX_NOTICE_BYTES / 65_000);
    assert_eq!(queue.notices_bytes, queue.notices.len() * 65_000);
}

/// Groups of these sizes from seq 0 on, of messages of so many bytes.
fn groups(counts: &[u16], size: usize) -> ReplayBuffer {
    let mut groups = ReplayBuffer::new(Seq(0), usize::MAX);
    let payload = vec![0; size];
    for count in counts {
        let signature = encode(&RelayFrame::Signature {
            epoch: Epoch(1),
            seq: groups.end(),
            producer: ProducerId([1; 16]),
            producer_seq: 0,
            group: GroupHeader {
                count: *count,
                previous: B256::ZERO,
                key: PublicKey::from_bytes([2; 33]).unwrap(),
                signature: Signature([1; 64]),
            },
        });
        for index in 0..*count {
            let message = encode(&RelayFrame::Message {
                epoch: Epoch(1),
                seq: groups.end(),
                time: streamchain_protocol::time::UnixMs(0),
                author: Address::ZERO,
                payload: &payload,
            });
            let signature = (index == 0).then(|| signature.clone().into());
            groups.push(message.into(), signature);
        }
    }
    groups
}

fn sent_from(replay: &ReplayBuffer, from: u64, form: GroupForm, message_max: usize) -> Vec<String> {
    let (mut queue, mut peer) = (SendQueue::default(), peer(usize::MAX));
    queue.set_message_max(message_max);
    queue.set_takes_groups(form == GroupForm::Whole);
    queue.subscribe(Seq(from), form != GroupForm::Unsigned);
    queue.pump(&view(replay, 0), &mut peer);
    peer.got
}

#[test]
fn a_signature_comes_right_before_its_group() {
    let replay = groups(&[2, 1], 100);
    let expected = [
        "signature 0+2",
        "message 0",
        "message 1",
        "signature 2+1",
        "message 2",
    ];
    assert_eq!(sent_from(&replay, 0, GroupForm::InParts, 65_536), expected);
    assert_eq!(
        sent_from(&replay, 1, GroupForm::InParts, 65_536),
        expected[2..],
        "there is none for a part of a group"
    );
    let unasked = ["message 0", "message 1", "message 2"];
    assert_eq!(sent_from(&replay, 0, GroupForm::Unsigned, 65_536), unasked);
}

#[test]
fn a_signature_too_large_to_share_goes_out_once_alone() {
    // The peer takes a message of 1,024 bytes, but not with a signature.
    let replay = groups(&[1, 1], 950);
    let expected = ["signature 0+1", "message 0", "signature 1+1", "message 1"];
    assert_eq!(sent_from(&replay, 0, GroupForm::InParts, 1_024), expected);
    let too_large = groups(&[1], 2_000);
    assert_eq!(
        sent_from(&too_large, 0, GroupForm::InParts, 1_024),
        ["gap 0..1"],
        "a signature without its message is not sent"
    );
    let (mut queue, mut narrow) = (SendQueue::default(), peer(1));
    queue.set_message_max(1_024);
    queue.subscribe(Seq(0), true);
    for room in [0, 1, 1] {
        queue.pump(&view(&replay, 0), &mut narrow);
        queue.unblock();
        narrow.room = room;
    }
    queue.pump(&view(&replay, 0), &mut narrow);
    assert_eq!(narrow.got, expected[..3], "no room in between repeats nothing");
}

#[test]
fn a_group_is_one_frame_to_who_takes_it_so() {
    let replay = groups(&[2, 1], 100);
    let whole = |from, message_max| sent_from(&replay, from, GroupForm::Whole, message_max);
    assert_eq!(whole(0, 65_536), ["group 0+2", "group 2+1"]);
    assert_eq!(
        whole(1, 65_536),
        ["message 1", "group 2+1"],
        "a group that is begun comes without its signature"
    );
    let (mut queue, mut peer) = (SendQueue::default(), peer(usize::MAX));
    queue.set_takes_groups(true);
    queue.subscribe(Seq(0), false);
    queue.pump(&view(&replay, 0), &mut peer);
    assert_eq!(
        peer.got,
        ["message 0", "message 1", "message 2"],
        "who did not ask gets no signature"
    );
}

#[test]
fn a_group_too_large_for_a_message_comes_in_parts() {
    let replay = groups(&[10, 2], 100);
    let parts = sent_from(&replay, 0, GroupForm::InParts, 1_024);
    let whole = sent_from(&replay, 0, GroupForm::Whole, 1_024);
    assert_eq!(
        whole[..9],
        parts[..9],
        "800 bytes of payloads, and as much around them"
    );
    assert_eq!(whole[11..], ["group 10+2"]);
    assert_eq!(sent_from(&replay, 0, GroupForm::Whole, 65_536).len(), 2);
    let most = groups(&[256], 256);
    let parts = sent_from(&most, 0, GroupForm::InParts, 262_144);
    assert_eq!(sent_from(&most, 0, GroupForm::Whole, 262_144), parts);
}

#[test]
fn a_group_that_is_not_whole_yet_comes_in_parts() {
    let all = groups(&[3, 2], 100);
    let mut replay = ReplayBuffer::new(Seq(0), usize::MAX);
    let (mut queue, mut peer) = (SendQueue::default(), peer(usize::MAX));
    queue.set_takes_groups(true);
    queue.subscribe(Seq(0), true);
    for frame in all.run(Seq(0), usize::MAX, usize::MAX).into_iter().take(4) {
        replay.push(frame.message, frame.signature);
        queue.pump(&view(&replay, 0), &mut peer);
    }
    let expected = [
        "signature 0+3",
        "message 0",
        "message 1",
        "message 2",
        "signature 3+2",
        "message 3",
    ];
    assert_eq!(peer.got, expected);
}

#[test]
fn a_whole_group_waits_for_room_whole() {
    let replay = groups(&[2, 2], 400);
    let (mut queue, mut narrow) = (SendQueue::default(), peer(0));
    queue.set_message_max(1_100);
    queue.set_takes_groups(true);
    queue.subscribe(Seq(0), true);
    for expected in [&[][..], &["group 0+2"], &["group 0+2", "group 2+2"]] {
        queue.pump(&view(&replay, 0), &mut narrow);
        queue.unblock();
        assert_eq!(narrow.got, expected);
        narrow.room = 1;
    }
}
