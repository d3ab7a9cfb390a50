//! One stream's log: the machine of the Stream object.
//!
//! What always holds:
//! - every seq below `head` is committed exactly once: below `flushed` it is in a segment of the database, from there
//!   on in a batch kept here (`flushed <= head`);
//! - the messages of a producer are committed in the order of their producer_seq, each once, beginning with 0;
//! - an epoch belongs to one run of one relay, and only that run commits under it.
//!
//! Every function of [`StreamLog`] is one step. The caller runs it in one storage transaction: a step that fails leaves
//! nothing behind, so each of them may be tried again. Steps that only read need none, and a commit mostly needs none either
//! ([`StreamLog::commits_in_one_write`]). A step writes the stream's row once or not at all: a commit writes its batch alone
//! ([`live`]). After a step that failed otherwise than by a refusal, the caller calls [`StreamLog::forget`].

mod append;
mod authors;
mod chunk;
mod commit;
mod error;
mod events;
mod groups;
mod inbox;
mod inbox_keys;
mod inbox_shares;
mod leadership;
mod live;
mod members;
mod offers;
mod outbox;
mod presence;
mod reading;
mod schedule;
mod serving;
mod sessions;
mod sharing;
mod state;
mod store;
mod withdrawals;

pub use append::Appended;
pub use chunk::{MAX_CHUNK_BYTES, chunk_batches, chunk_entry};
pub use error::{LogError, Refusal};
pub use inbox_shares::InboxShares;
pub use leadership::{Acquiring, Asking, Follow};
pub use offers::{FlushedSegments, PendingRun, Run};
pub use outbox::{FLUSH_BACKOFF, SEGMENTS_PER_FLUSH};
pub use presence::ReportedPresence;
pub use reading::{BadCursor, Cursor, News, Reader, Tail};
pub use schedule::{GATHER_MS, Pace, Schedule};
pub use serving::Serving;
pub use sessions::Destination;
pub use state::{
    CommittedBatch, EventRange, Inbox, LastBatch, Leader, LogState, NewStream, OutboxSegment,
    PendingWithdrawal, ProducerMark, Session, StoredEvent, Waiting, WaitingKey, Watch,
};
pub use store::{LogStore, MAX_ROWS, SEQS_PER_PRODUCER, Step};

use alloy_primitives::Address;
use authors::KnownAuthors;
use live::Live;
use members::Members;
use outbox::Outbox;
use sessions::Sessions;
use std::cell::RefCell;
use streamchain_protocol::auth::{Access, Rights};
use streamchain_protocol::ids::{Epoch, ProducerId, RelayId, Seq, SessionId};
use streamchain_protocol::stream_settings::{SettingsChange, StreamSettings};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::wire::{Batch, Committed, NoticeEvent, ProducerKey, ProducerState, Record};

/// The steps over one stream's rows.
#[derive(Debug)]
pub struct StreamLog<S> {
    store: S,
    authors: KnownAuthors,
    /// What the rows say, once they were read.
    live: RefCell<Option<Live>>,
}

impl<S: LogStore> StreamLog<S> {
    /// Makes the log over `store`.
    pub fn new(store: S) -> Self {
        Self {
            store,
            authors: KnownAuthors::default(),
            live: RefCell::new(None),
        }
    }

    /// Returns the store, for what only the caller does with it.
    pub fn rows(&self) -> &S {
        &self.store
    }

    /// Forgets what was read and written: a transaction failed, and the next step reads the rows again.
    pub fn forget(&self) {
        self.live.replace(None);
    }

    /// Returns whether the stream was created, as far as that is known without reading a row.
    pub fn is_loaded(&self) -> bool {
        self.live.borrow().is_some()
    }

    /// Returns the stream, if it was created; reads its rows unless that was done.
    fn load(&self) -> Step<Option<Live>, S> {
        let known = self.live.take();
        match known {
            Some(live) => Ok(Some(live)),
            None => Live::load(&self.store),
        }
    }

