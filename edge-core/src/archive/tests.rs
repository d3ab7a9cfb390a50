//! The whole way of messages into packs, over a database and a store of objects that may crash between any two effects.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use streamchain_protocol::archive::{PackIndex, PackedRun, SegmentToPack};
use streamchain_protocol::ids::{ProducerId, Seq, StreamId};
use streamchain_protocol::proof::{leaves, merkle};
use streamchain_protocol::stream_settings::{Anchoring, Mode};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{
    Omitted, Record, StoredPayload, decode_stored_records, encode_records, erase_payloads,
};
use streamchain_protocol::{Address, B256, Bytes};

const STREAM: StreamId = StreamId([7; 32]);
const RULES: PackRules = PackRules {
    target_bytes: 1_000,
    max_age_ms: 60_000,
};

fn payload(seq: u64) -> Bytes {
    Bytes::from(format!("message {seq}").into_bytes())
}

fn segment(first: u64, count: u64) -> (u64, B256, Vec<u8>) {
    let record = |seq| Record {
        time: UnixMs(1_000 + seq),
        author: Address::repeat_byte(1),
        producer: ProducerId([2; 16]),
        producer_seq: seq,
        payload: payload(seq),
        group: None,
    };
    let records: Vec<Record> = (first..first + count).map(record).collect();
    let blob = encode_records(&records);
    let root = merkle::root(&leaves(STREAM, Seq(first), &blob).unwrap()).unwrap();
    (count, root, blob)
}

fn to_pack(first: u64, count: u64, root: B256, records: &[u8]) -> SegmentToPack<'_> {
    SegmentToPack {
        first: Seq(first),
        count: count as u32,
        root,
        mode: Mode::Root,
        prove: false,
        anchor: Anchoring::Own,
        records,
    }
}

/// Thrown by an effect after which the machine dies.
#[derive(Debug)]
struct Crash;

/// A database, a store of objects, and the one saved job.
#[derive(Default)]
struct World {
    segments: BTreeMap<u64, (u64, B256, Vec<u8>)>,
    packs: BTreeMap<u64, PackRow>,
    notes: BTreeMap<u64, u64>,
    last_note: u64,
    objects: BTreeMap<String, Vec<u8>>,
    job: Option<Job>,
    /// Every message that is erased.
    erased: BTreeSet<u64>,
    head: u64,
    /// Effects until the next crash.
    left: u64,
}

impl World {
    fn with_segments(counts: &[u64]) -> Self {
        let mut world = Self {
            left: u64::MAX,
            ..Self::default()
        };
        counts.iter().for_each(|count| world.add(*count));
        world
    }

    fn add(&mut self, count: u64) {
        self.segments.insert(self.head, segment(self.head, count));
        self.head += count;
    }

    fn effect(&mut self) -> Result<(), Crash> {
        self.left = self.left.checked_sub(1).ok_or(Crash)?;
        Ok(())
    }

    /// An effect that happens or does not when the machine dies at it: both are tried, since the count of the next run
    /// begins before it.
    fn save(&mut self, job: Option<Job>) -> Result<(), Crash> {
        self.effect()?;
        self.job = job;
        self.effect()
    }

    fn rows(&self) -> Vec<RowSize> {
        let size = |(first, (count, _, records)): (&u64, &(u64, B256, Vec<u8>))| RowSize {
            first: Seq(*first),
            count: *count,
            bytes: records.len() as u64,
        };
        self.segments.iter().map(size).collect()
    }

    /// What the pass does for one stream: the saved job, or notes of erased messages, or what is to be packed.
    fn pass(&mut self, finals: &[FinalRange], now: UnixMs) -> Result<bool, Crash> {
        if self.job.is_none() {
            let noted = self.notes.keys().find_map(|seq| self.pack_of(*seq).cloned());
            let job = match noted {
                Some(row) => Some(Job::rewrite(&row, UnixMs(0))),
                None => plan(&self.rows(), finals, UnixMs(1_000), RULES, Fullness::Low, now)
                    .map(|(first, end)| Job::pack(STREAM, first, end)),
            };
            let Some(job) = job else { return Ok(false) };
            self.save(Some(job))?;
        }
        while let Some(job) = self.job.clone() {
            self.step(job)?;
        }
        Ok(true)
    }

