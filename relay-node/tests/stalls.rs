//! Storage that hangs for a second, ten and a minute, while a page publishes and another one listens.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use relay_node::Kept;
use relay_node::limits::MAX_PENDING_BYTES;
use std::time::Duration;
use support::{MEMORY, Net, Who};

/// A kilobyte a message, a hundred messages a second: a minute is six times what the relay may hold.
const PAYLOAD_BYTES: usize = 1_000;
const PACE: Duration = Duration::from_millis(10);

/// How long a client waits after "overloaded" before it sends the refused message again.
const HOLD: Duration = Duration::from_millis(200);

/// A page that publishes at a steady pace, and does what the protocol asks of it when it is refused.
struct Publisher {
    who: Who,
    next: u64,
    refusals: usize,
}

impl Publisher {
    fn payload(number: u64) -> Vec<u8> {
        let mut payload = vec![b'.'; PAYLOAD_BYTES];
        let text = format!("{number} ");
        payload[..text.len()].copy_from_slice(text.as_bytes());
        payload
    }

    fn said(&self, net: &Net, start: &str) -> usize {
        net.received[self.who]
            .iter()
            .filter(|said| said.starts_with(start))
            .count()
    }

    fn turn(&mut self, net: &mut Net) {
        let refusals = self.said(net, "error 8");
        if refusals > self.refusals {
            self.refusals = refusals;
            // What was refused and all that followed it comes again.
            self.next = self.said(net, "accepted") as u64;
            net.pass(HOLD);
        }
        net.publish_bytes(self.who, self.next, &Self::payload(self.next));
        self.next += 1;
        net.pass(PACE);
    }
}

/// The most that was held at any moment.
fn most(a: Kept, b: Kept) -> Kept {
    Kept {
        uncommitted: a.uncommitted.max(b.uncommitted),
        replay: a.replay.max(b.replay),
        send_queues: a.send_queues.max(b.send_queues),
    }
}

fn lives_through_a_stall_of(seconds: u64) {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    let mut publisher = Publisher {
        who: ann,
        next: 0,
        refusals: 0,
    };
    (0..50).for_each(|_| publisher.turn(&mut net));
    net.until("stored", |net| net.edge.records.len() >= 50);
    let mut held = Kept::default();
    net.stall(Duration::from_secs(seconds));
    while net.is_stalled() {
        publisher.turn(&mut net);
        held = most(held, net.shard.kept());
    }
    let live = publisher.said(&net, "accepted");
    let is_full =
        seconds * 1_000 / PACE.as_millis() as u64 * PAYLOAD_BYTES as u64 > MEMORY.uncommitted_bytes as u64;
    assert_eq!(
        publisher.refusals > 0,
        is_full,
        "the publisher is refused when there is no more room, and only then"
    );
    if is_full {
        let room = MEMORY.uncommitted_bytes / PAYLOAD_BYTES;
        assert!(live >= 50 + room, "live delivery goes on up to the bound: {live}");
    }
    assert_eq!(
        net.received[bob]
            .iter()
            .filter(|said| said.starts_with("message"))
            .count(),
        live,
        "whoever listens has it all"
    );

    (0..50).for_each(|_| publisher.turn(&mut net));
    let accepted = publisher.said(&net, "accepted");
    net.until("all that was accepted is stored", |net| {
        net.edge.records.len() == accepted
    });
    is_stored_and_received_once(&net, bob, accepted as u64);
    stays_in_memory_bounds(
        held,
        &format!(
            "stall of {seconds} s: {live} messages live, {} refusals",
            publisher.refusals
        ),
    );
}

/// Every accepted message is stored, and was received by `subscriber`, once and in order.
fn is_stored_and_received_once(net: &Net, subscriber: Who, accepted: u64) {
    let expected: Vec<Vec<u8>> = (0..accepted).map(Publisher::payload).collect();
    let stored: Vec<_> = net
        .edge
        .records
        .iter()
        .map(|record| record.payload.to_vec())
        .collect();
    assert!(
        stored == expected,
        "each message once, in the order in which it was sent"
    );
    assert_eq!(
        support::received::seqs(&net.received[subscriber]),
        (0..accepted).collect::<Vec<_>>(),
        "and received so"
    );
    assert!(net.lost.is_empty(), "the stream stays where it is");
}

/// What the relay had in memory at any moment is within its bounds.
fn stays_in_memory_bounds(held: Kept, what: &str) {
    let Kept {
        uncommitted,
        replay,
        send_queues,
    } = held;
    println!(
        "{what}; held at most {uncommitted} B uncommitted of {}, {replay} B recent of {}, {send_queues} B for peers of {}",
        MEMORY.uncommitted_bytes,
        MEMORY.replay_bytes,
        2 * MAX_PENDING_BYTES
    );
    assert!(
        uncommitted <= MEMORY.uncommitted_bytes
            && replay <= MEMORY.replay_bytes
            && send_queues <= 2 * MAX_PENDING_BYTES
    );
}

#[test]
fn a_second_is_hardly_noticed() {
    lives_through_a_stall_of(1);
}

#[test]
fn ten_seconds_fill_what_the_relay_may_hold() {
    lives_through_a_stall_of(10);
}

#[test]
fn a_minute_stops_publishers_and_loses_nothing() {
    lives_through_a_stall_of(60);
}