    /// Runs a step that changes nothing.
    fn read<T>(&self, step: impl FnOnce(&Live, &S) -> Step<T, S>) -> Step<T, S> {
        let live = self.load()?.ok_or(Refusal::NoSuchStream)?;
        let outcome = step(&live, &self.store);
        self.live.replace(Some(live));
        outcome
    }

    /// Returns the stream as it is.
    pub fn state(&self) -> Step<LogState, S> {
        self.read(|live, _| Ok(live.state.clone()))
    }

    /// Runs a step that may commit. What it did to the stream counts only if it succeeds.
    fn change_live<T>(&self, step: impl FnOnce(&mut Live, &S) -> Step<T, S>) -> Step<T, S> {
        let mut live = self.load()?.ok_or(Refusal::NoSuchStream)?;
        let (before, noted) = (live.state.clone(), live.noted());
        let outcome = step(&mut live, &self.store).and_then(|outcome| {
            let is_far_ahead = live.is_far_ahead();
            if is_far_ahead {
                live.save_producers(&self.store).map_err(LogError::Store)?;
            }
            if is_far_ahead || live.state.needs_row(&before) {
                self.store.put_state(&live.state).map_err(LogError::Store)?;
            }
            Ok(outcome)
        });
        // Most steps that fail are refused before anything is noted of producers. What cannot be taken back is read again.
        self.live.replace(match outcome {
            Ok(_) => Some(live),
            Err(_) if live.noted() == noted => Some(live.with_state(before)),
            Err(_) => None,
        });
        outcome
    }

    /// Runs a step that may change the stream's row.
    fn change<T>(&self, step: impl FnOnce(&mut LogState, &S) -> Step<T, S>) -> Step<T, S> {
        self.change_live(|live, store| step(&mut live.state, store))
    }

    /// Runs a step of the outbox.
    fn change_outbox<T>(&self, step: impl FnOnce(&mut Outbox<'_, S>) -> Step<T, S>) -> Step<T, S> {
        self.change_live(|live, store| step(&mut Outbox { store, live }))
    }
}

/// The stream itself, and its members.
impl<S: LogStore> StreamLog<S> {
    /// Creates the stream unless it exists; returns its row, and whether it was created.
    pub fn create(&self, new: &NewStream, now: UnixMs) -> Step<(LogState, bool), S> {
        if let Some(live) = self.load()? {
            let state = live.state.clone();
            self.live.replace(Some(live));
            return Ok((state, false));
        }
        let state = LogState::new(new, now);
        self.store.put_state(&state).map_err(LogError::Store)?;
        self.live.replace(Some(Live::new(state.clone())));
        Ok((state, true))
    }

    /// Returns what decides on what `account` may do.
    pub fn access(&self, account: Option<Address>) -> Step<Access, S> {
        let LogState { owner, settings, .. } = self.state()?;
        let member = Members(&self.store).rights(account).map_err(LogError::Store)?;
        Ok(Access {
            owner,
            settings,
            member,
        })
    }

    /// Changes the settings. The database's table of streams then has to be written again.
    pub fn change_settings(&self, change: &SettingsChange) -> Step<LogState, S> {
        self.change(|state, _| {
            let settings = change.of(state.settings);
            settings.check(&state.settings).map_err(Refusal::from)?;
            state.listed &= settings == state.settings;
            state.settings = settings;
            Ok(state.clone())
        })
    }

    /// Notes that the sessions of these authors (`None`: of everybody) that were opened until `before` are over: the
    /// answer to the relay's next batch says so. Returns the stream's row, which names the relays to notify.
    pub fn withdraw(&self, authors: &[Option<Address>], before: UnixSec) -> Step<LogState, S> {
        self.change(|state, _| {
            state.withdraw(authors, before);
            Ok(state.clone())
        })
    }

