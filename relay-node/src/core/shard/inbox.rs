//! Messages that came to the edge by HTTP: fetched when a notice or an answer says that some wait, and published like
//! any other.
//!
//! They stay at the edge until a batch has committed them, so nothing is lost here: what was fetched twice is recognized
//! by its producer_seq, and what there was no room for is fetched again at the next notice.

use super::{Command, Now, Shard};
use crate::core::edge_requests::{EdgeError, Request, Ticket};
use crate::core::limits::{MAX_NOTICE_STREAMS, MAX_STREAMS};
use crate::core::stream::{Publish, Published};
use streamchain_protocol::ids::{Epoch, ShortId};
use streamchain_protocol::wire::Record;

impl Shard {
    /// Fetches what waits at the edge, unless that is under way. A stream without sessions is acquired for it.
    pub(super) fn fetch(&mut self, id: ShortId, now: Now) {
        let is_known = self.streams.contains_key(&id);
        let from_notices = self.streams.len().saturating_sub(self.stream_shares.taken());
        if !self.takes_messages() || (!is_known && from_notices >= MAX_NOTICE_STREAMS) {
            return;
        }
        let stream = self.ask_for_stream(id);
        if !is_known {
            stream.idle_since = Some(now.instant);
            return self.schedule_stream(id);
        }
        let ticket = stream.ticket;
        let Some(leadership) = &mut stream.leadership else {
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
            .and_then(|stream| stream.leadership.as_mut())
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
        for record in records {
            let (producer, producer_seq, bytes) =
                (record.producer, record.producer_seq, record.payload.len());
            // The first waiting message of a producer follows its last committed one.
            leadership.producers.learn(producer, producer_seq.checked_sub(1));
            let publish = Publish {
                author: record.author,
                producer,
                producer_seq,
                payload: &record.payload,
            };
            let room = self.uncommitted_bytes + bytes <= self.memory.uncommitted_bytes;
            match leadership.publish(publish, room, self.rates.stream, now.instant, now.unix) {
                Some(Published::Accepted(seq)) => {
                    leadership.fetched = seq.next();
                    self.uncommitted_bytes += bytes;
                    self.counters.messages_accepted += 1;
                }
                Some(Published::Duplicate(_)) => {}
                // Fetched again at the next notice.
                Some(Published::Ahead(_) | Published::Overloaded | Published::TooFast(_)) | None => break,
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
        if let Some(leadership) = &stream.leadership {
            self.commands
                .push_back(released(&stream.ticket, leadership.epoch));
            // A new session may come before the edge has the release: then another epoch is acquired.
            if self.disputed.len() < MAX_STREAMS {
                self.disputed.insert(id);
            }
        }
    }
}

fn released(ticket: &Ticket, epoch: Epoch) -> Command {
    Command::Ask(*ticket, Request::Release { epoch })
}
