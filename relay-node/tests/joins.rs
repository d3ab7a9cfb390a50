//! Many streams on one connection: further channels, their grants, their ends.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use relay_node::{Rate, Rates};
use relay_testkit::Client;
use std::time::Duration;
use str0m::channel::ChannelId;
use streamchain_protocol::Address;
use streamchain_protocol::auth::{JoinGrant, RelayKey, SessionRights};
use streamchain_protocol::ids::SessionId;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::frame::ClientFrame;
use streamchain_protocol::wire::{Notice, NoticeEvent};
use support::joining::stream;
use support::{Net, STREAM, Who, keys};

/// How many sessions and connections the relay has.
fn load(net: &Net) -> (u64, u64) {
    let load = net.shard.load();
    (load.sessions, load.connections)
}

/// Waits until a further channel is closed, and returns what came on it.
fn closed(net: &mut Net, who: Who, channel: ChannelId) -> Vec<String> {
    net.until("the channel is closed", |net| {
        net.clients[who].is_channel_closed(channel)
    });
    net.on(who, channel).to_vec()
}

/// The connection and its first session are as they were.
fn goes_on(net: &mut Net, who: Who, producer_seq: u64) {
    net.publish(who, producer_seq, "still here");
    let accepted = format!("accepted {producer_seq} as ");
    net.until("the first session goes on", |net| {
        net.received[who].iter().any(|said| said.starts_with(&accepted))
    });
}

#[test]
fn streams_on_one_connection_are_apart() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    let (a, b) = (
        net.join_as_member(ann, stream(1)),
        net.join_as_member(bob, stream(1)),
    );
    net.publish(ann, 0, "first stream");
    net.publish_on(ann, a, 0, b"second stream");
    net.until("both are committed", |net| {
        net.on(bob, b).contains(&"committed 1".into())
            && net.received[bob].contains(&"message 0 first stream".into())
    });
    assert!(net.on(bob, b).contains(&"message 0 second stream".into()));
    assert_eq!(net.edge.texts(), ["first stream"]);
    assert_eq!(net.other_streams[&stream(1)].texts(), ["second stream"]);
    assert_eq!(load(&net), (4, 2));
    assert_eq!(net.shard.counters().joins, 2);
}

#[test]
fn a_joined_channel_may_open_before_the_first() {
    let mut net = Net::new();
    let who = net.connect();
    let grant = net.grant(who, stream(1)).sign(&keys());
    let channel = net.join_with(who, &grant);
    net.subscribe_on(who, channel, 0);
    net.until("both are there", |net| {
        net.clients[who].is_open() && load(net) == (2, 1)
    });
    net.hello(who, 1);
    net.until("welcome", |net| !net.received[who].is_empty());
    goes_on(&mut net, who, 0);
}

#[test]
fn no_grant_but_a_good_one_joins() {
    let mut net = Net::new();
    let (who, other) = (net.open_member(), net.open_member());
    let good = net.grant(who, stream(1));
    let of_another = net.grant(other, stream(1)).sign(&keys());
    let foreign = RelayKey::from_hex(&"22".repeat(32)).unwrap().session_keys();
    let mut changed = good.sign(&keys());
    let last = if changed.pop() == Some('A') { 'B' } else { 'A' };
    changed.push(last);
    let expired = JoinGrant {
        expires: UnixSec(net.now().unix.to_sec().0 - 1),
        ..good
    };
    let anothers = JoinGrant {
        author: Address::repeat_byte(9),
        ..good
    };
    let grants = [
        changed,
        of_another,
        good.sign(&foreign),
        expired.sign(&keys()),
        anothers.sign(&keys()),
        String::new(),
        "x".repeat(5_000),
    ];
    let refused = grants.len() as u64;
    for grant in grants {
        let channel = net.join_with(who, &grant);
        assert_eq!(closed(&mut net, who, channel), ["error 3"]);
    }
    assert_eq!(net.shard.counters().joins_refused, refused);
    assert_eq!((load(&net), net.shard.load().streams), ((2, 2), 1));
    goes_on(&mut net, who, 0);
}

