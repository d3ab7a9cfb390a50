//! The frames of a link between relays as bytes: CBOR arrays (RFC 8949) that begin with their kind, as the client's frames do.
//! docs/PROTOCOL.md has the table.
//!
//! What always holds: what is read is within the bounds of [`crate::core::limits`]; every message of a run is one *message* frame of its
//! seq, with at most the *signature* frame of its group; a kind that is not known, and items behind those that are, are passed
//! over, so that later versions may add some.

mod down;
mod items;
mod up;

pub(crate) use down::read_down;
pub(crate) use up::{read_follow, read_up};

use crate::core::link::LinkFrame;
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use streamchain_protocol::wire::cbor::Writer;

/// Longest frame, bytes: twice the largest payload, which leaves room for what a group of 256 messages has beside it.
pub(crate) const MAX_LINK_FRAME_BYTES: usize = 2 * MAX_PAYLOAD_BYTES;

/// Appends a frame. `ticket` is what *follow* shows to the upper end.
pub(crate) fn write_frame(frame: &LinkFrame, ticket: &str, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    match frame {
        LinkFrame::Up(frame) => up::write_up(frame, ticket, &mut w),
        LinkFrame::Down(frame) => down::write_down(frame, &mut w),
    }
}
