//! What a stranger, a forger or a broken client gets: nothing, or a word and the door.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use proptest::prelude::*;
use relay_testkit::Client;
use std::time::Duration;
use str0m::channel::{ChannelConfig, Reliability};
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::auth::{MaxMessage, SessionRights};
use streamchain_protocol::ids::SessionId;
use streamchain_protocol::wire::{Notice, NoticeEvent};
use support::{Net, STREAM, check::check, keys};

/// Nothing was kept, and nothing was said.
fn nothing_happened(net: &Net) {
    assert_eq!(net.shard.load().sessions, 0, "no state");
    assert_eq!(net.shard.load().streams, 0, "no stream was asked for");
    assert_eq!(net.shard.counters().datagrams_out, 0, "no answer");
    assert!(net.edge.asked.is_empty(), "nothing was asked of the edge");
}

#[test]
fn a_forged_token_makes_no_state_and_gets_no_answer() {
    let mut net = Net::new();
    let identity = net.identity();
    let strangers = RelayKey::from_hex(&"22".repeat(32)).unwrap().session_keys();
    let forged = net.token(&identity).sign(&strangers);
    let who = net.connect_with(&identity, forged, Client::channel());
    net.pass(Duration::from_secs(5));
    assert!(!net.clients[who].is_open());
    nothing_happened(&net);
    assert!(net.shard.counters().tokens_refused > 1, "it tried more than once");
}

#[test]
fn an_expired_token_makes_no_state_and_gets_no_answer() {
    let mut net = Net::new();
    let identity = net.identity();
    let mut token = net.token(&identity);
    token.expires.0 -= 61;
    net.connect_with(&identity, token.sign(&keys()), Client::channel());
    net.pass(Duration::from_secs(5));
    nothing_happened(&net);
    assert!(net.shard.counters().tokens_refused > 1);
}

#[test]
fn a_stolen_token_without_its_password_makes_no_state() {
    let mut net = Net::new();
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    // The thief saw the ufrag on the wire, but not the answer: its password is another's.
    let who = net.connect_as(&identity, token, "x".repeat(32), Client::channel());
    net.pass(Duration::from_secs(5));
    assert!(!net.clients[who].is_open());
    nothing_happened(&net);
    assert!(net.shard.counters().integrity_refused > 1);
}

#[test]
fn a_client_with_another_certificate_is_dropped() {
    let mut net = Net::new();
    let (signed, other) = (net.identity(), net.identity());
    let token = net.token(&signed).sign(&keys());
    let who = net.connect_with(&other, token, Client::channel());
    net.pass(Duration::from_secs(15));
    assert!(!net.clients[who].is_open());
    assert_eq!(
        net.shard.counters().certificates_refused,
        1,
        "and its token opens nothing again"
    );
    assert_eq!(net.shard.load().sessions, 0);
}

#[test]
fn a_token_opens_one_session_only() {
    let mut net = Net::new();
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    let first = net.connect_with(&identity, token.clone(), Client::channel());
    net.until("open", |net| net.clients[first].is_open());
    net.clients[first].close().unwrap();
    net.until("over", |net| net.shard.load().sessions == 0);
    let second = net.connect_with(&identity, token, Client::channel());
    net.pass(Duration::from_secs(5));
    assert!(!net.clients[second].is_open());
    assert_eq!(net.shard.counters().sessions_begun, 1);
}

#[test]
fn a_client_that_never_finishes_its_handshake_is_forgotten() {
    let mut net = Net::new();
    let who = net.connect();
    net.deaf.push(who);
    net.pass(Duration::from_millis(100));
    assert_eq!(net.shard.load().sessions, 1);
    net.clients.clear();
    net.pass(Duration::from_secs(11));
    assert_eq!(net.shard.load().sessions, 0);
    net.pass(Duration::from_secs(31));
    assert_eq!(net.shard.load().streams, 0, "and its stream with it");
}

#[test]
fn a_client_that_falls_silent_is_forgotten() {
    let mut net = Net::new();
    net.open_member();
    net.clients.clear();
    net.pass(Duration::from_secs(35));
    assert_eq!(net.shard.load().sessions, 0);
}

#[test]
fn a_client_that_moves_to_another_address_is_followed() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish(who, 0, "here");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    net.move_client(who);
    net.publish(who, 1, "there");
    net.until("stored", |net| net.received[who].contains(&"committed 2".into()));
}

#[test]
fn an_ice_restart_goes_on_with_the_session_and_the_old_answer() {
    let mut net = Net::new();
    let who = net.open_member();
    net.publish(who, 0, "here");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    for (number, ufrag) in [(1, "second"), (2, "third")] {
        net.clients[who].restart_ice(ufrag);
        net.publish(who, number, "there");
        let mark = format!("committed {}", number + 1);
        net.until("stored", |net| net.received[who].contains(&mark));
    }
    net.clients[who].restart_ice("fourth");
    net.move_client(who);
    net.publish(who, 3, "elsewhere");
    net.until("stored", |net| net.received[who].contains(&"committed 4".into()));
    assert_eq!(net.shard.load().sessions, 1);
}

