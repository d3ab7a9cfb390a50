//! Datagrams: to the session that they belong to, or a new one.

use super::{Now, Shard, Shutdown};
use crate::core::admission::{Check, Refused};
use crate::core::handshakes::Room;
use crate::core::limits::DATAGRAMS_PER_DRIVE;
use crate::core::path::Path;
use crate::core::session::{Session, SessionKey};
use crate::core::stun::is_stun;
use std::time::Duration;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::util::Network;

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
        known: Option<SessionKey>,
        path: Path,
        now: Now,
    ) -> Result<(), Refused> {
        let check = Check::read(datagram)?;
        if let Some(key) = self.by_ufrag.get(check.local_ufrag).copied() {
            let session = self.sessions.get(&key);
            let is_bound = known == Some(key);
            let restarts = !session.is_some_and(|its| its.is_current(check.remote_ufrag));
            let moves = check.nominates() && session.is_some_and(|its| its.reach.nominated() != path);
            let reopens = check.nominates() && session.is_some_and(Session::may_reopen);
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
            if moves && let Some(session) = self.sessions.get_mut(&key) {
                session.reach.nominate(path);
            }
            if reopens && let Some(session) = self.sessions.get_mut(&key) {
                session.reopen();
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
        if is_over {
            self.counters.tokens_refused += 1;
            return Ok(());
        }
        if !self.make_room(token.stream, path.network, now) {
            self.counters.no_room += 1;
            return Ok(());
        }
        let nominated = self.admission.nominate(check, &admitted.password);
        let ufrags = (check.local_ufrag, check.remote_ufrag);
        let Ok(mut session) = Session::new(&self.session_config, admitted, ufrags, path, now.instant) else {
            self.counters.strays += 1;
            return Ok(());
        };
        let left = |end: UnixSec| Duration::from_secs(end.since(now.unix.to_sec()));
        session.ends = token.end.map(|end| now.instant + left(end));
        let key = self.begin(session, now);
        self.bind(key, path);
        self.receive(key, nominated.as_deref().unwrap_or(datagram), path, now);
        Ok(())
    }

    fn follow_restart(&mut self, key: SessionKey, remote_ufrag: &str) -> bool {
        let session = self.sessions.get_mut(&key);
        session.is_some_and(|session| session.follow_restart(remote_ufrag).unwrap_or(false))
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
                self.remove(key, now);
                true
            }
            Room::Full => false,
        }
    }

    /// Adds an admitted session, and asks for its stream while DTLS shakes hands.
    fn begin(&mut self, session: Session, now: Now) -> SessionKey {
        self.next_key += 1;
        let key = SessionKey(self.next_key);
        self.counters.sessions_begun += 1;
        self.session_shares.take(session.network);
        self.handshakes.begin(session.network, key, now.instant);
        self.by_ufrag.insert(session.ufrag.clone(), key);
        self.join_stream(session.stream(), session.network, key);
        self.sessions.insert(key, session);
        key
    }

    fn bind(&mut self, key: SessionKey, path: Path) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if let Some(dropped) = session.reach.add(path) {
            self.by_address.remove(&dropped);
        }
        self.by_address.insert(path.peer(), key);
    }

    fn receive(&mut self, key: SessionKey, datagram: &[u8], path: Path, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        // A datagram that DTLS can't read may be forged: it is dropped, and a
        // connection that is really broken times out.
        if session.receive(datagram, path, now.instant).is_err() {
            self.counters.strays += 1;
        }
        match session.undriven < DATAGRAMS_PER_DRIVE {
            true => self.queue_session(key),
            false => self.drive(key, now),
        }
    }
}
