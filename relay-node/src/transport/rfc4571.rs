//! Cuts a byte stream (TCP or TLS) into the packets that a datagram would have held.
//!
//! What always holds: a reader keeps at most one packet of the largest size and what came with it in one
//! read, and knows since when it has been waiting for the rest of one.

use crate::core::stun::{STUN_HEADER_BYTES, STUN_MAGIC_COOKIE};
use crate::transport::packet::MAX_PACKET_BYTES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// STUN messages and ChannelData, which say their own length; ChannelData is padded to a multiple of four
    /// (RFC 8656 §12.5).
    Turn,
    /// Two bytes of length before each (RFC 4571), as ICE-TCP has it (RFC 6544 §3).
    Counted,
}

/// Why a connection must end: the next packet can't be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("neither STUN nor ChannelData")]
    Unknown,
    /// Longer than any packet of a client.
    #[error("a packet of {0} bytes: expected at most 4096")]
    TooLong(usize),
}

/// The place of a packet in the bytes that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    start: usize,
    end: usize,
    next: usize,
}

impl Framing {
    fn cut(self, bytes: &[u8]) -> Result<Option<Cut>, FramingError> {
        match self {
            Self::Turn => cut_turn(bytes),
            Self::Counted => cut_counted(bytes),
        }
    }
}

/// A packet with its length before it (RFC 4571). The relay's packets are below 64 KiB.
pub(crate) fn count(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), packet].concat()
}

fn cut_counted(bytes: &[u8]) -> Result<Option<Cut>, FramingError> {
    let [high, low, ..] = bytes else {
        return Ok(None);
    };
    let end = 2 + usize::from(u16::from_be_bytes([*high, *low]));
    if end - 2 > MAX_PACKET_BYTES {
        return Err(FramingError::TooLong(end - 2));
    }
    let start = 2;
    Ok((bytes.len() >= end).then_some(Cut {
        start,
        end,
        next: end,
    }))
}

fn cut_turn(bytes: &[u8]) -> Result<Option<Cut>, FramingError> {
    let Some(first) = bytes.first() else {
        return Ok(None);
    };
    let is_stun = match first {
        0x00..=0x3F => true,
        0x40..=0x7F => false,
        _ => return Err(FramingError::Unknown),
    };
    if is_stun && bytes.get(4..8).is_some_and(|cookie| cookie != STUN_MAGIC_COOKIE) {
        return Err(FramingError::Unknown);
    }
    let [_, _, high, low, ..] = bytes else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let end = length + if is_stun { STUN_HEADER_BYTES } else { 4 };
    if end > MAX_PACKET_BYTES {
        return Err(FramingError::TooLong(end));
    }
    let next = end.next_multiple_of(4);
    let start = 0;
    Ok((bytes.len() >= next).then_some(Cut { start, end, next }))
}

#[derive(Debug)]
pub(crate) struct StreamReader {
    framing: Framing,
    bytes: Vec<u8>,
    /// How much of `bytes` was given out.
    taken: usize,
    /// When the packet that is not whole yet began to come, milliseconds.
    waiting_since_ms: Option<u64>,
}

