//! From publish to stored, between clients of one relay.

mod support;

use std::time::Duration;
use support::Net;

#[test]
fn a_message_is_accepted_delivered_and_then_stored() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish(who, 0, "hello");
    net.until("committed", |net| net.heard[who].contains(&"committed 1".into()));
    let expected = [
        "welcome epoch 1 head 0 committed 0 stored None",
        "accepted 0 as 0",
        "message 0 hello",
        "committed 1",
    ];
    assert_eq!(net.heard[who], expected);
    assert_eq!(net.edge.texts(), ["hello"]);
}

#[test]
fn two_publishers_share_one_order_that_both_hear() {
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
        net.heard[who]
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
