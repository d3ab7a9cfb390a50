//! Which streams the next transaction is made for.
//!
//! What always holds: rounds have a transaction of their own, every second one if others wait; of each other transaction, half is the account's own streams', as long as they need it; of the other
//! half one owner gets a part only while others wait; a stream that may have made a transaction revert travels alone.

use std::collections::BTreeMap;
use std::ops::Bound;

use alloy_primitives::Address;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;

use super::pending::Pending;
use super::segment::Run;
use super::stream::StreamEntry;

/// How much of a transaction one stranger's streams take at most while others wait: a quarter.
const OWNER_PART: usize = 4;

/// What kinds of streams a transaction carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Class {
    /// The account's own.
    Own,
    /// Those of others.
    Foreign,
    /// The account's own and those of others.
    Together,
    /// One stream that may have made a transaction revert.
    #[default]
    Alone,
}

/// Whose turn it was last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// The last of the account's own streams that had its turn.
    pub(super) own: Option<StreamId>,
    /// The last stream of somebody else that had its turn.
    pub(super) foreign: Option<StreamId>,
    /// What the last transaction carried, of those that carried no rounds.
    pub(super) class: Class,
    /// Whether it was the rounds' turn last: then others have theirs, if they want it.
    pub(super) rounds: bool,
}

impl Turn {
    /// The classes in the order in which they are looked at.
    fn order(self, apart: bool) -> &'static [Class] {
        use Class::{Alone, Foreign, Own, Together};
        match (apart, self.class) {
            (true, Own) => &[Foreign, Alone, Own],
            (true, Foreign) => &[Alone, Own, Foreign],
            (true, _) => &[Own, Foreign, Alone],
            (false, Alone) => &[Together, Alone],
            (false, _) => &[Alone, Together],
        }
    }
}

impl Pending {
    /// Up to `limit` streams that want an anchor, in turn.
    pub(super) fn wanting(&self, turn: Turn, limit: usize, now: UnixMs) -> Vec<StreamId> {
        let apart = now < self.apart_until;
        let classes = turn.order(apart).iter();
        let chosen = classes.map(|class| self.choose(*class, turn, limit, now));
        chosen.into_iter().find(|ids| !ids.is_empty()).unwrap_or_default()
    }

    fn choose(&self, class: Class, turn: Turn, limit: usize, now: UnixMs) -> Vec<StreamId> {
        let own = || {
            let own_streams =
                |id, entry: &StreamEntry| self.shares.is_own(entry.owner()) && !self.is_rounds(id);
            let own = self.after(turn.own);
            let own = own.filter(|(id, entry)| own_streams(*id, entry));
            let wanting = own.filter(|(_, entry)| entry.wants_anchor(now));
            wanting.map(|(id, _)| id).take(limit).collect::<Vec<_>>()
        };
        match class {
            Class::Own => own(),
            Class::Foreign => self.foreign(turn, limit, now),
            Class::Together => {
                let (mut own, mut foreign) = (own(), self.foreign(turn, limit, now));
                foreign.truncate((limit / 2).max(limit.saturating_sub(own.len())));
                own.truncate(limit.saturating_sub(foreign.len()));
                own.extend(foreign);
                own
            }
            Class::Alone => {
                let mut suspect = self.strangers(turn, now).filter(|(_, entry)| entry.suspect);
                suspect.next().map(|(id, _)| id).into_iter().collect()
            }
        }
    }

    /// The streams of others that want an anchor; each owner's first ones before more of one owner.
    fn foreign(&self, turn: Turn, limit: usize, now: UnixMs) -> Vec<StreamId> {
        let share = (limit / OWNER_PART).max(1);
        let mut taken: BTreeMap<Address, usize> = BTreeMap::new();
        let (mut first, mut more) = (Vec::new(), Vec::new());
        for (id, entry) in self.strangers(turn, now).filter(|(_, entry)| !entry.suspect) {
            if first.len() == limit {
                break;
            }
            let taken = taken.entry(entry.owner()).or_default();
            *taken += 1;
            match *taken <= share {
                true => first.push(id),
                false if more.len() < limit => more.push(id),
                false => {}
            }
        }
        first.extend(more);
        first.truncate(limit);
        first
    }

    fn strangers(&self, turn: Turn, now: UnixMs) -> impl Iterator<Item = (StreamId, &StreamEntry)> {
        let wants = move |entry: &StreamEntry| !self.shares.is_own(entry.owner()) && entry.wants_anchor(now);
        self.after(turn.foreign).filter(move |(_, entry)| wants(entry))
    }

    /// All streams, beginning after this one.
    fn after(&self, turn: Option<StreamId>) -> impl Iterator<Item = (StreamId, &StreamEntry)> {
        let later = turn.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = turn.map_or(Bound::Excluded(StreamId([0; StreamId::LEN])), Bound::Included);
        let later = self.streams.range((later, Bound::Unbounded));
        let earlier = self.streams.range((Bound::Unbounded, rest));
        later.chain(earlier).map(|(id, entry)| (*id, entry))
    }

    /// Up to `limit` streams whose owners may have acted on the contract meanwhile, those first that were not read for
    /// longest.
    pub(super) fn waiting(&self, limit: usize, now: UnixMs) -> Vec<StreamId> {
        let due = |entry: &StreamEntry| entry.waits_until().filter(|due| *due <= now);
        let waiting = self.streams.iter();
        let mut waiting: Vec<_> = waiting
            .filter_map(|(id, entry)| Some((due(entry)?, *id)))
            .collect();
        if waiting.len() > limit {
            waiting.select_nth_unstable(limit);
            waiting.truncate(limit);
        }
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// When a stream is read next because its owner may have acted.
    pub(super) fn next_waiting(&self) -> Option<UnixMs> {
        self.streams.values().filter_map(StreamEntry::waits_until).min()
    }

    /// When the next stream, rounds aside, can be anchored: at once, or at the end of its obstacle; `None` when no stream
    /// is behind.
    pub(super) fn next_due(&self, now: UnixMs) -> Option<UnixMs> {
        let streams = self.streams.iter().filter(|(id, _)| !self.is_rounds(**id));
        streams.filter_map(|(_, entry)| entry.due(now)).min()
    }

    /// When rounds can be anchored; `None` when none are behind.
    pub(super) fn rounds_due(&self, now: UnixMs) -> Option<UnixMs> {
        self.streams.get(&self.rounds?)?.due(now)
    }

    /// The stream of rounds, if it can be anchored now.
    pub(super) fn wanting_rounds(&self, now: UnixMs) -> Option<StreamId> {
        let entry = self.streams.get(&self.rounds?)?;
        self.rounds.filter(|_| entry.wants_anchor(now))
    }

    /// What kinds of streams these runs are of.
    pub(super) fn class_of(&self, runs: &[Run]) -> Class {
        let entry = |run: &Run| self.streams.get(&run.stream);
        let is_own = |run: &Run| entry(run).is_none_or(|entry| self.shares.is_own(entry.owner()));
        let own = runs.iter().filter(|run| is_own(run)).count();
        match runs {
            [run] if entry(run).is_some_and(|entry| entry.suspect) => Class::Alone,
            _ if own == runs.len() => Class::Own,
            _ if own == 0 => Class::Foreign,
            _ => Class::Together,
        }
    }
}