#[test]
fn a_check_from_before_an_ice_restart_changes_nothing() {
    let mut net = Net::new();
    let who = net.open_member();
    net.clients[who].restart_ice("anew");
    net.pass(Duration::from_secs(3));
    let strays = net.shard.counters().strays;
    net.clients[who].restart_ice("load"); // what it began with
    net.pass(Duration::from_secs(3));
    assert!(net.shard.counters().strays > strays, "its checks are passed over");
    net.clients[who].restart_ice("anew");
    net.publish(who, 0, "still here");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
}

#[test]
fn a_client_is_followed_to_the_path_that_it_nominates() {
    let mut net = Net::new();
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    // Its first check comes through, with a higher priority than all others, but no answer ever gets back.
    let one_way = "127.0.0.9:9999".parse().unwrap();
    net.inject(&check(&token, u32::MAX / 2, false), one_way);
    assert_eq!(net.shard.load().sessions, 1);
    let who = net.connect_with(&identity, token, Client::channel());
    net.hello(who, 1);
    net.publish(who, 0, "by the other path");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    assert_eq!(net.shard.counters().sessions_begun, 1);
}

#[test]
fn a_malformed_frame_closes_its_session_and_no_other() {
    let mut net = Net::new();
    let (good, bad) = (net.open_member(), net.open_member());
    net.clients[bad].send_message(vec![0x83, 0x02, 0x00, 0x9f]);
    net.until("closed", |net| net.clients[bad].is_closed());
    assert!(net.received[bad].contains(&"error 1".into()));
    net.publish(good, 0, "still here");
    net.until("stored", |net| net.received[good].contains(&"committed 1".into()));
    assert_eq!(net.shard.load().sessions, 1);
}

#[test]
fn a_frame_of_an_unknown_kind_is_passed_over() {
    let mut net = Net::new();
    let who = net.open_member();
    net.clients[who].send_message(vec![0x82, 0x18, 0x63, 0x61, 0x78]);
    net.publish(who, 0, "goes on");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
}

#[test]
fn publishing_before_hello_or_without_the_right_is_refused() {
    let mut net = Net::new();
    let eager = net.open();
    net.publish(eager, 0, "who am I");
    net.until("refused", |net| net.received[eager] == ["error 9"]);

    let identity = net.identity();
    let mut token = net.token(&identity);
    token.rights = SessionRights {
        subscribe: true,
        publish: false,
    };
    let reader = net.connect_with(&identity, token.sign(&keys()), Client::channel());
    net.hello(reader, 1);
    net.publish(reader, 0, "may I");
    net.until("refused", |net| net.received[reader].contains(&"error 3".into()));
    assert!(net.edge.texts().is_empty());

    let mut token = net.token(&identity);
    token.rights = SessionRights {
        subscribe: false,
        publish: true,
    };
    let writer = net.connect_with(&identity, token.sign(&keys()), Client::channel());
    net.subscribe(writer, None);
    net.until("refused", |net| net.received[writer].contains(&"error 3".into()));
}

#[test]
fn a_session_that_the_edge_ends_gets_an_error_and_is_closed() {
    let mut net = Net::new();
    let (ended, other) = (net.open_member(), net.open_member());
    let notice = Notice {
        stream: STREAM,
        event: NoticeEvent::SessionEnded {
            session: SessionId([1; 8]),
        },
    };
    let now = net.now();
    net.shard.handle_notice(&notice, now);
    net.until("closed", |net| net.clients[ended].is_closed());
    assert!(net.received[ended].contains(&"error 7".into()));
    assert!(!net.clients[other].is_closed());
}

#[test]
fn an_unordered_channel_without_retransmits_works_too() {
    let mut net = Net::new();
    let ann = net.open_member();
    let reliability = Reliability::MaxRetransmits { retransmits: 0 };
    let channel = ChannelConfig {
        ordered: false,
        reliability,
        ..Client::channel()
    };
    let identity = net.identity();
    let token = net.token(&identity).sign(&keys());
    let bob = net.connect_with(&identity, token, channel);
    net.subscribe(bob, Some(0));
    net.until("open", |net| net.clients[bob].is_open());
    (0..50).for_each(|number| net.publish(ann, number, "fast"));
    net.until("the error", |net| {
        net.received[bob].contains(&"message 49 fast".into())
    });
}

