//! Sessions whose terms the edge takes back.

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
use streamchain_protocol::Address;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::{Notice, NoticeEvent, Withdrawal};
use support::{Net, STREAM, keys};

/// The second in which the test is, by the edge's clock.
fn second(net: &Net) -> u64 {
    net.now().unix.to_sec().0
}

fn withdraw(net: &mut Net, stream: ShortId, author: Option<Address>, before: u64, again: bool) {
    let event = NoticeEvent::Withdrawn {
        author,
        authors: Vec::new(),
        before: streamchain_protocol::time::UnixSec(before),
        again,
    };
    let (notice, now) = (Notice { stream, event }, net.now());
    net.shard.handle_notice(&notice, now);
}

#[test]
fn an_authors_sessions_end_everywhere_and_nobody_elses() {
    let mut net = Net::new();
    let (revoked, other) = (net.open_member(), net.open_member());
    let now = second(&net);
    withdraw(
        &mut net,
        ShortId::EVERY,
        Some(Address::repeat_byte(1)),
        now,
        false,
    );
    net.until("closed", |net| net.clients[revoked].is_closed());
    assert!(net.received[revoked].contains(&"error 7".into()));
    assert!(!net.clients[other].is_closed());
}

#[test]
fn sessions_whose_rights_changed_must_connect_again() {
    let mut net = Net::new();
    let (one, other) = (net.open_member(), net.open_member());
    let now = second(&net);
    withdraw(&mut net, STREAM, None, now, true);
    net.until("both are closed", |net| {
        net.clients[one].is_closed() && net.clients[other].is_closed()
    });
    assert!(net.received[one].contains(&"error 5".into()) && net.received[other].contains(&"error 5".into()));
}

#[test]
fn foreign_and_earlier_withdrawals_change_nothing() {
    let mut net = Net::new();
    let member = net.open_member();
    let now = second(&net);
    withdraw(&mut net, ShortId([9; 20]), None, now, true);
    withdraw(&mut net, STREAM, Some(Address::repeat_byte(1)), now - 1, true);
    net.publish(member, 0, "still here");
    net.until("stored", |net| net.edge.texts() == ["still here"]);
}

#[test]
fn after_a_withdrawal_only_a_new_token_opens_a_session() {
    let mut net = Net::new();
    net.open_member();
    let identity = net.identity();
    let old = net.token(&identity);
    let now = second(&net);
    withdraw(&mut net, STREAM, Some(old.author), now, true);
    let refused = net.shard.counters().tokens_refused;
    let late = net.connect_with(&identity, old.sign(&keys()), Client::channel());
    net.until("the token is refused", |net| {
        net.shard.counters().tokens_refused > refused
    });
    assert!(!net.clients[late].is_open());
    let identity = net.identity();
    let mut new = net.token(&identity);
    (new.author, new.expires) = (old.author, old.expires.plus_s(1));
    let again = net.connect_with(&identity, new.sign(&keys()), Client::channel());
    net.until("the new one opens", |net| net.clients[again].is_open());
}

#[test]
fn a_batchs_answer_ends_sessions_before_anything_more_is_sent() {
    let mut net = Net::new();
    let (publisher, reader) = (net.open_member(), net.open_member());
    net.edge.withdrawn = vec![Withdrawal {
        author: Some(Address::repeat_byte(1)),
        before: net.now().unix.to_sec(),
    }];
    net.publish(reader, 0, "before");
    net.until("the author's session is closed", |net| {
        net.clients[publisher].is_closed()
    });
    net.publish(reader, 1, "after");
    net.until("stored", |net| net.edge.texts() == ["before", "after"]);
    assert!(net.received[publisher].contains(&"error 5".into()));
    let got_after = net.received[publisher].iter().any(|line| line.contains("after"));
    assert!(!got_after && !net.clients[reader].is_closed());
}

#[test]
fn a_session_ends_with_the_credentials_that_opened_it() {
    let mut net = Net::new();
    let other = net.open_member();
    let identity = net.identity();
    let mut token = net.token(&identity);
    token.end = Some(UnixSec(second(&net) + 100));
    let ending = net.connect_with(&identity, token.sign(&keys()), Client::channel());
    net.until("open", |net| net.clients[ending].is_open());
    net.pass(Duration::from_secs(80));
    assert!(!net.clients[ending].is_closed(), "not before");
    net.pass(Duration::from_secs(21));
    assert!(net.clients[ending].is_closed());
    assert!(net.received[ending].contains(&"error 7".into()));
    assert!(!net.clients[other].is_closed());
}
