//! Signed groups in the log: whole or not at all, and each in the chain of its producer.
//!
//! What always holds:
//! - a batch has whole groups, so that nothing stored begins or ends inside of one;
//! - a producer is signed from its number 0 on, or never; each of its groups names the digest of the one before it;
//! - where a stream takes signed messages alone, a relay brings no others, but for those that the edge took before.
//!
//! Signatures are not verified here: whoever takes a group from its author verifies it, and whoever reads it may.

use super::error::Refusal;
use super::inbox_keys::InboxKeys;
use super::state::{LogState, ProducerMark};
use super::store::{LogStore, Step};
use alloy_primitives::B256;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::signed::{
    ChainError, GroupHeader, GroupWalker, MAX_GROUP_BYTES, MAX_GROUP_MESSAGES, ProducerChain, SignedGroup,
    Walked,
};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Batch, ProducerKey, Record};

/// Most encoded bytes of what is published at once: a message, or a whole group.
pub(super) const MAX_PUBLICATION_BYTES: usize =
    MAX_GROUP_BYTES + MAX_GROUP_MESSAGES * Record::MAX_OVERHEAD + GroupHeader::MAX_BYTES;

/// How a record stands to the groups around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is of no group.
    Unsigned,
    /// A group begins with it.
    First,
    /// It is of the group that began before it.
    Inside,
}

/// Returns the records, each with its place, as the headers say: that the groups are whole is checked by whoever walks them.
pub(super) fn with_places(records: &[Record]) -> impl Iterator<Item = (&Record, Place)> {
    let mut left = 0;
    records.iter().map(move |record| {
        let place = match (&record.group, left) {
            (Some(header), _) => {
                left = header.count;
                Place::First
            }
            (None, 0) => return (record, Place::Unsigned),
            (None, _) => Place::Inside,
        };
        left -= 1;
        (record, place)
    })
}

/// Returns how far each producer is after records that were committed. `None` when they are not whole groups.
pub(super) fn marks_of(stream: StreamId, records: &[Record]) -> Option<SortedMap<ProducerKey, ProducerMark>> {
    let mut walker = GroupWalker::new(stream);
    let mut marks = SortedMap::default();
    for record in records {
        let digest = match walker.push(record).ok()? {
            Walked::Inside => continue,
            Walked::Unsigned => None,
            Walked::Group(group) => Some(group.signed.digest()),
        };
        let last = record.producer_seq;
        marks.insert(record.producer_key(), ProducerMark { last, digest });
    }
    walker.finish().ok()?;
    Some(marks)
}

/// Checks that a group, or an unsigned message of this number, follows what its producer published before. Returns how far
/// the producer is with it.
pub(super) fn follow(
    producer: ProducerKey,
    before: Option<ProducerMark>,
    next: Result<&SignedGroup, u64>,
) -> Result<ProducerMark, Refusal> {
    let mut chain = before.map_or_else(ProducerChain::default, |mark| {
        ProducerChain::behind(mark.last.saturating_add(1), mark.digest)
    });
    let (given, pushed) = match next {
        Ok(group) => (
            group.signed.first,
            chain
                .push_group(&group.signed)
                .map(|digest| (group.signed.end() - 1, Some(digest))),
        ),
        Err(number) => (number, chain.push_unsigned(number).map(|()| (number, None))),
    };
    let producer = producer.id;
    match pushed {
        Ok((last, digest)) => Ok(ProducerMark { last, digest }),
        Err(ChainError::Gap { .. } | ChainError::Repeated { .. }) => Err(Refusal::ProducerConflict {
            producer,
            given,
            stored: before.map(|mark| mark.last),
        }),
        Err(error) => Err(Refusal::BrokenChain { producer, error }),
    }
}

/// Refuses a batch with an unsigned message where messages have to be signed: what the edge took before it was so, and keeps
/// in the inbox, unsigned, apart. A batch that does not follow what is committed is left to the commit.
pub(super) fn check_signed<S: LogStore>(state: &LogState, store: &S, batch: &Batch) -> Step<(), S> {
    if state.settings.signed.is_optional() || batch.first != state.head {
        return Ok(());
    }
    let mut waiting = None;
    for (record, place) in with_places(&batch.records) {
        if place != Place::Unsigned {
            continue;
        }
        let waiting = match &mut waiting {
            Some(waiting) => waiting,
            none => none.insert(InboxKeys::of(state, store)?),
        };
        if !waiting.has(record, false) {
            return Err(Refusal::Unsigned(record.author).into());
        }
    }
    Ok(())
}

/// What is published at once: one message that is not signed, or a whole group.
#[derive(Debug)]
pub(super) struct Publication<'a> {
    /// The records.
    pub(super) records: &'a [Record],
    /// Who numbers them.
    pub(super) producer: ProducerKey,
    /// The first number.
    pub(super) first: u64,
    /// What is signed; `None` for a message that is not.
    group: Option<SignedGroup>,
}

impl<'a> Publication<'a> {
    /// Takes records for a publication, if they are one.
    pub(super) fn of(stream: StreamId, records: &'a [Record]) -> Result<Self, Refusal> {
        let head = records.first().ok_or(Refusal::NotOnePublication)?;
        let mut walker = GroupWalker::new(stream);
        let mut last = Walked::Inside;
        for record in records {
            if last != Walked::Inside {
                return Err(Refusal::NotOnePublication);
            }
            last = walker.push(record)?;
        }
        let group = match last {
            Walked::Group(group) => Some(group),
            Walked::Unsigned => None,
            Walked::Inside => return Err(Refusal::NotOnePublication),
        };
        Ok(Self {
            records,
            producer: head.producer_key(),
            first: head.producer_seq,
            group,
        })
    }

    /// Returns the last number.
    pub(super) fn last(&self) -> u64 {
        self.first.saturating_add(self.records.len() as u64 - 1)
    }

    /// Returns the digest of the group before this one, as it says; `None` when it is no group.
    pub(super) fn previous(&self) -> Option<B256> {
        self.group.as_ref().map(|group| group.signed.previous)
    }

    /// Returns the group's digest; `None` when it is none.
    pub(super) fn digest(&self) -> Option<B256> {
        self.group.as_ref().map(|group| group.signed.digest())
    }

    /// Checks that it follows what its producer published before.
    pub(super) fn check_follows(&self, before: Option<ProducerMark>) -> Result<(), Refusal> {
        let next = self.group.as_ref().ok_or(self.first);
        follow(self.producer, before, next).map(drop)
    }

    /// Checks of one whose numbers were all taken before, up to `mark`, that it may be what was taken: signed where that is
    /// signed, and the same group where it is the newest.
    pub(super) fn check_repeats(&self, mark: ProducerMark) -> Result<(), Refusal> {
        let (producer, digest) = (self.producer.id, self.digest());
        let error = match (digest, mark.digest) {
            (Some(_), None) => ChainError::SignedBehindUnsigned(self.first),
            (None, Some(_)) => ChainError::UnsignedBehindSigned(self.first),
            (Some(_), Some(_)) if self.last() == mark.last && digest != mark.digest => {
                return Err(Refusal::ProducerConflict {
                    producer,
                    given: self.first,
                    stored: Some(mark.last),
                });
            }
            _ => return Ok(()),
        };
        Err(Refusal::BrokenChain { producer, error })
    }
}
