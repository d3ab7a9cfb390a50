//! How long a client waits for its channel, in round trips and when datagrams are lost.

mod support;

use std::time::Duration;
use support::Net;

#[test]
fn a_lost_flight_of_the_handshake_is_sent_again_within_half_a_second() {
    let mut net = Net::new();
    let who = net.connect();
    net.until("the relay answers the check", |net| {
        net.shard.counters().datagrams_out > 0
    });
    // One datagram takes a millisecond: the answer arrives, and what comes after it is lost.
    net.pass(Duration::from_micros(1_500));
    net.deaf.push(who);
    net.pass(Duration::from_millis(50));
    assert!(net.shard.counters().datagrams_out > 1, "something was lost");
    net.deaf.clear();
    let heard_again = net.now().unix_ms;
    net.until("the channel opens", |net| net.clients[who].is_open());
    let waited = net.now().unix_ms - heard_again;
    assert!(waited < 500, "{waited} ms");
}
