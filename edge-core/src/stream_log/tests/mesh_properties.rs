//! Random schedules of relays that share a stream, die, come back, report each other wrongly and ask for what is not theirs.

use super::*;
use crate::directory::Directory;
use crate::stream_log::leadership::{CLOSED_TAKEOVER_INTERVAL_MS, LOST_WAIT_MS, TAKEOVER_INTERVAL_MS};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use streamchain_protocol::limits::RELAY_LEASE_MS;
use streamchain_protocol::webrtc::{Candidate, Transport};
use streamchain_protocol::wire::{LinkReach, Registration, Shard};

/// Relays 0 to 3 share streams, 4 does not, and 5 shares them and is sent no session.
const RELAYS: u8 = 6;
const OF_BEFORE: u8 = 4;
const HOSTILE: u8 = 5;

#[derive(Debug, Clone, Copy)]
enum Event {
    /// A session is opened, wherever the directory sends it.
    Session,
    /// A relay renews; a new run of it, where `restarts`.
    Renew { relay: u8, restarts: bool },
    /// A relay says goodbye, and gives the stream back first.
    Goodbye { relay: u8 },
    /// A relay asks for the stream, and reports its leader as lost if `reports`. While the answer waits the leader commits,
    /// where `commits`.
    Ask { relay: u8, reports: bool, commits: bool },
    /// A relay commits a message under the epoch that it was granted last.
    Commit { relay: u8, author: u8 },
    /// A relay gives the stream back.
    Release { relay: u8 },
    /// Time passes.
    Pass { ms: u64 },
    /// The stream's object is started anew.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let relay = 0..RELAYS;
    prop_oneof![
        5 => Just(Event::Session),
        5 => (relay.clone(), prop::bool::weighted(0.1)).prop_map(|(relay, restarts)| Event::Renew { relay, restarts }),
        1 => relay.clone().prop_map(|relay| Event::Goodbye { relay }),
        9 => (relay.clone(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(relay, reports, commits)| Event::Ask { relay, reports, commits }),
        6 => (relay.clone(), 0..3_u8).prop_map(|(relay, author)| Event::Commit { relay, author }),
        1 => relay.prop_map(|relay| Event::Release { relay }),
        3 => prop_oneof![1..2_000_u64, Just(RELAY_LEASE_MS)].prop_map(|ms| Event::Pass { ms }),
        1 => Just(Event::Restart),
    ]
}

fn name(relay_id: u8) -> RelayId {
    relay(&format!("r{relay_id}"))
}

/// Whether a report of this moment is that the leader's port is closed.
fn is_of_closed_port(now: UnixMs) -> bool {
    now.0.is_multiple_of(2)
}

struct World {
    log: StreamLog<Memory>,
    directory: Directory,
    now: UnixMs,
    committed: UnixMs,
    runs: BTreeMap<u8, u8>,
    epochs: BTreeMap<u8, Epoch>,
    /// Which run of which relay led under each epoch.
    leaders: BTreeMap<Epoch, (u8, u8)>,
    /// Which relays were sent a session of the stream.
    sent: BTreeSet<u8>,
    sessions: u8,
    /// Messages of each author that are stored.
    numbers: BTreeMap<u8, u64>,
    last_report: Option<UnixMs>,
}

impl World {
    fn new() -> Self {
        let log = StreamLog::in_memory();
        log.step(|log| log.create(&new_stream(), UnixMs(0))).unwrap();
        let mut world = Self {
            log,
            directory: Directory::default(),
            now: UnixMs(1_000_000),
            committed: UnixMs(0),
            runs: BTreeMap::new(),
            epochs: BTreeMap::new(),
            leaders: BTreeMap::new(),
            sent: BTreeSet::new(),
            sessions: 0,
            numbers: BTreeMap::new(),
            last_report: None,
        };
        (0..HOSTILE).for_each(|relay| world.renew(relay, false));
        world
    }

    fn run_of(&self, relay: u8) -> u8 {
        self.runs.get(&relay).copied().unwrap_or(1)
    }

