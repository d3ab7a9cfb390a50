//! From publish to stored, between clients of one relay.

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

#[test]
fn a_message_is_accepted_delivered_and_then_stored() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish(who, 0, "hello");
    net.until("committed", |net| {
        net.received[who].contains(&"committed 1".into())
    });
    let expected = [
        "welcome epoch 1 head 0 committed 0 stored None",
        "accepted 0 as 0",
        "message 0 hello",
        "committed 1",
    ];
    assert_eq!(net.received[who], expected);
    assert_eq!(net.edge.texts(), ["hello"]);
}

#[test]
fn two_publishers_share_one_order_that_both_receive() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    for number in 0..20 {
        net.publish(ann, number, &format!("ann {number}"));
        net.publish(bob, number, &format!("bob {number}"));
        net.pass(Duration::from_millis(3));
    }
    net.until("all is stored", |net| net.edge.records.len() == 40);
    net.pass(Duration::from_millis(100));
    let messages = |net: &Net, who: usize| -> Vec<String> {
        net.received[who]
            .iter()
            .filter(|said| said.starts_with("message"))
            .cloned()
            .collect()
    };
    let stored: Vec<String> = net
        .edge
        .texts()
        .iter()
        .enumerate()
        .map(|(seq, text)| format!("message {seq} {text}"))
        .collect();
    assert_eq!(messages(&net, ann), stored);
    assert_eq!(messages(&net, bob), stored);
}

#[test]
fn a_late_subscriber_gets_the_whole_stream_and_what_is_new() {
    let mut net = Net::new();
    let ann = net.open_member();
    (0..5).for_each(|number| net.publish(ann, number, "old"));
    net.until("stored", |net| net.edge.records.len() == 5);
    let bob = net.open();
    net.subscribe(bob, Some(2));
    net.until("bob receives", |net| {
        net.received[bob].contains(&"committed 5".into())
    });
    net.publish(ann, 5, "new");
    net.until("bob receives more", |net| {
        net.received[bob].contains(&"committed 6".into())
    });
    let expected = [
        "committed 2",
        "message 2 old",
        "message 3 old",
        "message 4 old",
        "committed 5",
    ];
    assert_eq!(net.received[bob][..5], expected);
    assert_eq!(net.received[bob][5..], ["message 5 new", "committed 6"]);
}

#[test]
fn a_subscriber_of_the_tail_gets_only_what_is_new() {
    let mut net = Net::new();
    let ann = net.open_member();
    net.publish(ann, 0, "old");
    net.until("stored", |net| net.edge.records.len() == 1);
    let bob = net.open();
    net.subscribe(bob, None);
    net.pass(Duration::from_millis(50));
    net.publish(ann, 1, "new");
    net.until("bob receives", |net| {
        net.received[bob].contains(&"committed 2".into())
    });
    assert_eq!(net.received[bob], ["committed 1", "message 1 new", "committed 2"]);
}

#[test]
fn messages_from_before_this_relay_had_the_stream_are_a_gap() {
    let mut net = Net::new();
    let ann = net.open_member();
    (0..3).for_each(|number| net.publish(ann, number, "old"));
    net.until("stored", |net| net.edge.records.len() == 3);
    net.restart_relay();
    let bob = net.open_member();
    net.until("bob receives", |net| net.received[bob].len() >= 3);
    let expected = [
        "welcome epoch 1 head 3 committed 3 stored None",
        "committed 0",
        "gap 0..3",
        "committed 3",
    ];
    assert!(
        net.received[bob]
            .iter()
            .all(|said| expected.contains(&said.as_str())),
        "{:?}",
        net.received[bob]
    );
    assert!(net.received[bob].contains(&"gap 0..3".into()));
}

#[test]
fn a_message_that_was_sent_before_the_welcome_is_not_lost() {
    let mut net = Net::new();
    let who = net.open();
    net.hello(who, 1);
    (0..3).for_each(|number| net.publish(who, number, "early"));
    net.until("stored", |net| net.edge.records.len() == 3);
    let accepted: Vec<&str> = net.received[who][1..4].iter().map(String::as_str).collect();
    assert_eq!(
        accepted,
        ["accepted 0 as 0", "accepted 1 as 1", "accepted 2 as 2"]
    );
}

