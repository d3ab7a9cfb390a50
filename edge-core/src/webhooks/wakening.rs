//! When a stream's object wakes the object of its webhooks.
//!
//! What always holds: what comes behind what that object has read has a time at which it is woken, unless it is awake; one that is
//! awake reads until there is nothing. It is kept in memory: an instance that begins wakes once, should there be webhooks.

use crate::stream_log::{Cursor, GATHER_MS, Watch};
use streamchain_protocol::time::UnixMs;

/// How long to wait before an object is woken again that could not be reached, milliseconds.
const RETRY_MS: u64 = 5_000;

/// What one instance knows of the object of its webhooks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wakening {
    is_awake: bool,
    /// How far the stream was when nothing was found last.
    seen: Option<Cursor>,
    /// When to try again, after a failure.
    retry_at: UnixMs,
}

impl Wakening {
    /// Returns when the object is to be woken, for a stream that is at `here`; `None` when it is not.
    pub fn due(&self, watch: Watch, here: Cursor, now: UnixMs) -> Option<UnixMs> {
        let is_new = self.seen.is_none_or(|seen| match watch {
            Watch::Events => here.event > seen.event,
            Watch::All => here.event > seen.event || here.seq > seen.seq,
        });
        (is_new && !self.is_awake).then(|| now.plus_ms(GATHER_MS).max(self.retry_at))
    }

    /// Returns whether it is to be woken at `now`, in the alarm that was set for it.
    pub fn is_due(&self, watch: Watch, here: Cursor, now: UnixMs) -> bool {
        self.due(watch, here, now).is_some() && self.retry_at <= now
    }

    /// Notes that it read the stream at `here`, and whether it found anything: else it sleeps.
    pub fn handle_read(&mut self, here: Cursor, has_news: bool) {
        self.is_awake = has_news;
        if !has_news {
            self.seen = Some(here);
        }
    }

    /// Notes that it is being woken, or reads by itself. What comes from here on finds it awake.
    pub fn handle_wake(&mut self) {
        self.is_awake = true;
    }

    /// Notes that it could not be reached.
    pub fn handle_failure(&mut self, now: UnixMs) {
        self.is_awake = false;
        self.retry_at = now.plus_ms(RETRY_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::ids::Seq;

    const NOW: UnixMs = UnixMs(1_000_000);

    fn here(event: u64, seq: u64) -> Cursor {
        Cursor { event, seq: Seq(seq) }
    }

    fn wakes(wakening: &Wakening, watch: Watch, at: Cursor) -> bool {
        wakening.due(watch, at, NOW).is_some()
    }

    #[test]
    fn a_new_instance_wakes_once_and_then_only_for_what_is_new() {
        let mut wakening = Wakening::default();
        assert_eq!(
            wakening.due(Watch::All, here(0, 0), NOW),
            Some(NOW.plus_ms(GATHER_MS))
        );
        wakening.handle_wake();
        assert!(
            !wakes(&wakening, Watch::All, here(3, 9)),
            "it is awake, and reads until there is nothing"
        );
        wakening.handle_read(here(3, 9), true);
        assert!(!wakes(&wakening, Watch::All, here(4, 9)));
        wakening.handle_read(here(4, 9), false);
        assert!(!wakes(&wakening, Watch::All, here(4, 9)));
        assert!(wakes(&wakening, Watch::All, here(4, 10)) && wakes(&wakening, Watch::All, here(5, 9)));
    }

    #[test]
    fn messages_alone_wake_nobody_who_wants_none() {
        let mut wakening = Wakening::default();
        wakening.handle_read(here(4, 9), false);
        assert!(!wakes(&wakening, Watch::Events, here(4, 500)));
        assert!(wakes(&wakening, Watch::Events, here(5, 500)));
    }

    #[test]
    fn one_that_was_not_reached_is_tried_again_later() {
        let mut wakening = Wakening::default();
        wakening.handle_wake();
        wakening.handle_failure(NOW);
        assert!(!wakening.is_due(Watch::All, here(0, 1), NOW));
        let due = wakening.due(Watch::All, here(0, 1), NOW).unwrap();
        assert_eq!(due, NOW.plus_ms(RETRY_MS));
        assert!(wakening.is_due(Watch::All, here(0, 1), due));
    }
}
