//! What was received and is not read yet.
//!
//! What always holds: the window is contiguous; the reader gets seq after seq, each once. A message above the committed
//! mark is tentative: it reaches a reader who asked for live messages only, and is taken back when another epoch begins.
//! What is before the window is read from history, so a slow reader costs no more than the window.

use super::limits::{MAX_FEED_BYTES, MAX_FEED_MESSAGES};
use super::message::Message;
use std::collections::VecDeque;
use streamchain_protocol::ids::{Epoch, Seq};

/// Which messages a reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// Those that are stored: none of them is ever taken back.
    Stored,
    /// All at once. Those that are not stored may be taken back.
    Live,
}

/// What is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The first message.
    pub from: Seq,
    /// Which messages.
    pub guarantee: Guarantee,
}

impl Reading {
    /// Reads stored messages from this seq on.
    pub fn stored_from(seq: u64) -> Self {
        Self {
            from: Seq(seq),
            guarantee: Guarantee::Stored,
        }
    }
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FeedEvent {
    /// The next message.
    Message(Message),
    /// The messages from this seq on are taken back: others follow with their seqs.
    Retracted(Seq),
}

/// The messages of one reader.
#[derive(Debug)]
pub(crate) struct Feed {
    guarantee: Guarantee,
    /// The seq that the reader gets next.
    cursor: u64,
    /// Behind the last message that the reader got before it was stored.
    tentative_end: u64,
    epoch: Option<Epoch>,
    committed: u64,
    /// The seq of the window's first message, or of the next one that comes.
    start: u64,
    window: VecDeque<Message>,
    bytes: usize,
    /// Stored messages from history; the first one is at the cursor or before it.
    pages: VecDeque<Message>,
    retracted: Option<Seq>,
}

impl Feed {
    /// Returns a feed that has received nothing.
    pub(crate) fn new(reading: Reading) -> Self {
        Self {
            guarantee: reading.guarantee,
            cursor: reading.from.0,
            tentative_end: 0,
            epoch: None,
            committed: 0,
            start: reading.from.0,
            window: VecDeque::new(),
            bytes: 0,
            pages: VecDeque::new(),
            retracted: None,
        }
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.window.len() as u64)
    }

    /// Returns the next thing for the reader.
    pub(crate) fn poll(&mut self) -> Option<FeedEvent> {
        if let Some(from) = self.retracted.take() {
            return Some(FeedEvent::Retracted(from));
        }
        while self.pages.front().is_some_and(|first| first.seq.0 < self.cursor) {
            self.pages.pop_front();
        }
        if self.pages.front().is_some_and(|first| first.seq.0 == self.cursor) {
            return self.pages.pop_front().map(|message| self.deliver(message));
        }
        self.drop_read();
        let is_stored = self.cursor < self.committed;
        if self.cursor != self.start || (self.guarantee == Guarantee::Stored && !is_stored) {
            return None;
        }
        let message = self.window.pop_front()?;
        self.start += 1;
        self.bytes = self.bytes.saturating_sub(message.payload.len());
        if !is_stored {
            self.tentative_end = self.cursor + 1;
        }
        Some(self.deliver(message))
    }

    fn deliver(&mut self, message: Message) -> FeedEvent {
        self.cursor = message.seq.0 + 1;
        FeedEvent::Message(message)
    }

    /// Drops what the window has below the cursor, which history was faster with.
    fn drop_read(&mut self) {
        while self.start < self.cursor && self.pop_oldest() {}
        if self.window.is_empty() {
            self.start = self.start.max(self.cursor);
        }
    }

    fn pop_oldest(&mut self) -> bool {
        let Some(message) = self.window.pop_front() else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(message.payload.len());
        self.start += 1;
        true
    }

    /// Returns from which seq on history is needed; `None` when it is not.
    pub(crate) fn wants_history(&self) -> Option<Seq> {
        let has_page = self.pages.back().is_some_and(|last| last.seq.0 >= self.cursor);
        // What the reader got before it was stored must be known to stand before what follows it is taken from history.
        let stands = self.tentative_end <= self.committed;
        (self.cursor < self.start && !has_page && stands).then_some(Seq(self.cursor))
    }

    /// Adds what history has, in the order of seq.
    pub(super) fn history(&mut self, messages: Vec<Message>) {
        for message in messages {
            let expected = self.pages.back().map_or(self.cursor, |last| last.seq.0 + 1);
            if message.seq.0 == expected {
                self.commit(message.seq.next());
                self.pages.push_back(message);
            }
        }
    }

    /// Returns from where a new session, or the edge, is to send: behind what is stored for certain.
    pub(super) fn resume(&mut self) -> Seq {
        let from = match self.tentative_end > self.committed {
            true => self.committed.min(self.cursor),
            false => self.cursor,
        };
        self.restart_at(from);
        Seq(from)
    }

    fn restart_at(&mut self, seq: u64) {
        self.window.clear();
        self.bytes = 0;
        self.start = seq;
    }

    /// The leader's epoch is this. Returns whether another one was known, whose tentative messages are taken back.
    pub(super) fn enter(&mut self, epoch: Epoch) -> bool {
        let before = self.epoch.replace(epoch);
        if before.is_none_or(|before| before == epoch) {
            return false;
        }
        self.take_back();
        // What the window has below the mark is stored, whoever gave it its seq.
        while self.end() > self.committed.max(self.start)
            && let Some(message) = self.window.pop_back()
        {
            self.bytes = self.bytes.saturating_sub(message.payload.len());
        }
        if self.window.is_empty() {
            self.start = self.start.min(self.committed.max(self.cursor));
        }
        true
    }

