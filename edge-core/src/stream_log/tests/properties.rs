//! Random schedules over the machine: whatever relays, crashes and full disks do, the log stays whole.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use streamchain_protocol::time::UnixMs;

/// What the relay learns of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitAnswer {
    /// What became of it.
    Received,
    /// Nothing: the answer is lost.
    Lost,
    /// That the storage failed, though it had committed.
    FailedButDone,
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Event {
    /// A session is opened, and its relay is this one.
    Session { relay: u8 },
    /// A run of a relay acquires the stream.
    AcquireEpoch { relay: u8, run: u8 },
    /// A relay commits what follows, off by `skew`, under its last epoch or an older one; the producer leaves a
    /// number out (`renumber` 1) or repeats one (2).
    Commit {
        relay: u8,
        producer: u8,
        count: u64,
        skew: u64,
        old: bool,
        renumber: u64,
        answer: CommitAnswer,
    },
    /// The last batch is sent again, by whoever sent it.
    Retry,
    /// The alarm runs and dies after this many of its effects.
    Flush { effects: u8 },
    /// From now on this many writes succeed.
    DiskFull { after: u32 },
    /// The disk has room again.
    DiskFree,
    /// The object is started anew: another instance over the same rows.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let answer = prop_oneof![
        6 => Just(CommitAnswer::Received),
        1 => Just(CommitAnswer::Lost),
        1 => Just(CommitAnswer::FailedButDone),
    ];
    let commit = (0..3u8, 0..3u8, 1..6u64, 0..8u64, any::<bool>(), 0..6u64, answer).prop_map(
        |(relay, producer, count, skew, old, renumber, answer)| Event::Commit {
            relay,
            producer,
            count,
            skew: if skew < 6 { 0 } else { skew - 5 },
            old: old && skew == 0,
            renumber: if renumber < 4 { 0 } else { renumber - 3 },
            answer,
        },
    );
    prop_oneof![
        2 => (0..3u8).prop_map(|relay| Event::Session { relay }),
        2 => (0..3u8, 0..3u8).prop_map(|(relay, run)| Event::AcquireEpoch { relay, run }),
        8 => commit,
        3 => Just(Event::Retry),
        3 => (0..5u8).prop_map(|effects| Event::Flush { effects }),
        1 => (0..6u32).prop_map(|after| Event::DiskFull { after }),
        2 => Just(Event::DiskFree),
        2 => Just(Event::Restart),
    ]
}

/// The world around the log: what each relay believes, what the database has, what was acknowledged.
struct World {
    log: StreamLog<Memory>,
    epochs: BTreeMap<u8, u64>,
    numbers: BTreeMap<u8, u64>,
    database: BTreeMap<Seq, (OutboxSegment, Vec<u8>)>,
    anchorer: BTreeMap<Seq, Segment>,
    /// Every record that the log has taken, whether or not its relay knows.
    stored: Vec<Record>,
    /// All below was acknowledged.
    acknowledged: u64,
    last: Option<(u8, Batch)>,
}

fn relay_of(number: u8) -> RelayId {
    relay(["a", "b", "c"][usize::from(number)])
}

impl World {
    fn new() -> Self {
        let log = StreamLog::in_memory();
        log.create(&new_stream(), UnixMs(0)).unwrap();
        Self {
            log,
            epochs: BTreeMap::new(),
            numbers: BTreeMap::new(),
            database: BTreeMap::new(),
            anchorer: BTreeMap::new(),
            stored: Vec::new(),
            acknowledged: 0,
            last: None,
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Session { relay } => {
                let seen = self.log.state().unwrap().assigned;
                let id = SessionId([relay; 8]);
                let session = Session {
                    id,
                    author: Address::ZERO,
                    relay: relay_of(relay),
                    created: UnixMs(0),
                };
                let _ = self.log.step(|log| {
                    for author in 0..3 {
                        log.admit_author(Address::repeat_byte(author), &session.relay, UnixMs(0))?;
                    }
                    log.open_session(&session, seen.as_ref())
                });
            }
            Event::AcquireEpoch { relay, run: number } => {
                if let Ok(taken) = self
                    .log
                    .step(|log| log.acquire_epoch(&relay_of(relay), run(number)))
                {
                    self.epochs.insert(relay, taken.epoch.0);
                }
            }
            Event::Commit {
                relay,
                producer,
                count,
                skew,
                old,
                renumber,
                answer,
            } => {
                let epoch = self
                    .epochs
                    .get(&relay)
                    .copied()
                    .unwrap_or(0)
                    .saturating_sub(old.into());
                let head = self.log.state().unwrap().head.0;
                let number = self.numbers.get(&producer).copied().unwrap_or(0);
                let number = match renumber {
                    1 => number + 1,
                    2 => number.saturating_sub(1),
                    _ => number,
                };
                self.commit(
                    relay,
                    batch(epoch, head + skew, records(producer, number, count)),
                    answer,
                );
            }
            Event::Retry => {
                if let Some((relay, batch)) = self.last.clone() {
                    self.commit(relay, batch, CommitAnswer::Received);
                }
            }
            Event::Flush { effects } => self.flush(effects),
            Event::DiskFull { after } => self.log.rows().writes_left.set(Some(after)),
            Event::DiskFree => self.log.rows().writes_left.set(None),
            Event::Restart => self.restart(),
        }
    }

