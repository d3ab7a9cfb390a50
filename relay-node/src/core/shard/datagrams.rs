//! Datagrams: to the connection that they belong to, or a new one.

use super::{Now, Shard, Shutdown};
use crate::core::admission::{Check, Refused};
use crate::core::handshakes::Room;
use crate::core::limits::DATAGRAMS_PER_DRIVE;
use crate::core::path::Path;
use crate::core::peer_connection::{PeerConnection, PeerKey};
use crate::core::session::{Session, SessionKey};
use crate::core::stun::is_stun;
use std::time::Duration;
use streamchain_protocol::auth::SessionToken;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::{shard_of, shard_of_session};

impl Shard {
    /// Takes a datagram that came by `path`.
    pub fn handle_datagram(&mut self, datagram: &[u8], path: Path, now: Now) {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        let known = self.by_address.get(&path.peer()).copied();
        if !is_stun(datagram) {
            match known {
                Some(key) => self.receive(key, datagram, path, now),
                None => self.counters.strays += 1,
            }
            return;
        }
        if let Err(refused) = self.handle_stun(datagram, known, path, now) {
            match refused {
                Refused::NotACheck => self.counters.strays += 1,
                Refused::Token(_) => self.counters.tokens_refused += 1,
                Refused::Integrity => self.counters.integrity_refused += 1,
            }
        }
    }

    fn handle_stun(
        &mut self,
        datagram: &[u8],
        known: Option<PeerKey>,
        path: Path,
        now: Now,
    ) -> Result<(), Refused> {
        let check = Check::read(datagram)?;
        if let Some(key) = self.by_ufrag.get(check.local_ufrag).copied() {
            let peer = self.peers.get(&key);
            let is_bound = known == Some(key);
            let restarts = !peer.is_some_and(|its| its.is_current(check.remote_ufrag));
            let moves = check.nominates() && peer.is_some_and(|its| its.reach.nominated() != path);
            let reopens = check.nominates() && peer.is_some_and(PeerConnection::may_reopen);
            if !is_bound || restarts || moves || reopens {
                // The client moved, tries another pair, restarts ICE or wants the handshake again: only with the right integrity.
                self.admission.recognize(&check)?;
            }
            if restarts && !self.follow_restart(key, check.remote_ufrag) {
                return Err(Refused::NotACheck);
            }
            if !is_bound {
                self.bind(key, path);
            }
            if moves && let Some(peer) = self.peers.get_mut(&key) {
                peer.reach.nominate(path);
            }
            if reopens && let Some(peer) = self.peers.get_mut(&key) {
                peer.reopen();
            }
            self.receive(key, datagram, path, now);
            return Ok(());
        }
        self.admit(&check, datagram, path, now)
    }

    /// Begins a session for a first check, if it is good and there is room.
    fn admit(&mut self, check: &Check<'_>, datagram: &[u8], path: Path, now: Now) -> Result<(), Refused> {
        let admitted = self.admission.admit(check, now.unix.to_sec())?;
        let token = admitted.token;
        let is_over = self.spent.contains_key(&token.session) || self.withdrawals.refuse(&token);
        if is_over || !self.serves(&token) {
            self.counters.tokens_refused += 1;
            return Ok(());
        }
        if !self.make_room(token.stream, path.network, now) {
            self.counters.no_room += 1;
            return Ok(());
        }
        let nominated = self.admission.nominate(check, &admitted.password);
        let ufrags = (check.local_ufrag, check.remote_ufrag);
        let Ok(peer) = PeerConnection::new(&self.session_config, admitted, ufrags, path, now.instant) else {
            self.counters.strays += 1;
            return Ok(());
        };
        let key = self.begin(peer, now);
        self.bind(key, path);
        self.receive(key, nominated.as_deref().unwrap_or(datagram), path, now);
        Ok(())
    }

    /// Whether the edge may have sent the session here: to its stream's home shard, or to its own where the edge spreads sessions. A
    /// token opens one session at a shard, so it must not count at all of them.
    fn serves(&self, token: &SessionToken) -> bool {
        let home = shard_of(token.stream, self.shards);
        let own = shard_of_session(token.session, self.shards);
        home == self.index || own == self.index
    }

    fn follow_restart(&mut self, key: PeerKey, remote_ufrag: &str) -> bool {
        let peer = self.peers.get_mut(&key);
        peer.is_some_and(|peer| peer.follow_restart(remote_ufrag).unwrap_or(false))
    }

    /// Whether one more session of `network` may begin; a handshake that must make way for it is ended.
    fn make_room(&mut self, stream: ShortId, network: Network, now: Now) -> bool {
        let is_known = self.streams.contains_key(&stream);
        let room = self.shutdown == Shutdown::No
            && self.session_shares.has_room(network)
            && (is_known || self.stream_shares.has_room(network));
        match self.handshakes.room(network, now.instant) {
            _ if !room => false,
            Room::Free => true,
            Room::InPlaceOf(key) => {
                self.counters.handshakes_evicted += 1;
                self.remove_peer(key, now);
                true
            }
            Room::Full => false,
        }
    }

    /// Adds an admitted client's connection and its first session, and asks for its stream while DTLS shakes hands.
    fn begin(&mut self, peer: PeerConnection, now: Now) -> PeerKey {
        self.next_key += 1;
        let key = PeerKey(self.next_key);
        self.session_shares.take(peer.network);
        self.handshakes.begin(peer.network, key, now.instant);
        self.by_ufrag.insert(peer.ufrag.clone(), key);
        let (token, network) = (peer.token, peer.network);
        self.peers.insert(key, peer);
        self.begin_session(key, token, network, now);
        key
    }

    /// Adds a session with these claims to a connection.
    pub(super) fn begin_session(
        &mut self,
        peer: PeerKey,
        token: SessionToken,
        network: Network,
        now: Now,
    ) -> SessionKey {
        self.next_key += 1;
        let key = SessionKey(self.next_key);
        self.counters.sessions_begun += 1;
        let mut session = Session::new(peer, token, network, now.instant);
        session.ends = token.end.map(|end| now.instant + left(end, now));
        self.join_stream(token.stream, network, key);
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.sessions.push(key);
        }
        self.sessions.insert(key, session);
        self.schedule_session(key);
        key
    }

    fn bind(&mut self, key: PeerKey, path: Path) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if let Some(dropped) = peer.reach.add(path) {
            self.by_address.remove(&dropped);
        }
        self.by_address.insert(path.peer(), key);
    }

    fn receive(&mut self, key: PeerKey, datagram: &[u8], path: Path, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        // A datagram that DTLS can't read may be forged: it is dropped, and a
        // connection that is really broken times out.
        if peer.receive(datagram, path, now.instant).is_err() {
            self.counters.strays += 1;
        }
        match peer.undriven < DATAGRAMS_PER_DRIVE {
            true => self.queue_peer(key),
            false => self.drive(key, now),
        }
    }
}

/// How long it is until `end`.
pub(super) fn left(end: UnixSec, now: Now) -> Duration {
    Duration::from_secs(end.since(now.unix.to_sec()))
}