    fn renew(&mut self, relay: u8, restarts: bool) {
        if restarts {
            self.runs.insert(relay, self.run_of(relay) + 1);
        }
        let candidate = Candidate {
            transport: Transport::Udp,
            address: IpAddr::from([127, 0, 0, 1]),
            port: 7100,
        };
        let shares = relay != OF_BEFORE;
        let registration = Registration {
            incarnation: run(self.run_of(relay)),
            fingerprint: ["AB"; 32].join(":"),
            region: String::new(),
            shards: vec![Shard {
                candidates: vec![candidate],
            }],
            turn: vec![],
            sessions: u64::from(relay),
            streams: 0,
            cursor: 0,
            session_ends: true,
            reads_rounds: true,
            joins: false,
            spreads: shares,
            mesh: shares.then(|| LinkReach {
                addresses: vec!["192.0.2.1:7443".parse().unwrap()],
                fingerprint: ["CD"; 32].join(":"),
            }),
            location: None,
            // The hostile one has no room, so it is chosen only where nobody else is alive.
            capacity: Some(if relay == HOSTILE { 0 } else { 3 }),
            key: None,
        };
        self.directory
            .register(&name(relay), registration, self.now)
            .unwrap();
    }

    fn session(&mut self) {
        let state = self.log.state().unwrap();
        let wanted = state.wanted(self.now);
        let Some(placed) = self.directory.place(&wanted, self.now) else {
            return;
        };
        assert!(!placed.follows || placed.shares);
        let number = (0..RELAYS).find(|one| name(*one) == placed.chosen.relay).unwrap();
        self.sessions = self.sessions.wrapping_add(1);
        let session = Session {
            id: SessionId([self.sessions; 8]),
            author: Address::repeat_byte(self.sessions % 3),
            relay: placed.chosen.relay.clone(),
            created: self.now,
        };
        let to = Destination {
            seen: state.assigned.as_ref(),
            shares: placed.shares,
            follows: placed.follows,
            gone: &placed.gone,
        };
        let opened = self.log.step(|log| {
            log.admit_author(session.author, &session.relay, self.now)?;
            log.open_session(&session, to)
        });
        assert!(opened.unwrap());
        if !placed.follows && state.assigned.as_ref() != Some(&placed.chosen.relay) {
            self.sent.clear();
        }
        self.sent.insert(number);
    }

    /// What the object does when a relay asks.
    fn ask(&mut self, relay: u8, reports: bool, commits: bool) {
        let before = self.log.state().unwrap();
        let asked = AcquireEpoch {
            incarnation: run(self.run_of(relay)),
            groups: true,
            follows: relay != OF_BEFORE,
            lost: reports.then_some(before.epoch),
            closed: reports && is_of_closed_port(self.now),
        };
        let (since, asker) = (self.now, name(relay));
        let mut view = None;
        for _ in 0..4 {
            let asking = Asking {
                relay: &asker,
                asked: &asked,
                view: view.as_ref(),
                committed: self.committed,
                since,
            };
            let now = self.now;
            match self.log.step(|log| log.acquire(&asking, now)) {
                Ok(Acquiring::Leads(grant)) => {
                    return self.check_grant(relay, grant.epoch, (since, before.taken_over), reports);
                }
                Ok(Acquiring::Follows(follow)) => {
                    assert!(self.sent.contains(&relay), "it was sent no session");
                    assert_ne!(*follow.leader(), asker);
                    assert!(self.directory.is_alive(follow.leader(), now));
                    return;
                }
                Ok(Acquiring::LookUp(leader)) => {
                    view = Some(self.directory.leader_view(&leader, &asker, now));
                }
                Ok(Acquiring::Wait(until)) => {
                    assert!(until <= since.plus_ms(LOST_WAIT_MS));
                    self.now = until;
                    let leader = (0..RELAYS).find(|one| before.relay_leader() == Some(&name(*one)));
                    if let Some(leader) = leader.filter(|_| commits) {
                        self.commit(leader, 0);
                    }
                    view = before
                        .relay_leader()
                        .map(|leader| self.directory.leader_view(leader, &asker, self.now));
                }
                Ok(Acquiring::Unreachable(_)) => {
                    let state = self.log.state().unwrap();
                    assert_eq!((state.epoch, &state.leader), (before.epoch, &before.leader));
                    assert!(state.wanted(now).barred.contains(&asker));
                    return;
                }
                Err(_) => {
                    assert!(self.log.state().unwrap().leader == before.leader);
                    return;
                }
            }
        }
        panic!("the request was never decided");
    }

