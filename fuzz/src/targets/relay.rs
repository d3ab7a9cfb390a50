//! What a relay's sockets read before anybody is known.

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
