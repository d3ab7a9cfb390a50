//! Who is at a stream: counted in each shard, summed up over links, and sent to those who asked.
//!
//! What always holds: sessions are counted at most once in [`PRESENCE_INTERVAL`], however often they come and go, so what is
//! sent on is bounded by time and not by them; an author is listed only if a session of it wished so.

use crate::core::limits::{MAX_PRESENCE_FRAMES_PER_S, PRESENCE_INTERVAL, PRESENCE_REPORT_INTERVAL};
use crate::core::send_queue::{NoticeFrame, encode};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::limits::{MAX_LISTED_AUTHORS, PRESENCE_REPEAT_MS};
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::Presence;
use streamchain_protocol::wire::frame::RelayFrame;

/// What one session counts for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attendee {
    pub author: Address,
    pub network: Network,
    pub reads: bool,
    pub publishes: bool,
    pub may_be_listed: bool,
}

/// A count of a shard's sessions on one stream, while it is made.
#[derive(Debug, Default)]
pub(crate) struct Count {
    presence: Presence,
    known: HashSet<Address>,
    /// Whose authors they are, in the order in which they came.
    places: HashMap<Network, usize>,
    authors: Vec<Vec<Address>>,
}

impl Count {
    /// Counts a session.
    pub(crate) fn add(&mut self, one: Attendee) {
        self.presence.readers += u64::from(one.reads);
        self.presence.publishers += u64::from(one.publishes);
        let is_there = one.reads || one.publishes;
        if !(is_there && one.may_be_listed && self.known.insert(one.author)) {
            return;
        }
        let next = self.authors.len();
        let place = *self.places.entry(one.network).or_insert(next);
        if place == next {
            self.authors.push(Vec::new());
        }
        if let Some(of_network) = self.authors.get_mut(place)
            && of_network.len() < MAX_LISTED_AUTHORS
        {
            of_network.push(one.author);
        }
    }

    /// The count, with what those counted who follow this shard. Where more wish to be listed than can be, networks and followers
    /// have their turns, so that none takes all places.
    pub(crate) fn finish<'a>(mut self, below: impl Iterator<Item = &'a Presence>) -> Presence {
        for link in below {
            self.presence.readers = self.presence.readers.saturating_add(link.readers);
            self.presence.publishers = self.presence.publishers.saturating_add(link.publishers);
            let listed = link.authors.iter().take(MAX_LISTED_AUTHORS);
            self.authors.push(listed.copied().collect());
        }
        let mut taken = BTreeSet::new();
        for turn in 0..MAX_LISTED_AUTHORS {
            let mut its = self.authors.iter().filter_map(|list| list.get(turn)).peekable();
            if its.peek().is_none() {
                break;
            }
            for author in its {
                if taken.len() < MAX_LISTED_AUTHORS {
                    taken.insert(*author);
                }
            }
        }
        self.presence.authors = taken.into_iter().collect();
        self.presence
    }
}

/// What was reported to the edge, and when.
#[derive(Debug)]
struct Reported {
    epoch: Epoch,
    presence: Arc<Presence>,
    at: Instant,
}

/// Who is at a stream, as a shard knows it.
#[derive(Debug, Default)]
pub(crate) struct StreamPresence {
    /// Whether sessions or followers have come, gone or changed since the last count.
    is_stale: bool,
    /// When it wants to be called.
    due: Option<Instant>,
    /// When the sessions may be counted next.
    count_after: Option<Instant>,
    /// What the upper end was sent over the present link.
    sent_up: Option<Presence>,
    /// All who are at the stream, as far as that is known here.
    total: Arc<Presence>,
    /// Counts the changes of `total`; 0 while it is not known.
    version: u64,
    /// The version that all who asked were sent.
    sent_version: u64,
    /// When all who asked may be sent something next.
    send_after: Option<Instant>,
    reported: Option<Reported>,
    /// The epoch of the report that is under way.
    reporting: Option<Epoch>,
}

impl StreamPresence {
    /// Something changed: the sessions are to be counted. Returns whether that is new.
    pub(crate) fn touch(&mut self) -> bool {
        !std::mem::replace(&mut self.is_stale, true)
    }

    /// Whether it is to be called at some time from now on that was not known before.
    pub(crate) fn plan(&mut self, now: Instant) -> bool {
        if !self.is_stale {
            return false;
        }
        let at = *self.count_after.get_or_insert(now + PRESENCE_INTERVAL);
        let before = self.due;
        self.call_at(at.max(now));
        self.due != before
    }