#[test]
fn a_channel_whose_first_frame_is_no_join_is_refused() {
    let mut net = Net::new();
    let who = net.open_member();
    let channel = net.clients[who].open_another(Client::joining_channel());
    net.subscribe_on(who, channel, 0);
    assert_eq!(closed(&mut net, who, channel), ["error 9"]);
    let silent = net.clients[who].open_another(Client::joining_channel());
    assert_eq!(closed(&mut net, who, silent), ["error 9"], "nothing came in time");
    goes_on(&mut net, who, 0);
}

#[test]
fn a_grant_opens_one_channel() {
    let mut net = Net::new();
    let who = net.open_member();
    let grant = net.grant(who, stream(1)).sign(&keys());
    let first = net.join_with(who, &grant);
    net.until("joined", |net| load(net) == (2, 1));
    let second = net.join_with(who, &grant);
    assert_eq!(closed(&mut net, who, second), ["error 3"]);
    net.clients[who].close_channel(first);
    net.until("it left", |net| load(net) == (1, 1));
    let again = net.join_with(who, &grant);
    assert_eq!(closed(&mut net, who, again), ["error 3"], "nor later");
    net.join_as_member(who, stream(1));
    assert_eq!(load(&net), (2, 1), "a new grant does");
}

#[test]
fn a_connection_that_shows_nine_bad_grants_ends() {
    let mut net = Net::new();
    let who = net.open_member();
    for _ in 0..8 {
        let channel = net.join_with(who, "no grant");
        closed(&mut net, who, channel);
    }
    net.join_as_member(who, stream(1));
    for _ in 0..8 {
        let channel = net.join_with(who, "no grant");
        closed(&mut net, who, channel);
    }
    goes_on(&mut net, who, 0);
    net.join_with(who, "no grant");
    net.until("the connection ends", |net| load(net) == (0, 0));
}

#[test]
fn a_connection_has_64_channels_and_no_more() {
    let mut net = Net::new();
    let who = net.open_member();
    let all: Vec<_> = (1..64)
        .map(|number| net.join_as_member(who, stream(number)))
        .collect();
    assert_eq!(load(&net), (64, 1));
    let grant = net.grant(who, stream(64)).sign(&keys());
    let over = net.join_with(who, &grant);
    assert_eq!(closed(&mut net, who, over), ["error 9"]);
    for (number, channel) in all.iter().enumerate() {
        net.publish_on(who, *channel, 0, format!("in {number}").as_bytes());
    }
    net.until("each is stored", |net| {
        all.iter()
            .all(|channel| net.on(who, *channel).contains(&"committed 1".into()))
    });
    goes_on(&mut net, who, 0);
}

#[test]
fn a_thousand_channels_opened_and_closed_leave_nothing() {
    let mut net = Net::new();
    let who = net.open_member();
    for round in 0..100 {
        let channels: Vec<_> = (1..=10)
            .map(|number| {
                let grant = net.grant(who, stream(number)).sign(&keys());
                net.join_with(who, &grant)
            })
            .collect();
        net.until("joined", |net| load(net) == (11, 1));
        channels
            .iter()
            .for_each(|channel| net.clients[who].close_channel(*channel));
        net.until("left", |net| load(net) == (1, 1));
        assert_eq!(net.shard.counters().joins, (round + 1) * 10);
    }
    goes_on(&mut net, who, 0);
    net.pass(Duration::from_secs(40));
    assert_eq!(
        net.shard.load().streams,
        1,
        "streams without sessions are released"
    );
}

#[test]
fn the_connection_ends_with_its_last_channel() {
    let mut net = Net::new();
    let who = net.open_member();
    let channel = net.join_as_member(who, stream(1));
    net.clients[who].close_first();
    net.until("the first left", |net| load(net) == (1, 1));
    net.publish_on(who, channel, 0, b"alone");
    net.until("stored", |net| {
        net.on(who, channel).contains(&"committed 1".into())
    });
    net.clients[who].close_channel(channel);
    net.until("nothing is left", |net| load(net) == (0, 0));
}

#[test]
fn rights_are_those_of_each_grant() {
    let mut net = Net::new();
    let who = net.open_member();
    let rights = SessionRights {
        subscribe: true,
        publish: false,
    };
    let grant = JoinGrant {
        rights,
        ..net.grant(who, stream(1))
    };
    let channel = net.join_with(who, &grant.sign(&keys()));
    net.publish_on(who, channel, 0, b"not allowed");
    net.until("refused", |net| net.on(who, channel).contains(&"error 3".into()));
    goes_on(&mut net, who, 0);
}

