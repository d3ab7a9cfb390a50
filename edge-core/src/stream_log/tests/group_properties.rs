//! Random schedules with signed groups: by HTTP and by relays, whole and cut, in the chain and beside it.

use super::groups::{asks, digest, group};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::signed::{GroupWalker, ProducerChain, Walked};
use streamchain_protocol::stream_settings::Signed;

/// The producer that publishes over the data channel, and by HTTP too: it may contradict itself.
const BOTH_WAYS: u8 = 2;

/// What a client publishes.
#[derive(Debug, Clone, Copy)]
enum What {
    /// What comes next of it, signed or not.
    Next { count: u64, is_signed: bool },
    /// What it published last, once more.
    Again,
    /// A group over numbers of before.
    Overlapping { back: u64, count: u64 },
    /// A group that names another one before it.
    Foreign { count: u64 },
    /// The beginning of a group.
    Cut { count: u64 },
}

#[derive(Debug, Clone)]
enum Event {
    /// A client publishes by HTTP.
    Post {
        producer: u8,
        what: What,
    },
    /// A relay commits what a session of [`BOTH_WAYS`] published; `cut` leaves the end of it out.
    Channel {
        what: What,
        cut: bool,
    },
    /// The relay fetches what waits.
    Fetch,
    /// The relay commits what it fetched; the answer may be lost.
    Commit {
        lost: bool,
    },
    /// The relay acquires the epoch, in this version or the one before.
    Acquire {
        run: u8,
        groups: bool,
    },
    /// The relay is dead, or is taken for it.
    TakeOver,
    /// The setting changes.
    Require(bool),
    DiskFull {
        after: u32,
    },
    DiskFree,
    Restart,
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => (1..4u64, prop::bool::weighted(0.8)).prop_map(|(count, is_signed)| What::Next { count, is_signed }),
        2 => Just(What::Again),
        1 => (1..4u64, 1..6u64).prop_map(|(back, count)| What::Overlapping { back, count }),
        1 => (1..3u64).prop_map(|count| What::Foreign { count }),
        1 => (2..4u64).prop_map(|count| What::Cut { count }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3u8, what()).prop_map(|(producer, what)| Event::Post { producer, what }),
        3 => (what(), prop::bool::weighted(0.2)).prop_map(|(what, cut)| Event::Channel { what, cut }),
        4 => Just(Event::Fetch),
        5 => any::<bool>().prop_map(|lost| Event::Commit { lost }),
        2 => (0..2u8, prop::bool::weighted(0.8)).prop_map(|(run, groups)| Event::Acquire { run, groups }),
        1 => Just(Event::TakeOver),
        1 => any::<bool>().prop_map(Event::Require),
        1 => (0..5u32).prop_map(|after| Event::DiskFull { after }),
        2 => Just(Event::DiskFree),
        1 => Just(Event::Restart),
    ]
}

/// A client as it sees itself.
#[derive(Default)]
struct Client {
    next: u64,
    last: Option<B256>,
    /// What was taken of it, in order.
    taken: Vec<Vec<Record>>,
}

impl Client {
    /// The records that it publishes; each with a payload of its own.
    fn publishes(&self, producer: u8, what: What, salt: usize) -> Vec<Record> {
        let previous = self.last.unwrap_or_default();
        let mut records = match what {
            What::Next {
                count,
                is_signed: true,
            } => group(producer, self.next, count, previous),
            What::Next { .. } => records(producer, self.next, 1),
            What::Again => {
                return self
                    .taken
                    .last()
                    .cloned()
                    .unwrap_or_else(|| group(producer, 0, 1, previous));
            }
            What::Overlapping { back, count } => {
                group(producer, self.next.saturating_sub(back), count, previous)
            }
            What::Foreign { count } => group(producer, self.next, count, B256::repeat_byte(9)),
            What::Cut { count } => {
                let mut cut = group(producer, self.next, count, previous);
                cut.truncate(cut.len() - 1);
                return cut;
            }
        };
        for record in &mut records {
            record.payload = Bytes::from(format!("{salt}/{}", record.producer_seq).into_bytes());
        }
        records
    }

    fn note(&mut self, records: Vec<Record>) {
        let last = records.last().map_or(0, |record| record.producer_seq);
        if last < self.next {
            return;
        }
        self.next = last + 1;
        self.last = records[0].group.map(|_| digest(&records));
        self.taken.push(records);
    }
}

struct World {
    log: StreamLog<Memory>,
    clients: [Client; 3],
    salt: usize,
    epoch: u64,
    fetched: Vec<Record>,
    under_way: Option<Batch>,
    answered: BTreeMap<u64, Record>,
}

impl World {
    fn new() -> Self {
        let log = StreamLog::in_memory();
        log.create(&new_stream(), UnixMs(0)).unwrap();
        meet(&log, "a", 0..3);
        Self {
            log,
            clients: Default::default(),
            salt: 0,
            epoch: 0,
            fetched: Vec::new(),
            under_way: None,
            answered: BTreeMap::new(),
        }
    }