    fn step(&mut self, job: Job) -> Result<(), Crash> {
        match job.step.clone() {
            Step::Build => {
                let noted = self.last_note;
                let built = self.build(&job);
                assert_eq!(built.row.key(), job.key());
                let named: Vec<String> = self.packs.values().map(PackRow::key).collect();
                assert!(
                    !named.contains(&job.key()),
                    "an object that is read never changes"
                );
                self.effect()?;
                self.objects.insert(job.key(), built.bytes);
                self.effect()?;
                self.save(Some(job.handle_put(built.row, noted)))
            }
            Step::Enter { row, noted } => {
                self.effect()?;
                let range = row.first.0..row.end.0;
                match job.source {
                    Source::Segments => self.segments.retain(|first, _| !range.contains(first)),
                    Source::Pack { .. } => self
                        .notes
                        .retain(|seq, note| !range.contains(seq) || *note > noted),
                }
                self.packs.insert(row.first.0, row);
                self.effect()?;
                self.save(job.handle_entered())
            }
            Step::Drop { key } => {
                self.effect()?;
                self.objects.remove(&key);
                self.effect()?;
                self.save(None)
            }
        }
    }

    fn build(&self, job: &Job) -> Built {
        match job.source {
            Source::Segments => {
                let mut packer = Packer::new(job.stream, job.first);
                for (first, (count, root, records)) in self.segments.range(job.first.0..job.end.0) {
                    packer.push(&to_pack(*first, *count, *root, records)).unwrap();
                }
                packer.finish(job.end, 0).unwrap()
            }
            Source::Pack { before, .. } => {
                let row = &self.packs[&job.first.0];
                let notes = &self.notes;
                let goes = |seq: Seq, record: &_| {
                    let record: &streamchain_protocol::wire::StoredRecord = record;
                    notes.contains_key(&seq.0) || record.time < before
                };
                rewrite(row, &self.objects[&row.key()], goes).unwrap()
            }
        }
    }

    fn pack_of(&self, seq: u64) -> Option<&PackRow> {
        let (_, row) = self.packs.range(..=seq).next_back()?;
        (seq < row.end.0).then_some(row)
    }

    /// As the object does it, between two steps: a note where a pack has the payload or may get it, and the segment's row.
    fn erase(&mut self, seq: u64) {
        let is_under_way = self.job.as_ref().is_some_and(|job| job.has_built(Seq(seq)));
        if is_under_way || self.pack_of(seq).is_some() {
            self.last_note += 1;
            self.notes.entry(seq).or_insert(self.last_note);
        }
        if let Some((first, (_, _, records))) = self.segments.range_mut(..=seq).next_back() {
            *records = erase_payloads(Seq(*first), records, |at, _| at == Seq(seq))
                .unwrap()
                .0;
        }
        self.erased.insert(seq);
    }

    /// Every message as a reader gets it.
    fn check_readable(&self) {
        let mut next = 0;
        while next < self.head {
            let (first, count, records) = match self.segments.get(&next) {
                Some((count, _, records)) => (next, *count, records.clone()),
                None => self.packed(next),
            };
            assert_eq!(first, next, "a gap or an overlap");
            for (index, record) in decode_stored_records(&records).unwrap().into_iter().enumerate() {
                let seq = first + index as u64;
                let erased = self.erased.contains(&seq) || self.notes.contains_key(&seq);
                let expected = match (&record.payload, erased) {
                    // Readers leave out what is noted.
                    (_, true) => StoredPayload::Erased(Omitted::of(&payload(seq))),
                    _ => StoredPayload::Kept(payload(seq)),
                };
                let shown = match self.notes.contains_key(&seq) {
                    true => StoredPayload::Erased(Omitted {
                        size: payload(seq).len() as u64,
                        digest: record.payload.hash(),
                    }),
                    false => record.payload,
                };
                assert_eq!(shown, expected, "message {seq}");
            }
            let root = merkle::root(&leaves(STREAM, Seq(first), &records).unwrap()).unwrap();
            assert_eq!(
                root,
                segment(first, count).1,
                "the root of the segment at {first}"
            );
            next += count;
        }
        assert!(next == self.head);
    }

    fn packed(&self, seq: u64) -> (u64, u64, Vec<u8>) {
        let row = self.pack_of(seq).expect("a pack");
        let pack = &self.objects[&row.key()];
        let index = PackIndex::of_pack(STREAM, pack).unwrap();
        let found = index.within(Seq(seq), row.end, 1)[0];
        let records = found.records(0, pack).unwrap().to_vec();
        (found.first.0, found.count.into(), records)
    }

    /// Objects that no row names.
    fn orphans(&self) -> Vec<&String> {
        let named: BTreeSet<String> = self.packs.values().map(PackRow::key).collect();
        self.objects.keys().filter(|key| !named.contains(*key)).collect()
    }
}

fn all(end: u64) -> Vec<FinalRange> {
    vec![FinalRange {
        first: Seq(0),
        end: Seq(end),
    }]
}

mod planning {
    use super::*;