    /// Notes that the database's table of streams has this one with these settings. Changed meanwhile, it is written
    /// again.
    pub fn mark_listed(&self, settings: StreamSettings) -> Step<(), S> {
        self.change(|state, _| {
            state.listed |= state.settings == settings;
            Ok(())
        })
    }

    /// Returns all members.
    pub fn members(&self) -> Step<Vec<(Address, Rights)>, S> {
        self.state()?;
        self.store.members().map_err(LogError::Store)
    }

    /// Gives a member these rights and no others.
    pub fn put_member(&self, member: Address, rights: Rights) -> Step<(), S> {
        self.state()?;
        Members(&self.store).put(member, rights)
    }

    /// Takes a member's rights away.
    pub fn drop_member(&self, member: Address) -> Step<(), S> {
        self.state()?;
        Members(&self.store).remove(member)
    }
}

/// What relays ask for.
impl<S: LogStore> StreamLog<S> {
    /// Grants the epoch to a run of a relay that has the stream, or names the leader that it is to follow.
    pub fn acquire(&self, asking: &Asking<'_>, now: UnixMs) -> Step<Acquiring, S> {
        self.change(|state, _| Ok(state.acquire(asking, now)?))
    }

    /// Returns how far a producer got. Asked under the epoch, so no other relay can commit more of it meanwhile.
    ///
    /// A relay of the version before names no author, and does not tell authors apart itself: it gets the highest.
    pub fn producer(
        &self,
        relay: &RelayId,
        epoch: Epoch,
        id: ProducerId,
        author: Option<Address>,
    ) -> Step<ProducerState, S> {
        self.read(|live, store| {
            live.state.check_leader(relay, epoch)?;
            let (stored, digest) = match author {
                Some(author) => {
                    let mark = live.producer(store, ProducerKey { author, id });
                    let mark = mark.map_err(LogError::Store)?;
                    (mark.map(|mark| mark.last), mark.and_then(|mark| mark.digest))
                }
                None => (live.highest_of(store, id).map_err(LogError::Store)?, None),
            };
            Ok(ProducerState {
                stored,
                digest,
                key: None,
            })
        })
    }

    /// Returns whether the next commit needs no transaction. Where nothing waits in the inbox it writes the batch before
    /// anything else, and all else follows from the batch: a commit that ends behind that is as one whose answer was lost.
    pub fn commits_in_one_write(&self) -> Step<bool, S> {
        self.read(|live, _| Ok(live.state.inbox.messages == 0))
    }

    /// Refuses whoever does not lead the stream under this epoch.
    pub fn need_leader(&self, relay: &RelayId, epoch: Epoch) -> Step<(), S> {
        Ok(self.state()?.check_leader(relay, epoch)?)
    }

    /// Commits a batch, whole or not at all. The retry of the last batch is answered like the first time.
    pub fn commit(&self, relay: &RelayId, batch: &Batch) -> Step<Committed, S> {
        self.change_live(|live, store| {
            self.authors.check(&live.state, store, relay, batch)?;
            groups::check_signed(&live.state, store, batch)?;
            commit::commit(live, store, relay, batch)
        })
    }

    /// Returns what waits for the relay that leads the stream, oldest first, as encoded records: about
    /// [`MAX_FETCH_BYTES`] at most. Asked under the epoch, so nobody else can commit them meanwhile.
    pub fn waiting(&self, relay: &RelayId, epoch: Epoch) -> Step<Vec<u8>, S> {
        let state = self.state()?;
        state.check_leader(relay, epoch)?;
        let records = state.inbox.records(&self.store, state.takes_groups);
        records.map_err(LogError::Store)
    }

    /// Ends the leadership of a relay that has nothing uncommitted; the edge then commits what waits. One that follows does so
    /// no longer.
    pub fn release(&self, relay: &RelayId, epoch: Epoch) -> Step<(), S> {
        self.change_live(|live, store| append::release(live, store, relay, epoch))
    }
}

/// Messages by HTTP.
impl<S: LogStore> StreamLog<S> {
    /// Takes a message or a signed group, once: asked again with the same producer and numbers, returns what became of it.
    pub fn append(&self, records: &[Record]) -> Step<Appended, S> {
        self.change_live(|live, store| append::append(live, store, records))
    }

