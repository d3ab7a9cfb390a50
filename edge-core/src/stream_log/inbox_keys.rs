//! Which messages wait in the inbox, for the checks of what a leader brings.

use super::error::LogError;
use super::state::{LogState, WaitingKey};
use super::store::{LogStore, Step};
use std::collections::BTreeMap;
use streamchain_protocol::wire::{ProducerKey, Record};

/// Which messages are in the inbox, and which of them are of a signed group.
pub(super) struct InboxKeys(BTreeMap<(ProducerKey, u64), bool>);

impl InboxKeys {
    pub(super) fn of<S: LogStore>(state: &LogState, store: &S) -> Step<Self, S> {
        if state.inbox.messages == 0 {
            return Ok(Self(BTreeMap::new()));
        }
        let waiting = store.waiting_keys().map_err(LogError::Store)?;
        let numbers = |key: WaitingKey| {
            (key.first..key.end()).map(move |number| ((key.producer, number), key.is_signed()))
        };
        Ok(Self(waiting.into_iter().flat_map(numbers).collect()))
    }

    /// Returns whether a record may be one that waits: an unsigned message with the number of a waiting group's is another
    /// message than the author's.
    pub(super) fn has(&self, record: &Record, is_signed: bool) -> bool {
        let waiting = self.0.get(&(record.producer_key(), record.producer_seq));
        waiting == Some(&is_signed)
    }
}
