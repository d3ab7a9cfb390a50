//! Who is at a stream: counted over shards, sent to those who asked, reported to the edge.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use relay_testkit::Client;
use std::time::Duration;
use streamchain_protocol::auth::SessionRights;
use streamchain_protocol::wire::frame::{Abilities, ClientFrame};
use support::{Net, Who, keys};

const WANTS: Abilities = Abilities::WANTS_PRESENCE;
const LISTED: Abilities = Abilities::MAY_BE_LISTED;

fn say(net: &mut Net, who: Who, abilities: Abilities) {
    net.clients[who].send(&ClientFrame::Abilities(abilities));
}

/// A reader at this shard that says so of itself.
fn reader(net: &mut Net, shard: usize, abilities: Abilities) -> Who {
    net.at_shard = shard;
    let who = net.open();
    say(net, who, abilities);
    net.subscribe(who, None);
    who
}

/// The frames about who is there.
fn presence(net: &Net, who: Who) -> Vec<String> {
    let received = net.received[who].iter();
    received
        .filter(|said| said.starts_with("presence"))
        .cloned()
        .collect()
}

fn until_last(net: &mut Net, who: Who, expected: &str) {
    net.until(expected, |net| {
        presence(net, who).last().is_some_and(|last| last == expected)
    });
}

#[test]
fn readers_and_publishers_of_all_shards_are_counted() {
    let mut net = Net::large();
    let ann = reader(&mut net, 0, WANTS.and(LISTED));
    let bob = reader(&mut net, 1, WANTS);
    net.at_shard = 2;
    let member = net.open_member();
    say(&mut net, member, LISTED);
    // Clients have authors 1, 2, 3 in the order in which they came; bob did not wish to be listed.
    for who in [ann, bob] {
        until_last(&mut net, who, "presence 3 1 [1, 3]");
    }
    assert_eq!(presence(&net, member), [""; 0], "it did not ask");
    net.clients[member].close_first();
    for who in [ann, bob] {
        until_last(&mut net, who, "presence 2 0 [1]");
    }
}

#[test]
fn who_comes_and_goes_all_the_time_costs_a_frame_a_second() {
    let mut net = Net::large();
    let ann = reader(&mut net, 1, WANTS);
    let restless = reader(&mut net, 2, Abilities::default());
    net.pass(Duration::from_secs(5));
    let before = (presence(&net, ann).len(), net.edge.presence.len());
    for round in 0..4_000 {
        let abilities = if round % 2 == 0 {
            LISTED
        } else {
            Abilities::default()
        };
        say(&mut net, restless, abilities);
        net.pass(Duration::from_millis(5));
    }
    let frames = presence(&net, ann).len() - before.0;
    assert!((2..=21).contains(&frames), "{frames} in 20 s");
    let reports = net.edge.presence.len() - before.1;
    assert!((1..=3).contains(&reports), "{reports} reports in 20 s");
}

#[test]
fn who_may_not_read_is_sent_nothing_and_is_no_reader() {
    let mut net = Net::new();
    let identity = net.identity();
    let mut token = net.token(&identity);
    token.rights = SessionRights {
        subscribe: false,
        ..SessionRights::ALL
    };
    let ufrag = token.sign(&keys());
    let blind = net.connect_with(&identity, ufrag, Client::channel());
    net.until("open", |net| net.clients[blind].is_open());
    say(&mut net, blind, WANTS);
    net.hello(blind, 9);
    let shard = net.at_shard;
    let ann = reader(&mut net, shard, WANTS);
    until_last(&mut net, ann, "presence 1 1 []");
    net.pass(Duration::from_secs(5));
    assert_eq!(presence(&net, blind), [""; 0]);
}

#[test]
fn the_edge_is_told_by_the_leader_until_nobody_is_there() {
    let mut net = Net::large();
    let ann = reader(&mut net, 1, LISTED);
    net.until("a report", |net| !net.edge.presence.is_empty());
    let first = net.edge.presence[0].clone();
    assert_eq!((first.readers, first.publishers, first.authors.len()), (1, 0, 1));
    net.clients[ann].close_first();
    net.until("another report", |net| net.edge.presence.len() > 1);
    assert!(net.edge.presence[1].is_empty());
}

#[test]
fn who_asks_late_is_sent_what_is_there() {
    let mut net = Net::large();
    let _ann = reader(&mut net, 0, Abilities::default());
    let bob = reader(&mut net, 1, Abilities::default());
    net.pass(Duration::from_secs(5));
    assert_eq!(presence(&net, bob), [""; 0]);
    say(&mut net, bob, WANTS);
    until_last(&mut net, bob, "presence 2 0 []");
    let quiet = presence(&net, bob).len();
    net.pass(Duration::from_secs(20));
    assert_eq!(presence(&net, bob).len(), quiet, "only what changes is sent");
}