    /// What the new instance knows is what the old one knew.
    fn restart(&mut self) {
        let before = self.log.state().unwrap();
        self.log = self.log.restarted();
        assert_eq!(self.log.state().unwrap(), before);
    }

    fn commit(&mut self, relay: u8, batch: Batch, answer: CommitAnswer) {
        self.last = Some((relay, batch.clone()));
        let head = self.log.state().unwrap().head;
        let name = relay_of(relay);
        let outcome = match answer {
            CommitAnswer::FailedButDone => self.log.step_but_report_failure(|log| log.commit(&name, &batch)),
            CommitAnswer::Received | CommitAnswer::Lost => self.log.commit_as_object(&name, &batch),
        };
        if self.log.state().unwrap().head > head {
            assert_eq!(batch.first, head, "the batch follows what was stored before");
            for record in &batch.records {
                self.numbers.insert(record.producer.0[0], record.producer_seq + 1);
            }
            self.stored.extend(batch.records.clone());
        }
        if let (Ok(committed), CommitAnswer::Received) = (outcome, answer) {
            assert!(
                committed.committed >= batch.end(),
                "what was acknowledged is below the mark"
            );
            let known = self.stored.get(batch.first.0 as usize..batch.end().0 as usize);
            assert_eq!(
                known,
                Some(&batch.records[..]),
                "what was acknowledged is what is stored there"
            );
            self.acknowledged = self.acknowledged.max(batch.end().0);
        }
    }

    /// The alarm's work, cut off after some of its effects; every effect may be repeated by the next alarm.
    fn flush(&mut self, effects: u8) {
        let mut left = effects;
        let mut dies = move || {
            let dead = left == 0;
            left = left.saturating_sub(1);
            dead
        };
        if let Ok(Some((made, records))) = self.log.step(StreamLog::next_segment) {
            if dies() {
                return;
            }
            let there = self
                .database
                .entry(made.segment.first)
                .or_insert((made, records.clone()));
            assert_eq!(
                (there.0.segment, &there.1),
                (made.segment, &records),
                "a retry writes the same segment"
            );
            if dies() {
                return;
            }
            let _ = self.log.step(|log| log.mark_flushed(&made, records.len()));
        }
        let unacked_segments = self.log.step(|log| log.unacked_segments(10)).unwrap();
        if dies() {
            return;
        }
        for one in &unacked_segments {
            let known = self.anchorer.entry(one.segment.first).or_insert(one.segment);
            assert_eq!(
                *known, one.segment,
                "the Anchorer gets the same segment again, or a new one"
            );
        }
        if !dies() {
            let _ = self.log.step(|log| log.ack_segments(&unacked_segments));
        }
    }

    /// What a reader gets: the object first, then the database below `flushed`.
    fn read(&self) -> Vec<Record> {
        let tail = self.log.tail(&owner(), Seq(0), usize::MAX).unwrap();
        let mut all = Vec::new();
        for (first, (made, records)) in self.database.range(..tail.state.flushed) {
            assert_eq!(first.0, all.len() as u64, "segments touch");
            assert!(made.segment.end() <= tail.state.flushed);
            all.extend(decode_records(records).unwrap());
        }
        assert_eq!(
            all.len() as u64,
            tail.state.flushed.0,
            "the database has all below `flushed`"
        );
        all.extend(decode_records(&tail.records).unwrap());
        assert_eq!(
            all.len() as u64,
            tail.state.head.0,
            "no seq is missing below the head"
        );
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_there_once_in_order(
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        world.log.rows().writes_left.set(None);
        let stored = world.read();
        prop_assert_eq!(&stored, &world.stored);
        prop_assert!(world.acknowledged <= stored.len() as u64);
        let mut next: BTreeMap<ProducerId, u64> = BTreeMap::new();
        for record in &stored {
            let expected = next.entry(record.producer).or_default();
            prop_assert_eq!(record.producer_seq, *expected);
            *expected += 1;
        }
    }

    #[test]
    fn a_completed_alarm_flushes_and_hands_over_everything(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        world.log.rows().writes_left.set(None);
        let settings = world.log.state().unwrap().settings;
        world.log.mark_listed(settings).unwrap();
        for _ in 0..200 {
            if !world.log.has_work().unwrap() {
                break;
            }
            world.flush(u8::MAX);
        }
        prop_assert!(!world.log.has_work().unwrap());
        prop_assert_eq!(world.log.batches_kept(), 0);
        prop_assert_eq!(world.log.state().unwrap().backlog, 0);
        let segments: Vec<_> = world.database.values().map(|(made, _)| made.segment).collect();
        let acknowledged: Vec<_> = world.anchorer.values().copied().collect();
        prop_assert_eq!(segments, acknowledged);
        prop_assert_eq!(world.read(), world.stored);
    }
}