    fn rows(counts: &[u64], bytes: u64) -> Vec<RowSize> {
        let mut first = 0;
        let row = |count: &u64| {
            let row = RowSize {
                first: Seq(first),
                count: *count,
                bytes,
            };
            first += count;
            row
        };
        counts.iter().map(row).collect()
    }

    fn planned(rows: &[RowSize], finals: &[FinalRange], fullness: Fullness, now: u64) -> Option<(u64, u64)> {
        let range = plan(rows, finals, UnixMs(0), RULES, fullness, UnixMs(now));
        range.map(|(first, end)| (first.0, end.0))
    }

    #[test]
    fn only_whole_segments_under_final_anchors_are_packed() {
        let rows = rows(&[5, 5, 5, 5], 600);
        let finals = |ranges: &[(u64, u64)]| -> Vec<FinalRange> {
            let range = |(first, end): &(u64, u64)| FinalRange {
                first: Seq(*first),
                end: Seq(*end),
            };
            ranges.iter().map(range).collect()
        };
        let end =
            |ranges: &[(u64, u64)]| planned(&rows, &finals(ranges), Fullness::Low, 0).map(|(_, end)| end);
        assert_eq!(end(&[]), None);
        assert_eq!(end(&[(0, 10)]), Some(10));
        assert_eq!(end(&[(0, 13)]), Some(10), "the third segment is final in part");
        assert_eq!(end(&[(5, 10), (0, 5)]), Some(10), "in any order");
        assert_eq!(end(&[(0, 10), (15, 20)]), Some(10), "behind a gap nothing counts");
        assert_eq!(end(&[(0, 5)]), None, "too little yet");
    }

    #[test]
    fn little_waits_until_it_is_old_or_room_is_short() {
        let (rows, finals) = (rows(&[5, 5], 100), all(10));
        assert_eq!(planned(&rows, &finals, Fullness::Low, 59_999), None);
        assert_eq!(planned(&rows, &finals, Fullness::Low, 60_000), Some((0, 10)));
        assert_eq!(planned(&rows, &finals, Fullness::Filling, 0), Some((0, 10)));
        assert_eq!(planned(&rows[..1], &finals, Fullness::High, 0), Some((0, 5)));
        assert_eq!(planned(&[], &finals, Fullness::Full, u64::MAX), None);
    }

    #[test]
    fn a_pack_is_bounded_and_never_spans_a_gap() {
        let large = rows(&[1; 30], 700 * 1024);
        assert_eq!(planned(&large, &all(30), Fullness::Low, 0), Some((0, 11)));
        let many = rows(&vec![1; 5_000], 0);
        assert_eq!(planned(&many, &all(5_000), Fullness::Low, 0), Some((0, 4_096)));
        let mut torn = rows(&[5, 5, 5], 600);
        torn.remove(1);
        assert_eq!(planned(&torn, &all(15), Fullness::High, 0), Some((0, 5)));
    }

    #[test]
    fn fullness_is_known_by_shares_of_the_capacity() {
        let of = |percent: u64| Fullness::of(percent * 10, 1_000);
        assert_eq!((of(0), of(39)), (Fullness::Low, Fullness::Low));
        assert_eq!((of(40), of(59)), (Fullness::Filling, Fullness::Filling));
        assert_eq!((of(60), of(89)), (Fullness::High, Fullness::High));
        assert_eq!((of(90), of(200)), (Fullness::Full, Fullness::Full));
        assert_eq!(Fullness::of(1, 0), Fullness::Full);
    }
}

mod moving {
    use super::*;

    #[test]
    fn everything_final_goes_into_packs_and_stays_readable() {
        let mut world = World::with_segments(&[10; 40]);
        for end in (0..=300).step_by(25) {
            while world.pass(&all(end), UnixMs(0)).unwrap() {
                world.check_readable();
            }
        }
        assert_eq!(world.segments.len(), 10, "what is not final stays");
        assert!(world.packs.len() > 5, "packs: {}", world.packs.len());
        assert!(world.orphans().is_empty());
    }

    #[test]
    fn a_crash_between_any_two_effects_loses_and_doubles_nothing() {
        for crash_at in 0.. {
            let mut world = World::with_segments(&[10; 12]);
            world.left = crash_at;
            let mut crashes = 0;
            // It dies again and again at the same distance, as long as that is far enough to get anywhere.
            while let Err(Crash) = world.pass(&all(120), UnixMs(0)) {
                world.check_readable();
                assert!(world.orphans().len() <= 1, "{:?}", world.orphans());
                crashes += 1;
                world.left = if crashes < 3 { crash_at } else { u64::MAX };
            }
            world.left = u64::MAX;
            world.erase(3);
            world.check_readable();
            while world.pass(&all(120), UnixMs(100_000)).unwrap() {}
            world.check_readable();
            assert!(world.orphans().is_empty() && world.notes.is_empty() && world.segments.is_empty());
            if crashes == 0 {
                assert!(crash_at > 8, "there were effects to die at");
                break;
            }
        }
    }

