//! The relay as a process, over real sockets: from `relay-node run` to its exit.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

#[path = "support/process.rs"]
mod process;

use process::{PATIENCE, Peer, Process, STREAM, Scene, free_address, key, metric};
use relay_testkit::bench::links::{self, LinksArgs};
use relay_testkit::{GroupSigner, SignedFrame, SigningKey, stream_id, verify_records};
use std::time::Instant;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{ProducerId, Seq, SessionId, ShortId};
use streamchain_protocol::wire::frame::{ClientFrame, RelayFrame};

#[test]
fn a_terminated_relay_commits_its_messages_and_says_goodbye() {
    let scene = Scene::new();
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let relay = Process::run_with(&scene.edge.url(), &key().to_hex(), scene.state.path(), &arguments);
    scene.until("registered", |_| {
        metric(metrics, "streamchain_registered") == Some(1.0)
    });
    let mut peer = scene.connect();
    peer.client.send(&ClientFrame::Hello {
        producer: ProducerId([1; 16]),
        key: None,
    });
    peer.client.send(&ClientFrame::Subscribe {
        from: Some(Seq(0)),
        signatures: false,
    });
    peer.client.send(&ClientFrame::Publish {
        producer_seq: 0,
        payload: b"first",
    });
    peer.until("stored", |frame| {
        matches!(frame, RelayFrame::Committed { committed: Seq(1) })
    });
    assert_eq!(scene.stored(), ["first"]);

    scene.edge.kept().failures = 2;
    peer.client.send(&ClientFrame::Publish {
        producer_seq: 1,
        payload: b"last",
    });
    peer.until("accepted", |frame| {
        matches!(frame, RelayFrame::Accepted { producer_seq: 1, .. })
    });
    relay.terminate();
    let mut committed = false;
    peer.until("going away, after all is committed", |frame| {
        committed |= matches!(frame, RelayFrame::Committed { committed: Seq(2) });
        matches!(frame, RelayFrame::Error { code: 6, .. })
    });
    assert!(committed);
    let (status, said) = relay.end();
    assert!(status.success(), "{said}");
    assert_eq!(scene.stored(), ["first", "last"]);
    assert!(scene.edge.kept().goodbye);
}

#[test]
fn batches_of_several_streams_leave_together() {
    for knows_no_bundles in [false, true] {
        let scene = Scene::new();
        scene.edge.kept().knows_no_bundles = knows_no_bundles;
        let relay = Process::run(&scene.edge.url(), &key().to_hex(), scene.state.path());
        scene.until("registered", |scene| scene.edge.kept().registration.is_some());
        let mut peers = [9, 7].map(|stream| scene.connect_to(ShortId([stream; 20]), Address::ZERO));
        for (peer, producer) in peers.iter_mut().zip(1..) {
            peer.client.send(&ClientFrame::Hello {
                producer: ProducerId([producer; 16]),
                key: None,
            });
            peer.client.send(&ClientFrame::Subscribe {
                from: Some(Seq(0)),
                signatures: false,
            });
        }
        let (mut published, deadline) = (0, Instant::now() + PATIENCE);
        while scene.edge.kept().bundles == 0 {
            assert!(Instant::now() < deadline, "a bundle came");
            for peer in &mut peers {
                peer.client.send(&ClientFrame::Publish {
                    producer_seq: published,
                    payload: b"together",
                });
                peer.until("accepted", |frame| {
                    matches!(frame, RelayFrame::Accepted { producer_seq, .. } if *producer_seq == published)
                });
            }
            published += 1;
            scene.until("both are stored", |scene| {
                scene.stored().len() as u64 >= 2 * published
            });
        }
        assert_eq!(scene.stored().len() as u64, 2 * published, "each once");
        relay.terminate();
        assert!(relay.end().0.success());
    }
}

#[test]
fn sessions_at_two_threads_share_one_stream() {
    let scene = Scene::new();
    let metrics = free_address();
    let arguments = ["--shards", "2", "--metrics-listen", &metrics.to_string()];
    let relay = Process::run_with(&scene.edge.url(), &key().to_hex(), scene.state.path(), &arguments);
    scene.until("registered", |_| {
        metric(metrics, "streamchain_registered") == Some(1.0)
    });
    assert!(
        scene
            .edge
            .kept()
            .registration
            .as_ref()
            .is_some_and(|said| said.spreads)
    );
    // The stream's home is the second thread; the first one follows it.
    let sessions = [1, 2].map(|byte| SessionId([byte; 8]));
    let mut peers = sessions.map(|session| scene.connect_at(STREAM, Address::ZERO, session));
    for (index, peer) in peers.iter_mut().enumerate() {
        peer.client.send(&ClientFrame::Hello {
            producer: ProducerId([index as u8; 16]),
            key: None,
        });
        peer.client.send(&ClientFrame::Subscribe {
            from: Some(Seq(0)),
            signatures: false,
        });
        peer.client.send(&ClientFrame::Publish {
            producer_seq: 0,
            payload: b"text",
        });
        let seq = Seq(index as u64);
        peer.until("accepted", |frame| {
            matches!(frame, RelayFrame::Accepted { producer_seq: 0, seq: Some(given), .. } if *given == seq)
        });
    }
    for peer in &mut peers {
        peer.until("both are committed", |frame| {
            matches!(frame, RelayFrame::Committed { committed: Seq(2) })
        });
    }
    assert_eq!(scene.stored(), ["text", "text"]);
    scene.until("the metrics follow", |_| {
        metric(metrics, "streamchain_link_messages_total") == Some(2.0)
    });
    relay.terminate();
    for peer in &mut peers {
        peer.until("going away", |frame| {
            matches!(frame, RelayFrame::Error { code: 6, .. })
        });
    }
    let (status, said) = relay.end();
    assert!(status.success(), "{said}");
}

