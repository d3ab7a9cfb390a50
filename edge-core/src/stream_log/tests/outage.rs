//! A database that fails for a minute, on a virtual clock: the outbox keeps, tries again, and drains.

use super::*;
use std::collections::BTreeMap;
use streamchain_protocol::time::UnixMs;

/// What the database does with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Database {
    Up,
    /// It fails, and nothing was written.
    Down,
    /// It fails, but the row is there.
    FailsButWrites,
}

/// The Stream object's clockwork around the machine.
struct Scene {
    log: StreamLog<Memory>,
    database: BTreeMap<Seq, (OutboxSegment, Vec<u8>)>,
    now_ms: u64,
    alarm_at: Option<u64>,
    failures: u32,
    flushes_failed: u32,
}

/// Four messages every 50 ms, as from a relay at its usual interval.
const INTERVAL_MS: u64 = 50;
const PER_BATCH: u64 = 4;

impl Scene {
    fn new() -> Self {
        let log = StreamLog::in_memory();
        log.create(&new_stream(), UnixMs(0)).unwrap();
        log.acquire_epoch(&relay("a"), run(1)).unwrap();
        log.mark_listed(new_stream().settings).unwrap();
        Self {
            log,
            database: BTreeMap::new(),
            now_ms: 0,
            alarm_at: None,
            failures: 0,
            flushes_failed: 0,
        }
    }

    fn store(&mut self) {
        let head = self.log.state().unwrap().head.0;
        let stored = self
            .log
            .step(|log| log.commit(&relay("a"), &batch(1, head, records(1, head, PER_BATCH))));
        stored.expect("a stream takes batches while its database is down");
        self.alarm_at.get_or_insert(self.now_ms + GATHER_MS);
    }

    fn flush(&mut self, database: Database) -> bool {
        for _ in 0..SEGMENTS_PER_FLUSH {
            let Some((made, bytes)) = self.log.step(StreamLog::next_segment).unwrap() else {
                break;
            };
            if database != Database::Down {
                let there = self.database.entry(made.segment.first);
                let there = there.or_insert_with(|| (made, bytes.clone()));
                assert_eq!(
                    (there.0.segment, &there.1),
                    (made.segment, &bytes),
                    "the same segment again"
                );
            }
            if database != Database::Up {
                return false;
            }
            self.log.step(|log| log.mark_flushed(&made, bytes.len())).unwrap();
        }
        let unacked_segments = self.log.unacked_segments(usize::MAX).unwrap();
        self.log.step(|log| log.ack_segments(&unacked_segments)).unwrap();
        true
    }

    fn alarm(&mut self, database: Database) {
        self.alarm_at = Some(self.now_ms + FLUSH_BACKOFF.wait_ms(self.failures));
        if self.flush(database) {
            self.failures = 0;
            self.alarm_at = self.log.has_work().unwrap().then_some(self.now_ms + GATHER_MS);
        } else {
            self.failures += 1;
            self.flushes_failed += 1;
        }
    }

    /// Lets time pass; with `stores` messages come in.
    fn pass(&mut self, ms: u64, stores: bool, database: Database) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms += INTERVAL_MS;
            if stores {
                self.store();
            }
            if self.alarm_at.is_some_and(|at| at <= self.now_ms) {
                self.alarm(database);
            }
        }
    }

    /// Everything that a reader gets, page by page.
    fn read(&self) -> Vec<Record> {
        let state = self.log.state().unwrap();
        let below = self.database.range(..state.flushed);
        let mut all: Vec<Record> = below
            .flat_map(|(_, (_, bytes))| decode_records(bytes).unwrap())
            .collect();
        assert_eq!(all.len() as u64, state.flushed.0);
        while (all.len() as u64) < state.head.0 {
            let tail = self
                .log
                .tail(&owner(), Seq(all.len() as u64), usize::MAX)
                .unwrap();
            assert_eq!(tail.first.0, all.len() as u64, "pages touch");
            all.extend(decode_records(&tail.records).unwrap());
        }
        all
    }

    /// Whether a reader gets what was stored: each message once, in order.
    fn is_whole(&self) -> bool {
        self.read() == records(1, 0, self.log.state().unwrap().head.0)
    }
}

fn minute_of(outage: Database) {
    let mut scene = Scene::new();
    scene.pass(10_000, true, Database::Up);
    assert!(scene.log.state().unwrap().flushed.0 > 0);
    scene.pass(60_000, true, outage);
    let state = scene.log.state().unwrap();
    let kept = state.head.0 - state.flushed.0;
    println!(
        "a minute of {outage:?}: {kept} messages kept, {} flushes failed",
        scene.flushes_failed
    );
    assert_eq!(
        state.head.0,
        70_000 / INTERVAL_MS * PER_BATCH,
        "publishing went on"
    );
    assert!(
        kept >= 60_000 / INTERVAL_MS * PER_BATCH,
        "nothing that was stored is dropped"
    );
    assert!(
        (6..=10).contains(&scene.flushes_failed),
        "it is tried again, ever less often"
    );
    assert!(scene.is_whole(), "and all of it can be read meanwhile");

    // Half a minute at most until the next try, then a few segments a second.
    let segments = kept.div_ceil(MAX_SEGMENT_MESSAGES as u64) + 1;
    scene.pass(30_000 + segments * GATHER_MS, false, Database::Up);
    let state = scene.log.state().unwrap();
    assert_eq!(
        (state.flushed, state.backlog, scene.log.batches_kept()),
        (state.head, 0, 0),
        "it has drained"
    );
    assert!(scene.is_whole(), "each message once, in order");
    assert_eq!(scene.alarm_at, None, "and rests");
}

#[test]
fn a_database_down_for_a_minute_loses_nothing() {
    minute_of(Database::Down);
}

#[test]
fn writes_that_are_reported_as_failures_double_nothing() {
    minute_of(Database::FailsButWrites);
}

#[test]
fn the_wait_doubles_up_to_half_a_minute() {
    let waits: Vec<u64> = (0..8).map(|failures| FLUSH_BACKOFF.wait_ms(failures)).collect();
    assert_eq!(
        waits,
        [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
    );
}
