//! Sessions at shards that follow their stream's home shard, beside sessions at the home shard itself.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;
#[path = "followers/takeover.rs"]
mod takeover;

use relay_node::{Rate, Rates};
use std::time::Duration;
use streamchain_protocol::Address;
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::{KeyState, Notice, NoticeEvent, Withdrawal};
use support::signed::Author;
use support::{Net, STREAM, Who};

/// A member at this shard, welcomed and subscribed from seq 0.
fn member_at(net: &mut Net, shard: usize) -> Who {
    net.at_shard = shard;
    net.open_member()
}

fn notify(net: &mut Net, event: NoticeEvent) {
    let (notice, now) = (
        Notice {
            stream: STREAM,
            event,
        },
        net.now(),
    );
    net.shard.handle_notice(&notice, now);
}

fn messages(net: &Net, who: Who) -> Vec<String> {
    let received = net.received[who].iter();
    received
        .filter(|said| said.starts_with("message"))
        .cloned()
        .collect()
}

fn stored(net: &Net) -> Vec<String> {
    let texts = net.edge.texts();
    let numbered = texts.iter().enumerate();
    numbered
        .map(|(seq, text)| format!("message {seq} {text}"))
        .collect()
}

mod messages {
    use super::*;

    #[test]
    fn a_member_at_a_follower_sees_what_one_at_the_leader_sees() {
        let mut net = Net::large();
        let who = member_at(&mut net, 1);
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
        let asked = net.edge.asked.iter().filter(|asked| *asked == "acquire epoch");
        assert_eq!(asked.count(), 1, "one shard alone has the stream from the edge");
    }

    #[test]
    fn publishers_at_all_shards_share_one_order_that_all_receive() {
        let mut net = Net::large();
        net.link_latency = Duration::from_millis(2);
        let members: Vec<Who> = (0..6).map(|index| member_at(&mut net, index % 3)).collect();
        for number in 0..20 {
            for who in &members {
                net.publish(*who, number, &format!("{who} {number}"));
            }
            net.pass(Duration::from_millis(3));
        }
        net.until("all is stored", |net| net.edge.records.len() == 120);
        net.until("all is known", |net| {
            (0..6).all(|who| net.received[who].contains(&"committed 120".into()))
        });
        for who in members {
            assert_eq!(messages(&net, who), stored(&net));
        }
        assert_eq!(net.shard.counters().messages_accepted, 120);
        assert_eq!(
            net.shard.counters().link_messages_sent,
            240,
            "once for each shard that follows"
        );
    }

    #[test]
    fn a_late_subscriber_at_another_shard_gets_the_whole_stream() {
        let mut net = Net::large();
        let ann = member_at(&mut net, 1);
        (0..5).for_each(|number| net.publish(ann, number, "old"));
        net.until("stored", |net| net.edge.records.len() == 5);
        net.at_shard = 2;
        let bob = net.open();
        net.subscribe(bob, Some(2));
        net.until("bob receives", |net| {
            net.received[bob].contains(&"committed 5".into())
        });
        assert_eq!(messages(&net, bob), stored(&net)[2..]);
    }

    #[test]
    fn a_follower_that_fell_behind_gets_a_gap() {
        let mut net = Net::large();
        let (ann, bob) = (member_at(&mut net, 0), member_at(&mut net, 1));
        // Nothing reaches the follower until more than the replay buffer holds has been published.
        net.link_latency = Duration::from_secs(10);
        let text = "x".repeat(60_000);
        for number in 0..90 {
            net.publish(ann, number, &text);
            net.pass(Duration::from_millis(40));
        }
        net.link_latency = Duration::ZERO;
        net.until("stored", |net| net.edge.records.len() == 90);
        net.until("bob knows all", |net| {
            net.received[bob].contains(&"committed 90".into())
        });
        let seen = support::received::seqs(&net.received[bob]);
        assert_eq!(
            seen,
            (0..90).collect::<Vec<_>>(),
            "each seq is a message or in a gap, in order"
        );
        assert!(net.received[bob].iter().any(|said| said.starts_with("gap")));
        assert_eq!(messages(&net, ann).len(), 90, "and nobody else is slowed");
    }

    #[test]
    fn anchors_follow_their_messages_to_every_shard() {
        let mut net = Net::large();
        let (ann, bob) = (member_at(&mut net, 1), member_at(&mut net, 2));
        net.publish(ann, 0, "hello");
        net.until("stored", |net| net.received[bob].contains(&"committed 1".into()));
        net.anchored(0, 1);
        for who in [ann, bob] {
            net.until("anchored", |net| {
                net.received[who].contains(&"anchored 0+1 Anchored".into())
            });
        }
    }

