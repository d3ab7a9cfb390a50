use super::*;
use proptest::prelude::*;

const PORTS: [u8; 4] = [19, 136, 19, 136];
const OURS: [u8; 4] = [1, 1, 1, 1];
const THEIRS: [u8; 4] = [2, 2, 2, 2];

/// An INIT with one parameter that needs padding.
fn init(tag: [u8; 4]) -> Vec<u8> {
    let mut value = tag.to_vec();
    value.extend([0, 1, 0, 0, 0, 16, 0, 16, 0, 0, 0, 9]);
    value.extend([0x80, 8, 0, 6, 130, 192]);
    let mut chunk = vec![INIT, 0];
    chunk.extend(length(CHUNK_HEADER + value.len()).unwrap());
    chunk.extend(value);
    chunk.resize(padded(chunk.len()), 0);
    sealed(PORTS, [0; 4], &chunk)
}

fn cookie_echo(tag: [u8; 4], cookie: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut chunk = vec![COOKIE_ECHO, 0];
    chunk.extend(length(CHUNK_HEADER + cookie.len()).unwrap());
    chunk.extend(cookie);
    chunk.resize(padded(chunk.len()), 0);
    chunk.extend(rest);
    sealed(PORTS, tag, &chunk)
}

/// Kind and verification tag of a packet, whose checksum is right.
fn read(packet: &[u8]) -> (u8, [u8; 4]) {
    let tag = *packet[4..].first_chunk().unwrap();
    assert_eq!(packet, sealed(PORTS, tag, &packet[COMMON_HEADER..]));
    (chunk(packet).unwrap().0, tag)
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xE306_9283);
}

#[test]
fn an_init_behind_our_own_is_answered_with_what_ours_said() {
    let mut opening = SctpOpening::default();
    assert_eq!(opening.outgoing(&init(OURS)), Turn::pass(&init(OURS)));
    let turn = opening.incoming(&init(THEIRS));
    assert_eq!(
        turn.on,
        Vec::<Vec<u8>>::new(),
        "the stack would take it for a second association"
    );
    let [answer] = turn.to_client.as_slice() else {
        panic!("one answer: {turn:?}");
    };
    assert_eq!((read(answer), tag(answer)), ((INIT_ACK, THEIRS), Some(OURS)));
    assert!(answer.windows(COOKIE.len()).any(|part| part == COOKIE));
}

#[test]
fn an_init_before_our_own_is_answered_when_ours_goes_out() {
    let mut opening = SctpOpening::default();
    assert_eq!(opening.incoming(&init(THEIRS)), Turn::pass(&init(THEIRS)));
    let turn = opening.outgoing(&init(OURS));
    assert_eq!(turn.on, [init(OURS)]);
    assert_eq!(turn.to_client.len(), 1);
    assert_eq!(opening.outgoing(&init(OURS)), Turn::pass(&init(OURS)), "once");
}

#[test]
fn a_client_that_goes_on_has_answered_for_the_stack() {
    let mut opening = SctpOpening::default();
    opening.outgoing(&init(OURS));
    opening.incoming(&init(THEIRS));
    let data = [0, 3, 0, 6, 7, 7, 0, 0];
    let turn = opening.incoming(&cookie_echo(OURS, COOKIE, &data));
    let [init_ack, cookie_ack] = turn.on.as_slice() else {
        panic!("two packets for the stack: {turn:?}");
    };
    assert_eq!((read(init_ack), tag(init_ack)), ((INIT_ACK, OURS), Some(THEIRS)));
    assert_eq!(read(cookie_ack), (COOKIE_ACK, OURS));
    assert!(
        cookie_ack.ends_with(&data),
        "what comes in the same packet is not lost"
    );
    assert_eq!(
        turn.to_client
            .iter()
            .map(|packet| read(packet))
            .collect::<Vec<_>>(),
        [(COOKIE_ACK, THEIRS)]
    );
    let made_up = cookie_echo(THEIRS, COOKIE, &[]);
    assert_eq!(
        opening.outgoing(&made_up),
        Turn::default(),
        "the stack's answer to that goes nowhere"
    );
}

#[test]
fn a_client_that_answers_ours_is_left_to_the_stack() {
    let mut opening = SctpOpening::default();
    opening.outgoing(&init(OURS));
    let theirs = cookie_echo(THEIRS, b"the client's own cookie", &[]);
    assert_eq!(opening.outgoing(&theirs), Turn::pass(&theirs));
    let ack = sealed(PORTS, OURS, &[COOKIE_ACK, 0, 0, 4]);
    assert_eq!(opening.incoming(&ack), Turn::pass(&ack));
    assert!(opening.is_over());
}

proptest! {
    #[test]
    fn any_packets_are_survived(packets in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..20)) {
        let mut opening = SctpOpening::default();
        for (out, packet) in packets {
            let turn = if out { opening.outgoing(&packet) } else { opening.incoming(&packet) };
            prop_assert!(turn.on.len() + turn.to_client.len() <= 3);
        }
    }

    #[test]
    fn cut_packets_are_survived(at in 0usize..60, kind in 0u8..12) {
        let mut opening = SctpOpening::default();
        let mut packet = init(THEIRS);
        packet.truncate(at);
        if let Some(first) = packet.get_mut(COMMON_HEADER) {
            *first = kind;
        }
        opening.outgoing(&packet);
        opening.incoming(&packet);
        opening.outgoing(&init(OURS));
        opening.incoming(&cookie_echo(OURS, COOKIE, &[]));
    }
}
