//! Clients over their rates beside clients inside theirs.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use relay_node::{Rate, Rates};
use std::time::Duration;
use support::{Net, Who};

/// Ten frames a second for a session, forty for a stream: twice that at once.
const RATES: Rates = Rates {
    session: Rate {
        messages_per_s: 10,
        bytes_per_s: 100_000,
    },
    stream: Rate {
        messages_per_s: 40,
        bytes_per_s: 0,
    },
    network_checks_per_s: 0,
};

/// Publishes `count` messages at once.
fn burst(net: &mut Net, who: Who, from: u64, count: u64) {
    for number in from..from + count {
        net.publish(who, number, &format!("{who}/{number}"));
    }
}

fn count(net: &Net, who: Who, what: &str) -> usize {
    net.received[who]
        .iter()
        .filter(|said| said.starts_with(what))
        .count()
}

fn wait_of_last_error(net: &Net, who: Who) -> Option<u64> {
    let errors = net.received[who].iter().rev();
    errors
        .filter_map(|said| said.strip_prefix("error 10 wait ")?.parse().ok())
        .next()
}

#[test]
fn over_the_rate_a_client_gets_one_error_and_loses_nothing() {
    let mut net = Net::with_rates(RATES);
    // hello is a frame too.
    let who = net.open();
    net.hello(who, 1);
    burst(&mut net, who, 0, 30);
    net.until("the refusal", |net| wait_of_last_error(net, who).is_some());
    net.pass(Duration::from_millis(100));
    let taken = count(&net, who, "accepted") as u64;
    assert_eq!(
        taken, 19,
        "two seconds' worth less hello: {:?}",
        net.received[who]
    );
    assert_eq!(count(&net, who, "error"), 1, "one word, then silence");

    let mut next = taken;
    while next < 30 {
        let wait = wait_of_last_error(&net, who).unwrap();
        net.pass(Duration::from_millis(wait));
        burst(&mut net, who, next, 30 - next);
        net.pass(Duration::from_millis(100));
        next = count(&net, who, "accepted") as u64;
    }
    net.until("all is stored", |net| net.edge.records.len() == 30);
    let expected: Vec<String> = (0..30).map(|number| format!("{who}/{number}")).collect();
    assert_eq!(net.edge.texts(), expected, "in order, each once");
}

#[test]
fn what_comes_within_the_wait_is_passed_over_in_silence() {
    let mut net = Net::with_rates(RATES);
    let who = net.open();
    net.hello(who, 1);
    burst(&mut net, who, 0, 20);
    net.until("the refusal", |net| wait_of_last_error(net, who) == Some(500));
    burst(&mut net, who, 19, 5);
    net.pass(Duration::from_millis(300));
    assert_eq!((count(&net, who, "accepted"), count(&net, who, "error")), (19, 1));
}

#[test]
fn who_goes_on_flooding_loses_the_session() {
    let mut net = Net::with_rates(RATES);
    let (flooder, calm) = (net.open(), net.open_member());
    net.hello(flooder, 1);
    let mut number = 0;
    while !net.clients[flooder].is_closed() && number < 2_000 {
        burst(&mut net, flooder, number, 10);
        number += 10;
        net.pass(Duration::from_millis(50));
    }
    assert!(
        net.clients[flooder].is_closed(),
        "200 messages a second for ten seconds"
    );
    assert_eq!(
        net.received[flooder].last().unwrap(),
        "error 10",
        "the last word has no wait"
    );
    assert_eq!(net.shard.counters().sessions_flooding, 1);
    net.publish(calm, 0, "still here");
    net.until("the other's message is stored", |net| {
        net.received[calm]
            .iter()
            .any(|said| said == "accepted 0 as 0" || said.starts_with("accepted 0 as"))
    });
    assert!(!net.clients[calm].is_closed());
}

#[test]
fn all_sessions_of_a_stream_share_its_rate() {
    let mut net = Net::with_rates(RATES);
    let all: Vec<Who> = (0..6).map(|_| net.open()).collect();
    for who in &all {
        net.hello(*who, *who as u8 + 1);
        burst(&mut net, *who, 0, 19);
    }
    net.pass(Duration::from_millis(100));
    let taken: usize = all.iter().map(|who| count(&net, *who, "accepted")).sum();
    assert!(
        (80..=86).contains(&taken),
        "forty a second, twice that at once: {taken}"
    );
    let refused = all
        .iter()
        .filter(|who| count(&net, **who, "error 10 wait") == 1)
        .count();
    assert!(refused >= 2, "those over it are refused: {refused}");
}

#[test]
fn large_messages_count_by_their_bytes() {
    let mut net = Net::with_rates(RATES);
    let who = net.open();
    net.hello(who, 1);
    for number in 0..5 {
        net.publish_bytes(who, number, &[7; 60_000]);
    }
    net.until("the refusal", |net| wait_of_last_error(net, who).is_some());
    net.pass(Duration::from_millis(300));
    assert_eq!(count(&net, who, "accepted"), 3, "200,000 bytes at once");
}

#[test]
fn subscribing_again_and_again_is_limited_too() {
    let mut net = Net::with_rates(Rates {
        session: Rate {
            messages_per_s: 100,
            bytes_per_s: 0,
        },
        ..Rates::NONE
    });
    let who = net.open();
    (0..6).for_each(|_| net.subscribe(who, Some(0)));
    net.until("the refusal", |net| wait_of_last_error(net, who).is_some());
}