    /// Returns what became of a message or group that [`Self::append`] took.
    pub fn appended(&self, records: &[Record]) -> Step<Appended, S> {
        self.change_live(|live, store| append::appended(live, store, records))
    }

    /// Commits what waits for a relay that is dead, unless another relay leads the stream.
    pub fn take_over(&self, dead: &RelayId) -> Step<(), S> {
        self.change_live(|live, store| append::take_over(live, store, dead))
    }

    /// Commits all that waits, under an epoch of the edge's own. Only where no living relay leads the stream.
    pub fn commit_waiting(&self) -> Step<(), S> {
        self.change_live(append::commit_waiting)
    }
}

/// The sessions that clients opened.
impl<S: LogStore> StreamLog<S> {
    /// Sends a new session to its relay, and remembers it; where relays do not share the stream, all later ones too. The old
    /// leader keeps its epoch until that relay acquires the stream.
    ///
    /// Returns `false`, and does nothing, if the stream was assigned elsewhere since the relay was chosen: choose again.
    pub fn open_session<'a>(&self, session: &Session, to: impl Into<Destination<'a>>) -> Step<bool, S> {
        let to = to.into();
        self.change(|state, store| {
            let opened = Sessions(store).open(state, session, &to);
            opened.map_err(LogError::Store)
        })
    }

    /// Notes that `author` has a session at `relay` that may publish.
    pub fn admit_author(&self, author: Address, relay: &RelayId, now: UnixMs) -> Step<(), S> {
        authors::admit(&self.store, author, relay, now).map_err(LogError::Store)
    }

    /// Returns the session, if `author` opened it.
    pub fn session_of(&self, session: SessionId, author: Address) -> Step<Session, S> {
        Sessions(&self.store).of(session, author)
    }

    /// Forgets a session once its relay was notified that it is over.
    pub fn forget_session(&self, session: SessionId) -> Step<(), S> {
        self.store.drop_session(session).map_err(LogError::Store)
    }
}

/// From the log to the database and the Anchorer.
impl<S: LogStore> StreamLog<S> {
    /// Returns the segment that the database lacks, with its records: the one made before, or a new one of the oldest
    /// batches. `None` when everything is flushed.
    pub fn next_segment(&self) -> Step<Option<(OutboxSegment, Vec<u8>)>, S> {
        self.change_outbox(|outbox| outbox.next_segment())
    }

    /// Notes that the database has a segment of `bytes` encoded bytes, and drops its batches.
    pub fn mark_flushed(&self, segment: &OutboxSegment, bytes: usize) -> Step<(), S> {
        self.mark_segment(segment, bytes, false)
    }

    /// As [`Self::mark_flushed`], of a segment that the Anchorer has acknowledged already: no row is kept for it.
    pub fn mark_flushed_and_acked(&self, segment: &OutboxSegment, bytes: usize) -> Step<(), S> {
        self.mark_segment(segment, bytes, true)
    }

    fn mark_segment(&self, segment: &OutboxSegment, bytes: usize, is_acked: bool) -> Step<(), S> {
        self.change_outbox(|outbox| {
            let marked = outbox.mark_flushed(segment, bytes, is_acked);
            marked.map_err(LogError::Store)
        })
    }

    /// Returns up to `rows` segments that are flushed and that the Anchorer has not acknowledged.
    pub fn unacked_segments(&self, rows: usize) -> Step<Vec<OutboxSegment>, S> {
        self.read(|_, store| outbox::unacked(store, rows).map_err(LogError::Store))
    }

