//! The parts of a deployment: what may happen to a step, a batcher object, the database, a stream.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use streamchain_chain::batcher::{self, Batcher, RoundList};
use streamchain_chain::journal::Row;
use streamchain_chain::rounds::{NewestRound, StoreRound};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::bucket::bucket_of;
use streamchain_protocol::proof::merkle;
use streamchain_protocol::proof::range::{self, RangeNode};
use streamchain_protocol::proof::run::RunEntry;

use super::super::anchoring::signer;
use super::BUCKETS_EACH;

/// What happens to one step: a command of a machine, or a message between two objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Whoever acts dies before it does.
    DiesBefore,
    /// Whoever acts dies when it is done, before it hears of it.
    DiesAfter,
    /// The message or the call does not arrive, or the write fails.
    Lost,
    /// It arrives, and the answer does not.
    AnswerLost,
    /// Whoever is asked dies before it saves.
    AskedDies,
    /// It arrives twice.
    Doubled,
    /// It arrives, the answer does not, and it arrives again much later.
    Late,
}

impl Trouble {
    pub const ALL: [Trouble; 7] = [
        Trouble::DiesBefore,
        Trouble::DiesAfter,
        Trouble::Lost,
        Trouble::AnswerLost,
        Trouble::AskedDies,
        Trouble::Doubled,
        Trouble::Late,
    ];

    pub(super) fn loses_answer(self) -> bool {
        matches!(
            self,
            Trouble::Lost | Trouble::AnswerLost | Trouble::AskedDies | Trouble::Late
        )
    }
}

pub type Rows = BTreeMap<String, String>;

pub(super) fn write(rows: &mut Rows, changes: Vec<Row>) {
    for row in changes {
        match row.value {
            Some(value) => rows.insert(row.key, value),
            None => rows.remove(&row.key),
        };
    }
}

pub(super) fn pairs(rows: &Rows) -> impl Iterator<Item = (&str, &str)> {
    rows.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// A batcher object.
pub struct BatcherObject {
    pub machine: Batcher,
    pub rows: Rows,
}

pub fn batcher_settings() -> batcher::Settings {
    batcher::Settings {
        buckets_each: BUCKETS_EACH,
        operators: BTreeSet::from([signer().address()]),
        announce_after_ms: 60_000,
    }
}

impl BatcherObject {
    pub(super) fn new() -> Self {
        let machine = Batcher::restore(batcher_settings(), []).unwrap();
        Self {
            machine,
            rows: Rows::new(),
        }
    }

    pub fn crash(&mut self) {
        self.machine = Batcher::restore(batcher_settings(), pairs(&self.rows)).unwrap();
    }

    /// Saves, unless it dies.
    pub(super) fn save(&mut self, dies: bool) {
        let rows = self.machine.take_unsaved();
        match dies {
            true => self.crash(),
            false => write(&mut self.rows, rows),
        }
    }
}

/// What the database has.
#[derive(Default)]
pub struct Database {
    pub rounds: BTreeMap<u64, StoreRound>,
    pub lists: BTreeMap<(u64, u8), Vec<RunEntry>>,
    pub runs: BTreeMap<(StreamId, Seq), (RunEntry, u64)>,
    pub nodes: BTreeMap<(u8, u64), B256>,
}

impl Database {
    pub(super) fn write_list(&mut self, list: RoundList) {
        for run in &list.runs {
            self.runs.insert((run.stream, run.first), (*run, list.round));
        }
        self.lists.insert((list.round, list.first_bucket), list.runs);
    }

    pub fn newest_run(&self, stream: StreamId) -> Option<RunEntry> {
        let of_stream = self.runs.range((stream, Seq(0))..=(stream, Seq(u64::MAX)));
        of_stream.last().map(|(_, (run, _))| *run)
    }

    pub(super) fn newest_round(&self) -> Option<NewestRound> {
        let (round, stored) = self.rounds.last_key_value()?;
        let peaks = range::peaks(round + 1).into_iter().filter_map(|(height, index)| {
            let hash = *self.nodes.get(&(height, index))?;
            Some(RangeNode { height, index, hash })
        });
        Some(NewestRound {
            fixed: stored.fixed.clone(),
            peaks: peaks.collect(),
            fixed_at: stored.fixed_at,
        })
    }

    /// The runs of a round, as readers see them: lists of buckets that the round does not have count for nothing.
    pub fn runs_of(&self, round: u64) -> Vec<RunEntry> {
        let buckets = &self.rounds[&round].fixed.buckets;
        let lists = self.lists.range((round, 0)..=(round, u8::MAX));
        let runs = lists.flat_map(|(_, runs)| runs.iter().copied());
        runs.filter(|run| buckets[usize::from(bucket_of(run.stream))].runs > 0)
            .collect()
    }
}

/// A Stream object, as far as rounds are concerned.
#[derive(Clone, Debug)]
pub struct FakeStream {
    pub owner: Address,
    pub watched: bool,
    /// All its segments: first message, how many, root.
    pub segments: Vec<(Seq, u32, B256)>,
    /// Where it was told that its next run begins.
    pub begin: Seq,
    /// Up to where it has offered its messages since.
    pub offered: Seq,
    pub refused: u32,
}

impl FakeStream {
    pub fn head(&self) -> Seq {
        self.segments
            .last()
            .map_or(Seq(0), |(first, count, _)| Seq(first.0 + u64::from(*count)))
    }

    /// The root over its messages of this range.
    pub(super) fn root(&self, first: Seq, end: Seq) -> B256 {
        let within = |(at, ..): &&(Seq, u32, B256)| *at >= first && *at < end;
        let roots: Vec<B256> = self
            .segments
            .iter()
            .filter(within)
            .map(|(.., root)| *root)
            .collect();
        merkle::root(&roots).unwrap()
    }
}
