//! In which form a group comes to its subscribers.

use crate::support::edge::Fault;
use crate::support::signed::Author;
use crate::support::{Net, Who};
use crate::wait;
use std::time::Duration;

/// What a client received of messages and groups.
fn frames(net: &Net, who: Who) -> Vec<&str> {
    let received = net.received[who].iter().map(String::as_str);
    received
        .filter(|said| {
            ["group", "message", "signature"]
                .iter()
                .any(|kind| said.starts_with(kind))
        })
        .collect()
}

#[test]
fn a_group_comes_whole_to_who_takes_it_so_and_asks() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let (who, verifier, able) = (net.open_author(&ann), net.open(), net.open_member());
    net.takes_groups(verifier, true);
    net.takes_groups(able, true);
    net.subscribe_signed(verifier, 0);
    net.publish_group(who, &mut ann, &["a", "b", "c"]);
    net.publish_group(who, &mut ann, &["d"]);
    wait(&mut net, verifier, "committed 4");
    wait(&mut net, able, "committed 4");
    let groups = ["group 0+3 a b c", "group 3+1 d"];
    assert_eq!(frames(&net, verifier), groups);
    let messages = ["message 0 a", "message 1 b", "message 2 c", "message 3 d"];
    assert_eq!(frames(&net, able), messages, "who did not ask gets no signature");

    let late = net.open();
    net.takes_groups(late, true);
    net.subscribe_signed(late, 1);
    wait(&mut net, late, "committed 4");
    assert_eq!(
        frames(&net, late),
        ["message 1 b", "message 2 c", groups[1]],
        "who begins inside a group gets the rest of it without its signature"
    );

    net.takes_groups(verifier, false);
    net.publish_group(who, &mut ann, &["e", "f"]);
    wait(&mut net, verifier, "committed 6");
    wait(&mut net, late, "committed 6");
    let parts = ["signature 4+2", "message 4 e", "message 5 f"];
    assert_eq!(frames(&net, verifier)[2..], parts, "the latest abilities count");
    assert_eq!(frames(&net, late)[3..], ["group 4+2 e f"]);
}

#[test]
fn the_first_who_asks_gets_the_signature_of_the_newest_group() {
    for takes_groups in [false, true] {
        let mut net = Net::new();
        let mut ann = Author::new(1);
        let (who, late) = (net.open_author(&ann), net.open());
        net.takes_groups(late, takes_groups);
        // Without an answer to the batch, no turn follows in which the stream sends anything anew.
        net.edge.batch_faults.push_back(Fault::Silence);
        net.publish_group(who, &mut ann, &["a", "b"]);
        net.until("sent", |net| net.count(who, "accepted 0+2 as 0") == 1);
        net.subscribe_signed(late, 0);
        net.pass(Duration::from_millis(100));
        let expected = match takes_groups {
            true => vec!["group 0+2 a b"],
            false => vec!["signature 0+2", "message 0 a", "message 1 b"],
        };
        assert_eq!(frames(&net, late), expected);
    }
}

#[test]
fn a_group_larger_than_shared_messages_comes_in_parts() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let (who, verifier) = (net.open_author(&ann), net.open());
    net.takes_groups(verifier, true);
    net.subscribe_signed(verifier, 0);
    let text = "x".repeat(6_000);
    net.publish_group(who, &mut ann, &[&text, &text, &text]);
    net.publish_group(who, &mut ann, &[&text, &text]);
    wait(&mut net, verifier, "committed 5");
    let got = frames(&net, verifier);
    assert_eq!(got.len(), 5, "{got:?}");
    assert_eq!(got[0], "signature 0+3");
    assert!(got[4].starts_with("group 3+2 xxx"), "12,000 bytes fit in 16 KiB");
}
