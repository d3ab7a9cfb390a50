//! Requests that are made again and again, one of each kind at a time, with a pause after each that failed.

use super::failure::Failure;
use super::limits::{MAX_PAUSE_MS, REQUEST_BACKOFF};

/// A request that is made again and again, one at a time.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) is_under_way: bool,
    /// When the next one may be made.
    at_ms: u64,
    pub(super) failures: u32,
}

impl Turn {
    pub(super) fn begins(&mut self, now_ms: u64) -> bool {
        let begins = !self.is_under_way && self.at_ms <= now_ms;
        self.is_under_way |= begins;
        begins
    }

    pub(super) fn succeeded(&mut self, next_at_ms: u64) {
        *self = Self {
            is_under_way: false,
            at_ms: next_at_ms,
            failures: 0,
        };
    }

    pub(super) fn failed(&mut self, failure: Option<&Failure>, now_ms: u64, bits: u64) {
        let wait = REQUEST_BACKOFF.jittered_ms(self.failures, bits);
        let asked = failure.and_then(Failure::retry_ms).unwrap_or(0);
        self.failures = self.failures.saturating_add(1);
        self.is_under_way = false;
        self.at_ms = now_ms.saturating_add(wait.max(asked.min(MAX_PAUSE_MS)));
    }

    fn next_timeout(&self) -> u64 {
        if self.is_under_way { u64::MAX } else { self.at_ms }
    }
}

/// What is done by HTTP.
#[derive(Debug, Default)]
pub(super) struct ByHttp {
    pub(super) is_active: bool,
    pub(super) history: Turn,
    /// From where history is asked next, if it is needed at all.
    pub(super) is_history_needed: bool,
    pub(super) post: Turn,
    pub(super) follow: Turn,
}

impl ByHttp {
    /// Whether HTTP takes the place of a session.
    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    pub(super) fn next_timeout(&self, has_unstored: bool) -> u64 {
        let history = if self.is_history_needed {
            self.history.next_timeout()
        } else {
            u64::MAX
        };
        let post = if self.is_active && has_unstored {
            self.post.next_timeout()
        } else {
            u64::MAX
        };
        let follow = if self.is_active {
            self.follow.next_timeout()
        } else {
            u64::MAX
        };
        history.min(post).min(follow)
    }
}
