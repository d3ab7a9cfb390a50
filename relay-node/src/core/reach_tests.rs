use super::*;
use proptest::prelude::*;
use std::net::SocketAddr;

fn path(number: u8) -> Path {
    let remote = SocketAddr::from(([198, 51, 100, number], 40_000));
    Path::udp(remote, "203.0.113.1:7100".parse().unwrap())
}

/// A client that opened at address 1.
fn connected() -> Reach {
    let mut reach = Reach::new(path(1));
    reach.add(path(1));
    reach.client_heard(path(1));
    reach.connected();
    reach
}

#[test]
fn an_unproven_address_gets_three_times_what_it_sent() {
    let mut reach = Reach::new(path(1));
    reach.add(path(1));
    reach.received(path(1), 200);
    assert!(reach.may_send(path(1).peer(), 80));
    assert!(reach.may_send(path(1).peer(), 520));
    assert!(!reach.may_send(path(1).peer(), 1));
    reach.received(path(1), 1);
    assert!(reach.may_send(path(1).peer(), 3));
    assert!(
        !reach.may_send(path(2).peer(), 1),
        "what nothing came from gets nothing"
    );
}

#[test]
fn dtls_of_a_handshake_proves_nothing_before_it_is_done() {
    let mut reach = Reach::new(path(1));
    reach.add(path(1));
    reach.client_heard(path(1));
    assert!(!reach.may_send(path(1).peer(), 1));
    reach.connected();
    assert!(reach.may_send(path(1).peer(), 1_000_000));
}

#[test]
fn data_moves_when_the_new_address_is_heard_in_dtls() {
    let mut reach = connected();
    reach.add(path(2));
    reach.received(path(2), 200);
    reach.nominate(path(2));
    assert_eq!((reach.current(), reach.nominated()), (path(1), path(2)));
    assert_eq!(
        reach.copy_to(600),
        Some(path(2)),
        "a client that only reads is found there"
    );
    assert_eq!(reach.copy_to(1), None, "within the budget");
    reach.client_heard(path(2));
    assert_eq!((reach.current(), reach.nominated()), (path(2), path(2)));
}

#[test]
fn an_address_that_was_heard_before_is_taken_at_once() {
    let mut reach = connected();
    reach.add(path(2));
    reach.client_heard(path(2));
    reach.nominate(path(2));
    assert_eq!(reach.current(), path(2));
    reach.nominate(path(1));
    assert_eq!(reach.current(), path(1));
}

#[test]
fn a_nominated_path_waits_while_the_client_is_elsewhere() {
    let mut reach = Reach::new(path(1));
    reach.add(path(1));
    reach.add(path(2));
    reach.client_heard(path(1));
    reach.nominate(path(2));
    reach.connected();
    assert_eq!((reach.current(), reach.nominated()), (path(1), path(2)));
}

#[test]
fn tcp_and_turn_are_proven_by_themselves() {
    let mut reach = Reach::new(Path::tcp(path(1).remote, path(1).local));
    reach.add(reach.current());
    assert!(reach.may_send(reach.current().peer(), 100_000));
}

#[test]
fn repeated_checks_from_everywhere_push_out_no_proven_address() {
    let mut reach = connected();
    reach.add(path(2));
    reach.client_heard(path(2));
    for number in 10..200 {
        reach.add(path(number));
    }
    assert_eq!(reach.peers().count(), ADDRESSES_PER_SESSION);
    assert!(
        [1, 2]
            .iter()
            .all(|number| reach.peers().any(|peer| peer == path(*number).peer()))
    );
}

#[derive(Debug, Clone)]
enum Act {
    Receive(u8, usize),
    Nominate(u8),
    Send(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1u8..5, 20usize..1_200).prop_map(|(from, bytes)| Act::Receive(from, bytes)),
        (1u8..5).prop_map(Act::Nominate),
        (20usize..1_300).prop_map(Act::Send),
    ]
}

proptest! {
    /// Whatever an attacker without the session's keys sends from whatever addresses, before and after the handshake: none but
    /// the client's own gets more than three times what came from it.
    #[test]
    fn nobody_is_reflected_at(acts in prop::collection::vec(act(), 0..200), is_connected: bool) {
        let mut reach = if is_connected { connected() } else { Reach::new(path(1)) };
        let (mut came, mut went) = ([0usize; 6], [0usize; 6]);
        let index = |path: Path| match path.remote.ip() {
            std::net::IpAddr::V4(ip) => usize::from(ip.octets()[3]),
            std::net::IpAddr::V6(_) => 0,
        };
        for act in acts {
            match act {
                Act::Receive(from, bytes) => {
                    reach.add(path(from));
                    reach.received(path(from), bytes);
                    came[usize::from(from)] += bytes;
                }
                Act::Nominate(to) => {
                    reach.add(path(to));
                    reach.nominate(path(to));
                }
                Act::Send(bytes) => {
                    let to = reach.current();
                    if reach.may_send(to.peer(), bytes) {
                        went[index(to)] += bytes;
                    }
                    if let Some(copy) = reach.copy_to(bytes) {
                        went[index(copy)] += bytes;
                    }
                }
            }
        }
        for number in 1..5 {
            let is_clients = is_connected && number == 1;
            prop_assert!(is_clients || went[number] <= 3 * came[number], "{number}: {went:?} for {came:?}");
        }
    }
}