impl StreamReader {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            bytes: Vec::new(),
            taken: 0,
            waiting_since_ms: None,
        }
    }

    /// Adds bytes that came from the stream. To be followed by [`StreamReader::next_packet`] until it has none.
    pub(crate) fn push(&mut self, bytes: &[u8], now_ms: u64) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
        self.waiting_since_ms.get_or_insert(now_ms);
    }

    pub(crate) fn next_packet(&mut self, now_ms: u64) -> Result<Option<&[u8]>, FramingError> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some(cut) = self.framing.cut(rest)? else {
            if rest.is_empty() {
                self.waiting_since_ms = None;
                // An idle connection keeps no buffer.
                self.bytes = Vec::new();
                self.taken = 0;
            }
            return Ok(None);
        };
        let packet = self.taken + cut.start..self.taken + cut.end;
        self.taken += cut.next;
        self.waiting_since_ms = Some(now_ms);
        Ok(self.bytes.get(packet))
    }

    /// Since when the rest of a packet has been outstanding; `None` between packets.
    pub(crate) fn waiting_since_ms(&self) -> Option<u64> {
        self.waiting_since_ms
    }

    #[cfg(test)]
    pub(crate) fn buffered(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::proto::message::{Class, Method};
    use crate::turn::proto::writer::{Writer, channel_data};
    use proptest::prelude::*;

    fn packets(framing: Framing, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FramingError> {
        let mut reader = StreamReader::new(framing);
        let mut packets = Vec::new();
        for piece in pieces {
            reader.push(piece, 0);
            while let Some(packet) = reader.next_packet(0)? {
                packets.push(packet.to_vec());
            }
        }
        Ok(packets)
    }

    #[test]
    fn padding_behind_channel_data_is_skipped() {
        let binding = Writer::new(Class::Request, Method::BINDING, [1; 12]).finish();
        let stream = [channel_data(0x4000, b"odd", true), binding.clone()].concat();
        assert_eq!(
            packets(Framing::Turn, &[&stream]),
            Ok(vec![b"\x40\x00\x00\x03odd".to_vec(), binding])
        );
    }

    #[test]
    fn a_stream_of_something_else_ends_at_once() {
        assert_eq!(
            packets(Framing::Turn, &[b"\x16\x03\x01\x02\x00\x01\x00\x01"]),
            Err(FramingError::Unknown)
        );
        assert_eq!(
            packets(Framing::Turn, &[b"GET / HTTP/1.1"]),
            Err(FramingError::TooLong(21_540))
        );
        assert_eq!(packets(Framing::Turn, &[&[0xFF; 4]]), Err(FramingError::Unknown));
        assert_eq!(
            packets(Framing::Turn, &[&[0x40, 0, 0xFF, 0xFF]]),
            Err(FramingError::TooLong(65_539))
        );
        assert_eq!(
            packets(Framing::Counted, &[&[0xFF, 0xFF]]),
            Err(FramingError::TooLong(65_535))
        );
    }

    #[test]
    fn a_reader_knows_since_when_it_waits() {
        let mut reader = StreamReader::new(Framing::Counted);
        assert_eq!(reader.waiting_since_ms(), None);
        reader.push(&[0], 5);
        assert_eq!(reader.next_packet(5), Ok(None));
        reader.push(&[1], 9);
        assert_eq!(reader.next_packet(9), Ok(None));
        assert_eq!(reader.waiting_since_ms(), Some(5));
        reader.push(b"x", 10);
        assert_eq!(reader.next_packet(10), Ok(Some(&b"x"[..])));
        assert_eq!(reader.next_packet(10), Ok(None));
        assert_eq!((reader.waiting_since_ms(), reader.buffered()), (None, 0));
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in_however_the_stream_is_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in prop::collection::vec(1usize..50, 1..20),
            counted: bool,
        ) {
            let framing = if counted { Framing::Counted } else { Framing::Turn };
            let frame = |packet: &Vec<u8>| if counted { count(packet) } else { channel_data(0x4001, packet, true) };
            let stream: Vec<u8> = sent.iter().flat_map(frame).collect();
            let mut pieces = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle().take(stream.len()) {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            let got = packets(framing, &pieces).unwrap();
            let head = if counted { 0 } else { 4 };
            let got: Vec<Vec<u8>> = got.iter().map(|packet| packet[head..].to_vec()).collect();
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn any_stream_is_survived_in_bounded_memory(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..30),
            counted: bool,
        ) {
            let mut reader = StreamReader::new(if counted { Framing::Counted } else { Framing::Turn });
            'stream: for piece in &pieces {
                reader.push(piece, 0);
                loop {
                    match reader.next_packet(0) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => break 'stream,
                    }
                }
                prop_assert!(reader.buffered() <= MAX_PACKET_BYTES + 4 + 600);
            }
        }
    }
}
