//! What each producer has published: the relay's part of exactly-once delivery.
//!
//! What always holds: the producer_seqs of a producer are accepted in order and each once, beginning after the last
//! one that the edge has committed; a producer signs all its messages or none, and each of its groups names the one before;
//! a producer is forgotten only when all its messages are committed and no session uses it, so that the edge's answer about
//! it is complete.

use crate::core::limits::{MAX_PRODUCERS, PRODUCER_RECENT};
use std::collections::{HashMap, VecDeque};
use streamchain_protocol::B256;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::signed::ProducerChain;
use streamchain_protocol::wire::{ProducerKey, ProducerState};

/// How a publication stands to those accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    New,
    /// It was accepted before, as this seq if that is still remembered.
    Duplicate(Option<Seq>),
    /// It skips some: this one is next.
    Ahead(u64),
    /// It is a group of which some numbers were accepted before, or all, but not as this group: this one is next.
    Overlaps(u64),
}

/// A message or a group that was accepted.
#[derive(Debug, Clone, Copy)]
struct Accepted {
    seq: Seq,
    count: u32,
}

#[derive(Debug)]
struct Progress {
    /// Which number comes next, and the digest of the last group.
    chain: ProducerChain,
    /// The last publications, the newest last; each begins where the one before it ends.
    recent: VecDeque<Accepted>,
    /// How many messages they are.
    recent_messages: usize,
    /// One past the seq of the newest message.
    end: Seq,
    /// Sessions that said hello with it.
    sessions: usize,
    /// Its last producer_seq that is known to be committed.
    stored: Option<u64>,
}

impl Progress {
    /// The publication that `number`, which was accepted, belongs to, and its first number; `None` when it is no longer remembered.
    fn recent(&self, number: u64) -> Option<(u64, Accepted)> {
        let mut end = self.chain.next();
        for accepted in self.recent.iter().rev() {
            let first = end.saturating_sub(u64::from(accepted.count));
            if number >= first {
                return Some((first, *accepted));
            }
            end = first;
        }
        None
    }