    fn call_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When it wants to be called.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether it is to be called by now. It then wants to be called again only for what is still to come.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// Whether the sessions are to be counted now.
    pub(crate) fn take_stale(&mut self, now: Instant) -> bool {
        let may_count = self.count_after.is_none_or(|after| after <= now);
        if !(self.is_stale && may_count) {
            return false;
        }
        self.is_stale = false;
        self.count_after = Some(now + PRESENCE_INTERVAL);
        true
    }

    /// All who are at the stream.
    pub(crate) fn set_total(&mut self, total: Arc<Presence>) {
        if self.version == 0 || *self.total != *total {
            self.version += 1;
            self.total = total;
        }
    }

    /// All who are at the stream, and the number of that state; `None` while it is not known.
    pub(crate) fn total(&self) -> Option<(u64, &Arc<Presence>)> {
        (self.version > 0).then_some((self.version, &self.total))
    }

    /// Another link upwards begins, or another epoch: the upper end knows nothing of who is here.
    pub(crate) fn begin_link(&mut self) {
        self.sent_up = None;
    }

    /// What the upper end is sent, unless that is what it was sent last. Over a new link or in a new epoch that is nobody too: the
    /// upper end of a link that goes on still has the count of the epoch before.
    pub(crate) fn send_up(&mut self, here: Presence) -> Option<Presence> {
        if self.sent_up.as_ref() == Some(&here) {
            return None;
        }
        self.sent_up = Some(here.clone());
        Some(here)
    }

    /// Whether all who asked are sent the present state now; those who were sent nothing yet are in each case.
    pub(crate) fn sends_to_all(&mut self, now: Instant) -> bool {
        if self.version == self.sent_version {
            return false;
        }
        match self.send_after.filter(|after| *after > now) {
            Some(after) => {
                self.call_at(after);
                false
            }
            None => true,
        }
    }

    /// All of so many who asked were sent the present state.
    pub(crate) fn sent_to_all(&mut self, asking: u32, now: Instant) {
        let pause = Duration::from_secs(1) * asking / MAX_PRESENCE_FRAMES_PER_S;
        self.sent_version = self.version;
        self.send_after = Some(now + pause.max(PRESENCE_INTERVAL));
    }

    /// What the leader reports to the edge now, if anything: `may_report` is asked when it is time.
    pub(crate) fn report(
        &mut self,
        epoch: Epoch,
        now: Instant,
        may_report: impl FnOnce() -> bool,
    ) -> Option<Arc<Presence>> {
        if self.reporting == Some(epoch) {
            return None;
        }
        let last = self.reported.as_ref().filter(|last| last.epoch == epoch);
        let at = match last {
            // The edge knows of nobody in a new epoch.
            None if self.total.is_empty() => return None,
            None => now,
            Some(last) if *last.presence != *self.total => last.at + PRESENCE_REPORT_INTERVAL,
            Some(_) if self.total.is_empty() => return None,
            Some(last) => last.at + Duration::from_millis(PRESENCE_REPEAT_MS),
        };
        if at > now {
            self.call_at(at);
            return None;
        }
        if !may_report() {
            self.call_at(now + PRESENCE_INTERVAL);
            return None;
        }
        let presence = self.total.clone();
        self.reported = Some(Reported {
            epoch,
            presence: presence.clone(),
            at: now,
        });
        self.reporting = Some(epoch);
        Some(presence)
    }

    /// The report that was under way has its answer.
    pub(crate) fn report_answered(&mut self) {
        self.reporting = None;
    }
}

