//! What each producer has published: the relay's part of exactly-once delivery.
//!
//! What always holds: the producer_seqs of a producer are accepted in order and each once, beginning after the last
//! one that the edge has committed; a producer is forgotten only when all its messages are committed and no session
//! uses it, so that the edge's answer about it is complete.

use crate::core::limits::{MAX_PRODUCERS, PRODUCER_RECENT};
use std::collections::{HashMap, VecDeque};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::wire::ProducerKey;

/// How a producer_seq stands to those accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    New,
    /// It was accepted before, as this seq if that is still remembered.
    Duplicate(Option<Seq>),
    /// It skips some: this one is next.
    Ahead(u64),
}

#[derive(Debug)]
struct Progress {
    next: u64,
    /// The seqs of the last messages, the newest last.
    recent: VecDeque<Seq>,
    /// One past the seq of the newest message.
    end: Seq,
    /// Sessions that said hello with it.
    sessions: usize,
    /// Its last producer_seq that is known to be committed.
    stored: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Producers(HashMap<ProducerKey, Progress>);

impl Producers {
    /// Whether the producer's state is known here.
    #[cfg(test)]
    pub(crate) fn knows(&self, id: ProducerKey) -> bool {
        self.0.contains_key(&id)
    }

    /// Takes a producer as the edge has it, unless it is known here, which is newer.
    pub(crate) fn learn(&mut self, id: ProducerKey, stored: Option<u64>) {
        self.0.entry(id).or_insert_with(|| Progress {
            next: stored.map_or(0, |last| last + 1),
            recent: VecDeque::new(),
            end: Seq(0),
            sessions: 0,
            stored,
        });
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

    /// How `producer_seq` stands to those accepted before; `None` for a producer that was not learned.
    pub(crate) fn position(&self, id: ProducerKey, producer_seq: u64) -> Option<Position> {
        let producer = self.0.get(&id)?;
        Some(match producer.next.checked_sub(producer_seq) {
            Some(0) => Position::New,
            Some(back) => {
                let index = usize::try_from(back)
                    .ok()
                    .and_then(|back| producer.recent.len().checked_sub(back));
                Position::Duplicate(index.and_then(|index| producer.recent.get(index)).copied())
            }
            None => Position::Ahead(producer.next),
        })
    }

    /// The producer's next message was given `seq`.
    pub(crate) fn accept(&mut self, id: ProducerKey, seq: Seq) {
        let Some(producer) = self.0.get_mut(&id) else {
            return;
        };
        producer.next += 1;
        producer.end = seq.next();
        producer.recent.push_back(seq);
        if producer.recent.len() > PRODUCER_RECENT {
            producer.recent.pop_front();
        }
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

    #[test]
    fn a_returning_producer_goes_on_behind_what_is_stored() {
        let mut producers = Producers::default();
        assert_eq!(
            producers.position(ID, 0),
            None,
            "nobody may publish before it is known how far it got"
        );
        producers.learn(ID, Some(4));
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
        producers.learn(ID, Some(4));
        assert_eq!(producers.position(other, 0), None);
        producers.learn(other, None);
        producers.accept(other, Seq(7));
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
        producers.learn(ID, None);
        for seq in 0..PRODUCER_RECENT as u64 + 2 {
            assert_eq!(producers.position(ID, seq), Some(Position::New));
            producers.accept(ID, Seq(100 + seq));
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
        (0..=MAX_PRODUCERS).for_each(|producer_seq| producers.learn(id(producer_seq), None));
        producers.join(id(0));
        producers.accept(id(1), Seq(9));
        producers.trim(Seq(9));
        assert!(producers.knows(id(0)), "one in use stays");
        assert!(
            producers.knows(id(1)),
            "one with a message that is not stored stays"
        );
        assert!(!producers.knows(id(2)), "the others go");
    }
}
