//! A stream that goes from relay to relay: the directory says who is alive, the log who may write.

use super::*;
use crate::directory::Directory;
use std::net::IpAddr;
use streamchain_protocol::limits::RELAY_LEASE_MS;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::webrtc::{Candidate, Transport};
use streamchain_protocol::wire::{Registration, Shard};

/// Relays, one stream, and the time.
struct Scene {
    directory: Directory,
    log: StreamLog<Memory>,
    now_ms: u64,
    sessions: u8,
}

impl Scene {
    fn new(relays: &[&str]) -> Self {
        let log = StreamLog::in_memory();
        log.create(&new_stream(), UnixMs(0)).unwrap();
        let mut scene = Self {
            directory: Directory::default(),
            log,
            now_ms: 0,
            sessions: 0,
        };
        relays.iter().for_each(|id| scene.renew(id));
        scene
    }

    fn renew(&mut self, id: &str) {
        let candidate = Candidate {
            transport: Transport::Udp,
            address: IpAddr::from([127, 0, 0, 1]),
            port: 7100,
        };
        let registration = Registration {
            incarnation: run(1),
            fingerprint: vec!["AB"; 32].join(":"),
            region: String::new(),
            shards: vec![Shard {
                candidates: vec![candidate],
            }],
            turn: vec![],
            sessions: 0,
            streams: 0,
            cursor: 0,
            session_ends: false,
            joins: false,
            reads_rounds: false,
            spreads: false,
            mesh: None,
            location: None,
            capacity: None,
            key: None,
        };
        self.directory
            .register(&relay(id), registration, UnixMs(self.now_ms))
            .unwrap();
    }

    /// Opens a session; the relay that it is sent to.
    fn session(&mut self) -> Option<RelayId> {
        let state = self.log.state().unwrap();
        let (assigned, now) = (&state.assigned, UnixMs(self.now_ms));
        let chosen = self.directory.place(&state.wanted(now), now)?.chosen.relay;
        self.sessions += 1;
        let session = Session {
            id: SessionId([self.sessions; 8]),
            author: Address::repeat_byte(1),
            relay: chosen.clone(),
            created: UnixMs(self.now_ms),
        };
        self.log
            .admit_author(session.author, &chosen, session.created)
            .unwrap();
        assert!(self.log.open_session(&session, assigned.as_ref()).unwrap());
        Some(chosen)
    }

    fn acquire_epoch(&self, relay: &RelayId) -> Step<EpochGrant, Memory> {
        self.log.step(|log| log.acquire_epoch(relay, run(1)))
    }

    fn store(&self, relay: &RelayId, epoch: Epoch, first: u64, count: u64) -> Step<Committed, Memory> {
        self.log
            .step(|log| log.commit(relay, &batch(epoch.0, first, records(1, first, count))))
    }
}

#[test]
fn a_stream_leaves_a_relay_whose_lease_lapsed() {
    let mut scene = Scene::new(&["a", "b"]);
    let old = scene.session().unwrap();
    let taken = scene.acquire_epoch(&old).unwrap();
    scene.store(&old, taken.epoch, 0, 3).unwrap();

    let other = if old == relay("a") { "b" } else { "a" };
    scene.now_ms = RELAY_LEASE_MS - 1;
    scene.renew(other);
    assert_eq!(scene.session(), Some(old.clone()), "its lease is not over");
    scene.now_ms = RELAY_LEASE_MS;
    assert_eq!(scene.session(), Some(relay(other)));
    scene.store(&old, taken.epoch, 3, 1).unwrap();

    let next = scene.acquire_epoch(&relay(other)).unwrap();
    assert_eq!((next.epoch.0, next.head), (taken.epoch.0 + 1, Seq(4)));
    let late = scene.store(&old, taken.epoch, 4, 2);
    assert!(
        matches!(late, Err(LogError::Refused(Refusal::StaleEpoch { .. }))),
        "{late:?}"
    );
    scene.renew(old.as_str());
    let asked = scene.acquire_epoch(&old);
    assert!(
        matches!(asked, Err(LogError::Refused(Refusal::NotLeader { .. }))),
        "{asked:?}"
    );
    assert_eq!(
        scene.session(),
        Some(relay(other)),
        "the old one is back, and gets nothing"
    );
    scene.store(&relay(other), next.epoch, 4, 2).unwrap();
    assert_eq!(scene.log.state().unwrap().head, Seq(6));
}

#[test]
fn a_relay_gets_a_stream_back_under_another_epoch() {
    let mut scene = Scene::new(&["a"]);
    let a = scene.session().unwrap();
    let first = scene.acquire_epoch(&a).unwrap();
    scene.now_ms = RELAY_LEASE_MS;
    scene.renew("b");
    let b = scene.session().unwrap();
    scene.acquire_epoch(&b).unwrap();
    scene.renew("a");
    assert!(scene.directory.goodbye(&b, None));
    assert_eq!(scene.session(), Some(a.clone()));
    let again = scene.acquire_epoch(&a).unwrap();
    assert_eq!(again.epoch.0, first.epoch.0 + 2, "its first epoch is over");
    let late = scene.store(&a, first.epoch, 0, 1);
    assert!(
        matches!(late, Err(LogError::Refused(Refusal::StaleEpoch { .. }))),
        "{late:?}"
    );
}

#[test]
fn without_a_living_relay_a_stream_waits_for_one() {
    let mut scene = Scene::new(&["a", "b", "c"]);
    let old = scene.session().unwrap();
    scene.acquire_epoch(&old).unwrap();
    scene.now_ms = 2 * RELAY_LEASE_MS;
    assert_eq!(scene.session(), None);
    scene.renew("c");
    assert_eq!(scene.session(), Some(relay("c")));
}