#[test]
fn a_channel_of_another_protocol_or_label_gets_an_error() {
    let other = |label: &str, protocol: &str| ChannelConfig {
        label: label.into(),
        protocol: protocol.into(),
        ..Client::channel()
    };
    for channel in [other("streamchain", "chat.v1"), other("chat", "streamchain.v1")] {
        let mut net = Net::new();
        let identity = net.identity();
        let token = net.token(&identity).sign(&keys());
        let who = net.connect_with(&identity, token, channel);
        net.until("closed", |net| net.clients[who].is_closed());
        assert_eq!(net.received[who], ["error 9"]);
    }
}

#[test]
fn a_second_channel_is_refused_and_the_first_goes_on() {
    let mut net = Net::new();
    let who = net.open_member();
    for channels in 1..=8 {
        net.clients[who].open_another(Client::channel());
        net.until("the error", |net| {
            net.received[who].iter().filter(|said| *said == "error 9").count() == channels
        });
    }
    net.publish(who, 0, "still here");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    net.clients[who].open_another(Client::channel());
    net.until("closed", |net| net.shard.load().sessions == 0);
}

#[test]
fn a_second_hello_is_refused_and_the_session_goes_on() {
    let mut net = Net::new();
    let who = net.open_member();
    net.hello(who, 9);
    net.until("the error", |net| net.received[who].contains(&"error 9".into()));
    net.publish(who, 0, "as before");
    net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
}

#[test]
fn a_text_message_closes_the_session_with_an_error() {
    let mut net = Net::new();
    let who = net.open_member();
    net.clients[who].send_text("hello");
    net.until("closed", |net| net.clients[who].is_closed());
    assert_eq!(net.received[who].last().unwrap(), "error 1");
}

#[test]
fn what_is_larger_than_a_client_takes_comes_as_a_gap() {
    let mut net = Net::new();
    let ann = net.open_member();
    let identity = net.identity();
    let mut token = net.token(&identity);
    token.max_message = MaxMessage::of_offer(16_384);
    let bob = net.connect_with(&identity, token.sign(&keys()), Client::channel());
    net.subscribe(bob, Some(0));
    net.until("open", |net| net.clients[bob].is_open());
    net.publish_bytes(ann, 0, &[7; 60_000]);
    net.publish_bytes(ann, 1, &[7; 10_000]);
    net.until("the rest", |net| {
        net.received[bob].contains(&"committed 2".into())
    });
    assert_eq!(net.received[bob][..2], ["gap 0..1", "message 1 of 10000 bytes"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_datagrams_at_all_are_survived_and_make_no_state(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20),
        kind in prop::sample::select(vec![None, Some(vec![0, 1, 0, 60, 0x21, 0x12, 0xA4, 0x42]), Some(vec![22, 254, 253])]),
    ) {
        let mut net = Net::new();
        for mut datagram in datagrams {
            if let Some(head) = &kind {
                datagram.splice(0..0, head.clone());
            }
            net.inject(&datagram, Net::address(3));
        }
        nothing_happened(&net);
    }

    #[test]
    fn a_first_check_that_was_damaged_makes_no_state(
        at in any::<prop::sample::Index>(),
        damage in 0u8..4,
        byte: u8,
        length: u16,
    ) {
        let mut net = Net::new();
        let identity = net.identity();
        let token = net.token(&identity).sign(&keys());
        let mut check = check(&token, 1, false);
        // Its FINGERPRINT is the last 8 bytes: what stands there, or is wrong there, is not covered by integrity.
        let covered = check.len() - 8;
        let before = check.clone();
        match damage {
            0 => check[at.index(covered)] = byte,
            1 => check.truncate(at.index(covered)),
            2 => check[2..4].copy_from_slice(&length.to_be_bytes()),
            _ => {
                let at = 20 + at.index((covered - 20) / 4) * 4 + 2;
                check[at..at + 2].copy_from_slice(&length.to_be_bytes());
            }
        }
        prop_assume!(check != before);
        net.inject(&check, Net::address(3));
        nothing_happened(&net);
        net.inject(&before, Net::address(3));
        prop_assert_eq!(net.shard.load().sessions, 1, "whole, it is let in");
    }

    #[test]
    fn a_client_that_sends_any_bytes_is_survived(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..8)) {
        let mut net = Net::new();
        let (good, bad) = (net.open_member(), net.open());
        messages.into_iter().for_each(|message| net.clients[bad].send_message(message));
        net.pass(Duration::from_millis(300));
        net.publish(good, 0, "still here");
        net.until("stored", |net| net.received[good].contains(&"committed 1".into()));
    }

    #[test]
    fn garbage_to_a_session_from_its_own_address_does_not_end_it(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut net = Net::new();
        let who = net.open_member();
        for datagram in datagrams {
            net.inject(&datagram, Net::address(who));
        }
        net.publish(who, 0, "still here");
        net.until("stored", |net| net.received[who].contains(&"committed 1".into()));
    }
}
