//! What went wrong in a session.

/// What went wrong, as a number that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorCode {
    /// A frame was malformed. The session is closed.
    Malformed = 1,
    /// A payload is above the limit. The message was not taken; the session goes on.
    TooLarge = 2,
    /// The session has no right to do this.
    NotAllowed = 3,
    /// A producer_seq does not follow the one before.
    ProducerGap = 4,
    /// Another relay leads the stream: connect again.
    StreamMoved = 5,
    /// The relay is going down: connect again.
    GoingAway = 6,
    /// The session was ended from outside.
    SessionEnded = 7,
    /// The relay cannot take more now: send again later.
    Overloaded = 8,
    /// A frame came at the wrong time, such as publish before hello.
    Unexpected = 9,
    /// Rate limit exceeded: the message was not taken, send it again later. As the last frame of a session: the rate
    /// limit was exceeded for too long.
    RateLimited = 10,
    /// The signature of a group does not hold, or its key does not sign for the author. Nothing was taken.
    BadSignature = 11,
    /// The stream takes signed groups only. Nothing was taken.
    SignatureRequired = 12,
    /// A group does not follow the producer's group before it, or signed and unsigned messages are mixed in one producer.
    /// Nothing was taken.
    BrokenChain = 13,
}