#[test]
fn a_restarted_relay_keeps_its_certificate_not_its_incarnation() {
    let scene = Scene::new();
    let mut seen = vec![];
    for _ in 0..2 {
        scene.edge.kept().registration = None;
        let relay = Process::run(&scene.edge.url(), &key().to_hex(), scene.state.path());
        scene.until("registered", |scene| scene.edge.kept().registration.is_some());
        seen.extend(scene.edge.kept().registration.clone());
        relay.terminate();
        assert!(relay.end().0.success());
    }
    assert_eq!(seen[0].fingerprint, seen[1].fingerprint);
    assert_ne!(seen[0].incarnation, seen[1].incarnation);
}

#[test]
fn a_wrong_key_is_counted_and_is_no_registration() {
    let scene = Scene::new();
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let relay = Process::run_with(
        &scene.edge.url(),
        &"00".repeat(32),
        scene.state.path(),
        &arguments,
    );
    let refused = "streamchain_edge_requests_total{outcome=\"unauthorized\"}";
    scene.until("refused", |_| {
        metric(metrics, refused).is_some_and(|count| count > 0.0)
    });
    assert_eq!(metric(metrics, "streamchain_registered"), Some(0.0));
    relay.terminate();
    assert!(relay.end().0.success(), "it tries again until it is stopped");
}

#[test]
fn every_request_to_the_edge_has_an_id_of_its_own() {
    let scene = Scene::new();
    let relay = Process::run(&scene.edge.url(), &key().to_hex(), scene.state.path());
    scene.until("renewals", |scene| scene.edge.kept().request_ids.len() >= 3);
    relay.terminate();
    assert!(relay.end().0.success());
    let ids = scene.edge.kept().request_ids.clone();
    let is_hex = |id: &String| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(ids.iter().all(is_hex), "{ids:?}");
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
}

/// What a relay may take beyond the payloads that it holds, KiB: their second copy in the batch under way, the
/// recent messages, the buffers of two peers, and what the allocator does not give back.
#[cfg(target_os = "linux")]
const BESIDE_PAYLOADS_KIB: u64 = 24 * 1_024;

/// Publishes from `next` on until the relay refuses with *overloaded*: the first producer_seq that it refused.
#[cfg(target_os = "linux")]
fn fill(peer: &mut Peer, mut next: u64, publish: impl Fn(&mut Peer, u64)) -> u64 {
    let mut full = false;
    while !full {
        publish(peer, next);
        peer.until("answered", |frame| match frame {
            RelayFrame::Accepted { producer_seq, .. } => *producer_seq == next,
            RelayFrame::Error { code, .. } => {
                full = *code == 8;
                full
            }
            _ => false,
        });
        next += u64::from(!full);
    }
    next
}

#[cfg(target_os = "linux")]
#[test]
fn a_stall_of_storage_keeps_memory_bounded_and_loses_nothing() {
    const UNSTORED_MIB: u64 = 16;
    let scene = Scene::new();
    let uncommitted = UNSTORED_MIB.to_string();
    let arguments = [
        "--unstored-mib",
        &uncommitted,
        "--session-bytes",
        "0",
        "--session-messages",
        "0",
    ];
    let relay = Process::run_with(&scene.edge.url(), &key().to_hex(), scene.state.path(), &arguments);
    scene.until("registered", |scene| scene.edge.kept().registration.is_some());
    let mut peer = scene.connect();
    peer.client.send(&ClientFrame::Hello {
        producer: ProducerId([1; 16]),
        key: None,
    });
    peer.client.send(&ClientFrame::Subscribe {
        from: Some(Seq(0)),
        signatures: false,
    });
    let payload = vec![7; 60_000];
    let publish = |peer: &mut Peer, producer_seq| {
        peer.client.send(&ClientFrame::Publish {
            producer_seq,
            payload: &payload,
        });
    };
    publish(&mut peer, 0);
    peer.until("stored", |frame| {
        matches!(frame, RelayFrame::Committed { committed: Seq(1) })
    });
    let before = relay.resident_kib();

    scene.edge.kept().stalled = true;
    let accepted = fill(&mut peer, 1, publish);
    let held_kib = (accepted - 1) * payload.len() as u64 / 1_024;
    assert!(
        held_kib > (UNSTORED_MIB - 1) * 1_024,
        "it takes messages up to its bound: {held_kib} KiB"
    );
    let during = relay.resident_kib();
    let bound = UNSTORED_MIB * 1_024 + BESIDE_PAYLOADS_KIB;
    println!(
        "storage stalled with {} messages of {} B held: {before} KiB before, {during} KiB now, {} KiB more of at most {bound}",
        accepted - 1,
        payload.len(),
        during.saturating_sub(before)
    );
    assert!(during.saturating_sub(before) <= bound);

    scene.edge.kept().stalled = false;
    peer.until(
        "all of it is stored",
        |frame| matches!(frame, RelayFrame::Committed { committed: Seq(seq) } if *seq == accepted),
    );
    let kept = scene.edge.kept();
    let numbers: Vec<u64> = kept
        .records
        .iter()
        .flatten()
        .map(|record| record.producer_seq)
        .collect();
    assert_eq!(numbers, (0..accepted).collect::<Vec<_>>(), "each once, in order");
}

