//! Signed groups, from publish to stored, between clients of one relay.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

#[path = "signed/forms.rs"]
mod forms;
#[path = "signed/random.rs"]
mod random;
#[path = "signed/rates.rs"]
mod rates;
mod support;

use std::time::Duration;
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::{KeyState, Notice, NoticeEvent};
use streamchain_protocol::{Address, B256};
use support::edge::Fault;
use support::signed::{Author, Group};
use support::{Net, STREAM, Who};

/// Waits until a client received this.
fn wait(net: &mut Net, who: Who, what: &str) {
    net.until(what, |net| net.count(who, what) > 0);
}

#[test]
fn a_group_is_accepted_whole_delivered_and_stored() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let (who, plain, verifier) = (net.open_author(&ann), net.open_member(), net.open());
    net.subscribe_signed(verifier, 0);
    net.publish_group(who, &mut ann, &["a", "b", "c"]);
    net.publish_group(who, &mut ann, &["d"]);
    wait(&mut net, verifier, "committed 4");
    wait(&mut net, plain, "committed 4");
    assert_eq!(net.count(who, "accepted 0+3 as 0"), 1, "{:?}", net.received[who]);
    assert_eq!(net.count(who, "accepted 3+1 as 3"), 1);
    let messages = ["message 0 a", "message 1 b", "message 2 c", "message 3 d"];
    let signed = [
        &["signature 0+3"],
        &messages[..3],
        &["signature 3+1"],
        &messages[3..],
    ]
    .concat();
    assert_eq!(net.received[verifier][..6], signed);
    let got: Vec<&String> = net.received[plain]
        .iter()
        .filter(|said| !said.starts_with("welcome"))
        .collect();
    assert_eq!(got[..4], messages, "who did not ask gets what there was before");
    assert_eq!(net.verified_groups(), 2);
    let counters = net.shard.counters();
    assert_eq!((counters.groups_accepted, counters.messages_accepted), (2, 4));
}

#[test]
fn a_subscriber_inside_a_group_gets_no_signature_of_it() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    net.publish_group(who, &mut ann, &["a", "b", "c"]);
    net.publish_group(who, &mut ann, &["d", "e"]);
    net.until("stored", |net| net.edge.records.len() == 5);
    let late = net.open();
    net.subscribe_signed(late, 1);
    wait(&mut net, late, "committed 5");
    let frames: Vec<&String> = net.received[late]
        .iter()
        .filter(|said| !said.starts_with("committed"))
        .collect();
    assert_eq!(
        frames,
        [
            "message 1 b",
            "message 2 c",
            "signature 3+2",
            "message 3 d",
            "message 4 e"
        ]
    );
}

#[test]
fn a_bad_signature_leaves_no_trace_and_holds_back_what_follows() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    let (good, next) = (ann.sign(&["a", "b"]), ann.sign(&["c"]));
    let forgeries: [fn(&mut Group); 3] = [
        |group| group.frame.signature.0[5] ^= 1,
        |group| group.payloads[1] = b"x".to_vec(),
        |group| group.payloads.swap(0, 1),
    ];
    for (index, forge) in forgeries.into_iter().enumerate() {
        let mut forged = good.clone();
        forge(&mut forged);
        net.send_group(who, &forged);
        net.send_group(who, &next);
        net.until("refused", |net| net.count(who, "error 11") == index + 1);
    }
    net.pass(Duration::from_millis(200));
    assert_eq!(
        net.received[who].len(),
        4,
        "one answer each: {:?}",
        net.received[who]
    );
    assert_eq!((net.edge.records.len(), net.edge.batches), (0, 0));
    net.send_group(who, &good);
    net.send_group(who, &next);
    net.until("stored", |net| net.edge.records.len() == 3);
    assert_eq!(net.verified_groups(), 2);
    assert_eq!(net.refused_signatures(), 3);
}

#[test]
fn a_group_cut_short_or_of_another_stream_does_not_hold() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    let mut cut = ann.sign(&["a", "b", "c"]);
    cut.payloads.pop();
    net.send_group(who, &cut);
    net.until("refused", |net| net.count(who, "error 11") == 1);
    let mut elsewhere = Author::new(2);
    elsewhere.signer = relay_testkit::GroupSigner::new(
        ann.key.clone(),
        streamchain_protocol::ids::StreamId([7; 32]),
        ann.address,
        streamchain_protocol::ids::ProducerId([1; 16]),
    );
    let replayed = elsewhere.sign(&["a"]);
    net.send_group(who, &replayed);
    net.until("refused", |net| net.count(who, "error 11") == 2);
    assert_eq!(net.edge.records.len(), 0);
}

