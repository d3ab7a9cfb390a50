//! What a shard has counted since its start.

/// Plain numbers: one thread owns them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams of nobody: not a check, or for no session.
    pub strays: u64,
    /// Checks with a token that is forged, expired, spent or of another stream's shard.
    pub tokens_refused: u64,
    /// Checks with a good token but a wrong integrity (RFC 8489 §9.1.3).
    pub integrity_refused: u64,
    /// Checks refused because the shard is full or going down.
    pub no_room: u64,
    /// Sessions begun.
    pub sessions_begun: u64,
    /// Sessions whose DTLS came up with the right certificate.
    pub sessions_connected: u64,
    /// Sessions with another certificate than their token says.
    pub certificates_refused: u64,
    /// Sessions that are over.
    pub sessions_ended: u64,
    /// Malformed frames.
    pub frames_malformed: u64,
    /// Messages given a seq.
    pub messages_accepted: u64,
    /// Messages that had been accepted before.
    pub messages_duplicate: u64,
    /// Messages refused: rights, size, order, overload.
    pub messages_refused: u64,
    /// Frames over a session's or a stream's rate.
    pub frames_limited: u64,
    /// Sessions ended because they went on flooding.
    pub sessions_flooding: u64,
    /// Messages stored at the edge.
    pub messages_stored: u64,
    /// Message deliveries to subscribers.
    pub deliveries: u64,
    /// Messages that subscribers were told to fetch by HTTP.
    pub messages_gapped: u64,
    /// Batches stored at the edge.
    pub batches_stored: u64,
    /// Requests to the edge that failed and were sent again.
    pub uplink_retries: u64,
    /// Streams let go because the edge said so.
    pub streams_lost: u64,
}

impl Counters {
    /// Name and value of every counter, for metrics and logs.
    pub fn list(&self) -> [(&'static str, u64); 22] {
        [
            ("datagrams_in", self.datagrams_in),
            ("datagrams_out", self.datagrams_out),
            ("strays", self.strays),
            ("tokens_refused", self.tokens_refused),
            ("integrity_refused", self.integrity_refused),
            ("no_room", self.no_room),
            ("sessions_begun", self.sessions_begun),
            ("sessions_connected", self.sessions_connected),
            ("certificates_refused", self.certificates_refused),
            ("sessions_ended", self.sessions_ended),
            ("frames_malformed", self.frames_malformed),
            ("messages_accepted", self.messages_accepted),
            ("messages_duplicate", self.messages_duplicate),
            ("messages_refused", self.messages_refused),
            ("frames_limited", self.frames_limited),
            ("sessions_flooding", self.sessions_flooding),
            ("messages_stored", self.messages_stored),
            ("deliveries", self.deliveries),
            ("messages_gapped", self.messages_gapped),
            ("batches_stored", self.batches_stored),
            ("uplink_retries", self.uplink_retries),
            ("streams_lost", self.streams_lost),
        ]
    }
}
