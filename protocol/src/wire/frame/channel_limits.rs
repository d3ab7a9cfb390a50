//! The limits of a relay in `welcome`: a map with text keys, so that later versions can add some.

use crate::limits::MAX_PAYLOAD_BYTES;
use crate::util::cbor::{CborError, Reader, Writer};

/// What a client needs to know of the relay's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelLimits {
    /// Largest payload, bytes.
    pub payload: u64,
    /// Commit interval, milliseconds.
    pub batch_ms: u64,
    /// How many messages the relay keeps for late subscribers, at most.
    pub buffer: u64,
    /// Messages (and other frames) that the session may send in a second; 0: no limit.
    pub messages_per_s: u64,
    /// Payload bytes that the session may send in a second; 0: no limit.
    pub bytes_per_s: u64,
    /// Most messages of a signed group; 0: the relay takes no groups.
    pub group_messages: u64,
    /// Whether the stream takes signed groups only.
    pub signed: bool,
}

/// The limits that every relay says.
const ALWAYS: [&str; 3] = ["payload", "batch_ms", "buffer"];

/// Writes the limits. Rates of 0 are left out, and so is what only a relay that takes groups says.
pub(super) fn write_limits<'w, 'a>(w: &'w mut Writer<'a>, limits: ChannelLimits) -> &'w mut Writer<'a> {
    let all = [
        ("payload", limits.payload),
        ("batch_ms", limits.batch_ms),
        ("buffer", limits.buffer),
        ("messages_per_s", limits.messages_per_s),
        ("bytes_per_s", limits.bytes_per_s),
        ("group_messages", limits.group_messages),
        ("signed", u64::from(limits.signed)),
    ];
    let given = all
        .iter()
        .filter(|(name, value)| *value > 0 || ALWAYS.contains(name));
    w.map(given.clone().count() as u64);
    for (name, value) in given {
        w.text(name).uint(*value);
    }
    w
}

/// Reads the limits. Those that are absent are the protocol's own, or none.
pub(super) fn read_limits(reader: &mut Reader<'_>) -> Result<ChannelLimits, CborError> {
    let mut limits = ChannelLimits {
        payload: MAX_PAYLOAD_BYTES as u64,
        batch_ms: 0,
        buffer: 0,
        messages_per_s: 0,
        bytes_per_s: 0,
        group_messages: 0,
        signed: false,
    };
    for _ in 0..reader.map("limits")? {
        match reader.text("limits key")? {
            "payload" => limits.payload = reader.uint("payload")?,
            "batch_ms" => limits.batch_ms = reader.uint("batch_ms")?,
            "buffer" => limits.buffer = reader.uint("buffer")?,
            "messages_per_s" => limits.messages_per_s = reader.uint("messages_per_s")?,
            "bytes_per_s" => limits.bytes_per_s = reader.uint("bytes_per_s")?,
            "group_messages" => limits.group_messages = reader.uint("group_messages")?,
            "signed" => limits.signed = reader.uint("signed")? > 0,
            _ => reader.skip("limit")?,
        }
    }
    Ok(limits)
}
