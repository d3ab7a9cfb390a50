//! Runs for rounds: whatever fails, the runs that get into rounds touch, and cover what is sealed.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Event {
    Commit {
        count: u64,
    },
    /// Segments are made and written; the object dies after so many effects.
    Flush {
        effects: u8,
    },
    /// The run that waits is offered; the answer may be lost.
    Offer {
        lost: bool,
    },
    /// What the batcher has goes into a round.
    Round,
    /// The batcher knows nothing of the stream any more but what is in rounds.
    Forget,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..5u64).prop_map(|count| Event::Commit { count }),
        4 => (0..6u8).prop_map(|effects| Event::Flush { effects }),
        4 => any::<bool>().prop_map(|lost| Event::Offer { lost }),
        2 => Just(Event::Round),
        1 => Just(Event::Forget),
        2 => Just(Event::Restart),
    ]
}

struct World {
    log: StreamLog<Memory>,
    /// What the instance remembers of what it wrote.
    remembered: FlushedSegments,
    database: BTreeMap<Seq, OutboxSegment>,
    /// Where the batcher knows that the next run begins.
    begin: Option<Seq>,
    pending: Option<Run>,
    rounds: Vec<Run>,
}

impl World {
    fn new() -> Self {
        let log = StreamLog::in_memory();
        let mut new = new_stream();
        new.settings.anchor = Anchoring::Shared;
        log.create(&new, UnixMs(0)).unwrap();
        meet(&log, "a", [1]);
        log.acquire_epoch(&relay("a"), run(1)).unwrap();
        log.mark_listed(new.settings).unwrap();
        Self {
            log,
            remembered: FlushedSegments::default(),
            database: BTreeMap::new(),
            begin: None,
            pending: None,
            rounds: Vec::new(),
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Commit { count } => {
                let head = self.log.state().unwrap().head.0;
                let batch = batch(1, head, records(1, head, count));
                self.log.step(|log| log.commit(&relay("a"), &batch)).unwrap();
            }
            Event::Flush { effects } => self.flush(effects),
            Event::Offer { lost } => self.offer(lost),
            Event::Round => {
                if let Some(run) = self.pending.take() {
                    self.begin = Some(run.end());
                    self.rounds.push(run);
                }
            }
            Event::Forget => self.pending = None,
            Event::Restart => {
                self.log = self.log.restarted();
                self.remembered = FlushedSegments::default();
            }
        }
    }

    fn flush(&mut self, effects: u8) {
        let Some((made, records)) = self.log.step(StreamLog::next_segment).unwrap() else {
            return;
        };
        if effects > 0 {
            let there = self.database.entry(made.segment.first).or_insert(made);
            assert_eq!(*there, made, "a retry writes the same segment");
        }
        if effects > 3 {
            self.remembered.add(&made.segment);
            let state = self.log.state().unwrap().with_flushed(&made.segment);
            let pending = state.pending_run();
            let run = pending.and_then(|pending| self.remembered.run(pending));
            if let Some(run) = run {
                let begin = self.answer(run);
                if effects > 4 {
                    let offered = (&run, begin);
                    self.log
                        .step(|log| log.mark_flushed_and_offered(&made, records.len(), offered))
                        .unwrap();
                }
                return;
            }
        }
        if effects > 1 {
            self.log
                .step(|log| log.mark_flushed(&made, records.len()))
                .unwrap();
            self.remembered.add(&made.segment);
            assert_eq!(
                self.log.unacked_segments(10).unwrap(),
                [],
                "none for the Anchorer"
            );
        }
    }

    /// What the batcher answers to an offer.
    fn answer(&mut self, run: Run) -> Seq {
        let begin = *self.begin.get_or_insert(run.first);
        if begin == run.first {
            self.pending = Some(run);
        }
        begin
    }