    #[test]
    fn a_job_that_cannot_be_built_leaves_nothing_behind() {
        let job = Job::pack(STREAM, Seq(0), Seq(10));
        let abandoned = job.abandon().unwrap();
        assert_eq!(abandoned.step, Step::Drop { key: job.key() });
        let row = Packer::new(STREAM, Seq(0));
        assert!(row.finish(Seq(10), 0).is_err(), "the range is not filled");
        let mut world = World::with_segments(&[10]);
        let entered = job.clone().handle_put(world.build(&job).row, 0);
        assert_eq!(entered.abandon(), None, "its row may be there");
        world.save(Some(entered)).unwrap();
        world.pass(&[], UnixMs(0)).unwrap();
        assert_eq!(world.packs.len(), 1);
    }

    #[test]
    fn saved_jobs_keep_their_format() {
        let row = Job::pack(STREAM, Seq(1), Seq(2));
        let text = serde_json::to_string(&row).unwrap();
        let expected =
            format!(r#"{{"stream":"{STREAM}","first":1,"end":2,"source":"segments","step":"build"}}"#);
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), row);
    }

    #[test]
    fn runs_go_with_every_pack_that_they_reach_into() {
        let run = |first: u64, count| PackedRun {
            first: Seq(first),
            count,
            root: B256::ZERO,
            previous: B256::ZERO,
            round: first,
        };
        let (count, root, records) = segment(10, 10);
        let mut packer = Packer::new(STREAM, Seq(10));
        packer.push(&to_pack(10, count, root, &records)).unwrap();
        packer.push_runs([run(5, 8), run(13, 20)]).unwrap();
        let built = packer.finish(Seq(20), 0).unwrap();
        let again = rewrite(&built.row, &built.bytes, |_, _| true).unwrap();
        let index = PackIndex::of_pack(STREAM, &again.bytes).unwrap();
        assert_eq!(index.runs, [run(5, 8), run(13, 20)]);
        assert_eq!((again.row.oldest, again.row.newest), (None, UnixMs(1_019)));
        assert_eq!(again.row.generation, 1);
    }
}

mod erasing {
    use super::*;

    #[test]
    fn a_payload_is_in_no_object_once_its_note_is_gone() {
        let mut world = World::with_segments(&[10; 12]);
        while world.pass(&all(120), UnixMs(0)).unwrap() {}
        let secret = payload(57);
        let has = |world: &World| {
            let mut objects = world.objects.values();
            objects.any(|bytes| bytes.windows(secret.len()).any(|part| *part == *secret))
        };
        assert!(has(&world));
        world.erase(57);
        world.check_readable();
        while world.pass(&all(120), UnixMs(0)).unwrap() {}
        world.check_readable();
        assert!(!has(&world) && world.notes.is_empty());
    }

    #[test]
    fn old_payloads_go_and_newer_ones_stay() {
        let mut world = World::with_segments(&[100]);
        world.pass(&all(100), UnixMs(0)).unwrap();
        let row = world.packs[&0].clone();
        assert_eq!((row.oldest, row.newest), (Some(UnixMs(1_000)), UnixMs(1_099)));
        let built = rewrite(&row, &world.objects[&row.key()], |_, record| {
            record.time < UnixMs(1_040)
        });
        let built = built.unwrap();
        assert_eq!(built.row.oldest, Some(UnixMs(1_040)));
        assert_ne!(built.row.key(), row.key());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    /// Messages come, some are erased at any time, and the machine dies at random effects.
    #[test]
    fn nothing_is_lost_whatever_dies_and_whatever_is_erased(
        turns in prop::collection::vec((1u64..15, 0u64..30, prop::option::of(any::<prop::sample::Index>())), 1..20),
    ) {
        let mut world = World::with_segments(&[]);
        for (count, lives, erased) in turns {
            world.add(count);
            if let Some(at) = erased {
                world.erase(at.index(world.head as usize) as u64);
            }
            world.left = lives;
            let finals = all(world.head.saturating_sub(20));
            let _ = world.pass(&finals, UnixMs(0));
            world.check_readable();
            prop_assert!(world.orphans().len() <= 1);
        }
        world.left = u64::MAX;
        let finals = all(world.head);
        while world.pass(&finals, UnixMs(100_000)).unwrap() {}
        world.check_readable();
        prop_assert!(world.orphans().is_empty() && world.notes.is_empty() && world.segments.is_empty());
    }
}
