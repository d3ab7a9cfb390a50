//! Messages that come by HTTP: first one case each, then any order of events and faults.

use super::super::inbox::MAX_INBOX_MESSAGES;
use super::super::inbox_shares::{InboxShares, MAX_NETWORK_MESSAGES};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use streamchain_protocol::time::UnixMs;

fn stream() -> StreamLog<Memory> {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    log
}

fn led() -> StreamLog<Memory> {
    let log = stream();
    meet(&log, "a", [2]);
    log.acquire_epoch(&relay("a"), run(1)).unwrap();
    log
}

fn post(log: &StreamLog<Memory>, producer: u8, number: u64) -> Step<Appended, Memory> {
    let record = records(producer, number, 1).remove(0);
    log.step(|log| log.append(std::slice::from_ref(&record)))
}

fn waits() -> Appended {
    Appended::Waits(relay("a"))
}

fn fetched(log: &StreamLog<Memory>, epoch: u64) -> Vec<Record> {
    decode_records(&log.waiting(&relay("a"), Epoch(epoch)).unwrap()).unwrap()
}

fn seq(number: u64) -> Appended {
    Appended::Committed(Some(Seq(number)))
}

#[test]
fn without_a_leader_the_edge_commits_at_once() {
    let log = stream();
    assert_eq!(post(&log, 1, 0).unwrap(), seq(0));
    assert_eq!(post(&log, 1, 1).unwrap(), seq(1));
    assert_eq!(post(&log, 1, 0).unwrap(), seq(0));
    assert_eq!(log.state().unwrap().head, Seq(2));
    assert_eq!(log.state().unwrap().relay(), None, "the edge is no relay");
}

#[test]
fn the_commit_of_a_leader_takes_messages_out_of_the_inbox() {
    let log = led();
    assert_eq!(post(&log, 1, 0).unwrap(), waits());
    assert_eq!(post(&log, 1, 1).unwrap(), waits());
    assert_eq!(post(&log, 1, 0).unwrap(), waits(), "a retry waits once");
    let waiting = fetched(&log, 1);
    assert_eq!(waiting, records(1, 0, 2));
    let mut all = records(2, 0, 1);
    all.extend(waiting);
    let committed = log.commit(&relay("a"), &batch(1, 0, all)).unwrap();
    assert_eq!((committed.committed, committed.waiting), (Seq(3), 0));
    assert_eq!(
        (post(&log, 1, 0).unwrap(), post(&log, 1, 1).unwrap()),
        (seq(1), seq(2))
    );
    assert_eq!(fetched(&log, 1), []);
    assert_eq!(log.state().unwrap().inbox.bytes, 0);
}

#[test]
fn a_takeover_by_the_edge_fences_the_dead_relay() {
    let log = led();
    post(&log, 1, 0).unwrap();
    let late = fetched(&log, 1);
    log.step(|log| log.take_over(&relay("b"))).unwrap();
    assert_eq!(
        post(&log, 1, 0).unwrap(),
        waits(),
        "the death of another relay changes nothing"
    );
    log.step(|log| log.take_over(&relay("a"))).unwrap();
    assert_eq!(post(&log, 1, 0).unwrap(), seq(0));
    let refused = log.commit(&relay("a"), &batch(1, 0, late)).unwrap_err();
    assert!(
        matches!(refused, LogError::Refused(Refusal::StaleEpoch { .. })),
        "{refused}"
    );
    let again = log.acquire_epoch(&relay("a"), run(1)).unwrap();
    assert_eq!(
        (again.epoch, again.head),
        (Epoch(3), Seq(1)),
        "it acquires the stream anew"
    );
}

#[test]
fn the_grant_of_an_epoch_says_how_much_waits() {
    let log = led();
    post(&log, 1, 0).unwrap();
    let taken = log.acquire_epoch(&relay("a"), run(2)).unwrap();
    assert_eq!((taken.epoch, taken.waiting), (Epoch(2), 1));
    assert_eq!(fetched(&log, 2), records(1, 0, 1));
    let stale = log.waiting(&relay("a"), Epoch(1)).unwrap_err();
    assert!(
        matches!(stale, LogError::Refused(Refusal::StaleEpoch { .. })),
        "{stale}"
    );
}

#[test]
fn a_release_leaves_what_waits_to_the_edge() {
    let log = led();
    post(&log, 1, 0).unwrap();
    log.step(|log| log.release(&relay("a"), Epoch(9))).unwrap();
    assert_eq!(
        post(&log, 1, 0).unwrap(),
        waits(),
        "an old release changes nothing"
    );
    log.step(|log| log.release(&relay("a"), Epoch(1))).unwrap();
    assert_eq!(post(&log, 1, 0).unwrap(), seq(0));
    assert_eq!(post(&log, 1, 1).unwrap(), seq(1));
    assert_eq!(log.acquire_epoch(&relay("a"), run(1)).unwrap().epoch, Epoch(3));
}

