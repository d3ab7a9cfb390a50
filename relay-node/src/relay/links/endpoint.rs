//! The socket of links: opens connections to relays that this one follows, and takes those of relays that follow it.

use super::event::{Dial, LinkEvent};
use super::limits::{CLOSE_TIMEOUT, MAX_OPENING_LINKS, MAX_QUEUE_BYTES, PORT_TRY_INTERVAL, Times};
use super::link::{FrameReader, Link, MALFORMED};
use super::patience::Patience;
use super::peers::{PeerConnection, Peers, Place, Strangers};
use super::port;
use super::queue::link_queue;
use super::shard_side::ShardQueues;
use super::status::{End, LinkStatus};
use super::tls::{Fingerprint, Identity, SERVER_NAME, fingerprint_of_peer};
use crate::core::Loss;
use crate::core::link::{FIRST_ACCEPTED_LINK, Follow, read_follow};
use crate::relay::clock::now;
use anyhow::{Result, bail};
use quinn::{Incoming, RecvStream, SendStream, VarInt};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use str0m::config::DtlsCert;
use streamchain_protocol::auth::{LinkKey, LinkTicket};
use streamchain_protocol::webrtc::parse_fingerprint;
use streamchain_protocol::wire::{LinkReach, shard_of};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

/// The code that a stream is reset with whose ticket is no good, and a connection that showed no good one.
const NO_TICKET: VarInt = VarInt::from_u32(3);

/// The code that a connection is closed with for which there is no room.
const NO_ROOM: VarInt = VarInt::from_u32(4);

/// What an endpoint is made from.
pub(crate) struct EndpointConfig {
    pub socket: UdpSocket,
    pub certificate: DtlsCert,
    /// The key that tickets are signed with.
    pub key: LinkKey,
    pub queues: ShardQueues,
    pub times: Times,
    pub status: Arc<LinkStatus>,
}

impl EndpointConfig {
    /// With the usual time-outs.
    pub(crate) fn new(
        (socket, certificate, key): (UdpSocket, DtlsCert, LinkKey),
        queues: ShardQueues,
        status: &Arc<LinkStatus>,
    ) -> Self {
        Self {
            socket,
            certificate,
            key,
            queues,
            times: Times::default(),
            status: Arc::clone(status),
        }
    }
}

/// What is found out by a connection that several links wait for: `None` until it is.
type Connecting = watch::Receiver<Option<Connected>>;

/// A connection, or why there is none.
type Connected = Result<Arc<PeerConnection>, Loss>;

/// A relay's links to others.
pub(crate) struct Endpoint {
    quinn: quinn::Endpoint,
    is_ipv6: bool,
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    key: LinkKey,
    events: Vec<mpsc::Sender<LinkEvent>>,
    peers: Peers,
    strangers: Strangers,
    patience: Mutex<Patience>,
    connecting: Mutex<HashMap<Fingerprint, Connecting>>,
    next_number: AtomicU64,
    times: Times,
    status: Arc<LinkStatus>,
}

impl Endpoint {
    /// Begins to listen, and to open what the shards dial. Must be called in a runtime.
    pub(crate) fn start(config: EndpointConfig) -> Result<Self> {
        let EndpointConfig {
            socket,
            certificate,
            key,
            queues: ShardQueues { events, dials },
            times,
            status,
        } = config;
        let is_ipv6 = socket.local_addr()?.is_ipv6();
        let identity = Identity::new(certificate);
        let server = identity.server_config()?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let quinn = quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(server), socket, runtime)?;
        let shared = Arc::new(Shared {
            identity,
            key,
            events,
            peers: Peers::default(),
            strangers: Strangers::default(),
            patience: Mutex::new(Patience::new(times.silence)),
            connecting: Mutex::default(),
            next_number: AtomicU64::new(FIRST_ACCEPTED_LINK),
            times,
            status,
        });
        tokio::spawn(accept_all(quinn.clone(), Arc::clone(&shared)));
        let dialing = Self {
            quinn: quinn.clone(),
            is_ipv6,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(dialing.dial_all(dials));
        Ok(Self {
            quinn,
            is_ipv6,
            shared,
        })
    }

