//! The frames that a client sends, each written in one place.

use super::groups::SealedGroup;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::wire::frame::{Abilities, ClientFrame};

/// A frame that means nothing: whether it is acknowledged shows whether the relay still knows the session.
const PING: [u8; 2] = [0x81, 0x00];

/// What this client can do that not every client can.
pub(super) fn abilities() -> Vec<u8> {
    let abilities = Abilities::SECOND_WELCOME.and(Abilities::TAKES_GROUPS);
    written(&ClientFrame::Abilities(abilities))
}

pub(super) fn hello(producer: ProducerId, key: Option<PublicKey>) -> Vec<u8> {
    written(&ClientFrame::Hello { producer, key })
}

pub(super) fn subscribe(from: Seq, signatures: bool) -> Vec<u8> {
    written(&ClientFrame::Subscribe {
        from: Some(from),
        signatures,
    })
}

pub(super) fn ping() -> Vec<u8> {
    PING.to_vec()
}

/// Appends a message to a data-channel message.
pub(super) fn publish(producer_seq: u64, payload: &[u8], out: &mut Vec<u8>) {
    let frame = ClientFrame::Publish {
        producer_seq,
        payload,
    };
    frame.write(out);
}

/// Appends a signed group to a data-channel message.
pub(super) fn group(group: &SealedGroup, payloads: Vec<&[u8]>, out: &mut Vec<u8>) {
    let frame = ClientFrame::Group {
        producer_seq: group.first,
        previous: group.previous,
        signature: group.signature,
        payloads,
    };
    frame.write(out);
}

fn written(frame: &ClientFrame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.write(&mut out);
    out
}