#[test]
fn numbers_follow_one_another_and_the_inbox_is_bounded() {
    let log = led();
    let refused = post(&log, 1, 1).unwrap_err();
    assert!(matches!(
        refused,
        LogError::Refused(Refusal::ProducerConflict { stored: None, .. })
    ));
    for number in 0..MAX_INBOX_MESSAGES {
        post(&log, 1, number).unwrap();
    }
    let refused = post(&log, 2, 0).unwrap_err();
    assert!(matches!(
        refused,
        LogError::Refused(Refusal::InboxFull(MAX_INBOX_MESSAGES))
    ));
    log.step(|log| log.take_over(&relay("a"))).unwrap();
    assert_eq!(log.state().unwrap().head, Seq(MAX_INBOX_MESSAGES));
    assert_eq!(post(&log, 2, 0).unwrap(), seq(MAX_INBOX_MESSAGES));
    assert_eq!(
        post(&log, 1, 0).unwrap(),
        Appended::Committed(None),
        "old seqs are not remembered"
    );
}

#[test]
fn one_network_never_fills_the_inbox() {
    let (log, mut shares) = (led(), InboxShares::default());
    let mut post = |author: u8, number: u64, network: &str| {
        let record = records(author, number, 1).remove(0);
        log.step(|log| shares.append(log, std::slice::from_ref(&record), network))
    };
    // Each message by another author.
    let taken = (0..=255)
        .take_while(|author| post(*author, 0, "greedy").is_ok())
        .count();
    assert_eq!(taken, MAX_NETWORK_MESSAGES);
    assert_eq!(post(0, 0, "greedy").unwrap(), waits(), "what waits already");
    let refused = refusal(post(0, 1, "greedy"));
    assert_eq!(refused, Refusal::InboxShare(MAX_NETWORK_MESSAGES));
    assert_eq!(
        log.state().unwrap().inbox.messages,
        taken as u64,
        "nothing of it is kept"
    );
    assert_eq!(post(1, 1, "another").unwrap(), waits());
    // Once the relay has committed some there is room again.
    let some = fetched(&log, 1).into_iter().take(10).collect();
    log.step(|log| log.commit(&relay("a"), &batch(1, 0, some)))
        .unwrap();
    assert_eq!(post(0, 1, "greedy").unwrap(), waits());
}

#[derive(Debug, Clone)]
enum Event {
    /// A client posts its next message, or one of before again.
    Post {
        producer: u8,
        back: u64,
    },
    /// A run of a relay acquires the stream (after a session was sent to it).
    AcquireEpoch {
        relay: u8,
        run: u8,
    },
    /// A relay fetches what waits.
    Fetch {
        relay: u8,
    },
    /// A relay commits some of what it has, with a message of its own peer before it; the answer may be lost.
    Commit {
        relay: u8,
        count: usize,
        lost: bool,
    },
    /// A relay forgets what it has: it was restarted, or killed.
    Die {
        relay: u8,
    },
    /// A relay releases the stream.
    Release {
        relay: u8,
    },
    /// The edge takes a relay for dead; it may not be.
    TakeOver {
        relay: u8,
    },
    DiskFull {
        after: u32,
    },
    DiskFree,
    /// The object is started anew.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..2u8, 0..3u64).prop_map(|(producer, back)| Event::Post { producer, back }),
        2 => (0..2u8, 0..2u8).prop_map(|(relay, run)| Event::AcquireEpoch { relay, run }),
        4 => (0..2u8).prop_map(|relay| Event::Fetch { relay }),
        5 => (0..2u8, 0..4usize, any::<bool>()).prop_map(|(relay, count, lost)| Event::Commit { relay, count, lost }),
        1 => (0..2u8).prop_map(|relay| Event::Die { relay }),
        1 => (0..2u8).prop_map(|relay| Event::Release { relay }),
        1 => (0..2u8).prop_map(|relay| Event::TakeOver { relay }),
        1 => (0..5u32).prop_map(|after| Event::DiskFull { after }),
        2 => Just(Event::DiskFree),
        2 => Just(Event::Restart),
    ]
}

#[derive(Default)]
struct Relay {
    epoch: u64,
    head: u64,
    /// Fetched, not stored as far as it knows.
    fetched: Vec<Record>,
    under_way: Option<Batch>,
}

struct World {
    log: StreamLog<Memory>,
    relays: [Relay; 2],
    /// The next number of each client.
    next: [u64; 2],
    /// The next number of the data channel's publisher.
    channel: u64,
    answered: BTreeMap<(ProducerId, u64), Seq>,
}