#[test]
fn what_ends_one_stream_ends_its_channel_alone() {
    let mut net = Net::new();
    let who = net.open_member();
    let ended = net.join_as_member(who, stream(1));
    let session = SessionId([0xee, 0, 0, 0, 0, 0, 0, 0]);
    let given = JoinGrant {
        session,
        ..net.grant(who, stream(2))
    };
    let by_id = net.join_with(who, &given.sign(&keys()));
    let timed = JoinGrant {
        end: Some(net.now().unix.to_sec().plus_s(20)),
        ..net.grant(who, stream(3))
    };
    let timed = net.join_with(who, &timed.sign(&keys()));
    net.until("all joined", |net| load(net) == (4, 1));
    let before = net.now().unix.to_sec();
    let withdrawn = Notice {
        stream: stream(1),
        event: NoticeEvent::Withdrawn {
            author: Some(Address::repeat_byte(who as u8 + 1)),
            authors: Vec::new(),
            before,
            again: true,
        },
    };
    let now = net.now();
    net.shard.handle_notice(&withdrawn, now);
    assert_eq!(closed(&mut net, who, ended).last().unwrap(), "error 5");
    let notice = Notice {
        stream: stream(2),
        event: NoticeEvent::SessionEnded { session },
    };
    let now = net.now();
    net.shard.handle_notice(&notice, now);
    assert_eq!(closed(&mut net, who, by_id), ["error 7"]);
    assert_eq!(closed(&mut net, who, timed), ["error 7"]);
    assert_eq!(load(&net), (1, 1));
    goes_on(&mut net, who, 0);
}

#[test]
fn a_newer_grant_renews_the_session_on_its_channel() {
    let mut net = Net::new();
    let who = net.open_member();
    let short = net.now().unix.to_sec().plus_s(20);
    let grant = JoinGrant {
        end: Some(short),
        ..net.grant(who, stream(1))
    };
    let channel = net.join_with(who, &grant.sign(&keys()));
    net.subscribe_on(who, channel, 0);
    net.until("joined", |net| load(net) == (2, 1));
    let elsewhere = net.grant(who, stream(2)).sign(&keys());
    net.clients[who].send_on(channel, &ClientFrame::Join { grant: &elsewhere });
    net.until("refused", |net| net.on(who, channel) == ["error 9"]);
    let newer = net.grant(who, stream(1)).sign(&keys());
    net.clients[who].send_on(channel, &ClientFrame::Join { grant: &newer });
    net.pass(Duration::from_secs(40));
    assert_eq!(load(&net), (2, 1), "it has no end any more");
    let rights = SessionRights {
        subscribe: true,
        publish: false,
    };
    let less = JoinGrant {
        rights,
        ..net.grant(who, stream(1))
    };
    net.clients[who].send_on(
        channel,
        &ClientFrame::Join {
            grant: &less.sign(&keys()),
        },
    );
    assert_eq!(closed(&mut net, who, channel).last().unwrap(), "error 5");
    goes_on(&mut net, who, 0);
}

#[test]
fn the_first_channel_is_renewed_by_a_grant_too() {
    let mut net = Net::new();
    let identity = net.identity();
    let mut token = net.token(&identity);
    token.end = Some(net.now().unix.to_sec().plus_s(30));
    let who = net.connect_with(&identity, token.sign(&keys()), Client::channel());
    net.hello(who, 1);
    net.until("welcome", |net| !net.received[who].is_empty());
    let grant = net.grant(who, STREAM).sign(&keys());
    net.clients[who].send(&ClientFrame::Join { grant: &grant });
    net.pass(Duration::from_secs(40));
    goes_on(&mut net, who, 0);
}

