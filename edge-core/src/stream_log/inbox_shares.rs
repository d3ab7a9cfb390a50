//! Which networks the messages of the inbox came from.
//!
//! What always holds: no network has more than [`MAX_NETWORK_MESSAGES`] of the places, however many authors it has; what is
//! refused for that is not written. It is kept in memory alone, so that a stream's object that starts again gives everybody
//! a share anew.

use super::append::{Appended, append};
use super::error::Refusal;
use super::inbox::MAX_INBOX_MESSAGES;
use super::store::{LogStore, Step};
use super::{Inbox, StreamLog};
use std::collections::VecDeque;
use streamchain_protocol::wire::Record;

/// Most messages of one network that wait for a stream's relay: a quarter of all. The relay fetches them within seconds.
pub(super) const MAX_NETWORK_MESSAGES: usize = MAX_INBOX_MESSAGES as usize / 4;

/// What was taken into the inbox last.
#[derive(Debug, Default)]
pub struct InboxShares(VecDeque<Entry>);

/// A message or group that was taken into the inbox.
#[derive(Debug)]
struct Entry {
    position: u64,
    count: usize,
    network: String,
}

impl InboxShares {
    /// Takes a message or group as [`StreamLog::append`] does, unless it would wait and be above the share of its network. One
    /// that waits already is answered like the first time.
    pub fn append<S: LogStore>(
        &mut self,
        log: &StreamLog<S>,
        records: &[Record],
        network: &str,
    ) -> Step<Appended, S> {
        log.change_live(|live, store| {
            let before = live.state.inbox;
            let appended = append(live, store, records)?;
            if live.state.inbox.next == before.next || live.state.inbox.messages == 0 {
                return Ok(appended);
            }
            self.forget(&before);
            let of_network = self.0.iter().filter(|entry| entry.network == network);
            let own: usize = of_network.map(|entry| entry.count).sum();
            if own + records.len() > MAX_NETWORK_MESSAGES {
                return Err(Refusal::InboxShare(own).into());
            }
            self.0.push_back(Entry {
                position: before.next,
                count: records.len(),
                network: network.to_owned(),
            });
            Ok(appended)
        })
    }

    /// Forgets what waits no longer: the relay fetches the oldest first.
    fn forget(&mut self, inbox: &Inbox) {
        let oldest = inbox.next.saturating_sub(inbox.messages);
        while self.0.front().is_some_and(|entry| entry.position < oldest) {
            self.0.pop_front();
        }
    }
}