    fn check_grant(
        &mut self,
        relay: u8,
        epoch: Epoch,
        (since, taken_before): (UnixMs, Option<UnixMs>),
        reports: bool,
    ) {
        assert!(self.sent.contains(&relay) || self.leaders.values().any(|(led, _)| *led == relay));
        let run = self.run_of(relay);
        let is_new = !self.leaders.contains_key(&epoch);
        let known = *self.leaders.entry(epoch).or_insert((relay, run));
        assert_eq!(known, (relay, run), "one epoch has one leader");
        self.epochs.insert(relay, epoch);
        let before = self.leaders.range(..epoch).next_back().map(|(_, (led, _))| *led);
        let Some(before) = before.filter(|before| *before != relay && relay != OF_BEFORE) else {
            return;
        };
        let state = self.log.state().unwrap();
        if is_new && reports && state.taken_over != taken_before {
            assert!(self.committed <= since, "the leader committed since the report");
            if let Some(last) = self.last_report {
                let interval_ms = match is_of_closed_port(since) {
                    true => CLOSED_TAKEOVER_INTERVAL_MS,
                    false => TAKEOVER_INTERVAL_MS,
                };
                assert!(self.now.since(last) >= interval_ms, "too soon");
            }
            self.last_report = Some(self.now);
            assert!(self.directory.is_alive(&name(before), self.now));
        }
    }

    fn commit(&mut self, relay: u8, author: u8) {
        let before = self.log.state().unwrap();
        let epoch = self.epochs.get(&relay).copied().unwrap_or_default();
        let number = self.numbers.get(&author).copied().unwrap_or_default();
        let batch = batch(epoch.0, before.head.0, records(author, number, 1));
        let committed = self.log.step(|log| log.commit(&name(relay), &batch));
        if committed.is_ok() {
            assert_eq!(before.epoch, epoch, "an old epoch commits nothing");
            assert_eq!(before.relay_leader(), Some(&name(relay)));
            assert_eq!(self.leaders.get(&epoch).map(|(led, _)| *led), Some(relay));
            self.numbers.insert(author, number + 1);
            self.committed = self.now;
        }
    }

    fn release(&mut self, relay: u8) {
        let epoch = self.epochs.get(&relay).copied().unwrap_or_default();
        self.log.step(|log| log.release(&name(relay), epoch)).unwrap();
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Session => self.session(),
            Event::Renew { relay, restarts } => self.renew(relay, restarts),
            Event::Goodbye { relay } => {
                self.release(relay);
                self.directory.goodbye(&name(relay), None);
            }
            Event::Ask {
                relay,
                reports,
                commits,
            } => self.ask(relay, reports, commits),
            Event::Commit { relay, author } => self.commit(relay, author),
            Event::Release { relay } => self.release(relay),
            Event::Pass { ms } => self.now = self.now.plus_ms(ms),
            Event::Restart => {
                self.log = self.log.restarted();
                self.committed = UnixMs(0);
            }
        }
        let state = self.log.state().unwrap();
        assert!(state.relays().len() <= usize::from(RELAYS));
        assert!(state.followers().all(|one| state.relay_leader() != Some(one)));
        let leader = state.relay_leader();
        assert!(leader.is_none_or(|leader| state.relays().contains(leader)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn one_leader_for_each_epoch_and_bounded_takeovers(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        let stored: u64 = world.numbers.values().sum();
        prop_assert_eq!(world.log.state().unwrap().head, Seq(stored));
    }
}
