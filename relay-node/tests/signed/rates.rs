//! What groups and their signatures count for.

use crate::support::Net;
use crate::support::signed::{Author, Group};
use crate::wait;
use relay_node::{Rate, Rates};
use std::time::Duration;

/// A hundred frames a second for a session: twice that at once.
const RATES: Rates = Rates {
    session: Rate {
        messages_per_s: 100,
        bytes_per_s: 0,
    },
    stream: Rate::NONE,
    network_checks_per_s: 0,
};

#[test]
fn a_group_counts_as_its_messages_and_comes_again_whole() {
    let mut net = Net::with_rates(RATES);
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    net.publish_group(who, &mut ann, &["x"; 100]);
    let second = net.publish_group(who, &mut ann, &["x"; 150]);
    net.publish_group(who, &mut ann, &["behind it"]);
    net.until("the wait", |net| {
        net.received[who]
            .iter()
            .any(|said| said.starts_with("error 10 wait"))
    });
    net.pass(Duration::from_secs(2));
    assert_eq!(net.edge.records.len(), 100);
    net.send_group(who, &second);
    net.until("stored", |net| net.edge.records.len() == 250);
    assert_eq!(net.verified_groups(), 2);
}

#[test]
fn signatures_that_do_not_hold_are_soon_not_verified() {
    let mut net = Net::with_rates(RATES);
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    let mut forged = ann.sign(&["x"]);
    forged.frame.signature.0[9] ^= 1;
    for _ in 0..100 {
        net.send_group(who, &forged);
        net.pass(Duration::from_millis(10));
    }
    let checked = net.refused_signatures();
    assert!(
        (4..=7).contains(&checked),
        "two frames and a hundred a second, fifty each: {checked}"
    );
}

#[test]
fn a_networks_checks_have_a_share_and_unsigned_messages_go_on() {
    let mut net = Net::with_rates(Rates {
        session: Rate::NONE,
        network_checks_per_s: 10,
        ..RATES
    });
    let mut ann = Author::new(1);
    let (who, plain) = (net.open_author(&ann), net.open_member());
    let groups: Vec<Group> = (0..25).map(|_| ann.sign(&["x"])).collect();
    groups.iter().for_each(|group| net.send_group(who, group));
    net.until("the wait", |net| {
        net.received[who]
            .iter()
            .any(|said| said.starts_with("error 10 wait"))
    });
    assert_eq!(
        net.shard.counters().groups_accepted,
        20,
        "two seconds' worth at once"
    );
    net.publish(plain, 0, "unsigned");
    wait(&mut net, plain, "accepted 0 as 20");
    net.pass(Duration::from_secs(2));
    groups[20..].iter().for_each(|group| net.send_group(who, group));
    net.until("stored", |net| net.edge.records.len() == 26);
    assert_eq!(net.verified_groups(), 25);
}
