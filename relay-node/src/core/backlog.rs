//! Messages that are accepted but not committed yet, and the one batch that is under way.
//!
//! What always holds: the backlog is the contiguous run `committed()..head()`; at most one batch is under way and
//! it is the run's beginning; a batch that is tried again is byte for byte the same, so the edge recognizes it; a signed
//! group is pushed whole, and is whole in one batch.

use crate::core::limits::{MAX_UNCOMMITTED_BYTES, MAX_UNCOMMITTED_MESSAGES};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::limits::{
    BATCH_CLOSE_BYTES, BATCH_CLOSE_MESSAGES, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES,
};
use streamchain_protocol::wire::{Batch, ProducerKey, Record};

/// The batch that is under way.
#[derive(Debug, Clone)]
struct UnderWay {
    count: usize,
    body: Bytes,
}

/// Accepted messages from `committed()` to `head()`.
#[derive(Debug)]
pub(crate) struct Backlog {
    committed: Seq,
    records: VecDeque<Record>,
    /// When each record behind the batch under way must be on its way, as runs (count of records, due).
    due: VecDeque<(usize, Instant)>,
    bytes: usize,
    /// Payload bytes behind the batch under way.
    open_bytes: usize,
    under_way: Option<UnderWay>,
}

impl Backlog {
    /// An empty backlog of a stream whose first `committed` messages are stored.
    pub(crate) fn new(committed: Seq) -> Self {
        Self {
            committed,
            records: VecDeque::new(),
            due: VecDeque::new(),
            bytes: 0,
            open_bytes: 0,
            under_way: None,
        }
    }

    /// Every seq below it is committed.
    pub(crate) fn committed(&self) -> Seq {
        self.committed
    }

    /// The next seq to be given.
    pub(crate) fn head(&self) -> Seq {
        Seq(self.committed.0 + self.records.len() as u64)
    }

    /// Payload bytes that are not stored yet.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether so many messages of `bytes` together are too much until the edge has taken some.
    pub(crate) fn is_full(&self, messages: usize, bytes: usize) -> bool {
        self.records.len() + messages > MAX_UNCOMMITTED_MESSAGES || self.bytes + bytes > MAX_UNCOMMITTED_BYTES
    }

    /// Adds a message that must be on its way at `due`; the seq it was given.
    pub(crate) fn push(&mut self, record: Record, due: Instant) -> Seq {
        let seq = self.head();
        self.bytes += record.payload.len();
        self.open_bytes += record.payload.len();
        self.records.push_back(record);
        match self.due.back_mut() {
            // One deadline for all messages of one interval.
            Some((count, last)) if *last == due => *count += 1,
            _ => self.due.push_back((1, due)),
        }
        seq
    }

    fn open_count(&self) -> usize {
        self.records.len() - self.under_way.as_ref().map_or(0, |batch| batch.count)
    }

    /// When the open batch closes by itself; `None` while one is under way or there is nothing to send.
    pub(crate) fn next_close(&self) -> Option<Instant> {
        match self.under_way {
            None => self.due.front().map(|(_, due)| *due),
            Some(_) => None,
        }
    }

    /// Closes the open batch if it is time (or at once if `now` is `None`) and none is under way; its body.
    pub(crate) fn close_batch(&mut self, epoch: Epoch, now: Option<Instant>) -> Option<Bytes> {
        if self.under_way.is_some() || self.records.is_empty() {
            return None;
        }
        let full = self.open_count() >= BATCH_CLOSE_MESSAGES || self.open_bytes >= BATCH_CLOSE_BYTES;
        let due = now.is_none_or(|now| self.next_close().is_some_and(|close| close <= now));
        if !full && !due {
            return None;
        }
        let count = self.next_batch();
        let records: Vec<Record> = self.records.iter().take(count).cloned().collect();
        self.open_bytes -= records.iter().map(|record| record.payload.len()).sum::<usize>();
        self.drop_due(count);
        let body = Bytes::from(
            Batch {
                epoch,
                first: self.committed,
                records,
            }
            .encode(),
        );
        self.under_way = Some(UnderWay {
            count,
            body: body.clone(),
        });
        Some(body)
    }

