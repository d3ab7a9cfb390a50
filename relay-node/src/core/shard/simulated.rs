//! Sessions without a network under them, for simulations: what they send is handed in, and what they are sent is taken out.

use super::{Now, Shard};
use crate::core::peer_connection::PeerKey;
use crate::core::send_queue::{Sink, encode};
use crate::core::session::{Phase, Session, SessionKey};
use std::net::IpAddr;
use streamchain_protocol::auth::SessionToken;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};

struct Recorder(Vec<Vec<u8>>);

impl Sink for Recorder {
    fn write(&mut self, message: &[u8]) -> bool {
        self.0.push(message.to_vec());
        true
    }
}

impl Shard {
    /// A session with this token, which must not be another's.
    pub(crate) fn open_simulated(&mut self, token: SessionToken, now: Now) -> SessionKey {
        let network = Network::of(IpAddr::from([127, 0, 0, 1]));
        self.next_key += 1;
        let key = SessionKey(self.next_key);
        self.join_stream(token.stream, network, key);
        // No connection has this key, so nothing is written but what a simulation takes.
        let session = Session::new(PeerKey(u64::MAX), token, network, now.instant);
        self.sessions.insert(key, session);
        key
    }

    /// Takes a data-channel message of the session.
    pub(crate) fn take_simulated(&mut self, key: SessionKey, message: &[u8], now: Now) {
        self.handle_message(key, message, true, now);
    }

    /// The client is gone.
    pub(crate) fn end_simulated(&mut self, key: SessionKey, now: Now) {
        self.remove(key, now);
    }

    /// What the session is sent now, and its last frame when it is over.
    pub(crate) fn written(&mut self, stream: ShortId, key: SessionKey) -> Vec<Vec<u8>> {
        let Some(session) = self.sessions.get_mut(&key) else {
            return vec![encode(&RelayFrame::error(ErrorCode::GoingAway, ""))];
        };
        let mut recorder = Recorder(Vec::new());
        let is_over = session.farewell.is_some() || matches!(session.phase, Phase::Closing(_));
        let view = self.streams.get(&stream).and_then(|stream| stream.role.view());
        match view.filter(|_| !is_over) {
            Some(view) => session.send_queue.pump(&view, &mut recorder),
            None => session.send_queue.flush(&mut recorder),
        };
        if let Some((code, text)) = session.farewell.take() {
            recorder.0.push(encode(&RelayFrame::error(code, text)));
        }
        recorder.0
    }
}