#[test]
fn a_stream_that_is_far_behind_delays_no_other() {
    let mut net = Net::new();
    let (ann, bob) = (net.open_member(), net.open_member());
    let a = net.join_as_member(ann, stream(1));
    for number in 0..9 {
        net.publish_bytes(ann, number, &[7; 60_000]);
    }
    net.until("all are stored", |net| {
        net.received[ann].contains(&"committed 9".into())
    });
    net.latency = Duration::from_millis(50);
    let b = net.join_as_member(bob, stream(1));
    net.subscribe(bob, Some(0));
    net.pass(Duration::from_millis(250));
    let caught_up = |net: &Net| {
        net.received[bob]
            .iter()
            .filter(|said| said.contains("60000"))
            .count()
    };
    let before = caught_up(&net);
    net.publish_on(ann, a, 0, b"live");
    net.pass(Duration::from_millis(350));
    assert!(
        net.on(bob, b).contains(&"message 0 live".into()),
        "within three round trips"
    );
    assert!(caught_up(&net) > before, "the other goes on");
    net.until("it catches up", |net| caught_up(net) == 18);
}

#[test]
fn a_stream_whose_leader_is_not_known_delays_no_other() {
    let mut net = Net::new();
    let who = net.open_member();
    net.other_streams.entry(stream(1)).or_default().acquire_faults = [support::edge::Fault::Silence].into();
    let grant = net.grant(who, stream(1)).sign(&keys());
    let waiting = net.join_with(who, &grant);
    net.subscribe_on(who, waiting, 0);
    let other = net.join_as_member(who, stream(2));
    net.publish_on(who, other, 0, b"here");
    net.until("stored", |net| net.on(who, other).contains(&"committed 1".into()));
    assert!(net.on(who, waiting).is_empty());
}

#[test]
fn a_connections_channels_share_four_times_a_sessions_rate() {
    let rate = Rate {
        messages_per_s: 10,
        bytes_per_s: 0,
    };
    let mut net = Net::with_rates(Rates {
        session: rate,
        ..Rates::NONE
    });
    let who = net.open();
    let channels: Vec<_> = (1..=8)
        .map(|number| net.join_as_publisher(who, stream(number)))
        .collect();
    net.pass(Duration::from_secs(10));
    for number in 0..15 {
        let publish = |channel: &ChannelId| net.publish_on(who, *channel, number, b"x");
        channels.iter().for_each(publish);
    }
    net.pass(Duration::from_millis(100));
    let count = |net: &Net, channel: ChannelId, what: &str| {
        let said = net.on(who, channel).iter();
        said.filter(|said| said.starts_with(what)).count()
    };
    let accepted: Vec<_> = channels
        .iter()
        .map(|channel| count(&net, *channel, "accepted"))
        .collect();
    assert_eq!(
        accepted.iter().sum::<usize>(),
        80,
        "two seconds' worth of four sessions, of 120"
    );
    for (channel, accepted) in channels.iter().zip(&accepted) {
        let refused = count(&net, *channel, "error 10 wait");
        assert_eq!(
            refused,
            usize::from(*accepted < 15),
            "who is refused learns it, once"
        );
    }
    net.pass(Duration::from_secs(10));
    for (channel, accepted) in channels.iter().zip(accepted) {
        (accepted as u64..15).for_each(|number| net.publish_on(who, *channel, number, b"x"));
    }
    net.until("nothing is lost", |net| {
        channels
            .iter()
            .all(|channel| net.on(who, *channel).contains(&"committed 15".into()))
    });
}

#[test]
fn an_old_client_on_one_channel_is_served_as_before() {
    let mut net = Net::new();
    let who = net.open_member();
    net.clients[who].open_another(Client::channel());
    net.until("the error", |net| net.received[who].contains(&"error 9".into()));
    goes_on(&mut net, who, 0);
}

#[test]
fn where_nothing_is_stored_no_producer_is_looked_up() {
    let mut net = Net::new();
    let who = net.open_member();
    let channel = net.join_as_publisher(who, stream(2));
    let asked = |net: &Net| net.other_streams[&stream(2)].asked.clone();
    assert_eq!(asked(&net), ["acquire epoch"]);
    net.publish_on(who, channel, 0, b"first");
    net.until("stored", |net| net.other_streams[&stream(2)].texts() == ["first"]);
    let other = net.open_member();
    net.join_as_publisher(other, stream(2));
    assert_eq!(asked(&net).last().unwrap(), "producer 2");
}