/// Groups of 1 to 100 messages, signed one after the other.
fn signed_groups(key: SigningKey, count: usize) -> Vec<(SignedFrame, Vec<Vec<u8>>)> {
    let (stream, author) = (stream_id(&STREAM.to_string()).unwrap(), key.author().unwrap());
    let mut signer = GroupSigner::new(key, stream, author, ProducerId([1; 16]));
    let mut all = vec![];
    for group in 0..count {
        let messages = 1 + group * 37 % 100;
        let payloads: Vec<Vec<u8>> = (0..messages)
            .map(|index| format!("{group}/{index}").into())
            .collect();
        let refs: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        all.push((signer.sign(&refs).unwrap(), payloads));
    }
    all
}

#[test]
fn a_relay_killed_in_the_middle_of_groups_leaves_none_in_part() {
    const GROUPS: usize = 40;
    const KILLS: usize = 3;
    let (scene, author) = (Scene::new(), SigningKey::generate().unwrap());
    let groups = signed_groups(author.clone(), GROUPS);
    let total: usize = groups.iter().map(|(_, payloads)| payloads.len()).sum();
    for round in 0..=KILLS {
        scene.edge.kept().registration = None;
        let mut relay = Process::run(&scene.edge.url(), &key().to_hex(), scene.state.path());
        scene.until("registered", |scene| scene.edge.kept().registration.is_some());
        let mut peer = scene.connect_as(author.author().unwrap());
        peer.client.send(&ClientFrame::Hello {
            producer: ProducerId([1; 16]),
            key: Some(author.public()),
        });
        let mut next = 0;
        peer.until("welcome", |frame| match frame {
            RelayFrame::Welcome { stored, limits, .. } => {
                assert_eq!(limits.group_messages, 256);
                next = stored.map_or(0, |stored| stored + 1);
                true
            }
            _ => false,
        });
        let begin = groups.iter().position(|(frame, _)| frame.first == next);
        let begin = begin.expect("what is stored ends where a group ends");
        for (frame, payloads) in &groups[begin..] {
            peer.client.send(&ClientFrame::Group {
                producer_seq: frame.first,
                previous: frame.previous,
                signature: frame.signature,
                payloads: payloads.iter().map(Vec::as_slice).collect(),
            });
        }
        let last = groups[(begin + GROUPS / (KILLS + 1)).min(GROUPS - 1)].0.first;
        peer.until("some groups are accepted", |frame| match frame {
            RelayFrame::Error { text, .. } => panic!("{text}"),
            RelayFrame::Accepted { producer_seq, .. } if round < KILLS => *producer_seq >= last,
            RelayFrame::Committed { committed } => committed.0 == total as u64,
            _ => false,
        });
        relay.0.kill().unwrap();
        relay.0.wait().unwrap();
    }
    let records = scene.edge.kept().records.clone().unwrap();
    let verified = verify_records(stream_id(&STREAM.to_string()).unwrap(), &records).unwrap();
    assert_eq!(
        (verified.groups, verified.messages),
        (GROUPS as u64, total as u64)
    );
    let sent = groups.iter().flat_map(|(_, payloads)| payloads);
    assert!(
        records
            .iter()
            .map(|record| record.payload.to_vec())
            .eq(sent.cloned()),
        "each message once, in the order in which it was sent"
    );
}

#[test]
fn readers_at_all_shards_of_followers_get_every_message() {
    let args = LinksArgs {
        relay: env!("CARGO_BIN_EXE_relay-node").into(),
        payload: 100,
        seconds: 1,
        rounds: 1,
        delay_ms: 0,
        readers: 1,
        relays: vec![],
        streams: 0,
        largest: Some(6),
        followers: 2,
        shards: 2,
        rate: 20,
    };
    let seen = links::measure(&args).unwrap();
    assert_eq!(
        (seen["readers"].as_u64(), seen["messages"].as_u64()),
        (Some(6), Some(20))
    );
    assert_eq!(
        (seen["delivered"].as_u64(), seen["gaps"].as_u64()),
        (Some(120), Some(0))
    );
}
