//! Fuzz target of the STUN codec.

use super::proto::message::Message;

/// Reads one STUN message and all that a TURN server asks of it.
pub fn stun_message(bytes: &[u8]) {
    let Ok(message) = Message::read(bytes) else {
        return;
    };
    assert!(
        message.attributes().count() <= 32,
        "a message has at most 32 attributes"
    );
    assert!(
        !message.is_signed_with(b"a key that signed nothing"),
        "nothing verifies with a foreign key"
    );
    let _ = message.peers().count();
}
