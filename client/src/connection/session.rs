//! One session on its sockets: offer, answer, UDP first and ICE-TCP beside it when UDP does not get through.

use crate::core::Failure;
use crate::http::SessionAnswer;
use crate::peer::{Identity, Peer, Sockets, relay_addresses};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::{IceCreds, RtcError};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How long the channel may take to open after the answer. A relay gives up after ten seconds itself.
const OPEN_TIMEOUT: Duration = Duration::from_secs(8);

/// How long UDP is tried alone.
const UDP_HEAD_START: Duration = Duration::from_millis(1_500);

/// How long an ICE-TCP connection may take.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Datagrams that are read between two writes, so that what is sent does not wait for what comes.
const DATAGRAMS_PER_READ: usize = 64;

/// A session.
pub(super) struct Session {
    number: u64,
    peer: Peer,
    sockets: Sockets,
    location: String,
    /// When it counts as unreachable; `None` until the answer is there.
    deadline: Option<Instant>,
    /// When ICE-TCP is tried, and where.
    tcp_at: Option<(Instant, SocketAddr)>,
    connecting: Option<JoinHandle<Option<TcpStream>>>,
    is_announced: bool,
}

impl Session {
    /// Begins a session; returns it with its offer.
    pub(super) fn begin(number: u64, identity: &Identity, now: Instant) -> Result<(Self, String), RtcError> {
        let random = IceCreds::new();
        let credentials = IceCreds {
            // The relay's ufrag is the session token: both together must fit the 128 bytes that str0m writes.
            ufrag: random.ufrag.chars().take(4).collect(),
            pass: random.pass,
        };
        let (peer, offer) = Peer::offer(identity, credentials, Peer::channel(), now)?;
        let session = Self {
            number,
            peer,
            sockets: Sockets::new(),
            location: String::new(),
            deadline: None,
            tcp_at: None,
            connecting: None,
            is_announced: false,
        };
        Ok((session, offer))
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Takes the edge's answer, and opens sockets for it.
    pub(super) fn accept(&mut self, answer: SessionAnswer, now: Instant) -> Result<(), Failure> {
        self.location = answer.location;
        let (relay, sdp) = relay_addresses(&answer.sdp);
        let failed = |error: RtcError| Failure::NoPath(error.to_string());
        self.peer.accept(&sdp).map_err(failed)?;
        for local in self.sockets.open_udp(&relay.udp) {
            self.peer.add_local(local).map_err(failed)?;
        }
        for remote in &relay.udp {
            self.peer.add_remote(*remote).map_err(failed)?;
        }
        self.deadline = Some(now + OPEN_TIMEOUT);
        self.tcp_at = relay.tcp.first().map(|remote| match relay.udp.is_empty() {
            true => (now, *remote),
            false => (now + UDP_HEAD_START, *remote),
        });
        Ok(())
    }

    /// Whether the channel has opened since the last call.
    pub(super) fn has_just_opened(&mut self) -> bool {
        let is_new = self.peer.is_open() && !self.is_announced;
        self.is_announced |= is_new;
        is_new
    }

    pub(super) fn was_open(&self) -> bool {
        self.is_announced
    }

    pub(super) fn is_writable(&mut self) -> bool {
        self.peer.is_writable()
    }

    pub(super) fn send(&mut self, message: Vec<u8>) {
        self.peer.send_message(message);
    }

    pub(super) fn receive(&mut self) -> Option<Vec<u8>> {
        self.peer.receive()
    }

    /// Reads what has arrived.
    pub(super) fn read(&mut self, now: Instant) -> Result<(), Failure> {
        let (peer, mut failed, mut count) = (&mut self.peer, None, 0);
        self.sockets.receive(|packet, source, local| {
            if let Err(error) = peer.handle_datagram(packet, source, local, now) {
                failed = Some(error);
            }
            count += 1;
            count < DATAGRAMS_PER_READ
        });
        match failed {
            Some(error) => Err(Failure::Ended(error.to_string())),
            None => self.advance(now),
        }
    }

    /// Sends what there is, and does what is due.
    pub(super) fn write(&mut self, now: Instant) -> Result<(), Failure> {
        self.advance(now)?;
        self.sockets.flush();
        if self.peer.is_closed() {
            return Err(Failure::Ended("the channel was closed".into()));
        }
        if self.peer.is_stalled(now) {
            return Err(Failure::Ended("the relay acknowledges nothing any more".into()));
        }
        let is_late = self.deadline.is_some_and(|deadline| now >= deadline);
        if is_late && !self.peer.is_open() {
            return Err(Failure::NoPath(format!(
                "no channel opened in {} s",
                OPEN_TIMEOUT.as_secs()
            )));
        }
        Ok(())
    }

    fn advance(&mut self, now: Instant) -> Result<(), Failure> {
        if self.deadline.is_none() {
            return Ok(());
        }
        let ended = |error: RtcError| Failure::Ended(error.to_string());
        self.begin_tcp(now);
        self.peer.handle_timeout(now).map_err(ended)?;
        while let Some(transmit) = self.peer.next_transmit().map_err(ended)? {
            self.sockets
                .send(&transmit.contents, transmit.source, transmit.destination);
        }
        Ok(())
    }

    fn begin_tcp(&mut self, now: Instant) {
        let Some((at, remote)) = self.tcp_at else { return };
        if self.peer.is_open() || now < at {
            return;
        }
        self.tcp_at = None;
        self.connecting = Some(tokio::spawn(async move {
            let connected = tokio::time::timeout(TCP_TIMEOUT, TcpStream::connect(remote)).await;
            connected.ok().and_then(Result::ok)
        }));
    }

    pub(super) fn next_timeout(&self) -> Instant {
        let peer = self.peer.next_timeout();
        let deadline = self.deadline.filter(|_| !self.peer.is_open());
        let tcp = self.tcp_at.map(|(at, _)| at).filter(|_| !self.peer.is_open());
        [deadline, tcp].into_iter().flatten().fold(peer, Instant::min)
    }

    /// Waits until something may be read.
    pub(super) async fn ready(&self) {
        self.sockets.ready().await;
    }

    /// Adds the ICE-TCP connection, when it is there.
    pub(super) async fn take_tcp(&mut self) {
        let Some(connecting) = self.connecting.take_if(|connecting| connecting.is_finished()) else {
            return;
        };
        if let Ok(Some(stream)) = connecting.await
            && let Ok(remote) = stream.peer_addr()
            && let Ok(local) = self.sockets.add_tcp(stream)
        {
            // A candidate that ICE refuses is no path; UDP goes on.
            let _ = self.peer.add_local(local);
            let _ = self.peer.add_remote(remote);
        }
    }

    /// Says goodbye; returns the path with which the session is ended at the edge.
    pub(super) fn close(mut self) -> String {
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        let _ = self.peer.close();
        while let Ok(Some(transmit)) = self.peer.next_transmit() {
            self.sockets
                .send(&transmit.contents, transmit.source, transmit.destination);
        }
        self.sockets.flush();
        self.location
    }
}