fn name(index: u8) -> RelayId {
    relay(["a", "b"][usize::from(index)])
}

impl World {
    fn apply(&mut self, event: Event) {
        match event {
            Event::Post { producer, back } => self.post(producer, back),
            Event::AcquireEpoch { relay, run: number } => {
                let seen = self.log.state().unwrap().assigned;
                let session = session(9, name(relay).as_str(), 0);
                let _ = self.log.step(|log| {
                    log.admit_author(Address::repeat_byte(9), &session.relay, UnixMs(0))?;
                    log.open_session(&session, seen.as_ref())
                });
                if let Ok(taken) = self.log.step(|log| log.acquire_epoch(&name(relay), run(number))) {
                    let (epoch, head) = (taken.epoch.0, taken.head.0);
                    self.relays[usize::from(relay)] = Relay {
                        epoch,
                        head,
                        ..Relay::default()
                    };
                }
            }
            Event::Fetch { relay } => {
                let at = &mut self.relays[usize::from(relay)];
                if at.under_way.is_none()
                    && let Ok(bytes) = self.log.waiting(&name(relay), Epoch(at.epoch))
                {
                    at.fetched = decode_records(&bytes).unwrap();
                }
            }
            Event::Commit { relay, count, lost } => self.commit(relay, count, lost),
            Event::Die { relay } => self.relays[usize::from(relay)] = Relay::default(),
            Event::Release { relay } => {
                let epoch = Epoch(self.relays[usize::from(relay)].epoch);
                let _ = self.log.step(|log| log.release(&name(relay), epoch));
            }
            Event::TakeOver { relay } => {
                let _ = self.log.step(|log| log.take_over(&name(relay)));
            }
            Event::DiskFull { after } => self.log.rows().writes_left.set(Some(after)),
            Event::DiskFree => self.log.rows().writes_left.set(None),
            Event::Restart => self.log = self.log.restarted(),
        }
    }

    fn post(&mut self, producer: u8, back: u64) {
        let next = self.next[usize::from(producer)];
        let number = next.saturating_sub(back);
        let Ok(appended) = post(&self.log, producer, number) else {
            return;
        };
        self.next[usize::from(producer)] = next.max(number + 1);
        if let Appended::Committed(Some(seq)) = appended {
            let before = self.answered.insert((ProducerId([producer; 16]), number), seq);
            assert!(before.is_none_or(|before| before == seq), "one message, one seq");
        }
    }

    fn commit(&mut self, relay: u8, count: usize, lost: bool) {
        let at = &mut self.relays[usize::from(relay)];
        let batch = at.under_way.take().unwrap_or_else(|| {
            let mut records = records(9, self.channel, 1);
            records.extend(at.fetched.drain(..count.min(at.fetched.len())));
            batch(at.epoch, at.head, records)
        });
        match self.log.commit_as_object(&name(relay), &batch) {
            Ok(committed) => {
                self.channel = batch.records[0].producer_seq + 1;
                if lost {
                    at.under_way = Some(batch); // sent again, byte for byte
                } else {
                    at.head = committed.committed.0;
                }
            }
            Err(LogError::Store(_)) => at.under_way = Some(batch),
            Err(_) => *at = Relay::default(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_committed_once_whatever_fails(
        events in prop::collection::vec(event(), 1..100),
    ) {
        let log = stream();
        let mut world = World {
            log, relays: Default::default(), next: [0; 2], channel: 0, answered: BTreeMap::new(),
        };
        for event in events {
            world.apply(event);
        }
        world.log.rows().writes_left.set(None);
        for dead in [0, 1] {
            world.log.step(|log| log.take_over(&name(dead))).unwrap();
        }
        let state = world.log.state().unwrap();
        prop_assert_eq!((state.inbox.messages, state.inbox.bytes), (0, 0));
        let stored = decode_records(&world.log.tail(&owner(), Seq(0), usize::MAX).unwrap().records).unwrap();
        prop_assert_eq!(stored.len() as u64, state.head.0);
        let mut numbers: BTreeMap<ProducerId, u64> = BTreeMap::new();
        for (index, record) in stored.iter().enumerate() {
            let next = numbers.entry(record.producer).or_default();
            prop_assert_eq!(record.producer_seq, *next);
            *next += 1;
            let answered = world.answered.get(&(record.producer, record.producer_seq));
            prop_assert!(answered.is_none_or(|seq| seq.0 == index as u64));
        }
        for (producer, next) in (0u8..).zip(world.next) {
            let stored = numbers.get(&ProducerId([producer; 16])).copied().unwrap_or(0);
            prop_assert_eq!(stored, next, "what was taken is stored");
        }
    }
}
