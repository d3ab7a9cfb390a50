//! Relays on loopback sockets, and strangers who speak QUIC to them.

mod bounds;
mod links;
mod ports;
mod refusals;

use super::event::{Dial, LinkEvent};
use super::limits::{
    CONNECT_TIMEOUT, MAX_EVENTS, MAX_NETWORK_UNPROVEN, MAX_QUEUE_BYTES, MAX_UNPROVEN_LINKS, SILENCE_TIMEOUT,
    Times,
};
use super::queue::{LinkSender, link_queue};
use super::shard_side::ShardQueues;
use super::tls::{Identity, SERVER_NAME};
use super::*;
use crate::core::Loss;
use crate::core::link::{DownFrame, Ended, Follow, LinkFrame, UpFrame, write_frame};
use crate::core::replay_buffer::EncodedMessage;
use bytes::Bytes;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;
use streamchain_protocol::Address;
use streamchain_protocol::auth::{LinkTicket, RelayKey};
use streamchain_protocol::ids::{Epoch, Seq, ShortId, StreamId};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::webrtc::format_fingerprint;
use streamchain_protocol::wire::frame::RelayFrame;
use streamchain_protocol::wire::{FollowGrant, LinkReach};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Far more than anything here takes, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing takes too long, however busy the machine is.
const PATIENT: Times = Times {
    handshake: PATIENCE,
    ticket: PATIENCE,
    stall: PATIENCE,
    silence: PATIENCE,
    connect: CONNECT_TIMEOUT,
};

const STREAM: StreamId = StreamId([4; 32]);

fn certificate() -> str0m::config::DtlsCert {
    crate::relay::certificate::make(&crate::core::dtls::crypto_provider()).unwrap()
}

/// A relay with one shard, whose part the test plays.
struct Relay {
    key: RelayKey,
    fingerprint: [u8; 32],
    reach: LinkReach,
    events: mpsc::Receiver<LinkEvent>,
    dials: mpsc::UnboundedSender<Dial>,
    status: Arc<LinkStatus>,
    _endpoint: Endpoint,
}

impl Relay {
    fn start(key: &str) -> Self {
        Self::start_with(key, PATIENT)
    }

    fn start_with(key: &str, times: Times) -> Self {
        let (key, certificate) = (RelayKey::from_hex(&key.repeat(32)).unwrap(), certificate());
        let fingerprint = tls::fingerprint_of(&certificate.certificate);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let reach = LinkReach {
            addresses: vec![socket.local_addr().unwrap()],
            fingerprint: format_fingerprint(&fingerprint),
        };
        let (event, events) = mpsc::channel(MAX_EVENTS);
        let (dials, dialed) = mpsc::unbounded_channel();
        let status = Arc::new(LinkStatus::default());
        let endpoint = Endpoint::start(EndpointConfig {
            socket,
            certificate,
            key: key.link_key(),
            queues: ShardQueues {
                events: vec![event],
                dials: dialed,
            },
            times,
            status: Arc::clone(&status),
        });
        Self {
            key,
            fingerprint,
            reach,
            events,
            dials,
            status,
            _endpoint: endpoint.unwrap(),
        }
    }

    /// What the edge gives a follower with this certificate.
    fn grant_to(&self, fingerprint: [u8; 32]) -> FollowGrant {
        let ticket = LinkTicket {
            follower: "follower".parse().unwrap(),
            fingerprint,
            stream: STREAM.short(),
            epoch: Epoch(7),
            expires: now_sec().plus_s(60),
        };
        FollowGrant {
            stream: STREAM,
            name: "demo".parse().unwrap(),
            leader: "leader".parse().unwrap(),
            epoch: Epoch(7),
            signed: Signed::Optional,
            link: self.reach.clone(),
            ticket: ticket.sign(&self.key.link_key()),
            expires: ticket.expires,
        }
    }

    /// Opens a link by this number.
    fn dial(&self, number: u64, grant: FollowGrant) -> LinkSender {
        let (sender, queue) = link_queue(MAX_QUEUE_BYTES);
        sender.send(follow()).unwrap();
        let dial = Dial {
            shard: 0,
            number,
            grant: Box::new(grant),
            queue,
        };
        assert!(self.dials.send(dial).is_ok());
        sender
    }

    async fn event(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }

    /// The next event is that a link has begun: its number, and its sender.
    async fn opened(&mut self) -> (u64, LinkSender) {
        match self.event().await {
            LinkEvent::Opened {
                number,
                stream,
                follow,
                sender,
            } => {
                assert_eq!((stream, follow.granted), (STREAM.short(), Some(Epoch(7))));
                (number, sender)
            }
            _ => panic!("no link has begun"),
        }
    }

    async fn frame(&mut self) -> (u64, LinkFrame) {
        match self.event().await {
            LinkEvent::Frame { number, frame } => (number, frame),
            LinkEvent::Opened { .. } => panic!("another link has begun"),
            LinkEvent::Lost { .. } => panic!("the link is lost"),
        }
    }

    async fn lost(&mut self) -> u64 {
        self.lost_how().await.0
    }

    async fn lost_how(&mut self) -> (u64, Loss) {
        loop {
            match self.event().await {
                LinkEvent::Lost { number, loss } => return (number, loss),
                LinkEvent::Frame { .. } => {}
                LinkEvent::Opened { .. } => panic!("a link has begun"),
            }
        }
    }

    /// The value of a gauge or counter.
    fn count(&self, name: &str) -> u64 {
        let gauges = self.status.gauges().map(|(name, _, value)| (name, value));
        let counters = self.status.counters().map(|(name, _, value)| (name, value));
        let mut all = gauges.into_iter().chain(counters);
        all.find(|(known, _)| *known == name).unwrap().1
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waited = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(timeout(PATIENCE, waited).await.is_ok(), "{what}");
    }
}

fn now_sec() -> UnixSec {
    crate::relay::clock::now().unix.to_sec()
}

fn follow() -> LinkFrame {
    LinkFrame::Up(UpFrame::Follow(Follow {
        known: None,
        credit: 1_000,
        network: None,
        granted: None,
    }))
}

/// Who speaks QUIC with a certificate of its own, and may be anybody.
struct Stranger {
    fingerprint: [u8; 32],
    identity: Identity,
    quinn: quinn::Endpoint,
}

impl Stranger {
    fn new() -> Self {
        let certificate = certificate();
        Self {
            fingerprint: tls::fingerprint_of(&certificate.certificate),
            identity: Identity::new(certificate),
            quinn: quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap(),
        }
    }

    async fn connect(&self, to: &Relay) -> Result<quinn::Connection, quinn::ConnectionError> {
        let config = self
            .identity
            .client_config(to.fingerprint, SILENCE_TIMEOUT)
            .unwrap();
        let connecting = self
            .quinn
            .connect_with(config, to.reach.addresses[0], SERVER_NAME);
        timeout(PATIENCE, connecting.unwrap()).await.unwrap()
    }

    /// A link that was begun with a good ticket.
    async fn follow(&self, leader: &Relay) -> (quinn::Connection, quinn::SendStream, quinn::RecvStream) {
        let connection = self.connect(leader).await.unwrap();
        let (mut send, receive) = connection.open_bi().await.unwrap();
        let ticket = leader.grant_to(self.fingerprint).ticket;
        send.write_all(&framed(&follow(), &ticket)).await.unwrap();
        (connection, send, receive)
    }
}

/// A frame behind its length.
fn framed(frame: &LinkFrame, ticket: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(frame, ticket, &mut bytes);
    [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

/// A frame with one message of this seq and length.
fn message(seq: u64, length: usize) -> LinkFrame {
    let mut message = Vec::new();
    RelayFrame::Message {
        epoch: Epoch(7),
        seq: Seq(seq),
        time: UnixMs(1),
        author: Address::ZERO,
        payload: &vec![0; length],
    }
    .write(&mut message);
    let message = EncodedMessage {
        message: message.into(),
        signature: None,
    };
    LinkFrame::Down(DownFrame::Messages {
        first: Seq(seq),
        messages: vec![message],
    })
}

async fn closed(connection: &quinn::Connection) -> u64 {
    match timeout(PATIENCE, connection.closed()).await.unwrap() {
        quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other}"),
    }
}

async fn reset(receive: &mut quinn::RecvStream) -> u64 {
    match timeout(PATIENCE, receive.received_reset()).await.unwrap() {
        Ok(Some(code)) => code.into_inner(),
        other => panic!("{other:?}"),
    }
}