    /// Takes back what the reader got and is not known to be stored.
    pub(super) fn take_back(&mut self) {
        if self.tentative_end > self.committed {
            let from = self.committed.min(self.cursor);
            self.retracted = Some(Seq(self.retracted.map_or(from, |earlier| earlier.0.min(from))));
            self.cursor = from;
            self.tentative_end = 0;
            self.pages.clear();
        }
    }

    /// Whether a message of this epoch is of an earlier leader than the one that is known.
    pub(super) fn is_outdated(&self, epoch: Epoch) -> bool {
        self.epoch.is_some_and(|known| epoch.0 < known.0)
    }

    /// Adds a message that follows the window; one behind a hole begins the window anew.
    pub(super) fn message(&mut self, message: Message) {
        let seq = message.seq.0;
        if seq < self.end() {
            return;
        }
        if seq > self.end() {
            self.restart_at(seq);
        }
        self.bytes += message.payload.len();
        self.window.push_back(message);
        while self.window.len() > MAX_FEED_MESSAGES || (self.bytes > MAX_FEED_BYTES && self.window.len() > 1)
        {
            self.pop_oldest();
        }
    }

    /// The relay won't send what is before `to`. What the reader got tentatively may be among it under another epoch.
    pub(super) fn gap(&mut self, to: Seq) {
        if to.0 > self.end() {
            self.take_back();
            self.restart_at(to.0);
        }
    }

    /// Raises the mark below which every message is stored.
    pub(super) fn commit(&mut self, mark: Seq) {
        self.committed = self.committed.max(mark.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::Address;
    use streamchain_protocol::time::UnixMs;

    fn message(seq: u64) -> Message {
        Message {
            seq: Seq(seq),
            time: UnixMs(0),
            author: Address::ZERO,
            payload: vec![seq as u8],
            erased: None,
            signature: None,
        }
    }

    fn feed(guarantee: Guarantee) -> Feed {
        let mut feed = Feed::new(Reading {
            from: Seq(0),
            guarantee,
        });
        feed.resume();
        feed.enter(Epoch(1));
        feed
    }

    fn read(feed: &mut Feed) -> Vec<i64> {
        std::iter::from_fn(|| feed.poll())
            .map(|event| match event {
                FeedEvent::Message(message) => message.seq.0 as i64,
                FeedEvent::Retracted(from) => -1 - from.0 as i64,
            })
            .collect()
    }

    #[test]
    fn stored_readers_wait_for_the_mark() {
        let mut feed = feed(Guarantee::Stored);
        (0..4).for_each(|seq| feed.message(message(seq)));
        assert_eq!(read(&mut feed), [0; 0]);
        feed.commit(Seq(3));
        assert_eq!(read(&mut feed), [0, 1, 2]);
    }

    #[test]
    fn another_epoch_takes_back_what_was_not_stored() {
        let mut feed = feed(Guarantee::Live);
        (0..4).for_each(|seq| feed.message(message(seq)));
        feed.commit(Seq(2));
        assert_eq!(read(&mut feed), [0, 1, 2, 3]);
        assert_eq!(feed.resume(), Seq(2));
        feed.enter(Epoch(2));
        (2..4).for_each(|seq| feed.message(message(seq)));
        assert_eq!(read(&mut feed), [-3, 2, 3]);
    }

    #[test]
    fn the_same_epoch_takes_nothing_back() {
        let mut feed = feed(Guarantee::Live);
        (0..4).for_each(|seq| feed.message(message(seq)));
        feed.commit(Seq(2));
        read(&mut feed);
        feed.resume();
        feed.enter(Epoch(1));
        (2..6).for_each(|seq| feed.message(message(seq)));
        assert_eq!(read(&mut feed), [4, 5]);
    }

    #[test]
    fn a_gap_is_filled_from_history_first() {
        let mut feed = feed(Guarantee::Stored);
        feed.gap(Seq(3));
        feed.message(message(3));
        feed.commit(Seq(4));
        assert_eq!(read(&mut feed), [0; 0]);
        assert_eq!(feed.wants_history(), Some(Seq(0)));
        feed.history(vec![message(0), message(1)]);
        assert_eq!(feed.wants_history(), None);
        assert_eq!(read(&mut feed), [0, 1]);
        assert_eq!(feed.wants_history(), Some(Seq(2)));
        feed.history(vec![message(2), message(3), message(4)]);
        assert_eq!(read(&mut feed), [2, 3, 4], "history is ahead");
        feed.message(message(4));
        feed.message(message(5));
        feed.commit(Seq(6));
        assert_eq!(read(&mut feed), [5]);
    }

    #[test]
    fn a_slow_reader_costs_no_more_than_the_window() {
        let mut feed = feed(Guarantee::Stored);
        let many = MAX_FEED_MESSAGES as u64 + 10;
        (0..many).for_each(|seq| feed.message(message(seq)));
        feed.commit(Seq(many));
        assert_eq!(feed.window.len(), MAX_FEED_MESSAGES);
        assert_eq!(feed.wants_history(), Some(Seq(0)));
        feed.history((0..10).map(message).collect());
        assert_eq!(read(&mut feed).len() as u64, many);
    }
}
