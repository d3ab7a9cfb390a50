//! Sessions at a follower whose leader is lost before their first *welcome*.

use super::{member_at, messages};
use crate::support::{Net, Who};
use std::time::Duration;
use streamchain_protocol::wire::frame::{Abilities, ClientFrame};

/// A relay whose second shard follows: a member there, and a session that has said nothing yet.
fn follower() -> (Net, Who, Who) {
    let mut net = Net::large_that_follows();
    let ann = member_at(&mut net, 1);
    let bob = net.open();
    (net, ann, bob)
}

/// The leader's epoch is over, which it does not know, and what it did not commit yet is lost; it gets the next epoch as soon as it asks.
fn lose_the_leader(net: &mut Net) {
    net.edge.take_over();
    net.edge.give_back();
}

/// What a client says at the beginning of its first session, as the web library does. To answer *hello* the leader asks the edge first,
/// while *subscribe* takes effect at once.
fn begin(net: &mut Net, who: Who, is_able: bool, from: Option<u64>) {
    if is_able {
        net.clients[who].send(&ClientFrame::Abilities(Abilities::SECOND_WELCOME));
    }
    net.hello(who, 9);
    net.subscribe(who, from);
}

/// Somebody publishes under the next epoch.
fn publish_anew(net: &mut Net) {
    let carl = member_at(net, 0);
    net.publish(carl, 0, "new");
    net.until("stored", |net| net.edge.texts().contains(&"new".into()));
    net.pass(Duration::from_secs(1));
}

fn welcomes(net: &Net, who: Who) -> usize {
    let received = net.received[who].iter();
    received.filter(|said| said.starts_with("welcome")).count()
}

#[test]
fn a_subscription_from_before_the_welcome_goes_on() {
    for (is_able, from) in [(true, Some(0)), (true, Some(1)), (true, None), (false, Some(0))] {
        let (mut net, ann, bob) = follower();
        net.publish(ann, 0, "old");
        net.until("stored", |net| net.count(ann, "committed 1") == 1);
        lose_the_leader(&mut net);
        begin(&mut net, bob, is_able, from);
        net.until("welcome", |net| welcomes(net, bob) > 0);
        publish_anew(&mut net);
        let received = &net.received[bob];
        assert_eq!(net.count(bob, "message 1 new"), 1, "from {from:?}: {received:?}");
        assert_eq!(net.count(bob, "committed 2"), 1, "{received:?}");
        assert_eq!((welcomes(&net, bob), net.count(bob, "error 5")), (1, 0));
    }
}

#[test]
fn messages_that_may_be_others_now_end_the_session() {
    let (mut net, ann, bob) = follower();
    net.publish(ann, 0, "lost");
    net.pass(Duration::from_millis(20)); // less than until a batch is committed
    lose_the_leader(&mut net);
    begin(&mut net, bob, true, Some(0));
    net.until("moved", |net| net.count(bob, "error 5") == 1);
    assert_eq!(messages(&net, bob), ["message 0 lost"]);
    assert_eq!(welcomes(&net, bob), 0);
}

#[test]
fn who_asked_for_new_messages_misses_none() {
    let (mut net, ann, bob) = follower();
    net.publish(ann, 0, "lost");
    net.publish(ann, 1, "lost");
    net.pass(Duration::from_millis(20)); // less than until a batch is committed
    lose_the_leader(&mut net);
    begin(&mut net, bob, true, None);
    net.until("welcome", |net| welcomes(net, bob) > 0);
    publish_anew(&mut net);
    assert_eq!(
        messages(&net, bob),
        ["message 0 new"],
        "the stream ends below what was lost"
    );
}

#[test]
fn who_only_reads_is_sent_stream_moved() {
    let (mut net, _, bob) = follower();
    net.subscribe(bob, Some(0));
    net.pass(Duration::from_millis(20)); // less than until a batch is committed
    lose_the_leader(&mut net);
    let dave = net.open();
    begin(&mut net, dave, true, Some(0));
    net.until("moved", |net| net.count(bob, "error 5") == 1);
}
