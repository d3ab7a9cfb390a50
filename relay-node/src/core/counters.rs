//! What a shard has counted since its start.

use std::time::Duration;
use streamchain_protocol::wire::frame::ErrorCode;

/// Plain numbers: one thread owns them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Payload bytes of messages given a seq.
    pub payload_bytes_accepted: u64,
    /// Datagrams that are no connectivity check and belong to no session.
    pub strays: u64,
    /// Checks with a token that is forged, expired, spent withdrawn, or of another shard.
    pub tokens_refused: u64,
    /// Checks with a good token but a wrong integrity (RFC 8489 §9.1.3).
    pub integrity_refused: u64,
    /// Checks refused because the shard is full or going down.
    pub no_room: u64,
    /// Handshakes ended because another one needed the place.
    pub handshakes_evicted: u64,
    pub sessions_begun: u64,
    /// Sessions whose DTLS came up with the right certificate.
    pub sessions_connected: u64,
    /// Sessions with another certificate than their token says.
    pub certificates_refused: u64,
    pub sessions_ended: u64,
    /// Sessions on a further channel of a connection.
    pub joins: u64,
    /// Further channels that were closed because their grant, or what came in its place, was no good.
    pub joins_refused: u64,
    pub frames_malformed: u64,
    pub messages_accepted: u64,
    /// Messages that had been accepted before.
    pub messages_duplicate: u64,
    /// Messages refused: rights, size, order, overload.
    pub messages_refused: u64,
    /// Signed groups given seqs; their messages are counted as such too.
    pub groups_accepted: u64,
    /// Groups refused because the signature does not hold.
    pub signatures_refused: u64,
    /// Frames over a session's or a stream's rate.
    pub frames_limited: u64,
    /// Sessions ended because they went on flooding.
    pub sessions_flooding: u64,
    pub messages_stored: u64,
    pub deliveries: u64,
    /// Messages that subscribers were sent a *gap* for, to be fetched by HTTP.
    pub messages_gapped: u64,
    pub batches_stored: u64,
    /// Requests to the edge that failed and were sent again.
    pub uplink_retries: u64,
    /// Streams whose epoch this relay lost: the edge said so.
    pub streams_lost: u64,
    /// Messages that came over links from the shards that this one follows.
    pub link_messages: u64,
    /// Messages sent over links to those who follow this shard.
    pub link_messages_sent: u64,
}

impl Counters {
    /// Name and value of every counter, for metrics and logs.
    pub fn list(&self) -> [(&'static str, u64); 32] {
        [
            ("datagrams_in", self.datagrams_in),
            ("datagrams_out", self.datagrams_out),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("payload_bytes_accepted", self.payload_bytes_accepted),
            ("strays", self.strays),
            ("tokens_refused", self.tokens_refused),
            ("integrity_refused", self.integrity_refused),
            ("no_room", self.no_room),
            ("handshakes_evicted", self.handshakes_evicted),
            ("sessions_begun", self.sessions_begun),
            ("sessions_connected", self.sessions_connected),
            ("certificates_refused", self.certificates_refused),
            ("sessions_ended", self.sessions_ended),
            ("joins", self.joins),
            ("joins_refused", self.joins_refused),
            ("frames_malformed", self.frames_malformed),
            ("messages_accepted", self.messages_accepted),
            ("messages_duplicate", self.messages_duplicate),
            ("messages_refused", self.messages_refused),
            ("groups_accepted", self.groups_accepted),
            ("signatures_refused", self.signatures_refused),
            ("frames_limited", self.frames_limited),
            ("sessions_flooding", self.sessions_flooding),
            ("messages_stored", self.messages_stored),
            ("deliveries", self.deliveries),
            ("messages_gapped", self.messages_gapped),
            ("batches_stored", self.batches_stored),
            ("uplink_retries", self.uplink_retries),
            ("streams_lost", self.streams_lost),
            ("link_messages", self.link_messages),
            ("link_messages_sent", self.link_messages_sent),
        ]
    }
}

/// How many error codes are counted; see [`ErrorCode`].
const ERROR_CODES: usize = 16;

/// Errors sent to clients, by their code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts([u64; ERROR_CODES]);

impl ErrorCounts {
    pub fn count(&mut self, code: ErrorCode) {
        if let Some(count) = self.0.get_mut(code as usize) {
            *count += 1;
        }
    }

    /// Every code that was sent, and how often.
    pub fn list(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(sum, count)| *sum += count);
        self
    }
}

/// Upper bounds of the buckets of [`Latencies`], milliseconds: from an edge beside the relay to one that stalls.
pub(crate) const LATENCY_BOUNDS_MS: [u64; 12] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latencies {
    buckets: [u64; LATENCY_BOUNDS_MS.len()],
    pub count: u64,
    /// All of them together, microseconds.
    pub sum_us: u64,
}

impl Latencies {
    pub(crate) fn observe(&mut self, time: Duration) {
        self.count += 1;
        self.sum_us += u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut buckets = LATENCY_BOUNDS_MS.iter().zip(&mut self.buckets);
        if let Some((_, count)) = buckets.find(|(bound, _)| time <= Duration::from_millis(**bound)) {
            *count += 1;
        }
    }

    /// Each bound, and how many times were within it and above the one before.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        LATENCY_BOUNDS_MS.into_iter().zip(self.buckets)
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.buckets
            .iter_mut()
            .zip(other.buckets)
            .for_each(|(sum, count)| *sum += count);
        self.count += other.count;
        self.sum_us += other.sum_us;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_within_its_bound_and_all_above() {
        let mut latencies = Latencies::default();
        for ms in [4, 5, 6, 40_000] {
            latencies.observe(Duration::from_millis(ms));
        }
        let mut within = 0;
        let cumulative: Vec<_> = latencies
            .buckets()
            .map(|(bound_ms, count)| {
                within += count;
                (bound_ms, within)
            })
            .collect();
        assert_eq!(cumulative[..2], [(5, 2), (10, 3)]);
        assert_eq!(cumulative.last(), Some(&(30_000, 3)));
        assert_eq!((latencies.count, latencies.sum_us), (4, 40_015_000));
        assert_eq!(latencies.plus(&latencies).count, 8);
    }

    #[test]
    fn errors_are_counted_by_code() {
        let mut errors = ErrorCounts::default();
        errors.count(ErrorCode::TooLarge);
        errors.count(ErrorCode::RateLimited);
        let both = errors.plus(&errors);
        assert_eq!(both.list().collect::<Vec<_>>(), [(2, 2), (10, 2)]);
    }
}
