//! An object's alarm.
//!
//! What always holds: whatever happens in a round, there is another one; a call that wants a round never delays one that
//! is due earlier. To set an alarm costs a row, so it is set once for each round where the platform's own promise
//! suffices: it runs an alarm whose handler fails some more times.

use crate::clock;
use crate::counters;
use std::cell::Cell;
use std::time::Duration;
use streamchain_protocol::time::UnixMs;
use worker::{Error, Storage, console_error};

/// How long a round with a slow node takes at most, milliseconds. An alarm that is due for longer was dropped.
pub(crate) const MAX_ROUND_MS: u64 = 30_000;

/// Knows when the alarm is due, as far as this instance set it.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    due: Cell<Option<UnixMs>>,
    in_round: Cell<bool>,
    /// Whether this instance set the alarm that is due.
    is_own: Cell<bool>,
    /// Whether the round under way has an alarm behind it.
    is_guarded: Cell<bool>,
}

impl Alarm {
    /// A round begins: sets the next alarm first, for `after_ms` from now, should the round die.
    pub(crate) async fn begin(&self, storage: &Storage, after_ms: u64) {
        self.in_round.set(true);
        self.is_guarded.set(true);
        if let Err(error) = self.set(storage, clock::now().plus_ms(after_ms)).await {
            console_error!("alarm: {error}");
        }
    }

    /// As [`Self::begin`], but the next alarm is set only where this instance did not set the one that came: an instance
    /// before it may have died in a round, and the platform gives up after some tries.
    pub(crate) async fn begin_once(&self, storage: &Storage, after_ms: u64) {
        let was_set_here = self.due.take().is_some() && self.is_own.get();
        if !was_set_here {
            return self.begin(storage, after_ms).await;
        }
        self.in_round.set(true);
        self.is_guarded.set(false);
    }

    /// Reads when the alarm is due that an earlier instance set.
    pub(crate) async fn adopt(&self, storage: &Storage) -> Result<(), Error> {
        let set = storage.get_alarm().await?;
        if self.due.get().is_none()
            && let Some(due) = set.and_then(|due| u64::try_from(due).ok())
        {
            self.due.set(Some(UnixMs(due)));
            self.is_own.set(false);
        }
        Ok(())
    }

    /// A round failed: the alarm that was set first stands.
    pub(crate) fn fail(&self) {
        self.in_round.set(false);
    }

    /// An alarm came although nothing is to be done.
    pub(crate) fn rest(&self) {
        self.due.set(None);
    }

    /// A round is over: the next one is due then, or never unless something happens.
    pub(crate) async fn end(&self, storage: &Storage, due: Option<UnixMs>) {
        self.in_round.set(false);
        let set = match due {
            Some(due) => self.set(storage, due).await,
            None => {
                self.due.set(None);
                match self.is_guarded.get() {
                    true => {
                        counters::count_object_rows(1);
                        storage.delete_alarm().await
                    }
                    false => Ok(()),
                }
            }
        };
        if let Err(error) = set {
            console_error!("alarm: {error}");
        }
    }

    /// Something happened between rounds: the next one is due then. Sets the alarm in the same turn as the write before
    /// it, so that they are kept together.
    pub(crate) async fn arm(&self, storage: &Storage, due: Option<UnixMs>) -> Result<(), Error> {
        let Some(due) = due else { return Ok(()) };
        let now = clock::now();
        // An alarm that should have fired long ago was dropped.
        let set = self.due.get().filter(|set| set.plus_ms(MAX_ROUND_MS) > now);
        // A round under way looks for more work when it ends.
        if self.in_round.get() || set.is_some_and(|set| set <= due.max(now)) {
            return Ok(());
        }
        self.set(storage, due).await
    }

    async fn set(&self, storage: &Storage, due: UnixMs) -> Result<(), Error> {
        self.due.set(Some(due));
        self.is_own.set(true);
        counters::count_object_rows(1);
        let set = storage
            .set_alarm(Duration::from_millis(due.since(clock::now())))
            .await;
        if set.is_err() {
            self.due.set(None);
        }
        set
    }
}