#[test]
fn a_key_signs_for_others_only_as_long_as_the_edge_says() {
    let mut net = Net::new();
    let address = Address::repeat_byte(0xAA);
    let mut ann = Author::with_address(address, 1);
    let who = net.open_author(&ann);
    let first = net.publish_group(who, &mut ann, &["a"]);
    net.until("refused", |net| net.count(who, "error 11") == 1);
    let until = UnixSec(net.now().unix.to_sec().0 + 5);
    let state = KeyState {
        ok: true,
        until: Some(until),
        reason: None,
    };
    net.edge.keys.insert((address, ann.key.public()), state);
    let again = net.open_author(&ann);
    net.send_group(again, &first);
    wait(&mut net, again, "accepted 0+1 as 0");
    net.pass(Duration::from_secs(6));
    let second = net.publish_group(again, &mut ann, &["b"]);
    net.until("refused", |net| net.count(again, "error 11") == 1);
    net.send_group(again, &first);
    net.pass(Duration::from_millis(100));
    net.send_group(again, &second);
    net.until("refused again", |net| net.count(again, "error 11") == 2);
    assert_eq!(
        net.count(again, "accepted 0+1 as 0"),
        2,
        "what was taken before is known all the same"
    );
    let stranger = Author::with_address(Address::repeat_byte(0xBB), 1);
    let asked = net
        .edge
        .asked
        .iter()
        .filter(|asked| *asked == "producer 1 and a key")
        .count();
    assert_eq!(asked, 2, "one question for each session");
    let own = Author::new(1);
    net.open_author(&own);
    assert_eq!(
        net.edge
            .asked
            .iter()
            .filter(|asked| asked.ends_with("and a key"))
            .count(),
        2,
        "a key that makes the author's address is not asked about"
    );
    let other = net.open_as(stranger.address);
    net.hello(other, 1);
    net.until("welcome", |net| !net.received[other].is_empty());
    let mut stranger = stranger;
    net.publish_group(other, &mut stranger, &["x"]);
    net.until("refused", |net| net.count(other, "error 11") == 1);
}

#[test]
fn a_producers_groups_follow_each_other() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    let first = ann.sign(&["a", "b"]);
    let second = ann.sign(&["c"]);
    let mut beginning = first.clone();
    beginning.frame.previous = B256::repeat_byte(1);
    net.send_group(who, &beginning);
    net.until("refused", |net| net.count(who, "error 13") == 1);
    net.send_group(who, &second);
    net.pass(Duration::from_millis(50));
    net.send_group(who, &first);
    wait(&mut net, who, "accepted 0+2 as 0");
    let mut other = second.clone();
    other.frame.previous = B256::ZERO;
    net.send_group(who, &other);
    net.until("refused", |net| net.count(who, "error 13") == 2);
    net.publish(who, 2, "unsigned");
    net.until("refused", |net| net.count(who, "error 13") == 3);
    net.send_group(who, &second);
    wait(&mut net, who, "accepted 2+1 as 2");
    let mut bob = Author::new(2);
    let unsigned = net.open_author(&bob);
    net.publish(unsigned, 0, "unsigned");
    wait(&mut net, unsigned, "accepted 0 as 3");
    bob.sign(&["in place of the unsigned one"]);
    let behind = bob.sign(&["b"]);
    net.send_group(unsigned, &behind);
    net.until("refused", |net| net.count(unsigned, "error 13") == 1);
    net.publish(unsigned, 1, "unsigned again");
    wait(&mut net, unsigned, "accepted 1 as 4");
    net.until("stored", |net| net.edge.records.len() == 5);
    assert_eq!(net.verified_groups(), 2);
    assert_eq!(net.refused_signatures(), 0, "none of it was verified");
}