    fn offer(&mut self, lost: bool) {
        let Some(pending) = self.log.pending_run().unwrap() else {
            return;
        };
        let rows = self.database.range(pending.first..);
        let rows = rows.map(|(first, made)| (*first, made.segment.count, made.segment.root));
        let run = pending
            .of_segments(rows)
            .expect("a run begins where a segment does");
        assert_eq!(run.end(), pending.to, "the run has all that is flushed");
        let remembered = self.remembered.run(pending);
        assert!(remembered.is_none_or(|remembered| remembered == run));
        let begin = self.answer(run);
        if !lost {
            self.log.step(|log| log.mark_offered(&run, begin)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn runs_in_rounds_touch_and_cover_what_is_sealed(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        for _ in 0..200 {
            if !world.log.has_work().unwrap() {
                break;
            }
            world.flush(5);
            world.offer(false);
        }
        prop_assert!(!world.log.has_work().unwrap());
        // A batcher that forgot what was pending gets it again with the stream's next segment.
        world.apply(Event::Commit { count: 1 });
        world.flush(2);
        world.offer(false);
        world.offer(false);
        world.apply(Event::Round);
        let mut end = Seq(0);
        for run in &world.rounds {
            prop_assert_eq!(run.first, end, "runs touch");
            end = run.end();
        }
        prop_assert_eq!(end, world.log.state().unwrap().head);
    }
}

#[test]
fn a_run_is_offered_once_a_round_and_without_the_database() {
    let mut world = World::new();
    for round in 0..5 {
        world.apply(Event::Commit { count: 2 });
        world.flush(2);
        let pending = world.log.pending_run().unwrap().unwrap();
        assert!(world.remembered.run(pending).is_some());
        world.offer(false);
        if round == 1 {
            world.offer(false); // only now does the stream know that it has runs in rounds
        }
        assert_eq!(world.log.pending_run().unwrap(), None, "round {round}");
        world.apply(Event::Round);
    }
    assert_eq!(world.rounds.len(), 5);
}

#[test]
fn a_run_that_waits_longer_than_a_round_is_offered_whole() {
    let mut world = World::new();
    for _ in 0..3 {
        world.apply(Event::Commit { count: 2 });
        world.flush(2);
        world.offer(false);
        world.offer(false);
        if world.rounds.is_empty() || world.pending.is_none() {
            world.apply(Event::Round);
        }
    }
    world.apply(Event::Commit { count: 2 });
    world.flush(2);
    let first = world.log.pending_run().unwrap().unwrap().first;
    world.offer(false);
    let whole = world.log.pending_run().unwrap().unwrap();
    assert!(whole.first < first, "the batcher says where the run begins");
    world.offer(false);
    assert_eq!(world.pending.map(|run| run.first), Some(whole.first));
    assert_eq!(world.log.pending_run().unwrap(), None);
}

#[test]
fn few_segments_are_remembered_and_only_those_that_follow() {
    let segment = |first, count| Segment {
        first: Seq(first),
        count,
        root: B256::repeat_byte(1),
    };
    let pending = |first, to| PendingRun {
        first: Seq(first),
        to: Seq(to),
    };
    let mut flushed = FlushedSegments::default();
    for first in 0..1_000 {
        flushed.add(&segment(first, 1));
    }
    assert!(flushed.run(pending(995, 1_000)).is_some());
    assert_eq!(flushed.run(pending(0, 1_000)), None, "the first are forgotten");
    assert_eq!(flushed.run(pending(995, 1_001)), None, "the last is not there");
    flushed.add(&segment(2_000, 5));
    assert_eq!(flushed.run(pending(999, 2_005)), None);
    assert_eq!(flushed.run(pending(2_000, 2_005)).map(|run| run.count), Some(5));
}

#[test]
fn what_was_sealed_before_it_became_shared_keeps_own_anchors() {
    let log = acquired();
    let commit = |first| {
        log.commit(&relay("a"), &batch(1, first, records(1, first, 2)))
            .unwrap()
    };
    commit(0);
    let (own, blob) = log.next_segment().unwrap().unwrap();
    let change = SettingsChange {
        anchor: Some(Anchoring::Shared),
        ..SettingsChange::default()
    };
    log.change_settings(&change).unwrap();
    commit(2);
    log.mark_flushed(&own, blob.len()).unwrap();
    assert_eq!((own.anchor, log.pending_run().unwrap()), (Anchoring::Own, None));
    assert_eq!(log.unacked_segments(10).unwrap().len(), 1);
    let (made, blob) = log.next_segment().unwrap().unwrap();
    log.mark_flushed(&made, blob.len()).unwrap();
    assert_eq!((made.anchor, made.segment.first), (Anchoring::Shared, Seq(2)));
    let pending = log.pending_run().unwrap().unwrap();
    assert_eq!((pending.first, pending.to), (Seq(2), Seq(4)));
}

#[test]
fn a_run_ends_where_segments_leave_a_gap() {
    let pending = PendingRun {
        first: Seq(3),
        to: Seq(20),
    };
    let (one, two, three) = (B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3));
    let of =
        |rows: &[(u64, u64, B256)]| pending.of_segments(rows.iter().map(|row| (Seq(row.0), row.1, row.2)));
    let run = of(&[(3, 2, one), (5, 1, two), (7, 1, three)]).unwrap();
    assert_eq!((run.first, run.count, run.end()), (Seq(3), 3, Seq(6)));
    assert_eq!(Some(run.root), merkle::root(&[one, two]));
    assert_eq!(
        of(&[(3, 2, one), (5, 16, two)]).unwrap().count,
        2,
        "what is not flushed is left out"
    );
    assert_eq!(of(&[(3, 2, one), (5, u64::MAX, two)]), None);
    assert_eq!(of(&[(4, 2, one)]), None);
    assert_eq!(of(&[]), None);
}