    fn remember(&mut self, seq: Seq, count: u32) {
        self.end = Seq(seq.0 + u64::from(count));
        self.recent.push_back(Accepted { seq, count });
        self.recent_messages += count as usize;
        while self.recent.len() > 1
            && self.recent_messages > PRODUCER_RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.recent_messages -= oldest.count as usize;
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Producers(HashMap<ProducerKey, Progress>);

impl Producers {
    /// Whether the producer's state is known here.
    pub(crate) fn knows(&self, id: ProducerKey) -> bool {
        self.0.contains_key(&id)
    }

    /// Takes a producer as the edge has it, unless it is known here, which is newer.
    pub(crate) fn learn(&mut self, id: ProducerKey, state: &ProducerState) {
        let next = state.stored.map_or(0, |last| last.saturating_add(1));
        self.0.entry(id).or_insert_with(|| Progress {
            chain: ProducerChain::behind(next, state.digest),
            recent: VecDeque::new(),
            recent_messages: 0,
            end: Seq(0),
            sessions: 0,
            stored: state.stored,
        });
    }

    /// Takes a producer whose next publication waits at the edge, which has checked that it follows.
    pub(crate) fn learn_before(&mut self, id: ProducerKey, first: u64, previous: Option<B256>) {
        let state = ProducerState {
            stored: first.checked_sub(1),
            digest: previous.filter(|_| first > 0),
            key: None,
        };
        self.learn(id, &state);
    }

    /// A session uses the producer from now on. Returns its last committed producer_seq; `None` for one that was not learned.
    pub(crate) fn join(&mut self, id: ProducerKey) -> Option<Option<u64>> {
        let producer = self.0.get_mut(&id)?;
        producer.sessions += 1;
        Some(producer.stored)
    }

    /// A session no longer uses the producer.
    pub(crate) fn leave(&mut self, id: ProducerKey) {
        if let Some(producer) = self.0.get_mut(&id) {
            producer.sessions = producer.sessions.saturating_sub(1);
        }
    }

    /// The producer's chain, which the next publication must follow; `None` for a producer that was not learned.
    pub(crate) fn chain(&self, id: ProducerKey) -> Option<ProducerChain> {
        self.0.get(&id).map(|producer| producer.chain)
    }

    /// How a message of no group stands to those accepted before; `None` for a producer that was not learned.
    pub(crate) fn position(&self, id: ProducerKey, number: u64) -> Option<Position> {
        let producer = self.0.get(&id)?;
        let next = producer.chain.next();
        Some(match number.cmp(&next) {
            std::cmp::Ordering::Equal => Position::New,
            std::cmp::Ordering::Greater => Position::Ahead(next),
            std::cmp::Ordering::Less => {
                let recent = producer.recent(number);
                Position::Duplicate(recent.map(|(first, accepted)| Seq(accepted.seq.0 + (number - first))))
            }
        })
    }

    /// The same for a group of `count` messages from `first` on. Only the very same group is known again.
    pub(crate) fn position_of_group(&self, id: ProducerKey, first: u64, count: u32) -> Option<Position> {
        let producer = self.0.get(&id)?;
        let (next, end) = (producer.chain.next(), first.saturating_add(u64::from(count)));
        Some(match first.cmp(&next) {
            std::cmp::Ordering::Equal => Position::New,
            std::cmp::Ordering::Greater => Position::Ahead(next),
            std::cmp::Ordering::Less if end > next => Position::Overlaps(next),
            std::cmp::Ordering::Less => match producer.recent(end.saturating_sub(1)) {
                Some((begin, accepted)) if begin != first || accepted.count != count => {
                    Position::Overlaps(next)
                }
                Some((_, accepted)) => Position::Duplicate(Some(accepted.seq)),
                None => Position::Duplicate(None),
            },
        })
    }

    /// The producer's next message, or group, was given seqs from `seq` on; its chain is this now.
    pub(crate) fn accept(&mut self, id: ProducerKey, seq: Seq, chain: ProducerChain) {
        let Some(producer) = self.0.get_mut(&id) else {
            return;
        };
        let count = chain.next().saturating_sub(producer.chain.next());
        producer.chain = chain;
        producer.remember(seq, u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// The edge has committed this message of the producer.
    pub(crate) fn stored(&mut self, id: ProducerKey, producer_seq: u64) {
        if let Some(producer) = self.0.get_mut(&id) {
            producer.stored = producer.stored.max(Some(producer_seq));
        }
    }

    /// Forgets producers without sessions once there are too many. Every seq below `committed` is committed.
    pub(crate) fn trim(&mut self, committed: Seq) {
        if self.0.len() > MAX_PRODUCERS {
            self.0
                .retain(|_, producer| producer.sessions > 0 || producer.end > committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::Address;
    use streamchain_protocol::ids::ProducerId;

    const ID: ProducerKey = ProducerKey {
        author: Address::repeat_byte(1),
        id: ProducerId([1; 16]),
    };

    fn behind(stored: Option<u64>) -> ProducerState {
        ProducerState {
            stored,
            ..ProducerState::default()
        }
    }

    /// The producer's next message, which is of no group, gets this seq.
    fn accept(producers: &mut Producers, id: ProducerKey, seq: Seq) {
        let mut chain = producers.chain(id).unwrap();
        chain.push_unsigned(chain.next()).unwrap();
        producers.accept(id, seq, chain);
    }

    /// The producer's next group, of so many messages, gets seqs from this one on.
    fn accept_group(producers: &mut Producers, seq: Seq, count: u32) {
        let chain = producers.chain(ID).unwrap();
        let digest = Some(B256::repeat_byte(1));
        producers.accept(
            ID,
            seq,
            ProducerChain::behind(chain.next() + u64::from(count), digest),
        );
    }

    #[test]
    fn only_the_very_same_group_is_known_again() {
        let mut producers = Producers::default();
        producers.learn(ID, &behind(None));
        accept_group(&mut producers, Seq(10), 3);
        accept_group(&mut producers, Seq(20), 2);
        let of = |first, count| producers.position_of_group(ID, first, count).unwrap();
        assert_eq!(of(0, 3), Position::Duplicate(Some(Seq(10))));
        assert_eq!(of(3, 2), Position::Duplicate(Some(Seq(20))));
        for (first, count) in [(0, 2), (1, 2), (0, 5), (0, 4), (3, 1), (4, 1), (3, 3), (4, 9)] {
            assert_eq!(of(first, count), Position::Overlaps(5), "{first}+{count}");
        }
        assert_eq!(of(5, 256), Position::New);
        assert_eq!(of(6, 1), Position::Ahead(5));
        assert_eq!(
            producers.position(ID, 4),
            Some(Position::Duplicate(Some(Seq(21))))
        );
    }

    #[test]
    fn groups_are_remembered_by_their_messages() {
        let mut producers = Producers::default();
        producers.learn(ID, &behind(None));
        for group in 0..10 {
            accept_group(&mut producers, Seq(256 * group), 256);
        }
        let of = |first, count| producers.position_of_group(ID, first, count);
        assert_eq!(of(9 * 256, 256), Some(Position::Duplicate(Some(Seq(9 * 256)))));
        assert_eq!(of(8 * 256, 256), Some(Position::Duplicate(None)));
        assert_eq!(of(8 * 256, 512), Some(Position::Overlaps(2_560)));
    }

    #[test]
    fn a_returning_producer_goes_on_behind_what_is_stored() {
        let mut producers = Producers::default();
        assert_eq!(
            producers.position(ID, 0),
            None,
            "nobody may publish before it is known how far it got"
        );
        producers.learn(ID, &behind(Some(4)));
        assert_eq!(producers.join(ID), Some(Some(4)));
        assert_eq!(producers.position(ID, 4), Some(Position::Duplicate(None)));
        assert_eq!(producers.position(ID, 5), Some(Position::New));
        assert_eq!(producers.position(ID, 7), Some(Position::Ahead(5)));
    }

    #[test]
    fn an_id_is_another_producer_for_each_author() {
        let other = ProducerKey {
            author: Address::repeat_byte(2),
            ..ID
        };
        let mut producers = Producers::default();
        producers.learn(ID, &behind(Some(4)));
        assert_eq!(producers.position(other, 0), None);
        producers.learn(other, &behind(None));
        accept(&mut producers, other, Seq(7));
        producers.stored(other, 0);
        assert_eq!(producers.join(ID), Some(Some(4)));
        assert_eq!(producers.position(ID, 5), Some(Position::New));
        assert_eq!(
            producers.position(other, 0),
            Some(Position::Duplicate(Some(Seq(7))))
        );
    }

    #[test]
    fn a_duplicate_gets_its_seq_while_it_is_remembered() {
        let mut producers = Producers::default();
        producers.learn(ID, &behind(None));
        for seq in 0..PRODUCER_RECENT as u64 + 2 {
            assert_eq!(producers.position(ID, seq), Some(Position::New));
            accept(&mut producers, ID, Seq(100 + seq));
        }
        let last = PRODUCER_RECENT as u64 + 1;
        assert_eq!(
            producers.position(ID, last),
            Some(Position::Duplicate(Some(Seq(100 + last))))
        );
        assert_eq!(
            producers.position(ID, 2),
            Some(Position::Duplicate(Some(Seq(102))))
        );
        assert_eq!(producers.position(ID, 1), Some(Position::Duplicate(None)));
    }

    #[test]
    fn only_idle_and_stored_producers_are_forgotten() {
        let mut producers = Producers::default();
        let id = |producer_seq: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(producer_seq as u64).to_be_bytes());
            ProducerKey {
                id: ProducerId(id),
                ..ID
            }
        };
        (0..=MAX_PRODUCERS).for_each(|producer_seq| producers.learn(id(producer_seq), &behind(None)));
        producers.join(id(0));
        accept(&mut producers, id(1), Seq(9));
        producers.trim(Seq(9));
        assert!(producers.knows(id(0)), "one in use stays");
        assert!(
            producers.knows(id(1)),
            "one with a message that is not stored stays"
        );
        assert!(!producers.knows(id(2)), "the others go");
    }
}
