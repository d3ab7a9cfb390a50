//! What one network, or many, can take from others: nothing that they need; and what is sent where nobody reads: little.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;
use streamchain_protocol::ids::SessionId;
use support::{Net, check::check, keys};

/// First checks of sessions that never go on, in turn from these many addresses. Each has a good token of its own.
fn flood(net: &mut Net, addresses: u16, checks: u16) {
    let identity = net.identity();
    let mut token = net.token(&identity);
    for number in 0..checks {
        token.session = SessionId([7, 7, 7, 7, 7, 7, number.to_be_bytes()[0], number.to_be_bytes()[1]]);
        let [high, low] = (number % addresses).to_be_bytes();
        let from = SocketAddr::from(([198, 18, high, low], 1_024 + number));
        net.inject(&check(&token.sign(&keys()), 1, false), from);
    }
}

#[test]
fn half_open_handshakes_of_four_addresses_keep_nobody_out() {
    let mut net = Net::new();
    flood(&mut net, 4, 1_100);
    assert!(net.shard.counters().no_room > 0, "it is as many as there may be");
    let who = net.open_member();
    net.publish(who, 0, "still open");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    assert_eq!(net.shard.counters().handshakes_evicted, 1);
}

#[test]
fn a_connected_session_never_makes_way() {
    let mut net = Net::new();
    let who = net.open_member();
    for _ in 0..2 {
        flood(&mut net, 1_000, 1_100);
        net.pass(Duration::from_secs(4));
    }
    assert!(net.shard.counters().handshakes_evicted > 0);
    net.publish(who, 0, "still here");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
}

/// Bytes on their way to an address.
fn bytes_to(net: &Net, address: SocketAddr) -> usize {
    net.in_flight_to(address)
        .iter()
        .map(|datagram| datagram.len())
        .sum()
}

#[test]
fn an_address_that_never_answers_gets_three_times_what_it_sent() {
    for (relay_begins, nominates) in [(true, false), (true, true), (false, true)] {
        let mut net = Net::new();
        (net.relay_begins, net.latency) = (relay_begins, Duration::from_secs(3_600));
        let victim: SocketAddr = "198.51.100.9:53".parse().unwrap();
        let identity = net.identity();
        let token = net.token(&identity).sign(&keys());
        let check = check(&token, 1, nominates);
        let mut came = 0;
        for _ in 0..5 {
            net.inject(&check, victim);
            came += check.len();
            net.pass(Duration::from_millis(700));
            let went = bytes_to(&net, victim);
            assert!(went > 0 && went <= 3 * came, "{went} bytes for {came}");
        }
        net.pass(Duration::from_secs(20));
        assert!(bytes_to(&net, victim) <= 3 * came, "with all that is sent again");
    }
}

#[test]
fn a_repeated_check_takes_no_data_to_another_address() {
    let mut net = Net::new();
    let victim: SocketAddr = "198.51.100.9:53".parse().unwrap();
    let (ann, bob) = (net.open_member(), net.open_member());
    let seen = net.last_check_of(bob).expect("a client checks its path");
    net.inject(&seen, victim);
    for number in 0..50 {
        net.publish_bytes(ann, number, &[7; 1_000]);
    }
    net.until("all is delivered", |net| {
        net.received[bob].contains(&"message 49 of 1000 bytes".into())
    });
    let went = net.sent_to(victim);
    assert!(
        went > 0 && went <= 3 * seen.len(),
        "{went} bytes for {}",
        seen.len()
    );
}

#[test]
fn a_reader_that_moved_and_says_nothing_is_found() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    net.move_client(bob);
    // What was sent to its old address gets nowhere.
    net.forget_address(bob);
    let ticks = net.shard.counters().datagrams_in;
    net.until("it checks its path from there", |net| {
        net.shard.counters().datagrams_in > ticks
    });
    net.publish(ann, 0, "where are you");
    net.until("delivered", |net| {
        net.received[bob].contains(&"message 0 where are you".into())
    });
}