/// What sessions are sent; those that take no large message get the counts alone.
pub(crate) fn frame(presence: &Presence) -> NoticeFrame {
    let counts = Presence {
        authors: Vec::new(),
        ..presence.clone()
    };
    let brief = (!presence.authors.is_empty()).then(|| encode(&RelayFrame::Presence(counts)).into());
    NoticeFrame {
        end: Seq(0),
        whole: encode(&RelayFrame::Presence(presence.clone())).into(),
        brief,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::MIN_CHANNEL_MESSAGE_BYTES;
    use std::net::IpAddr;

    fn attendee(number: u8, network: u8) -> Attendee {
        Attendee {
            author: Address::from_word(streamchain_protocol::keccak256([number, network])),
            network: Network::of(IpAddr::from([network, 0, 0, 1])),
            reads: true,
            publishes: false,
            may_be_listed: true,
        }
    }

    fn count(attendees: impl IntoIterator<Item = Attendee>, below: &[Presence]) -> Presence {
        let mut count = Count::default();
        attendees.into_iter().for_each(|one| count.add(one));
        count.finish(below.iter())
    }

    #[test]
    fn only_those_who_wish_and_are_there_are_listed() {
        let hidden = Attendee {
            may_be_listed: false,
            ..attendee(1, 1)
        };
        let absent = Attendee {
            reads: false,
            ..attendee(2, 1)
        };
        let found = count([hidden, absent, attendee(3, 1), attendee(3, 1)], &[]);
        assert_eq!((found.readers, found.publishers), (3, 0));
        assert_eq!(found.authors, [attendee(3, 1).author], "each once");
    }

    #[test]
    fn no_network_and_no_follower_takes_all_places() {
        let crowd = (0..200).map(|number| attendee(number, 1));
        let others = [attendee(7, 2), attendee(8, 3)];
        let far = count([attendee(9, 4)], &[]);
        let found = count(crowd.chain(others), std::slice::from_ref(&far));
        assert_eq!((found.readers, found.authors.len()), (203, MAX_LISTED_AUTHORS));
        for one in others.iter().map(|one| one.author).chain(far.authors) {
            assert!(found.authors.contains(&one));
        }
        let largest = Presence {
            readers: u64::MAX,
            ..Presence::default()
        };
        assert_eq!(count([attendee(1, 1)], &[largest]).readers, u64::MAX);
    }

    #[test]
    fn a_thousand_changes_a_second_are_one_count() {
        let (mut presence, start) = (StreamPresence::default(), Instant::now());
        let mut counts = 0;
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            presence.touch();
            presence.plan(now);
            if presence.take_due(now) {
                counts += u32::from(presence.take_stale(now));
            }
        }
        assert_eq!(counts, 9, "one in each second but the first");
    }

    #[test]
    fn the_more_have_asked_the_seldomer_all_are_sent_it() {
        let (mut presence, start) = (StreamPresence::default(), Instant::now());
        let mut sent = 0;
        for second in 0..100_u64 {
            let now = start + Duration::from_secs(second);
            presence.set_total(Arc::new(Presence {
                readers: second,
                ..Presence::default()
            }));
            if presence.sends_to_all(now) {
                sent += 1;
                presence.sent_to_all(20_000, now);
            }
        }
        assert_eq!(sent, 5, "20,000 frames in each 20 s");
    }

    #[test]
    fn the_edge_hears_of_changes_and_from_time_to_time() {
        let (mut presence, start) = (StreamPresence::default(), Instant::now());
        let mut reports = Vec::new();
        for second in 0..400_u64 {
            let now = start + Duration::from_secs(second);
            let readers = if second < 30 {
                second
            } else {
                u64::from(second < 250)
            };
            presence.set_total(Arc::new(Presence {
                readers,
                ..Presence::default()
            }));
            if presence.report(Epoch(1), now, || true).is_some() {
                reports.push((second, readers));
                let again = presence.report(Epoch(1), now + Duration::from_secs(100), || true);
                assert_eq!(again, None, "one at a time");
                presence.report_answered();
            }
        }
        let expected = [
            (1, 1),
            (11, 11),
            (21, 21),
            (31, 1),
            (91, 1),
            (151, 1),
            (211, 1),
            (250, 0),
        ];
        assert_eq!(reports, expected, "none once nobody is there");
    }

    #[test]
    fn a_new_epoch_sends_up_that_nobody_is_here() {
        let mut presence = StreamPresence::default();
        let one = count([attendee(1, 1)], &[]);
        assert_eq!(presence.send_up(one.clone()), Some(one.clone()));
        assert_eq!(presence.send_up(one), None, "it is known");
        presence.begin_link();
        assert_eq!(presence.send_up(Presence::default()), Some(Presence::default()));
        assert_eq!(presence.send_up(Presence::default()), None);
    }

    #[test]
    fn a_client_that_takes_little_is_sent_the_counts() {
        let all = (0..200).map(|number| attendee(number, number));
        let frame = frame(&count(all, &[]));
        assert!(frame.whole.len() > MIN_CHANNEL_MESSAGE_BYTES);
        assert!(frame.brief.unwrap().len() <= MIN_CHANNEL_MESSAGE_BYTES);
    }
}
