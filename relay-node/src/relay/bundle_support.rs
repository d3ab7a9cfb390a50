//! Whether the edge takes batches of several streams in one request: one of the version before does not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an edge that takes no bundles gets none: an edge that is replaced by a newer one is noticed within it.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether the edge takes bundles, as far as the relay's threads know.
#[derive(Debug, Default)]
pub(super) struct BundleSupport(Mutex<Option<Instant>>);

impl BundleSupport {
    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        // A thread that panicked elsewhere left a time that is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a bundle may be sent at `now`.
    pub(super) fn is_likely(&self, now: Instant) -> bool {
        self.until().is_none_or(|until| until <= now)
    }

    /// The edge knew no bundles at `now`.
    pub(super) fn handle_refusal(&self, now: Instant) {
        *self.until() = Some(now + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_without_bundles_is_asked_again_later() {
        let (now, support) = (Instant::now(), BundleSupport::default());
        assert!(support.is_likely(now));
        support.handle_refusal(now);
        assert!(!support.is_likely(now));
        assert!(support.is_likely(now + PAUSE));
    }
}