    #[test]
    fn what_was_erased_is_a_gap_at_every_shard() {
        let mut net = Net::large();
        let ann = member_at(&mut net, 1);
        (0..3).for_each(|number| net.publish(ann, number, "text"));
        net.until("stored", |net| net.received[ann].contains(&"committed 3".into()));
        let seq = streamchain_protocol::ids::Seq(1);
        notify(&mut net, NoticeEvent::Erased { seq });
        net.pass(Duration::from_millis(1));
        let bob = member_at(&mut net, 1);
        net.until("bob receives", |net| {
            net.received[bob].contains(&"committed 3".into())
        });
        assert!(net.received[bob].contains(&"gap 0..2".into()));
        assert_eq!(messages(&net, bob), ["message 2 text"]);
    }
}

mod publishers {
    use super::*;

    #[test]
    fn a_left_out_number_is_refused_until_it_comes() {
        let mut net = Net::large();
        net.link_latency = Duration::from_millis(5);
        let who = member_at(&mut net, 1);
        net.publish(who, 0, "zero");
        net.publish(who, 2, "two");
        net.publish(who, 3, "three");
        net.until("refused", |net| net.received[who].contains(&"error 4".into()));
        (1..4).for_each(|number| net.publish(who, number, "again"));
        net.until("stored", |net| net.edge.records.len() == 4);
        assert_eq!(net.edge.texts(), ["zero", "again", "again", "again"]);
        let refusals = net.received[who].iter().filter(|said| *said == "error 4").count();
        assert_eq!(refusals, 1, "{:?}", net.received[who]);
    }

    #[test]
    fn a_publisher_that_changes_shards_loses_and_doubles_nothing() {
        let mut net = Net::large();
        net.link_latency = Duration::from_millis(2);
        let author = Author::new(9);
        let mut sent = 0;
        for shard in [1, 2, 0, 1, 2, 2, 0] {
            net.at_shard = shard;
            let who = net.open_as(author.address);
            net.hello(who, 9);
            // Some of what was published before, and three more.
            for number in sent.max(2) - 2..sent + 3 {
                net.publish(who, number, &format!("{number}"));
            }
            sent += 3;
            net.until("answered", |net| {
                let last = format!("accepted {} as {}", sent - 1, sent - 1);
                net.received[who].contains(&last)
            });
            net.deaf.push(who);
        }
        net.until("stored", |net| net.edge.records.len() == sent as usize);
        let expected: Vec<String> = (0..sent).map(|number| number.to_string()).collect();
        assert_eq!(net.edge.texts(), expected);
    }

    #[test]
    fn the_streams_rate_counts_over_all_shards() {
        let rates = Rates {
            stream: Rate {
                messages_per_s: 5,
                bytes_per_s: 0,
            },
            ..Rates::NONE
        };
        let mut net = Net::with_shards(3, rates);
        let members = [
            member_at(&mut net, 0),
            member_at(&mut net, 1),
            member_at(&mut net, 2),
        ];
        for who in members {
            (0..8).for_each(|number| net.publish(who, number, "text"));
        }
        // The leader's own session has eight of the ten, the one that comes next the rest.
        net.until("both followers' sessions are refused", |net| {
            let refused = |who: &Who| net.received[*who].iter().any(|said| said.starts_with("error 10"));
            members[1..].iter().all(refused)
        });
        net.pass(Duration::from_millis(200));
        assert_eq!(net.edge.records.len(), 10, "two seconds' worth of the stream");
        // Each goes on behind what was taken of it.
        for who in members {
            let taken = |net: &Net| {
                let said = net.received[who].iter();
                said.filter(|said| said.starts_with("accepted")).count() as u64
            };
            let mut next = taken(&net);
            while next < 8 {
                net.pass(Duration::from_secs(4));
                (next..8).for_each(|number| net.publish(who, number, "text"));
                net.pass(Duration::from_millis(200));
                let accepted = net.received[who]
                    .iter()
                    .filter(|said| said.starts_with("accepted"));
                next = accepted.count() as u64;
            }
        }
        net.until("all is stored", |net| net.edge.records.len() == 24);
    }

    #[test]
    fn groups_are_verified_by_the_leader() {
        let mut net = Net::large();
        net.at_shard = 1;
        let mut author = Author::new(1);
        let who = net.open_author(&author);
        net.subscribe_signed(who, 0);
        net.at_shard = 2;
        let able = net.open();
        net.takes_groups(able, true);
        net.subscribe_signed(able, 0);
        net.publish_group(who, &mut author, &["one", "two"]);
        net.until("stored", |net| net.edge.records.len() == 2);
        let mut forged = author.clone().sign(&["three"]);
        forged.frame.signature.0[5] ^= 1;
        net.send_group(who, &forged);
        net.until("refused", |net| net.received[who].contains(&"error 11".into()));
        net.publish_group(who, &mut author, &["three"]);
        net.until("stored", |net| net.edge.records.len() == 3);
        assert_eq!(net.verified_groups(), 2);
        net.pass(Duration::from_millis(100));
        let signatures = net.received[who]
            .iter()
            .filter(|said| said.starts_with("signature"));
        assert_eq!(signatures.count(), 2, "{:?}", net.received[who]);
        for group in ["group 0+2 one two", "group 2+1 three"] {
            assert_eq!(net.count(able, group), 1, "{:?}", net.received[able]);
        }
    }