    fn apply(&mut self, event: Event) {
        self.salt += 1;
        match event {
            Event::Post { producer, what } => self.post(producer, what),
            Event::Channel { what, cut } => {
                let mut records = self.clients[usize::from(BOTH_WAYS)].publishes(BOTH_WAYS, what, self.salt);
                let at_end = records.len() - usize::from(cut && records.len() > 1);
                records.truncate(at_end);
                let batch = batch(self.epoch, self.log.state().unwrap().head.0, records.clone());
                if self.log.step(|log| log.commit(&relay("a"), &batch)).is_ok() {
                    self.clients[usize::from(BOTH_WAYS)].note(records);
                }
            }
            Event::Fetch => {
                let waiting = self.log.waiting(&relay("a"), Epoch(self.epoch));
                self.fetched = waiting.map_or(Vec::new(), |bytes| decode_records(&bytes).unwrap());
            }
            Event::Commit { lost } => {
                let head = self.log.state().unwrap().head.0;
                let fetched = std::mem::take(&mut self.fetched);
                let batch = self
                    .under_way
                    .take()
                    .unwrap_or_else(|| batch(self.epoch, head, fetched));
                if batch.records.is_empty() {
                    return; // no relay sends one
                }
                let answer = self.log.step(|log| log.commit(&relay("a"), &batch));
                self.under_way = Some(batch).filter(|_| lost || matches!(answer, Err(LogError::Store(_))));
            }
            Event::Acquire { run: number, groups } => {
                let asked = AcquireEpoch {
                    groups,
                    follows: false,
                    lost: None,
                    ..asks(number)
                };
                if let Ok(grant) = self.log.step(|log| log.acquire_epoch(&relay("a"), asked)) {
                    (self.epoch, self.under_way) = (grant.epoch.0, None);
                }
            }
            Event::TakeOver => drop(self.log.step(|log| log.take_over(&relay("a")))),
            Event::Require(is_required) => {
                let signed = if is_required {
                    Signed::Required
                } else {
                    Signed::Optional
                };
                let change = SettingsChange {
                    signed: Some(signed),
                    ..SettingsChange::default()
                };
                drop(self.log.step(|log| log.change_settings(&change)));
            }
            Event::DiskFull { after } => self.log.rows().writes_left.set(Some(after)),
            Event::DiskFree => self.log.rows().writes_left.set(None),
            Event::Restart => {
                let before = self.log.state().unwrap();
                self.log = self.log.restarted();
                assert_eq!(self.log.state().unwrap(), before);
            }
        }
    }

    fn post(&mut self, producer: u8, what: What) {
        let client = &mut self.clients[usize::from(producer)];
        let records = client.publishes(producer, what, self.salt);
        // Another group over old numbers is known by them alone.
        let is_own = producer != BOTH_WAYS && matches!(what, What::Next { .. } | What::Again);
        let Ok(appended) = self.log.step(|log| log.append(&records)) else {
            return;
        };
        assert!(
            !matches!(what, What::Foreign { .. } | What::Cut { .. }),
            "taken: {what:?}"
        );
        if let (Appended::Committed(Some(seq)), true) = (&appended, is_own) {
            self.answered.insert(seq.0, records[0].clone());
        }
        client.note(records);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_is_whole_groups_in_their_chains(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        world.log.rows().writes_left.set(None);
        world.log.step(|log| log.take_over(&relay("a"))).unwrap();
        let state = world.log.state().unwrap();
        prop_assert_eq!((state.inbox.messages, state.inbox.bytes), (0, 0), "nothing waits for ever");
        let stored = decode_records(&world.log.tail(&owner(), Seq(0), usize::MAX).unwrap().records).unwrap();
        prop_assert_eq!(stored.len() as u64, state.head.0);
        let new = new_stream();
        let mut walker = GroupWalker::new(StreamId::of(new.owner, &new.name));
        let mut chains: BTreeMap<ProducerId, ProducerChain> = BTreeMap::new();
        for (seq, record) in stored.iter().enumerate() {
            let chain = chains.entry(record.producer).or_default();
            match walker.push(record).unwrap() {
                Walked::Inside => {}
                Walked::Unsigned => chain.push_unsigned(record.producer_seq).unwrap(),
                Walked::Group(group) => drop(chain.push_group(&group.signed).unwrap()),
            }
            if let Some(answered) = world.answered.get(&(seq as u64)) {
                prop_assert_eq!(answered, record, "what an author was told");
            }
        }
        walker.finish().unwrap();
        for producer in 0..BOTH_WAYS {
            let client = &world.clients[usize::from(producer)];
            let own = stored.iter().filter(|record| record.producer == ProducerId([producer; 16]));
            prop_assert!(own.eq(client.taken.iter().flatten()), "all that was taken is stored, as it was");
        }
    }
}