    /// Notes that the Anchorer has acknowledged these segments.
    pub fn ack_segments(&self, segments: &[OutboxSegment]) -> Step<(), S> {
        segments
            .iter()
            .try_for_each(|one| self.store.drop_segment(one.segment.first))
            .map_err(LogError::Store)
    }

    /// Notes that the Anchorer has no room for the stream. The newest of these segments is kept, to be offered again: with
    /// it the Anchorer looks for all others in the database.
    pub fn keep_newest_segment(&self, refused: &[OutboxSegment]) -> Step<(), S> {
        match refused.split_last() {
            Some((_, older)) => self.ack_segments(older),
            None => Ok(()),
        }
    }

    /// Returns whether anything but segments for the Anchorer and runs for the batcher waits to go out.
    #[cfg(test)]
    fn has_unflushed(&self) -> Step<bool, S> {
        self.read(|live, _| Ok(outbox::has_unflushed(live)))
    }

    /// Notes in the schedule that something may have been committed. Returns when the object has to look again, segments for
    /// the Anchorer apart: see [`Schedule::next_due`].
    pub fn next_due(&self, schedule: &mut Schedule, pace: Pace, now: UnixMs) -> Step<Option<UnixMs>, S> {
        self.read(|live, _| {
            schedule.handle_commit(&live.state, now);
            Ok(schedule.next_due(pace, &live.state, false, now))
        })
    }

    /// Returns whether anything waits to go out.
    pub fn has_work(&self) -> Step<bool, S> {
        self.read(|live, store| outbox::has_work(live, store).map_err(LogError::Store))
    }
}

/// What the chain says, and what readers get.
impl<S: LogStore> StreamLog<S> {
    /// Applies what the chain says of the stream: at least once each, in the chain's order. Returns the stream's row,
    /// which names the relay to notify.
    pub fn apply_notice(&self, event: &NoticeEvent) -> Step<LogState, S> {
        self.change(|state, store| {
            events::apply_notice(state, store, event)?;
            Ok(state.clone())
        })
    }

    /// Applies what the chain says of one of the stream's runs in a round, as [`Self::apply_notice`] does. The contract
    /// takes rounds in their order alone, so the runs before it are on the chain as surely as it is: a stream that nobody
    /// watched was not notified of them.
    pub fn apply_round(&self, event: &NoticeEvent) -> Step<LogState, S> {
        self.change(|state, store| {
            events::cover_before(state, event);
            events::apply_notice(state, store, event)?;
            Ok(state.clone())
        })
    }

    /// Sets what the stream's webhooks are woken for.
    pub fn set_watch(&self, watch: Option<Watch>) -> Step<(), S> {
        self.change(|state, _| {
            state.watch = watch;
            Ok(())
        })
    }

    /// Returns how far the stream is, if its webhooks are to be woken for anything.
    pub fn watched(&self) -> Step<Option<(Watch, Cursor)>, S> {
        self.read(|live, _| {
            let here = Cursor {
                event: live.state.events.next - 1,
                seq: live.state.head,
            };
            Ok(live.state.watch.map(|watch| (watch, here)))
        })
    }

    /// Returns the messages from `from` on that are kept here, about `max_bytes` of them at most.
    ///
    /// A reader asks here first and then reads what is below `flushed` from the database: it is there, for
    /// `flushed` moves only after the database's commit, and nothing at or above it is read twice.
    pub fn tail(&self, reader: &Reader, from: Seq, max_bytes: usize) -> Step<Tail, S> {
        let state = self.state()?;
        reader.check(&state, &self.store)?;
        reading::tail(state, &self.store, from, max_bytes)
    }

    /// Returns what there is behind `cursor`: about `max_bytes` of messages and of events at most.
    pub fn news(&self, reader: &Reader, cursor: Cursor, max_bytes: usize) -> Step<News, S> {
        let state = self.state()?;
        reader.check(&state, &self.store)?;
        reading::news(state, &self.store, cursor, max_bytes)
    }
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;