    #[test]
    fn the_edge_is_asked_once_whose_a_key_is() {
        let mut net = Net::large();
        net.at_shard = 2;
        let mut author = Author::with_address(Address::repeat_byte(0x77), 1);
        let state = KeyState {
            ok: true,
            until: None,
            reason: None,
        };
        net.edge.keys.insert((author.address, author.key.public()), state);
        let who = net.open_author(&author);
        net.publish_group(who, &mut author, &["one"]);
        net.until("stored", |net| net.edge.records.len() == 1);
        let asked = net.edge.asked.iter().filter(|asked| asked.contains("and a key"));
        assert_eq!(asked.count(), 1);
    }

    #[test]
    fn a_message_from_before_the_welcome_is_not_lost() {
        let mut net = Net::large();
        net.link_latency = Duration::from_millis(20);
        net.at_shard = 1;
        let who = net.open();
        net.hello(who, 1);
        (0..3).for_each(|number| net.publish(who, number, "early"));
        net.until("stored", |net| net.edge.records.len() == 3);
        net.until("answered", |net| {
            net.received[who].contains(&"accepted 2 as 2".into())
        });
    }
}

mod ends {
    use super::*;

    #[test]
    fn a_lost_stream_moves_the_sessions_of_every_shard() {
        let mut net = Net::large();
        let members = [
            member_at(&mut net, 0),
            member_at(&mut net, 1),
            member_at(&mut net, 2),
        ];
        net.edge.take_over();
        net.publish(members[1], 0, "too late");
        for who in members {
            net.until("moved", |net| net.received[who].contains(&"error 5".into()));
        }
        net.edge.give_back();
        let again = member_at(&mut net, 2);
        net.publish(again, 0, "in time");
        net.until("stored", |net| net.edge.texts() == ["in time"]);
    }

    #[test]
    fn a_withdrawal_comes_before_what_was_committed_since() {
        let mut net = Net::large();
        let (ann, bob) = (member_at(&mut net, 0), member_at(&mut net, 1));
        net.edge.withdrawn = vec![Withdrawal {
            author: Some(Address::repeat_byte(2)),
            before: UnixSec(net.now().unix.to_sec().0),
        }];
        net.publish(ann, 0, "first");
        net.until("bob's session is over", |net| net.clients[bob].is_closed());
        net.publish(ann, 1, "second");
        net.until("stored", |net| net.edge.records.len() == 2);
        assert!(
            net.received[bob].contains(&"error 5".into()),
            "{:?}",
            net.received[bob]
        );
        assert!(
            !net.received[bob]
                .iter()
                .any(|said| said.contains("committed 1") || said.contains("second"))
        );
        assert!(!net.clients[ann].is_closed());
    }

    #[test]
    fn a_changed_setting_ends_welcomed_sessions_at_every_shard() {
        let mut net = Net::large();
        let (ann, bob) = (member_at(&mut net, 1), member_at(&mut net, 2));
        net.edge.signed = Some(Signed::Required);
        net.shard.confirm_streams();
        for who in [ann, bob] {
            net.until("changed", |net| net.received[who].contains(&"error 5".into()));
        }
        let late = member_at(&mut net, 2);
        net.publish(late, 0, "unsigned");
        net.until("refused", |net| net.received[late].contains(&"error 12".into()));
    }

    #[test]
    fn a_stream_that_nobody_uses_is_released() {
        let mut net = Net::large();
        let who = member_at(&mut net, 1);
        net.publish(who, 0, "hello");
        net.until("stored", |net| net.edge.records.len() == 1);
        net.deaf.push(who);
        net.pass(Duration::from_secs(65));
        assert!(!net.edge.is_released, "the follower keeps it for a while");
        net.until("released", |net| net.edge.is_released);
        assert_eq!(net.shard.load().streams, 0);
        assert_eq!(net.others[0].load().streams, 0);
    }

    #[test]
    fn a_relay_that_leaves_has_committed_what_followers_forwarded() {
        let mut net = Net::large();
        net.link_latency = Duration::from_millis(5);
        let who = member_at(&mut net, 1);
        (0..50).for_each(|number| net.publish(who, number, "text"));
        net.pass(Duration::from_millis(8));
        net.shard.begin_shutdown();
        net.others.iter_mut().for_each(|shard| shard.begin_shutdown());
        net.until("shipped", |net| {
            net.shard.is_shipped() && net.others.iter().all(|shard| shard.is_shipped())
        });
        let answers = |what: &str| {
            net.received[who]
                .iter()
                .filter(|said| said.starts_with(what))
                .count()
        };
        let accepted = answers("accepted");
        assert_eq!(net.edge.records.len(), accepted, "what was accepted is committed");
        assert!(
            accepted == 50 || answers("error 8") > 0,
            "{:?}",
            net.received[who]
        );
    }
}