    /// Ends all links, and says so to the other relays.
    pub(crate) async fn close(&self) {
        self.quinn.close(VarInt::from_u32(0), b"this relay shuts down");
        drop(timeout(CLOSE_TIMEOUT, self.quinn.wait_idle()).await);
    }

    async fn dial_all(self, mut dials: mpsc::UnboundedReceiver<Dial>) {
        let endpoint = Arc::new(self);
        while let Some(dial) = dials.recv().await {
            let endpoint = Arc::clone(&endpoint);
            tokio::spawn(async move { endpoint.dial(dial).await });
        }
    }

    /// Opens a link, and carries its frames until it ends.
    async fn dial(&self, dial: Dial) {
        let Dial {
            shard,
            number,
            grant,
            queue,
        } = dial;
        let Some(events) = self.shared.events.get(shard).cloned() else {
            return;
        };
        let opened = match self.connect(&grant.link).await {
            Ok(peer) => match timeout(self.shared.times.stall, peer.connection.open_bi()).await {
                Ok(Ok(opened)) => Ok((peer, opened)),
                Ok(Err(_)) | Err(_) => Err(peer.loss()),
            },
            Err(loss) => Err(loss),
        };
        let (peer, (send, receive)) = match opened {
            Ok(opened) => opened,
            Err(loss) => {
                debug!(leader = %grant.leader, stream = %grant.stream, ?loss, "no link to the leader");
                self.shared.status.count_failed();
                return drop(events.send(LinkEvent::Lost { number, loss }).await);
            }
        };
        let link = Link {
            number,
            end: End::Lower,
            peer,
            send,
            receive: FrameReader::new(receive, self.shared.times.stall),
            queue,
            ticket: grant.ticket,
            events,
            stall: self.shared.times.stall,
            status: Arc::clone(&self.shared.status),
        };
        link.run(std::future::pending()).await;
    }

