use super::*;
use streamchain_protocol::ids::Epoch;
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::{Address, B256};

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
                    RelayFrame::Anchored { first, .. } => format!("anchored {first}"),
                    other => format!("{other:?}"),
                });
        }
        true
    }
}

fn log(start: u64, end: u64, size: usize) -> Log {
    let mut log = Log::new(Seq(start), usize::MAX);
    for seq in start..end {
        let payload = vec![0; size];
        let frame = RelayFrame::Message {
            epoch: Epoch(1),
            seq: Seq(seq),
            time: 0,
            author: Address::ZERO,
            payload: &payload,
        };
        log.push(encode(&frame).into());
    }
    log
}

fn view(log: &Log, committed: u64) -> View<'_> {
    View {
        log,
        fresh: &[],
        committed: Seq(committed),
    }
}

fn peer(room: usize) -> Peer {
    Peer { room, got: vec![] }
}

#[test]
fn a_message_is_sent_before_it_is_said_to_be_stored() {
    let (mut outlet, mut peer, log) = (Outlet::default(), peer(9), log(0, 2, 10));
    outlet.subscribe(Seq(0));
    outlet
        .send(&RelayFrame::Accepted {
            producer_seq: 7,
            seq: None,
        })
        .unwrap();
    outlet.pump(&view(&log, 2), &mut peer);
    assert_eq!(peer.got, ["accepted 7", "message 0", "message 1", "committed 2"]);
}

#[test]
fn a_slow_peer_hears_only_that_stored_which_it_was_sent() {
    let (mut outlet, mut peer, log) = (Outlet::default(), peer(1), log(0, 3, 16_000));
    outlet.subscribe(Seq(0));
    outlet.pump(&view(&log, 3), &mut peer);
    assert_eq!(peer.got, ["message 0"]);
    assert!(outlet.is_blocked());
    peer.room = 2;
    outlet.unblock();
    outlet.pump(&view(&log, 3), &mut peer);
    assert_eq!(peer.got[1..], ["committed 1", "message 1"]);
    peer.room = 9;
    outlet.unblock();
    outlet.pump(&view(&log, 3), &mut peer);
    assert_eq!(peer.got[3..], ["committed 2", "message 2", "committed 3"]);
}

#[test]
fn a_peer_that_is_too_far_behind_is_told_the_gap_and_goes_on() {
    let (mut outlet, mut peer, log) = (Outlet::default(), peer(9), log(5, 6, 10));
    outlet.subscribe(Seq(2));
    let sent = outlet.pump(&view(&log, 5), &mut peer);
    assert_eq!(peer.got, ["committed 2", "gap 2..5", "message 5", "committed 5"]);
    assert_eq!((sent.gapped, sent.messages), (3, 1));
}

#[test]
fn a_publisher_that_does_not_listen_hears_only_how_far_the_stream_is_stored() {
    let (mut outlet, mut peer, log) = (Outlet::default(), peer(9), log(0, 4, 10));
    outlet
        .welcome(
            &RelayFrame::Accepted {
                producer_seq: 0,
                seq: None,
            },
            Seq(2),
        )
        .unwrap();
    outlet.pump(&view(&log, 2), &mut peer);
    outlet.pump(&view(&log, 4), &mut peer);
    assert_eq!(peer.got, ["accepted 0", "committed 4"], "welcome said 2 already");
}

#[test]
fn an_anchor_waits_for_the_messages_that_it_covers() {
    let (mut outlet, mut peer, log) = (Outlet::default(), peer(1), log(0, 2, 16_000));
    outlet.subscribe(Seq(0));
    let anchored = |first| RelayFrame::Anchored {
        first: Seq(first),
        count: 1,
        root: B256::ZERO,
        tx: B256::ZERO,
        block: 1,
        state: streamchain_protocol::proof::AnchorState::Anchored,
    };
    outlet.notice(Seq(1), encode(&anchored(0)).into());
    outlet.notice(Seq(2), encode(&anchored(1)).into());
    outlet.pump(&view(&log, 2), &mut peer);
    assert_eq!(peer.got, ["message 0"]);
    peer.room = 9;
    outlet.unblock();
    outlet.pump(&view(&log, 2), &mut peer);
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
fn a_peer_that_never_reads_is_given_up_before_it_costs_more_memory() {
    let mut outlet = Outlet::default();
    let accepted = RelayFrame::Accepted {
        producer_seq: 1 << 40,
        seq: Some(Seq(1 << 40)),
    };
    let taken = (0..1_000_000)
        .take_while(|_| outlet.send(&accepted).is_ok())
        .count();
    assert!(taken * encode(&accepted).len() <= PENDING_MAX_BYTES);
    (0..2 * NOTICES_MAX as u64).for_each(|end| outlet.notice(Seq(end), Bytes::new()));
    assert!(outlet.notices.len() <= NOTICES_MAX);
}