    /// How many records the next batch has: as many as it may have, but no group in part. A group alone always fits.
    fn next_batch(&self) -> usize {
        let (mut taken, mut bytes) = (0, 0);
        while let Some(first) = self.records.get(taken) {
            let length = first.group.map_or(1, |group| usize::from(group.count).max(1));
            let whole = self.records.iter().skip(taken).take(length);
            bytes += whole.map(Record::max_encoded_bytes).sum::<usize>();
            if taken + length > MAX_BATCH_MESSAGES || bytes > MAX_BATCH_BYTES {
                break;
            }
            taken += length;
        }
        taken.min(self.records.len())
    }

    fn drop_due(&mut self, mut count: usize) {
        while let Some((run, _)) = self.due.front_mut().filter(|_| count > 0) {
            let taken = count.min(*run);
            *run -= taken;
            count -= taken;
            if *run == 0 {
                self.due.pop_front();
            }
        }
    }

    /// The batch under way, to be sent again.
    pub(crate) fn under_way(&self) -> Option<Bytes> {
        self.under_way.as_ref().map(|batch| batch.body.clone())
    }

    /// The edge has stored the batch under way and says how far the stream is stored; the producers' numbers in
    /// it. `None` when that is not the batch's end: then the edge and this relay do not mean the same stream.
    pub(crate) fn confirm(&mut self, committed: Seq) -> Option<Vec<(ProducerKey, u64)>> {
        let batch = self.under_way.take()?;
        let end = Seq(self.committed.0 + batch.count as u64);
        if committed != end {
            return None;
        }
        self.committed = end;
        let stored = self.records.drain(..batch.count);
        let (mut producer_seqs, mut bytes) = (Vec::with_capacity(batch.count), 0);
        for record in stored {
            bytes += record.payload.len();
            producer_seqs.push((record.producer_key(), record.producer_seq));
        }
        self.bytes -= bytes;
        Some(producer_seqs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use streamchain_protocol::ids::ProducerId;
    use streamchain_protocol::signed::{GroupHeader, PublicKey, Signature};
    use streamchain_protocol::{Address, B256};

    const INTERVAL: Duration = Duration::from_millis(50);

    fn record(producer_seq: u64, length: usize) -> Record {
        Record {
            time: streamchain_protocol::time::UnixMs(1),
            author: Address::ZERO,
            producer: ProducerId([1; 16]),
            producer_seq,
            payload: vec![7; length].into(),
            group: None,
        }
    }

    fn sizes(body: Option<Bytes>) -> Option<(u64, usize)> {
        body.map(|body| Batch::decode(&body).unwrap())
            .map(|batch| (batch.first.0, batch.records.len()))
    }

    #[test]
    fn a_batch_closes_after_the_interval_or_when_it_is_full() {
        let start = Instant::now();
        let mut backlog = Backlog::new(Seq(3));
        assert_eq!(backlog.push(record(0, 10), start + INTERVAL), Seq(3));
        assert_eq!(
            backlog.close_batch(Epoch(1), Some(start)),
            None,
            "not before its time"
        );
        assert_eq!(backlog.next_close(), Some(start + INTERVAL));
        assert_eq!(
            sizes(backlog.close_batch(Epoch(1), Some(start + INTERVAL))),
            Some((3, 1))
        );

        let mut full = Backlog::new(Seq(0));
        (0..BATCH_CLOSE_MESSAGES as u64).for_each(|producer_seq| {
            full.push(record(producer_seq, 1), start + INTERVAL);
        });
        assert_eq!(
            sizes(full.close_batch(Epoch(1), Some(start))),
            Some((0, BATCH_CLOSE_MESSAGES))
        );
    }

    #[test]
    fn while_one_batch_is_under_way_the_next_one_grows() {
        let start = Instant::now();
        let mut backlog = Backlog::new(Seq(0));
        backlog.push(record(0, 1), start);
        let first = backlog.close_batch(Epoch(1), None);
        (1..4).for_each(|producer_seq| {
            backlog.push(record(producer_seq, 1), start);
        });
        assert_eq!(backlog.close_batch(Epoch(1), None), None);
        assert_eq!(backlog.under_way(), first, "a retry is the same bytes");
        assert_eq!(
            backlog.confirm(Seq(1)),
            Some(vec![(record(0, 0).producer_key(), 0)])
        );
        assert_eq!(sizes(backlog.close_batch(Epoch(1), None)), Some((1, 3)));
        assert_eq!(
            backlog.confirm(Seq(9)),
            None,
            "an answer about another place is not taken"
        );
    }

    #[test]
    fn a_batch_of_large_messages_stays_within_what_the_edge_takes() {
        let mut backlog = Backlog::new(Seq(0));
        (0..20).for_each(|producer_seq| {
            backlog.push(record(producer_seq, 65_536), Instant::now());
        });
        let body = backlog.close_batch(Epoch(1), None).unwrap();
        assert!(body.len() <= Batch::MAX_BODY_BYTES, "{} bytes", body.len());
        assert!(Batch::decode(&body).is_ok_and(|batch| batch.records.len() > 10));
    }

    #[test]
    fn a_full_backlog_takes_more_once_some_is_stored() {
        let mut backlog = Backlog::new(Seq(0));
        let mut producer_seq = 0;
        while !backlog.is_full(1, 65_536) {
            backlog.push(record(producer_seq, 65_536), Instant::now());
            producer_seq += 1;
        }
        assert!(backlog.bytes() <= MAX_UNCOMMITTED_BYTES);
        let batch = Batch::decode(&backlog.close_batch(Epoch(1), None).unwrap()).unwrap();
        backlog.confirm(batch.end());
        assert!(!backlog.is_full(1, 65_536));
    }

    /// Pushes a group of so many messages.
    fn push_group(backlog: &mut Backlog, first: u64, count: u16, length: usize) {
        let header = GroupHeader {
            count,
            previous: B256::ZERO,
            key: PublicKey::from_bytes([2; 33]).unwrap(),
            signature: Signature([1; 64]),
        };
        let now = Instant::now();
        for number in 0..u64::from(count) {
            let group = (number == 0).then_some(header);
            backlog.push(
                Record {
                    group,
                    ..record(first + number, length)
                },
                now,
            );
        }
    }

    /// The lengths of the groups in each batch until all is stored.
    fn batches(backlog: &mut Backlog) -> Vec<Vec<usize>> {
        let mut all = vec![];
        while let Some(body) = backlog.close_batch(Epoch(1), None) {
            assert!(body.len() <= Batch::MAX_BODY_BYTES, "{} bytes", body.len());
            let batch = Batch::decode(&body).unwrap();
            let (mut lengths, mut at) = (vec![], 0);
            while let Some(first) = batch.records.get(at) {
                let length = first.group.map_or(1, |group| usize::from(group.count));
                assert!(at + length <= batch.records.len(), "a group is cut");
                lengths.push(length);
                at += length;
            }
            all.push(lengths);
            backlog.confirm(batch.end()).unwrap();
        }
        all
    }

    #[test]
    fn no_batch_has_a_group_in_part() {
        let mut many = Backlog::new(Seq(0));
        many.push(record(0, 1), Instant::now());
        (0..20).for_each(|group| push_group(&mut many, 256 * group, 256, 1));
        many.push(record(1, 1), Instant::now());
        let lengths = batches(&mut many);
        assert_eq!(
            lengths[0].len(),
            16,
            "a message and fifteen groups: 4,096 do not fit"
        );
        assert_eq!(lengths.concat().len(), 22);
        let mut large = Backlog::new(Seq(0));
        (0..30).for_each(|group| push_group(&mut large, 3 * group, 3, 21_845));
        assert_eq!(
            batches(&mut large).concat(),
            [3; 30],
            "768 KiB are no edge of a group"
        );
    }
}
