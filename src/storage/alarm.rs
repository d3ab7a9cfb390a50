//! An object's alarm.
//!
//! What always holds: while a round is under way an alarm is set already, so that whatever happens in the round there
//! is another one; a call that wants a round never delays one that is due earlier.

use std::cell::Cell;
use std::time::Duration;
use worker::{Date, Error, Storage, console_error};

/// How long a round with a slow node takes at most, milliseconds. An alarm that is due for longer was dropped.
pub(crate) const MAX_ROUND_MS: u64 = 30_000;

/// Knows when the alarm is due, as far as this instance set it.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    due_ms: Cell<Option<u64>>,
    in_round: Cell<bool>,
}

impl Alarm {
    /// A round begins: sets the next alarm first, for `after_ms` from now, should the round die.
    pub(crate) async fn begin(&self, storage: &Storage, after_ms: u64) {
        self.in_round.set(true);
        if let Err(error) = self.set(storage, now_ms() + after_ms).await {
            console_error!("alarm: {error}");
        }
    }

    /// A round failed: the alarm that was set first stands.
    pub(crate) fn fail(&self) {
        self.in_round.set(false);
    }

    /// An alarm came although nothing is to be done.
    pub(crate) fn rest(&self) {
        self.due_ms.set(None);
    }

    /// A round is over: the next one is due then, or never unless something happens.
    pub(crate) async fn end(&self, storage: &Storage, due_ms: Option<u64>) {
        self.in_round.set(false);
        let set = match due_ms {
            Some(due_ms) => self.set(storage, due_ms).await,
            None => {
                self.due_ms.set(None);
                storage.delete_alarm().await
            }
        };
        if let Err(error) = set {
            console_error!("alarm: {error}");
        }
    }

    /// Something happened between rounds: the next one is due then. Sets the alarm in the same turn as the write before
    /// it, so that they are kept together.
    pub(crate) async fn arm(&self, storage: &Storage, due_ms: Option<u64>) -> Result<(), Error> {
        let Some(due_ms) = due_ms else { return Ok(()) };
        let now_ms = now_ms();
        // An alarm that should have fired long ago was dropped.
        let set = self.due_ms.get().filter(|set| set + MAX_ROUND_MS > now_ms);
        // A round under way looks for more work when it ends.
        if self.in_round.get() || set.is_some_and(|set| set <= due_ms.max(now_ms)) {
            return Ok(());
        }
        self.set(storage, due_ms).await
    }

    async fn set(&self, storage: &Storage, due_ms: u64) -> Result<(), Error> {
        self.due_ms.set(Some(due_ms));
        let set = storage
            .set_alarm(Duration::from_millis(due_ms.saturating_sub(now_ms())))
            .await;
        if set.is_err() {
            self.due_ms.set(None);
        }
        set
    }
}

fn now_ms() -> u64 {
    Date::now().as_millis()
}
