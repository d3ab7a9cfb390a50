//! Messages that came to the edge by HTTP: fetched when a notice or an answer says that some wait, and published like
//! any other.
//!
//! They stay at the edge until a batch has committed them, so nothing is lost here: what was fetched twice is recognized
//! by its producer_seq, and what there was no room for is fetched again at the next notice.

use super::links::up;
use super::{Command, Now, Shard};
use crate::core::edge_requests::{EdgeError, Request, Ticket};
use crate::core::leadership::{Leadership, Measure, Proof, Publish, PublishGroup};
use crate::core::limits::{MAX_NOTICE_STREAMS, MAX_STREAMS};
use crate::core::link::{LinkPeer, UpFrame};
use crate::core::reply::Published;
use crate::core::stream::Role;
use streamchain_protocol::ids::{Epoch, Seq, ShortId};
use streamchain_protocol::wire::Record;

impl Shard {
    /// Fetches what waits at the edge, unless that is under way. A stream without sessions is acquired for it.
    pub(super) fn fetch(&mut self, id: ShortId, now: Now) {
        let is_known = self.streams.contains_key(&id);
        let from_notices = self.streams.len().saturating_sub(self.stream_shares.taken());
        if !self.takes_messages() || (!is_known && from_notices >= MAX_NOTICE_STREAMS) {
            return;
        }
        let stream = self.ask_for_stream(id, None);
        if !is_known {
            stream.idle_since = Some(now.instant);
            return self.schedule_stream(id);
        }
        let ticket = stream.ticket;
        let Some(leadership) = stream.role.leader_mut() else {
            return; // the grant of the epoch says whether any wait
        };
        if leadership.is_fetching || leadership.fetched > leadership.backlog.committed() {
            return;
        }
        leadership.is_fetching = true;
        let epoch = leadership.epoch;
        self.commands
            .push_back(Command::Ask(ticket, Request::Inbox { epoch }));
    }

    pub(super) fn fetched(&mut self, id: ShortId, result: Result<Vec<Record>, EdgeError>, now: Now) {
        let takes_messages = self.takes_messages();
        let Some(leadership) = self
            .streams
            .get_mut(&id)
            .and_then(|stream| stream.role.leader_mut())
        else {
            return;
        };
        leadership.is_fetching = false;
        let records = match result {
            Ok(records) if takes_messages => records,
            Ok(_) => return,
            Err(error) if error.is_passing() => {
                self.counters.uplink_retries += 1;
                return; // the edge notifies again within seconds
            }
            Err(error) => return self.lose(id, error, now),
        };
        leadership.producers.trim(leadership.backlog.committed());
        let mut records = records.as_slice();
        while let Some((publication, rest)) = next_publication(records) {
            records = rest;
            let bytes: usize = publication.iter().map(|record| record.payload.len()).sum();
            let measure = Measure {
                room: self
                    .memory
                    .uncommitted_bytes
                    .saturating_sub(self.uncommitted_bytes),
                rates: self.rates,
                instant: now.instant,
                due: self.commit_clock.due(now.instant),
                unix: now.unix,
            };
            match publish_waiting(leadership, publication, measure) {
                Some(Published::Accepted(seq)) => {
                    let messages = publication.len() as u64;
                    leadership.fetched = Seq(seq.0 + messages);
                    self.uncommitted_bytes += bytes;
                    self.counters.messages_accepted += messages;
                    let is_group = publication.iter().any(|record| record.group.is_some());
                    self.counters.groups_accepted += u64::from(is_group);
                }
                // Fetched again at the next notice.
                Some(Published::Overloaded | Published::TooFast(_)) => break,
                // It was stored, or does not follow what came by a data channel meanwhile: the edge settles it with the next commit, and
                // what waits of other producers does not wait for that.
                Some(_) | None => {}
            }
        }
        self.queue_stream(id);
        self.schedule_stream(id);
    }

    /// Forgets a stream without sessions and without uncommitted messages, and releases its epoch.
    pub(super) fn release(&mut self, id: ShortId) {
        let Some(stream) = self.forget_stream(id) else {
            return;
        };
        match &stream.role {
            Role::Leader(leadership) => {
                self.commands
                    .push_back(released(&stream.ticket, leadership.epoch));
                // A new session may come before the edge has the release: then another epoch is acquired.
                if self.disputed.len() < MAX_STREAMS {
                    self.disputed.insert(id);
                }
            }
            Role::Follower(following) => {
                self.commands.push_back(up(id, following, UpFrame::Unfollow));
                // The edge counts the relays that have the stream.
                if let (LinkPeer::Relay(_), Some(epoch)) = (following.peer, following.epoch()) {
                    self.commands.push_back(released(&stream.ticket, epoch));
                }
            }
            Role::Asking => {}
        }
    }
}

/// The next message or whole group that waits, and what waits behind it; `None` at the end, and for a group that is not whole.
fn next_publication(records: &[Record]) -> Option<(&[Record], &[Record])> {
    let count = records.first()?.group.map_or(1, |group| usize::from(group.count));
    let (publication, rest) = records.split_at_checked(count)?;
    Some((publication, rest)).filter(|_| count > 0)
}

/// Publishes what waited at the edge, which has verified the signature of a group.
fn publish_waiting(
    leadership: &mut Leadership,
    publication: &[Record],
    measure: Measure,
) -> Option<Published> {
    let first = publication.first()?;
    let (producer, producer_seq) = (first.producer_key(), first.producer_seq);
    // The first waiting message of a producer follows its last committed one.
    let previous = first.group.map(|group| group.previous);
    leadership
        .producers
        .learn_before(producer, producer_seq, previous);
    let Some(group) = first.group else {
        let publish = Publish {
            producer,
            producer_seq,
            payload: &first.payload,
            is_from_edge: true,
        };
        return leadership.publish(publish, measure);
    };
    let follows = |(number, record): (u64, &Record)| {
        record.producer_key() == producer
            && record.producer_seq == number
            && (number == producer_seq || record.group.is_none())
    };
    if !(producer_seq..).zip(publication).all(follows) {
        return None;
    }
    let payloads: Vec<&[u8]> = publication.iter().map(|record| record.payload.as_ref()).collect();
    let waiting = PublishGroup {
        producer,
        first: producer_seq,
        payloads: &payloads,
        previous: group.previous,
        signature: group.signature,
    };
    leadership.publish_group(waiting, Proof::ByEdge(group.key), measure)
}

fn released(ticket: &Ticket, epoch: Epoch) -> Command {
    Command::Ask(*ticket, Request::Release { epoch })
}
