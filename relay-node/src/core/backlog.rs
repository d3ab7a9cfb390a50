//! Messages that are accepted but not committed yet, and the one batch that is under way.
//!
//! What always holds: the backlog is the contiguous run `committed()..head()`; at most one batch is under way and
//! it is the run's beginning; a batch that is tried again is byte for byte the same, so the edge recognizes it.

use crate::core::limits::{MAX_UNCOMMITTED_BYTES, MAX_UNCOMMITTED_MESSAGES};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
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
    interval: Duration,
}

impl Backlog {
    /// An empty backlog of a stream whose first `committed` messages are stored; batches close after `interval`.
    pub(crate) fn new(committed: Seq, interval: Duration) -> Self {
        Self {
            committed,
            records: VecDeque::new(),
            due: VecDeque::new(),
            bytes: 0,
            open_bytes: 0,
            under_way: None,
            interval,
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

    /// Whether a message of `bytes` is too much until the edge has taken some.
    pub(crate) fn is_full(&self, bytes: usize) -> bool {
        self.records.len() >= MAX_UNCOMMITTED_MESSAGES || self.bytes + bytes > MAX_UNCOMMITTED_BYTES
    }

    /// Adds a message; the seq it was given.
    pub(crate) fn push(&mut self, record: Record, now: Instant) -> Seq {
        let seq = self.head();
        self.bytes += record.payload.len();
        self.open_bytes += record.payload.len();
        self.records.push_back(record);
        let due = now + self.interval;
        match self.due.back_mut() {
            // One deadline for all messages of one turn of the loop.
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
        let mut encoded = 0;
        let fits = |record: &&Record| {
            encoded += record.max_encoded_bytes();
            encoded <= MAX_BATCH_BYTES
        };
        let records: Vec<Record> = self
            .records
            .iter()
            .take(MAX_BATCH_MESSAGES)
            .take_while(fits)
            .cloned()
            .collect();
        let count = records.len();
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
    use streamchain_protocol::Address;
    use streamchain_protocol::ids::ProducerId;

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
        let mut backlog = Backlog::new(Seq(3), INTERVAL);
        assert_eq!(backlog.push(record(0, 10), start), Seq(3));
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

        let mut full = Backlog::new(Seq(0), INTERVAL);
        (0..BATCH_CLOSE_MESSAGES as u64).for_each(|producer_seq| {
            full.push(record(producer_seq, 1), start);
        });
        assert_eq!(
            sizes(full.close_batch(Epoch(1), Some(start))),
            Some((0, BATCH_CLOSE_MESSAGES))
        );
    }

    #[test]
    fn while_one_batch_is_under_way_the_next_one_grows() {
        let start = Instant::now();
        let mut backlog = Backlog::new(Seq(0), INTERVAL);
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
        let mut backlog = Backlog::new(Seq(0), INTERVAL);
        (0..20).for_each(|producer_seq| {
            backlog.push(record(producer_seq, 65_536), Instant::now());
        });
        let body = backlog.close_batch(Epoch(1), None).unwrap();
        assert!(body.len() <= Batch::MAX_BODY_BYTES, "{} bytes", body.len());
        assert!(Batch::decode(&body).is_ok_and(|batch| batch.records.len() > 10));
    }

    #[test]
    fn a_full_backlog_takes_more_once_some_is_stored() {
        let mut backlog = Backlog::new(Seq(0), INTERVAL);
        let mut producer_seq = 0;
        while !backlog.is_full(65_536) {
            backlog.push(record(producer_seq, 65_536), Instant::now());
            producer_seq += 1;
        }
        assert!(backlog.bytes() <= MAX_UNCOMMITTED_BYTES);
        let batch = Batch::decode(&backlog.close_batch(Epoch(1), None).unwrap()).unwrap();
        backlog.confirm(batch.end());
        assert!(!backlog.is_full(65_536));
    }
}
