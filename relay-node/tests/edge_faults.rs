//! An edge that fails, is slow, or gives the stream to another relay.

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
fn a_batch_is_tried_again_until_it_is_stored_and_never_doubled() {
    let mut net = Net::new();
    let who = net.open_member();
    net.edge
        .batch_faults
        .extend([Fault::Before, Fault::After, Fault::Before]);
    (0..3).for_each(|number| net.publish(who, number, "once"));
    net.until("stored", |net| net.received[who].contains(&"committed 3".into()));
    assert_eq!(net.edge.texts(), ["once"; 3]);
    assert_eq!(
        net.edge.batches, 4,
        "three failures and one answer: {:?}",
        net.edge.asked
    );
}

#[test]
fn with_a_slow_edge_one_batch_is_under_way_and_the_next_grows() {
    let mut net = Net::new();
    let who = net.open_member();
    net.edge.batch_faults.extend([Fault::Before; 5]);
    for number in 0..50 {
        net.publish(who, number, "live");
        net.pass(Duration::from_millis(10));
    }
    assert!(
        net.received[who].contains(&"message 49 live".into()),
        "live delivery goes on"
    );
    net.until("stored", |net| net.received[who].contains(&"committed 50".into()));
    assert!(
        net.edge.batches < 20,
        "larger batches, not more: {:?}",
        net.edge.asked
    );
}

#[test]
fn a_stream_that_another_relay_has_taken_over_is_let_go() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    net.publish(ann, 0, "stored");
    net.until("stored", |net| net.received[bob].contains(&"committed 1".into()));
    net.edge.take_over();
    net.publish(ann, 1, "tentative");
    net.until("both are sent away", |net| {
        [ann, bob].iter().all(|who| net.clients[*who].is_closed())
    });
    assert!(net.received[ann].contains(&"error 5".into()) && net.received[bob].contains(&"error 5".into()));
    assert_eq!(
        net.edge.texts(),
        ["stored"],
        "nothing is stored under an old epoch"
    );
    assert!(!net.received[bob].contains(&"committed 2".into()));
    assert_eq!(net.shard.load().streams, 0);
}

#[test]
fn a_relay_that_was_away_confirms_its_epoch_and_goes_on() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    net.edge.acquire_faults.extend([Fault::Before, Fault::Silence]);
    net.edge.asked.clear();
    net.shard.confirm_streams();
    net.publish(ann, 0, "meanwhile");
    net.until("stored", |net| net.received[bob].contains(&"committed 1".into()));
    net.until("asked again after a failure", |net| {
        net.edge
            .asked
            .iter()
            .filter(|asked| *asked == "acquire epoch")
            .count()
            == 2
    });
    net.shard.confirm_streams();
    net.pass(Duration::from_secs(5));
    assert_eq!(
        (net.edge.epoch, net.lost.len()),
        (1, 0),
        "the same epoch, and nobody is sent away"
    );
    net.publish(ann, 1, "afterwards");
    net.until("stored", |net| net.received[bob].contains(&"committed 2".into()));
}

#[test]
fn a_relay_that_was_away_loses_a_moved_stream_without_publisher() {
    for comes_back in [false, true] {
        let mut net = Net::new();
        let listener = net.open_member();
        net.edge.take_over();
        if comes_back {
            net.edge.give_back();
        }
        net.pass(Duration::from_secs(20));
        assert!(!net.clients[listener].is_closed(), "it got no error so far");
        net.shard.confirm_streams();
        net.until("sent away", |net| net.clients[listener].is_closed());
        assert!(
            net.received[listener].contains(&"error 5".into()),
            "{:?}",
            net.received[listener]
        );
        assert_eq!(net.shard.load().streams, 0);
    }
}

#[test]
fn a_stream_that_is_another_relays_from_the_start_is_refused() {
    let mut net = Net::new();
    net.edge.is_elsewhere = true;
    let who = net.connect();
    net.until("sent away", |net| net.clients[who].is_closed());
    assert_eq!(
        net.received[who],
        ["error 5"],
        "it is told, though the refusal came before its channel"
    );
    net.until("forgotten", |net| net.shard.load().sessions == 0);
    assert_eq!(net.shard.load().streams, 0);
}

#[test]
fn an_edge_that_is_not_reached_at_first_is_asked_again() {
    let mut net = Net::new();
    net.edge.acquire_faults.extend([Fault::Before; 4]);
    let who = net.open_member();
    net.publish(who, 0, "hello");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
}

#[test]
fn edge_and_relay_that_disagree_begin_anew_under_another_epoch() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish(who, 0, "stored");
    net.until("stored", |net| net.edge.records.len() == 1);
    net.edge.records.clear();
    net.publish(who, 1, "does not follow");
    net.until("sent away", |net| net.clients[who].is_closed());
    assert!(net.received[who].contains(&"error 5".into()));
    let again = net.open_member();
    assert!(
        net.received[again][0].starts_with("welcome epoch 2 head 0"),
        "{:?}",
        net.received[again]
    );
}

#[test]
fn a_full_backlog_refuses_messages_until_the_edge_is_back() {
    let mut net = Net::new();
    let who = net.open_member();
    net.edge.batch_faults.extend([Fault::Before; 30]);
    let payload = vec![7; 65_536];
    let mut number = 0;
    while !net.received[who].contains(&"error 8".into()) {
        net.publish_bytes(who, number, &payload);
        number += 1;
        net.pass(Duration::from_millis(2));
        assert!(number < 300, "a backlog is bounded");
    }
    let accepted = net.received[who]
        .iter()
        .filter(|said| said.starts_with("accepted"))
        .count() as u64;
    assert!(accepted < number, "what was refused was not accepted");
    net.edge.batch_faults.clear();
    net.until("all that was accepted is stored", |net| {
        net.edge.records.len() as u64 == accepted
    });
    net.publish_bytes(who, accepted, &payload);
    net.until("it goes on", |net| net.edge.records.len() as u64 == accepted + 1);
}

#[test]
fn a_shutdown_commits_the_backlog_before_peers_must_go() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    net.edge.batch_faults.extend([Fault::Before, Fault::Before]);
    (0..3).for_each(|number| net.publish(ann, number, "last words"));
    net.until("received", |net| {
        net.received[bob].contains(&"message 2 last words".into())
    });
    net.shard.begin_shutdown();
    net.until("shipped", |net| net.shard.is_shipped());
    let now = net.now();
    net.shard.say_goodbye(now);
    net.until("gone", |net| net.shard.is_empty());
    assert_eq!(net.edge.texts(), ["last words"; 3]);
    for who in [ann, bob] {
        let tail = &net.received[who][net.received[who].len() - 2..];
        assert_eq!(
            tail,
            ["committed 3", "error 6"],
            "first what is stored, then goodbye"
        );
    }
}

#[test]
fn a_stopping_relay_takes_no_new_sessions_or_messages() {
    let mut net = Net::new();
    let who = net.open_member();
    net.shard.begin_shutdown();
    net.publish(who, 0, "too late");
    net.until("refused for now", |net| {
        net.received[who].contains(&"error 8".into())
    });
    assert!(
        !net.received[who].contains(&"error 6".into()),
        "the edge would send it back here"
    );
    let late = net.connect();
    net.pass(Duration::from_secs(2));
    assert!(!net.clients[late].is_open());
    assert!(net.shard.counters().no_room > 0);
    assert!(net.shard.unshipped().is_empty());
}
