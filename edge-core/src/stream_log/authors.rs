//! Whose messages a relay may bring: of authors who had a session to publish there or at a relay that shares the stream, and
//! what came by HTTP.
//!
//! What always holds:
//! - a relay's new batch is committed only if each of its authors is known at that relay or at one that shares the stream,
//!   or the message is in the inbox, signed or unsigned as it waits there;
//! - the check only reads: an author becomes known when a session is opened, not when a message is committed.
//!
//! A relay that was granted its epoch by a version without this check goes on unchecked until another run leads the
//! stream: it may have sessions whose authors are not known. Where a connection is older than [`AUTHOR_LIFE_MS`], or
//! [`MAX_AUTHORS`] others came since, the batch is refused. The relay then gives the stream up, and its clients open
//! sessions again and publish again what was not stored.

use super::error::{LogError, Refusal};
use super::groups::{Place, with_places};
use super::inbox_keys::InboxKeys;
use super::state::LogState;
use super::store::{LogStore, Step};
use alloy_primitives::Address;
use std::cell::RefCell;
use std::collections::BTreeSet;
use streamchain_protocol::ids::{Epoch, RelayId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Batch;

/// Most authors known for one stream, the newest: as many as sessions are remembered.
pub(super) const MAX_AUTHORS: usize = super::sessions::MAX_SESSIONS;

/// How long an author is known after a session was opened, milliseconds: 30 days, the life of a guest's token.
pub(super) const AUTHOR_LIFE_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// How often the row of an author who comes again and again is written, milliseconds (a day).
const REFRESH_MS: u64 = 24 * 3_600 * 1_000;

/// Most authors held in memory of those that were looked up; beyond it they are looked up again.
const MAX_CACHED: usize = 4_096;

/// Notes that `author` may publish at `relay` from now on.
pub(super) fn admit<S: LogStore>(
    store: &S,
    author: Address,
    relay: &RelayId,
    now: UnixMs,
) -> Result<(), S::Error> {
    let known = store.author(author, relay)?;
    if known.is_some_and(|seen| now.since(seen) < REFRESH_MS) {
        return Ok(());
    }
    store.put_author(author, relay, now)?;
    store.prune_authors(now.minus_ms(AUTHOR_LIFE_MS), MAX_AUTHORS)
}

/// Authors that were found to be known at the stream's relays, so that they are looked up once for each epoch.
#[derive(Debug, Default)]
pub(super) struct KnownAuthors(RefCell<Known>);

#[derive(Debug, Default)]
struct Known {
    epoch: Epoch,
    authors: BTreeSet<Address>,
}

impl KnownAuthors {
    /// Checks that the leader may bring these messages. A batch that does not follow what is committed is left to the
    /// commit: it is a retry, whose messages are in the inbox no longer, or it is refused there.
    pub(super) fn check<S: LogStore>(
        &self,
        state: &LogState,
        store: &S,
        relay: &RelayId,
        batch: &Batch,
    ) -> Step<(), S> {
        state.check_leader(relay, batch.epoch)?;
        if !state.checks_authors || batch.first != state.head {
            return Ok(());
        }
        let mut known = self.0.borrow_mut();
        if known.epoch != batch.epoch {
            known.epoch = batch.epoch;
            known.authors.clear();
        }
        let mut waiting = None;
        for (record, place) in with_places(&batch.records) {
            let author = record.author;
            if known.authors.contains(&author) {
                continue;
            }
            let at = store.relays_of_author(author).map_err(LogError::Store)?;
            if at.iter().any(|one| one == relay || state.is_serving(one)) {
                if known.authors.len() >= MAX_CACHED {
                    known.authors.clear();
                }
                known.authors.insert(author);
                continue;
            }
            let waiting = match &mut waiting {
                Some(waiting) => waiting,
                none => none.insert(InboxKeys::of(state, store)?),
            };
            if !waiting.has(record, place != Place::Unsigned) {
                return Err(Refusal::UnknownAuthor(author).into());
            }
        }
        Ok(())
    }
}
