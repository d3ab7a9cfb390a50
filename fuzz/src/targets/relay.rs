//! What a relay's sockets read before anybody is known, and what other relays send.

use relay_node::fuzzing;

pub(super) fn stun(bytes: &[u8]) {
    fuzzing::stun_message(bytes);
}

pub(super) fn tcp_framing(bytes: &[u8]) {
    fuzzing::tcp_framing(bytes);
}

pub(super) fn turn_request(bytes: &[u8]) {
    fuzzing::turn_request(bytes);
}

pub(super) fn link_frames(bytes: &[u8]) {
    fuzzing::link_frames(bytes);
}
