//! The client's offer, as far as the relay knows it from the session token.

use streamchain_protocol::auth::SessionToken;
use streamchain_protocol::limits::MAX_CHANNEL_MESSAGE_BYTES;

/// The largest message that the relay sends the client, bytes. A token of an edge that does not say it is of a client that takes
/// what browsers do.
pub(crate) fn max_message_of(token: &SessionToken) -> usize {
    let offered = token.max_message.bytes().map(usize::try_from);
    offered.map_or(MAX_CHANNEL_MESSAGE_BYTES, |bytes| {
        bytes.unwrap_or(usize::MAX).min(MAX_CHANNEL_MESSAGE_BYTES)
    })
}

/// What the client's offer said, as far as str0m must know: it takes the largest message that we may send from
/// an offer alone. The password and fingerprint are never used (ice-lite sends no checks; the certificate is
/// compared with the token).
pub(crate) fn offer_of(remote_ufrag: &str, token: &SessionToken) -> String {
    let max_message = max_message_of(token);
    let setup = if token.relay_begins { "passive" } else { "active" };
    let fingerprint = ["00"; 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
         a=ice-ufrag:{remote_ufrag}\r\na=ice-pwd:notusednotusednotusednot\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\na=sctp-port:5000\r\n\
         a=max-message-size:{max_message}\r\n"
    )
}
