//! Messages that came to the edge by HTTP.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use std::time::Duration;
use support::Net;
use support::edge::Fault;

#[test]
fn messages_by_http_reach_every_peer_and_are_committed_once() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish(who, 0, "by channel");
    net.append(9, 0, "by http");
    net.append(9, 1, "and another");
    net.notify_append();
    net.until("stored", |net| net.received[who].contains(&"committed 3".into()));
    let messages: Vec<&String> = net.received[who]
        .iter()
        .filter(|received| received.starts_with("message"))
        .collect();
    assert_eq!(
        messages,
        [
            "message 0 by channel",
            "message 1 by http",
            "message 2 and another"
        ]
    );
    net.notify_append();
    net.pass(Duration::from_secs(5));
    assert_eq!(net.edge.texts(), ["by channel", "by http", "and another"]);
    assert!(net.edge.inbox.is_empty());
}

#[test]
fn a_lost_batch_answer_doubles_no_fetched_message() {
    let mut net = Net::new();
    let who = net.open_member();
    net.edge
        .batch_faults
        .extend([Fault::Before, Fault::After, Fault::Before]);
    for number in 0..4 {
        net.append(9, number, "once");
        net.pass(Duration::from_millis(30));
    }
    net.until("stored", |net| net.received[who].contains(&"committed 4".into()));
    assert_eq!(net.edge.texts(), ["once"; 4]);
}

#[test]
fn a_restarted_relay_commits_what_waits_and_releases_the_epoch() {
    let mut net = Net::new();
    net.open_member();
    net.restart_relay();
    net.append(9, 0, "for nobody yet");
    net.until("stored", |net| net.edge.texts() == ["for nobody yet"]);
    net.until("released", |net| net.edge.is_released);
    let later = net.open_member();
    assert!(
        net.received[later].contains(&"welcome epoch 2 head 1 committed 1 stored None".into()),
        "under another epoch: {:?}",
        net.received[later]
    );
}