    /// A connection with the relay that is reached this way: the one that there is, or a new one for all that wait for it.
    async fn connect(&self, reach: &LinkReach) -> Connected {
        let fingerprint = parse_fingerprint(&reach.fingerprint).ok_or(Loss::Failed)?;
        if let Some(peer) = self.shared.peers.find(&fingerprint) {
            peer.advertise(&reach.addresses);
            return Ok(peer);
        }
        let connecting = || {
            self.shared
                .connecting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let (mut found, result) = {
            let mut all = connecting();
            match all.get(&fingerprint) {
                Some(under_way) => (under_way.clone(), None),
                None => {
                    let (result, found) = watch::channel(None);
                    all.insert(fingerprint, found.clone());
                    (found, Some(result))
                }
            }
        };
        let Some(result) = result else {
            let connected = found.wait_for(Option::is_some).await;
            let connected = connected.ok().and_then(|connected| connected.clone());
            return connected.unwrap_or(Err(Loss::Failed));
        };
        let peer = self.connect_anew(reach, fingerprint).await;
        connecting().remove(&fingerprint);
        result.send_replace(Some(peer.clone()));
        peer
    }

    async fn connect_anew(&self, reach: &LinkReach, fingerprint: Fingerprint) -> Connected {
        let silence = self.shared.patience().with(&fingerprint, now().instant);
        let config = match self.shared.identity.client_config(fingerprint, silence) {
            Ok(config) => config,
            Err(error) => {
                warn!(%error, "no links can be opened");
                return Err(Loss::Failed);
            }
        };
        // A socket of IPv4 reaches IPv4 alone.
        let reachable = reach
            .addresses
            .iter()
            .filter(|address| self.is_ipv6 || address.is_ipv4());
        let mut closed = 0;
        for address in reachable.clone() {
            let connecting = self.quinn.connect_with(config.clone(), *address, SERVER_NAME);
            let connection = match connecting {
                Ok(connecting) => tokio::select! {
                    connected = timeout(self.shared.times.connect, connecting) => connected,
                    () = self.shared.closed_port(fingerprint, *address) => {
                        debug!(%address, "nobody listens at a relay's port");
                        closed += 1;
                        continue;
                    }
                },
                Err(error) => {
                    debug!(%address, %error, "not connected to a relay");
                    continue;
                }
            };
            match connection {
                Ok(Ok(connection)) => {
                    self.shared.patience().was_reached(&fingerprint, now().instant);
                    let peer = Arc::new(PeerConnection::known(connection, fingerprint));
                    self.shared.peers.add(&peer);
                    tokio::spawn(Arc::clone(&self.shared).serve(Arc::clone(&peer)));
                    return Ok(peer);
                }
                Ok(Err(error)) => debug!(%address, %error, "not connected to a relay"),
                Err(_) => debug!(%address, "not connected to a relay in time"),
            }
        }
        match closed > 0 && closed == reachable.count() {
            true => {
                self.shared.patience().was_closed(fingerprint, now().instant);
                Err(Loss::PortClosed)
            }
            false => Err(Loss::Failed),
        }
    }
}

/// Takes the connections of others.
async fn accept_all(quinn: quinn::Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = quinn.accept().await {
        // An address that nobody has shown to be the sender's takes no place, and gets no more than it sent.
        if !incoming.remote_address_validated() {
            if incoming.may_retry() {
                drop(incoming.retry());
            } else {
                incoming.ignore();
            }
            continue;
        }
        match shared.strangers.take(incoming.remote_address().ip()) {
            Some(place) => drop(tokio::spawn(Arc::clone(&shared).accept(incoming, place))),
            None => {
                shared.status.count_refused();
                incoming.refuse();
            }
        }
    }
}

/// A stream that has not shown a ticket yet.
struct Opened {
    send: SendStream,
    receive: RecvStream,
    place: Option<OwnedSemaphorePermit>,
}

/// The next stream of a connection, once there is a place for it.
async fn next_stream(
    peer: &PeerConnection,
    openings: &Arc<Semaphore>,
) -> Result<Opened, quinn::ConnectionError> {
    let place = Arc::clone(openings).acquire_owned().await.ok();
    let (send, receive) = peer.connection.accept_bi().await?;
    Ok(Opened { send, receive, place })
}

impl Shared {
    fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves once the port at this address is found closed.
    async fn closed_port(&self, relay: Fingerprint, address: SocketAddr) {
        loop {
            sleep(PORT_TRY_INTERVAL).await;
            let is_tried = self.patience().trusts_ports_of(&relay, now().instant);
            if is_tried && port::is_closed(address).await {
                return;
            }
        }
    }

    /// Resolves once nothing comes from this relay, and its port is found closed.
    async fn port_closed_of(&self, peer: &PeerConnection) {
        let mut before = None;
        loop {
            sleep(PORT_TRY_INTERVAL).await;
            let received = peer.connection.stats().udp_rx.datagrams;
            let is_silent = before.replace(received) == Some(received);
            let is_tried = is_silent
                && peer.is_advertised()
                && self.patience().trusts_ports_of(&peer.fingerprint, now().instant);
            if is_tried && port::is_closed(peer.connection.remote_address()).await {
                return;
            }
        }
    }

    async fn accept(self: Arc<Self>, incoming: Incoming, place: Place) {
        let address = incoming.remote_address();
        let connected = async {
            let connection = incoming.accept()?.await?;
            let Some(fingerprint) = fingerprint_of_peer(&connection) else {
                bail!("it showed no certificate");
            };
            Ok((connection, fingerprint))
        };
        match timeout(self.times.handshake, connected).await {
            Ok(Ok((connection, fingerprint))) => {
                let peer = Arc::new(PeerConnection::stranger(connection, fingerprint, place));
                self.serve(peer).await;
            }
            Ok(Err(error)) => debug!(%address, %error, "a connection for links failed"),
            Err(_) => debug!(%address, "a connection for links took too long"),
        }
    }