#[test]
fn a_stream_that_requires_signatures_takes_nothing_else() {
    let mut net = Net::new();
    net.edge.signed = Some(Signed::Required);
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    net.publish(who, 0, "unsigned");
    net.publish(who, 1, "passed over");
    wait(&mut net, who, "error 12");
    net.publish_group(who, &mut ann, &["signed"]);
    wait(&mut net, who, "accepted 0+1 as 0");
    net.pass(Duration::from_millis(200));
    assert_eq!(net.edge.texts(), ["signed"]);
    assert_eq!(
        net.received[who]
            .iter()
            .filter(|said| said.starts_with("error"))
            .count(),
        1
    );
}

#[test]
fn an_edge_of_the_version_before_gets_no_group() {
    let mut net = Net::new();
    net.edge.signed = None;
    let mut ann = Author::with_address(Address::repeat_byte(0xAA), 1);
    let who = net.open_author(&ann);
    net.publish_group(who, &mut ann, &["a"]);
    wait(&mut net, who, "error 9");
    net.publish(who, 0, "unsigned");
    net.until("stored", |net| net.edge.texts() == ["unsigned"]);
    assert!(net.edge.asked.iter().all(|asked| !asked.ends_with("key")));
}

#[test]
fn a_repeated_group_is_known_and_a_part_of_one_refused() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    let first = net.publish_group(who, &mut ann, &["a", "b", "c"]);
    net.send_group(who, &first);
    net.until("known in the open batch", |net| {
        net.count(who, "accepted 0+3 as 0") == 2
    });
    assert_eq!(net.edge.records.len(), 0, "it is not stored yet");
    net.until("stored", |net| net.edge.records.len() == 3);
    net.send_group(who, &first);
    net.until("known", |net| net.count(who, "accepted 0+3 as 0") == 3);
    let part = |from: usize, texts: &[&str]| Group {
        frame: relay_testkit::SignedFrame {
            first: from as u64,
            ..first.frame.clone()
        },
        payloads: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
    };
    for (index, overlapping) in [part(0, &["a", "b"]), part(1, &["b", "c"]), part(2, &["c", "d"])]
        .iter()
        .enumerate()
    {
        net.send_group(who, overlapping);
        net.until("refused", |net| net.count(who, "error 4") == index + 1);
    }
    net.publish_group(who, &mut ann, &["d"]);
    net.until("stored", |net| net.edge.records.len() == 4);
    assert_eq!(net.verified_groups(), 2);
}

#[test]
fn a_group_that_was_sent_before_the_welcome_is_not_lost() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_as(ann.address);
    net.hello_with(who, 1, ann.key.public());
    net.publish_group(who, &mut ann, &["a", "b"]);
    net.publish_group(who, &mut ann, &["c"]);
    net.until("stored", |net| net.edge.records.len() == 3);
    assert_eq!(net.verified_groups(), 2);
    let early: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    let early: Vec<&str> = early.iter().cycle().take(256).map(String::as_str).collect();
    let mut bob = Author::new(2);
    let flooding = net.open_as(bob.address);
    net.hello_with(flooding, 2, bob.key.public());
    let groups: Vec<Group> = (0..6).map(|_| bob.sign(&early)).collect();
    groups.iter().for_each(|group| net.send_group(flooding, group));
    net.until("refused", |net| net.count(flooding, "error 8") == 1);
    net.until("stored", |net| net.edge.records.len() == 3 + 1_024);
    groups[4..]
        .iter()
        .for_each(|group| net.send_group(flooding, group));
    net.until("stored", |net| net.edge.records.len() == 3 + 1_536);
    assert_eq!(net.verified_groups(), 8);
}

#[test]
fn a_group_is_whole_or_not_there_when_the_relay_changes() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    net.edge.batch_faults.extend([Fault::After, Fault::Before]);
    let who = net.open_author(&ann);
    let mut groups: Vec<Group> = (0..5).map(|_| ann.sign(&["a", "b", "c"])).collect();
    groups.iter().for_each(|group| net.send_group(who, group));
    net.until("some is stored", |net| !net.edge.records.is_empty());
    groups.push(ann.sign(&["d"]));
    net.send_group(who, &groups[5]);
    net.restart_relay();
    let again = net.open_author(&ann);
    let stored = net.edge.records.len() as u64;
    assert!(
        groups.iter().any(|group| group.end() == stored),
        "{stored} is no end of a group"
    );
    groups.iter().for_each(|group| net.send_group(again, group));
    net.until("all is stored", |net| net.edge.records.len() == 16);
    assert_eq!(net.verified_groups(), 6);
    groups[..5].iter().for_each(|group| net.send_group(again, group));
    net.publish_group(again, &mut ann, &["e"]);
    net.until("it goes on", |net| net.edge.records.len() == 17);
    assert_eq!(
        net.verified_groups(),
        7,
        "the relay learned the last digest from the edge"
    );
}

