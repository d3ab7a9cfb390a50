//! Which of the streams that match a pattern are followed.
//!
//! What always holds: a stream is followed once at a time; one that ended and comes again goes on where it ended; there are
//! bounds for the streams that are followed, for those that are being opened, and for those that are remembered.

use std::collections::{HashMap, VecDeque};
use streamchain_client::http::ListedStream;
use streamchain_protocol::ids::{Seq, StreamId};

/// Most streams that are followed at a time: each has a connection.
pub(crate) const MAX_FOLLOWED: usize = 100;

/// Most streams that are being opened at a time, so that the first ones are read before the last one is open.
const MAX_OPENING: usize = 8;

/// Most streams that are remembered: followed, waiting, or ended.
pub(crate) const MAX_KNOWN: usize = 10_000;

/// Where a stream begins to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Where the caller of the command said.
    Asked,
    Seq(Seq),
}

/// A stream that is to be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) stream: ListedStream,
    pub(crate) start: Start,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Opening,
    Followed,
    /// It ended, and would go on here.
    Ended(Start),
}

/// The streams of one pattern.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    known: HashMap<StreamId, State>,
    waiting: VecDeque<Found>,
    opening: usize,
    followed: usize,
}

impl Roster {
    /// The edge lists a stream; `is_new` is whether it came since the command began: then it is read from its first message.
    /// Returns false when no more streams can be remembered.
    pub(crate) fn found(&mut self, stream: ListedStream, is_new: bool) -> bool {
        let start = match self.known.get(&stream.id) {
            Some(State::Ended(start)) => *start,
            Some(_) => return true,
            None if self.known.len() >= MAX_KNOWN => return false,
            None if is_new => Start::Seq(Seq(0)),
            None => Start::Asked,
        };
        self.known.insert(stream.id, State::Waiting);
        self.waiting.push_back(Found { stream, start });
        true
    }

    /// The next stream to open, if there is room for it.
    pub(crate) fn next(&mut self) -> Option<Found> {
        if self.opening >= MAX_OPENING || self.is_full() {
            return None;
        }
        let found = self.waiting.pop_front()?;
        self.known.insert(found.stream.id, State::Opening);
        self.opening += 1;
        Some(found)
    }

    /// A stream is open: the next one may be opened.
    pub(crate) fn opened(&mut self, stream: StreamId) {
        if let Some(state @ State::Opening) = self.known.get_mut(&stream) {
            *state = State::Followed;
            self.opening = self.opening.saturating_sub(1);
            self.followed += 1;
        }
    }

    /// A stream ended, and would go on at `start` if the edge lists it again.
    pub(crate) fn ended(&mut self, stream: StreamId, start: Start) {
        self.opened(stream);
        if let Some(state @ State::Followed) = self.known.get_mut(&stream) {
            *state = State::Ended(start);
            self.followed = self.followed.saturating_sub(1);
        }
    }

    /// Whether as many streams are followed as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.opening + self.followed >= MAX_FOLLOWED
    }

    /// How many streams wait until there is room.
    pub(crate) fn left_out(&self) -> usize {
        if self.is_full() { self.waiting.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::Address;

    fn stream(number: usize) -> ListedStream {
        let name = format!("sensors.{number}").parse().unwrap();
        let id = StreamId::of(Address::ZERO, &name);
        ListedStream { id, name }
    }

    /// Opens all that may be opened, one after the other.
    fn open_all(roster: &mut Roster) -> Vec<Found> {
        let mut all = Vec::new();
        while let Some(found) = roster.next() {
            roster.opened(found.stream.id);
            all.push(found);
        }
        all
    }

    #[test]
    fn a_stream_is_followed_once_however_often_it_is_listed() {
        let mut roster = Roster::default();
        for _ in 0..3 {
            assert!(roster.found(stream(1), false));
        }
        let opened = open_all(&mut roster);
        assert_eq!((opened.len(), opened[0].start), (1, Start::Asked));
        assert!(roster.found(stream(1), true));
        assert_eq!(roster.next(), None);
    }

    #[test]
    fn a_stream_that_came_since_is_read_from_its_first_message() {
        let mut roster = Roster::default();
        roster.found(stream(1), false);
        roster.found(stream(2), true);
        let starts: Vec<_> = open_all(&mut roster).iter().map(|found| found.start).collect();
        assert_eq!(starts, [Start::Asked, Start::Seq(Seq(0))]);
    }

    #[test]
    fn one_that_ended_goes_on_where_it_ended() {
        let mut roster = Roster::default();
        roster.found(stream(1), true);
        let id = open_all(&mut roster)[0].stream.id;
        roster.ended(id, Start::Seq(Seq(7)));
        roster.ended(id, Start::Seq(Seq(9)));
        assert_eq!(roster.next(), None, "only when it is listed again");
        roster.found(stream(1), true);
        assert_eq!(open_all(&mut roster)[0].start, Start::Seq(Seq(7)));
    }

    #[test]
    fn few_are_opened_at_a_time() {
        let mut roster = Roster::default();
        for number in 0..20 {
            roster.found(stream(number), false);
        }
        let opening: Vec<_> = std::iter::from_fn(|| roster.next()).collect();
        assert_eq!(opening.len(), MAX_OPENING);
        roster.opened(opening[0].stream.id);
        roster.opened(opening[0].stream.id);
        roster.ended(opening[1].stream.id, Start::Asked);
        assert_eq!(std::iter::from_fn(|| roster.next()).count(), 2);
    }

    #[test]
    fn the_rest_waits_until_one_ends() {
        let mut roster = Roster::default();
        for number in 0..MAX_FOLLOWED + 2 {
            roster.found(stream(number), false);
        }
        let opened = open_all(&mut roster);
        assert_eq!((opened.len(), roster.left_out()), (MAX_FOLLOWED, 2));
        roster.ended(opened[5].stream.id, Start::Asked);
        let next = open_all(&mut roster);
        assert_eq!((next.len(), roster.left_out()), (1, 1));
        assert_eq!(next[0].start, Start::Asked, "it was there from the beginning");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut roster = Roster::default();
        for number in 0..MAX_KNOWN {
            assert!(roster.found(stream(number), true));
        }
        assert!(!roster.found(stream(MAX_KNOWN), true));
        assert!(roster.found(stream(0), true), "one that is known needs no room");
    }
}