    /// Takes the streams of a connection until it is over.
    async fn serve(self: Arc<Self>, peer: Arc<PeerConnection>) {
        let counted = self.status.connection();
        let openings = Arc::new(Semaphore::new(MAX_OPENING_LINKS));
        let deadline = sleep(self.times.ticket);
        let closed_port = self.port_closed_of(&peer);
        tokio::pin!(deadline, closed_port);
        let mut is_due = true;
        loop {
            tokio::select! {
                opened = next_stream(&peer, &openings) => match opened {
                    Ok(opened) => {
                        drop(tokio::spawn(Arc::clone(&self).take_stream(Arc::clone(&peer), opened)));
                    }
                    Err(reason) => {
                        debug!(address = %peer.connection.remote_address(), %reason, "a connection of links ended");
                        if reason == quinn::ConnectionError::TimedOut && peer.is_proven() {
                            self.patience().was_silent(peer.fingerprint, now().instant);
                        }
                        break;
                    }
                },
                () = &mut closed_port, if peer.loss() == Loss::Failed => {
                    self.patience().was_closed(peer.fingerprint, now().instant);
                    peer.end_at_closed_port();
                }
                () = &mut deadline, if is_due => {
                    is_due = false;
                    // The ticket may have been shown while this waited.
                    if !peer.is_proven() {
                        self.status.count_refused();
                        peer.connection.close(NO_TICKET, b"no ticket was shown in time");
                    }
                }
            }
        }
        self.peers.remove(&peer);
        drop(counted);
    }

    /// Takes a stream of another relay, which follows if it may.
    async fn take_stream(self: Arc<Self>, peer: Arc<PeerConnection>, opened: Opened) {
        let Opened {
            mut send,
            receive,
            place,
        } = opened;
        let mut receive = FrameReader::new(receive, self.times.stall);
        match timeout(self.times.ticket, self.admit(&peer, &mut receive)).await {
            Ok(Ok((ticket, follow))) => {
                drop(place);
                if peer.prove() && !self.peers.add(&peer) {
                    peer.connection.close(NO_ROOM, b"too many connections");
                    return;
                }
                self.follow(&peer, &ticket, follow, (send, receive)).await;
            }
            refused => {
                let reason = refused.map(|refused| refused.err());
                debug!(address = %peer.connection.remote_address(), ?reason, "a follower was refused");
                self.status.count_refused();
                drop(send.reset(NO_TICKET));
                if peer.refuse() {
                    peer.connection.close(NO_TICKET, b"the ticket is no good");
                }
            }
        }
    }

    /// Reads and checks what a stream begins with.
    async fn admit(&self, peer: &PeerConnection, receive: &mut FrameReader) -> Result<(LinkTicket, Follow)> {
        let frame = receive.next().await?;
        let (ticket, follow) = read_follow(&frame)?;
        let ticket = LinkTicket::verify(ticket, &self.key, now().unix.to_sec())?;
        if ticket.fingerprint != peer.fingerprint {
            bail!(
                "the ticket is of {}, which has another certificate",
                ticket.follower
            );
        }
        let granted = Some(ticket.epoch);
        Ok((ticket, Follow { granted, ..follow }))
    }

    async fn follow(
        &self,
        peer: &Arc<PeerConnection>,
        ticket: &LinkTicket,
        follow: Follow,
        (mut send, receive): (SendStream, FrameReader),
    ) {
        let stream = ticket.stream;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let Some(events) = self.events.get(shard_of(stream, self.events.len())).cloned() else {
            return drop(send.reset(MALFORMED));
        };
        info!(follower = %ticket.follower, %stream, "a relay follows");
        let (sender, queue) = link_queue(MAX_QUEUE_BYTES);
        let opened = LinkEvent::Opened {
            number,
            stream,
            follow,
            sender,
        };
        let replaced = peer.begin(stream);
        if events.send(opened).await.is_ok() {
            let link = Link {
                number,
                end: End::Upper,
                peer: Arc::clone(peer),
                send,
                receive,
                queue,
                ticket: String::new(),
                events,
                stall: self.times.stall,
                status: Arc::clone(&self.status),
            };
            link.run(async { drop(replaced.await) }).await;
        }
        peer.end(stream);
    }
}
