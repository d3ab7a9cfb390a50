//! What the archiver fails with: which streams it leaves alone for a while, and what its status says.
//!
//! What always holds: a failure is shown until the same work succeeds, and no longer; waiting does not end it.

use std::collections::BTreeMap;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::BackoffBounds;

/// Streams that are remembered at most; if it were more, all of them are tried again.
const MAX_STREAMS: usize = 1_024;

/// What the archiver does with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Makes or rewrites its packs.
    Packing,
    /// Takes the payloads that are older than it keeps them.
    Stripping,
    /// Moves its rounds: the stream is the one of all rounds.
    MovingRounds,
}

#[derive(Debug, Clone)]
struct Failure {
    in_a_row: u32,
    rests_until: UnixMs,
    reason: String,
}

/// The work that failed when it was last done.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    /// Of the whole pass: the database or the archive does not answer.
    pass: Option<String>,
    streams: BTreeMap<(StreamId, Work), Failure>,
}

impl Failures {
    /// Notes how a pass ended.
    pub fn handle_pass(&mut self, problem: Option<String>) {
        self.pass = problem;
    }

    /// Notes that work on a stream failed. The stream is left alone from `now` on, longer each time.
    pub fn handle_failure(
        &mut self,
        (stream, work): (StreamId, Work),
        reason: String,
        rest: BackoffBounds,
        now: UnixMs,
    ) {
        let known = self.streams.get(&(stream, work));
        let in_a_row = known.map_or(0, |known| known.in_a_row).saturating_add(1);
        if known.is_none() && self.streams.len() >= MAX_STREAMS {
            self.streams.clear();
        }
        let failure = Failure {
            in_a_row,
            rests_until: now.plus_ms(rest.wait_ms(in_a_row)),
            reason,
        };
        self.streams.insert((stream, work), failure);
    }

    /// Notes that work on a stream was done, or that there was none to do.
    pub fn handle_success(&mut self, stream: StreamId, work: Work) {
        self.streams.remove(&(stream, work));
    }

    /// Returns whether this work on a stream failed when it was last done.
    pub fn has_failed(&self, stream: StreamId, work: Work) -> bool {
        self.streams.contains_key(&(stream, work))
    }

    /// Returns whether a stream is left alone for now.
    pub fn is_resting(&self, stream: StreamId, now: UnixMs) -> bool {
        let of_stream = self
            .streams
            .range((stream, Work::Packing)..=(stream, Work::Stripping));
        of_stream
            .into_iter()
            .any(|(_, failure)| now < failure.rests_until)
    }

    /// Returns what a person is to know: why the last pass failed, or else one stream whose work did.
    pub fn shown(&self) -> Option<String> {
        let of_stream = || {
            let ((stream, _), failure) = self.streams.first_key_value()?;
            Some(format!("stream {stream}: {}", failure.reason))
        };
        self.pass.clone().or_else(of_stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: BackoffBounds = BackoffBounds {
        first_ms: 100,
        max_ms: 1_000,
    };

    fn stream(byte: u8) -> StreamId {
        StreamId([byte; 32])
    }

    fn failing(streams: &[u8]) -> Failures {
        let mut failures = Failures::default();
        for byte in streams {
            let work = (stream(*byte), Work::Packing);
            failures.handle_failure(work, "no root".into(), REST, UnixMs(0));
        }
        failures
    }

    #[test]
    fn a_failure_is_shown_until_that_work_succeeds() {
        let mut failures = failing(&[1, 2]);
        assert!(failures.is_resting(stream(1), UnixMs(199)));
        assert!(!failures.is_resting(stream(1), UnixMs(1_000)));
        assert!(failures.has_failed(stream(1), Work::Packing));
        assert!(!failures.has_failed(stream(1), Work::Stripping));
        failures.handle_pass(None);
        failures.handle_success(stream(1), Work::Stripping);
        let shown = failures.shown().unwrap();
        assert_eq!(
            shown,
            format!("stream {}: no root", stream(1)),
            "nothing of it was done"
        );
        failures.handle_success(stream(1), Work::Packing);
        assert!(failures.shown().unwrap().contains(&stream(2).to_string()));
        failures.handle_success(stream(2), Work::Packing);
        assert_eq!(failures.shown(), None);
    }

    #[test]
    fn a_pass_that_failed_is_shown_before_its_streams() {
        let mut failures = failing(&[1]);
        failures.handle_pass(Some("the archive is away".into()));
        assert_eq!(failures.shown().as_deref(), Some("the archive is away"));
        failures.handle_pass(None);
        assert!(failures.shown().unwrap().starts_with("stream "));
    }

    #[test]
    fn a_stream_that_fails_again_rests_longer() {
        let mut failures = failing(&[1, 1, 1, 1, 1, 1]);
        assert!(failures.is_resting(stream(1), UnixMs(999)), "as long as it may");
        failures.handle_success(stream(1), Work::Packing);
        assert!(!failures.is_resting(stream(1), UnixMs(0)));
    }

    #[test]
    fn a_bounded_number_of_streams_is_remembered() {
        let mut failures = Failures::default();
        for number in 0..5 * MAX_STREAMS as u64 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            failures.handle_failure((StreamId(id), Work::Packing), "x".into(), REST, UnixMs(0));
            assert!(failures.streams.len() <= MAX_STREAMS);
        }
    }
}