#[test]
fn a_group_by_http_is_taken_whole_and_goes_on_by_channel() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    net.open_member();
    let verifier = net.open();
    net.subscribe_signed(verifier, 0);
    let groups = [ann.sign(&["a", "b"]), ann.sign(&["c"])];
    net.edge.batch_faults.extend([Fault::Before, Fault::After]);
    net.append_group(&ann, &groups[0]);
    net.append_group(&ann, &groups[1]);
    net.notify_append();
    net.until("stored", |net| net.edge.records.len() == 3);
    wait(&mut net, verifier, "signature 0+2");
    wait(&mut net, verifier, "signature 2+1");
    let who = net.open_author(&ann);
    net.publish_group(who, &mut ann, &["d"]);
    wait(&mut net, who, "accepted 3+1 as 3");
    net.until("stored", |net| net.edge.records.len() == 4);
    assert_eq!(net.verified_groups(), 3);
}

#[test]
fn what_does_not_follow_in_the_inbox_holds_back_nobody() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    let (by_http, mut stays) = (ann.clone().sign(&["http"]), ann.clone());
    net.publish_group(who, &mut ann, &["by channel", "meanwhile"]);
    wait(&mut net, who, "accepted 0+2 as 0");
    // The same producer at the same time: of its numbers only one group can be stored.
    net.append_group(&stays, &by_http);
    net.append(9, 0, "another's");
    net.until("stored", |net| net.edge.texts().contains(&"another's".into()));
    assert_eq!(net.edge.texts(), ["by channel", "meanwhile", "another's"]);
    stays.sign(&["x"]);
    assert_eq!(net.verified_groups(), 1);
}

#[test]
fn a_changed_setting_ends_sessions_and_counts_for_the_next() {
    let mut net = Net::new();
    let member = net.open_member();
    net.publish(member, 0, "before");
    net.until("stored", |net| net.edge.records.len() == 1);
    net.edge.signed = Some(Signed::Required);
    let event = NoticeEvent::Withdrawn {
        author: None,
        authors: Vec::new(),
        before: net.now().unix.to_sec(),
        again: true,
    };
    let (notice, now) = (
        Notice {
            stream: STREAM,
            event,
        },
        net.now(),
    );
    net.shard.handle_notice(&notice, now);
    net.until("it must connect again", |net| net.count(member, "error 5") == 1);
    net.pass(Duration::from_secs(1));
    let mut ann = Author::new(8);
    let who = net.open_author(&ann);
    net.publish(who, 0, "unsigned");
    wait(&mut net, who, "error 12");
    net.publish_group(who, &mut ann, &["signed"]);
    net.until("stored", |net| net.edge.texts() == ["before", "signed"]);
}

#[test]
fn a_group_without_room_is_refused_whole() {
    let mut net = Net::new();
    let mut ann = Author::new(1);
    let who = net.open_author(&ann);
    net.stall(Duration::from_secs(5));
    let half = "x".repeat(30_000);
    let groups: Vec<Group> = (0..20).map(|_| ann.sign(&[&half, &half])).collect();
    groups.iter().for_each(|group| net.send_group(who, group));
    wait(&mut net, who, "error 8");
    net.pass(Duration::from_secs(10));
    let taken = support::MEMORY.uncommitted_bytes / 60_000;
    assert_eq!(net.edge.records.len(), 2 * taken);
    groups[taken..]
        .iter()
        .for_each(|group| net.send_group(who, group));
    net.until("stored", |net| net.edge.records.len() == 40);
    assert_eq!(net.verified_groups(), 20);
    let large = "x".repeat(65_536);
    let mut cut = ann.clone();
    let too_large = cut.sign(&[&large, "y"]);
    net.send_group(who, &too_large);
    wait(&mut net, who, "error 2");
    net.publish_group(who, &mut ann, &[&large]);
    net.until("stored", |net| net.edge.records.len() == 41);
}