#[test]
fn a_returning_publisher_learns_its_progress_without_doubles() {
    let mut net = Net::new();
    let ann = net.open();
    net.hello(ann, 9);
    (0..3).for_each(|number| net.publish(ann, number, "once"));
    net.until("stored", |net| net.edge.records.len() == 3);
    net.restart_relay();
    // The same author: an id is another producer for each.
    let identity = net.identity();
    let mut token = net.token(&identity);
    token.author = streamchain_protocol::Address::repeat_byte(1);
    let again = net.connect_with(
        &identity,
        token.sign(&support::keys()),
        relay_testkit::Client::channel(),
    );
    net.until("open", |net| net.clients[again].is_open());
    net.hello(again, 9);
    (1..5).for_each(|number| net.publish(again, number, "once"));
    net.until("stored", |net| net.edge.records.len() == 5);
    net.publish(again, 4, "once");
    net.until("answered", |net| {
        net.received[again]
            .iter()
            .filter(|said| *said == "accepted 4 as 4")
            .count()
            == 2
    });
    assert!(
        net.received[again][0].ends_with("stored Some(2)"),
        "{:?}",
        net.received[again]
    );
    assert_eq!(
        net.received[again][1..3],
        ["accepted 1 before", "accepted 2 before"]
    );
    net.pass(Duration::from_secs(1));
    assert_eq!(net.edge.records.len(), 5);
}

#[test]
fn a_left_out_number_is_refused_until_it_comes() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish(who, 0, "zero");
    net.publish(who, 2, "two");
    net.publish(who, 3, "three");
    net.until("refused", |net| net.received[who].contains(&"error 4".into()));
    (1..4).for_each(|number| net.publish(who, number, "again"));
    net.until("stored", |net| net.edge.records.len() == 4);
    assert_eq!(net.edge.texts(), ["zero", "again", "again", "again"]);
    let refusals = net.received[who].iter().filter(|said| *said == "error 4").count();
    assert_eq!(
        refusals, 1,
        "one word for all that follow the gap: {:?}",
        net.received[who]
    );
}

#[test]
fn the_largest_message_passes_and_a_larger_one_is_refused() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish_bytes(who, 0, &[1; 65_536]);
    net.publish_bytes(who, 1, &[2; 65_537]);
    net.publish(who, 1, "small again");
    net.until("stored", |net| net.edge.records.len() == 2);
    net.until("received", |net| {
        net.received[who].contains(&"committed 2".into())
    });
    assert!(
        net.received[who].contains(&"message 0 of 65536 bytes".into()),
        "{:?}",
        net.received[who]
    );
    assert!(
        net.received[who].contains(&"error 2".into()),
        "{:?}",
        net.received[who]
    );
    assert!(net.received[who].contains(&"message 1 small again".into()));
}

#[test]
fn a_cut_off_subscriber_gets_a_gap_and_slows_nobody() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    net.deaf.push(bob);
    let text = "x".repeat(60_000);
    for number in 0..30 {
        net.publish(ann, number, &text);
        net.pass(Duration::from_millis(5));
    }
    net.until("stored", |net| net.edge.records.len() == 30);
    net.until("ann receives all", |net| {
        net.received[ann].contains(&"committed 30".into())
    });
    net.deaf.clear();
    net.until("bob receives the rest", |net| {
        net.received[bob].contains(&"committed 30".into())
    });
    let seen = support::received::seqs(&net.received[bob]);
    assert_eq!(
        seen,
        (0..30).collect::<Vec<_>>(),
        "each seq is a message or in a gap, in order"
    );
    assert!(net.received[bob].iter().any(|said| said.starts_with("gap")));
}

#[test]
fn anchors_and_chain_events_follow_their_messages_commit() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    net.publish(ann, 0, "hello");
    net.until("stored", |net| net.received[bob].contains(&"committed 1".into()));
    net.anchored(0, 1);
    net.until("anchored", |net| {
        net.received[bob].contains(&"anchored 0+1 Anchored".into())
    });
    net.until("anchored", |net| {
        net.received[ann].contains(&"anchored 0+1 Anchored".into())
    });
}
