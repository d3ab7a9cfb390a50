//! How long a client waits for its channel, in round trips and when datagrams are lost.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use relay_node::limits::MAX_OPENING_REPEATS;
use relay_testkit::Client;
use std::net::SocketAddr;
use std::time::Duration;
use support::{Net, check::check, keys};

/// Milliseconds from the first check until the channel is open; every datagram takes one.
fn opened_after(relay_begins: bool) -> u64 {
    let mut net = Net::new();
    net.relay_begins = relay_begins;
    let who = net.connect();
    net.until("the first check arrives", |net| {
        net.shard.counters().datagrams_in > 0
    });
    let sent = net.now().unix.minus_ms(1);
    net.until("the channel opens", |net| net.clients[who].is_open());
    net.now().unix.since(sent)
}

#[test]
fn a_relay_that_begins_the_handshake_saves_a_round_trip() {
    assert_eq!(opened_after(true) + 2, opened_after(false));
}

#[test]
fn a_channel_opens_over_a_path_slower_than_the_flight_timeout() {
    for relay_begins in [true, false] {
        let mut net = Net::new();
        (net.relay_begins, net.latency) = (relay_begins, Duration::from_millis(600));
        let who = net.open_member();
        net.publish(who, 0, "from afar");
        net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
        assert_eq!(
            net.shard.counters().sessions_begun,
            1,
            "the first one came through"
        );
    }
}

/// What a datagram is, by its first byte (RFC 7983, RFC 9147 §4.1).
fn kind(datagram: &&[u8]) -> &'static str {
    match datagram {
        [1, 1, ..] => "answer to a check",
        [22, ..] if datagram[13] == 1 => "ClientHello",
        _ => "something else",
    }
}

#[test]
fn the_handshake_begins_with_the_first_checks_answer() {
    let mut net = Net::new();
    let client: SocketAddr = Net::address(0);
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    net.inject(&check(&token, 1, false), client);
    let sent: Vec<_> = net.in_flight_to(client).iter().map(kind).collect();
    assert_eq!(sent, ["answer to a check", "ClientHello"]);
}

#[test]
fn a_client_that_wants_to_begin_the_handshake_is_left_to_it() {
    let mut net = Net::new();
    net.relay_begins = false;
    let client: SocketAddr = Net::address(0);
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    net.inject(&check(&token, 1, false), client);
    net.inject(&check(&token, 1, true), client);
    let sent: Vec<_> = net.in_flight_to(client).iter().map(kind).collect();
    assert_eq!(sent, ["answer to a check", "answer to a check"]);
}

#[test]
fn the_handshake_begins_again_on_the_nominated_path() {
    let mut net = Net::new();
    let (first, other): (SocketAddr, SocketAddr) = (Net::address(0), Net::address(1));
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    net.inject(&check(&token, 1, false), first);
    net.inject(&check(&token, 1, false), other);
    let sent: Vec<_> = net.in_flight_to(other).iter().map(kind).collect();
    assert_eq!(sent, ["answer to a check"], "trying a path is not to choose it");
    net.inject(&check(&token, 1, true), other);
    let sent: Vec<_> = net.in_flight_to(other).iter().map(kind).collect();
    assert_eq!(sent, ["answer to a check", "answer to a check", "ClientHello"]);
    let hello = |address| net.in_flight_to(address).last().map(|bytes| bytes.to_vec());
    assert_eq!(hello(first), hello(other), "the same one");
}

#[test]
fn nobody_makes_the_relay_repeat_itself_by_repeating_checks() {
    let mut net = Net::new();
    let (client, victim): (SocketAddr, SocketAddr) = (Net::address(0), Net::address(1));
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    net.inject(&check(&token, 1, false), client);
    (0..100).for_each(|_| net.inject(&check(&token, 1, true), victim));
    let sent: Vec<_> = net.in_flight_to(victim).iter().map(kind).collect();
    let hellos = sent.iter().filter(|kind| **kind == "ClientHello").count();
    assert_eq!(hellos, MAX_OPENING_REPEATS as usize);
}

#[test]
fn a_lost_handshake_flight_is_sent_again_in_half_a_second() {
    let mut net = Net::new();
    let who = net.connect();
    net.until("the relay answers the check", |net| {
        net.shard.counters().datagrams_out > 0
    });
    let lost = net.now().unix;
    for _ in 0..200 {
        net.lose(|datagram| kind(&datagram) == "ClientHello");
        net.pass(Duration::from_micros(500));
    }
    net.until("the channel opens", |net| net.clients[who].is_open());
    let waited = net.now().unix.since(lost);
    assert!((100..500).contains(&waited), "{waited} ms");
}

#[test]
fn a_stack_that_begins_sctp_itself_opens_as_soon() {
    for relay_begins in [true, false] {
        let mut net = Net::new();
        (net.relay_begins, net.clients_begin_sctp) = (relay_begins, true);
        let identity = net.foreign_identity();
        let token = net.token(&identity).sign(&keys());
        let began = net.now().unix;
        let who = net.connect_with(&identity, token, Client::channel());
        net.until("the channel opens", |net| net.clients[who].is_open());
        let waited = net.now().unix.since(began);
        assert!(waited < 300, "{waited} ms, relay begins DTLS: {relay_begins}");
        net.hello(who, 1);
        net.publish(who, 0, "from afar");
        net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    }
}

#[test]
fn a_stack_that_begins_sctp_itself_opens_despite_losses() {
    for lost in 1..14 {
        let mut net = Net::new();
        net.clients_begin_sctp = true;
        let identity = net.foreign_identity();
        let token = net.token(&identity).sign(&keys());
        let who = net.connect_with(&identity, token, Client::channel());
        net.until("the turn of the datagrams that are lost", |net| {
            net.shard.counters().datagrams_in >= lost || net.clients[who].is_open()
        });
        net.lose(|_| true);
        net.until("the channel opens", |net| net.clients[who].is_open());
        net.hello(who, 1);
        net.publish(who, 0, "all the same");
        net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    }
}
