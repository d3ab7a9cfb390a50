//! Notices of rounds for relays that read them and for others, and the TURN servers of a session's relay.

use super::*;
use alloy_primitives::B256;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::wire::RunInRound;

#[test]
fn a_round_is_one_notice_for_relays_that_read_it() {
    let run = |byte| RunInRound {
        stream: ShortId([byte; 20]),
        first: Seq(0),
        count: 3,
        root: B256::repeat_byte(byte),
    };
    let event = NoticeEvent::Round {
        tx: B256::repeat_byte(9),
        block: 7,
        state: AnchorState::Anchored,
        runs: (1..=5).map(run).collect(),
    };
    let stream = ShortId::EVERY;
    let round = Notice { stream, event };
    let mut directory = directory([0, 0, 0]);
    let new = Registration {
        reads_rounds: true,
        joins: false,
        ..registration(1, 0)
    };
    directory.register(&id("b"), new, UnixMs(1)).unwrap();
    let posted = [id("a"), id("b")].map(|relay| (relay, round.clone()));
    let readable = directory.readable(posted.to_vec());
    let of = |name: &str| {
        let of_relay = readable.iter().filter(|(relay, _)| *relay == id(name));
        of_relay.map(|(_, notice)| notice.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("b"), std::slice::from_ref(&round));
    assert_eq!(of("a"), round.by_stream());
    assert_eq!(of("a").len(), 5);
}

#[test]
fn a_session_gets_the_turn_servers_of_its_relay() {
    let mut directory = Directory::default();
    let relay: RelayId = "one".parse().unwrap();
    let mut registered = registration(1, 0);
    assert_eq!(
        directory.register(&relay, registered.clone(), UnixMs(0)),
        Ok(true)
    );
    registered.turn = vec!["turn:192.0.2.1:3478?transport=udp".into()];
    assert_eq!(
        directory.register(&relay, registered.clone(), UnixMs(0)),
        Ok(true),
        "changed"
    );
    assert_eq!(
        directory.register(&relay, registered.clone(), UnixMs(0)),
        Ok(false),
        "unchanged"
    );
    let chosen = choose(&mut directory, ShortId([1; 20]), None, UnixMs(0)).unwrap();
    assert_eq!(chosen.turn, registered.turn);
}
