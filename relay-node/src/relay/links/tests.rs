//! Relays on loopback sockets, and strangers who speak QUIC to them.

use super::event::{Dial, LinkEvent};
use super::limits::{MAX_EVENTS, MAX_NETWORK_UNPROVEN, MAX_QUEUE_BYTES, MAX_UNPROVEN_LINKS};
use super::queue::{LinkSender, link_queue};
use super::shard_side::ShardQueues;
use super::tls::{Identity, SERVER_NAME};
use super::*;
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
        Self::start_with(key, Times::default())
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
        loop {
            match self.event().await {
                LinkEvent::Lost { number } => return number,
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
        let config = self.identity.client_config(to.fingerprint).unwrap();
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

mod links {
    use super::*;

    #[tokio::test]
    async fn frames_go_both_ways_in_order_until_one_end_is_done() {
        let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
        let up = follower.dial(1, leader.grant_to(follower.fingerprint));
        let (number, down) = leader.opened().await;
        assert!(number >= crate::core::link::FIRST_ACCEPTED_LINK);
        (0..300).for_each(|seq| down.send(message(seq, 500)).unwrap());
        for seq in 0..300 {
            let (number, frame) = follower.frame().await;
            assert_eq!(
                (number, format!("{frame:?}")),
                (1, format!("{:?}", message(seq, 500)))
            );
        }
        (0..300).for_each(|publisher| up.send(LinkFrame::Up(UpFrame::Leave(publisher))).unwrap());
        up.send(LinkFrame::Up(UpFrame::Unfollow)).unwrap();
        drop(up);
        for publisher in 0..300 {
            let (at, frame) = leader.frame().await;
            assert_eq!(at, number);
            assert!(matches!(frame, LinkFrame::Up(UpFrame::Leave(left)) if left == publisher));
        }
        let (_, last) = leader.frame().await;
        assert!(matches!(last, LinkFrame::Up(UpFrame::Unfollow)));
        assert_eq!(leader.lost().await, number);
        assert_eq!(follower.lost().await, 1);
    }

    #[tokio::test]
    async fn what_a_leaving_leader_says_last_arrives() {
        let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
        let _up = follower.dial(1, leader.grant_to(follower.fingerprint));
        let (_, down) = leader.opened().await;
        down.send(LinkFrame::Down(DownFrame::Ended(Ended::Gone))).unwrap();
        drop(down);
        let (_, last) = follower.frame().await;
        assert!(matches!(last, LinkFrame::Down(DownFrame::Ended(Ended::Gone))));
    }

    #[tokio::test]
    async fn two_relays_share_one_connection_for_both_ways() {
        let (mut one, mut other) = (Relay::start("11"), Relay::start("22"));
        let _up = other.dial(1, one.grant_to(other.fingerprint));
        let (_, _down) = one.opened().await;
        let _up = one.dial(1, other.grant_to(one.fingerprint));
        let (_, _down) = other.opened().await;
        for relay in [&one, &other] {
            assert_eq!(relay.count("link_connections"), 1);
            assert_eq!(
                (relay.count("links_followed"), relay.count("links_followers")),
                (1, 1)
            );
        }
    }

    #[tokio::test]
    async fn links_opened_together_wait_for_one_connection() {
        let (mut leader, follower) = (Relay::start("11"), Relay::start("22"));
        let other = |stream: u8| {
            let mut grant = leader.grant_to(follower.fingerprint);
            let mut ticket = LinkTicket::verify(&grant.ticket, &leader.key.link_key(), now_sec()).unwrap();
            ticket.stream = ShortId([stream; 20]);
            grant.ticket = ticket.sign(&leader.key.link_key());
            grant
        };
        let _up: Vec<_> = (0..50)
            .map(|stream| follower.dial(stream, other(stream as u8)))
            .collect();
        let mut downs = Vec::new();
        for _ in 0..50 {
            match leader.event().await {
                LinkEvent::Opened { sender, .. } => downs.push(sender),
                _ => panic!("no link has begun"),
            }
        }
        assert_eq!(leader.count("link_connections"), 1);
    }

    #[tokio::test]
    async fn a_leader_that_is_gone_is_found_out() {
        let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
        let grant = leader.grant_to(follower.fingerprint);
        let _up = follower.dial(1, grant.clone());
        let (_, _down) = leader.opened().await;
        leader._endpoint.close().await;
        assert_eq!(follower.lost().await, 1);
        drop(leader);
        let _up = follower.dial(2, grant);
        assert_eq!(follower.lost().await, 2, "and not reached again");
        assert_eq!(follower.count("links_failed"), 1);
    }

    #[tokio::test]
    async fn a_second_link_of_a_stream_takes_the_place_of_the_first() {
        let (mut leader, follower) = (Relay::start("11"), Relay::start("22"));
        let _first = follower.dial(1, leader.grant_to(follower.fingerprint));
        let (first, _down) = leader.opened().await;
        let _second = follower.dial(2, leader.grant_to(follower.fingerprint));
        let (mut lost, mut opened) = (None, None);
        while lost.is_none() || opened.is_none() {
            match leader.event().await {
                LinkEvent::Lost { number } => lost = Some(number),
                LinkEvent::Opened { number, sender, .. } => opened = Some((number, sender)),
                LinkEvent::Frame { .. } => panic!("nothing was sent"),
            }
        }
        assert_eq!(lost, Some(first));
        assert_ne!(opened.unwrap().0, first);
    }
}

mod refusals {
    use super::*;

    /// What a follower hears that shows this ticket: that the link is lost.
    async fn is_refused(change: impl Fn(&Relay, &Relay, &mut FollowGrant)) {
        let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
        let mut grant = leader.grant_to(follower.fingerprint);
        change(&leader, &follower, &mut grant);
        let _up = follower.dial(1, grant);
        assert_eq!(follower.lost().await, 1);
        assert!(leader.events.try_recv().is_err(), "the shard hears nothing");
        assert_eq!(leader.count("links_opened"), 0);
    }

    fn signed(leader: &Relay, follower: [u8; 32], expires: UnixSec) -> String {
        let ticket = LinkTicket {
            follower: "follower".parse().unwrap(),
            fingerprint: follower,
            stream: STREAM.short(),
            epoch: Epoch(7),
            expires,
        };
        ticket.sign(&leader.key.link_key())
    }

    #[tokio::test]
    async fn no_ticket() {
        is_refused(|_, _, grant| grant.ticket = String::new()).await;
    }

    #[tokio::test]
    async fn a_ticket_of_another_leader() {
        is_refused(|_, follower, grant| {
            let key = follower.key.link_key();
            let ticket = LinkTicket::verify(
                &grant.ticket,
                &RelayKey::from_hex(&"11".repeat(32)).unwrap().link_key(),
                now_sec(),
            );
            grant.ticket = ticket.unwrap().sign(&key);
        })
        .await;
    }

    #[tokio::test]
    async fn a_ticket_of_another_follower() {
        is_refused(|leader, _, grant| grant.ticket = signed(leader, [9; 32], now_sec().plus_s(60))).await;
    }

    #[tokio::test]
    async fn a_ticket_that_has_expired() {
        is_refused(|leader, follower, grant| {
            grant.ticket = signed(leader, follower.fingerprint, UnixSec(now_sec().0 - 10));
        })
        .await;
    }

    #[tokio::test]
    async fn a_leader_with_another_certificate() {
        is_refused(|_, _, grant| grant.link.fingerprint = format_fingerprint(&[9; 32])).await;
    }

    #[tokio::test]
    async fn a_strangers_connection_ends_with_its_first_bad_ticket() {
        let leader = Relay::start("11");
        let stranger = Stranger::new();
        let connection = stranger.connect(&leader).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&framed(&follow(), "ticket")).await.unwrap();
        assert_eq!(closed(&connection).await, 3);
        leader
            .until("it is counted", |leader| leader.count("links_refused") == 1)
            .await;
    }

    #[tokio::test]
    async fn a_relays_other_links_outlive_a_bad_ticket() {
        let mut leader = Relay::start("11");
        let stranger = Stranger::new();
        let (connection, mut good, _answers) = stranger.follow(&leader).await;
        leader.opened().await;
        let (mut bad, mut refused) = connection.open_bi().await.unwrap();
        bad.write_all(&framed(&follow(), "ticket")).await.unwrap();
        assert_eq!(reset(&mut refused).await, 3);
        good.write_all(&framed(&LinkFrame::Up(UpFrame::Leave(5)), ""))
            .await
            .unwrap();
        let (_, frame) = leader.frame().await;
        assert!(matches!(frame, LinkFrame::Up(UpFrame::Leave(5))));
    }

    #[tokio::test]
    async fn a_connection_of_another_protocol() {
        let leader = Relay::start("11");
        let quinn = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let connecting = quinn
            .connect_with(config, leader.reach.addresses[0], SERVER_NAME)
            .unwrap();
        assert!(timeout(PATIENCE, connecting).await.unwrap().is_err());
    }
}

mod bounds {
    use super::*;

    const SHORT: Times = Times {
        ticket: Duration::from_millis(300),
        stall: Duration::from_millis(300),
    };

    #[tokio::test]
    async fn a_stranger_that_says_nothing_is_sent_away() {
        let leader = Relay::start_with("11", SHORT);
        let stranger = Stranger::new();
        let connection = stranger.connect(&leader).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0, 0]).await.unwrap();
        assert_eq!(closed(&connection).await, 3);
        leader
            .until("nothing is kept", |leader| leader.count("link_connections") == 0)
            .await;
    }

    #[tokio::test]
    async fn a_stranger_has_few_streams() {
        let leader = Relay::start("11");
        let stranger = Stranger::new();
        let connection = stranger.connect(&leader).await.unwrap();
        let mut open = Vec::new();
        for _ in 0..MAX_UNPROVEN_LINKS {
            open.push(timeout(PATIENCE, connection.open_bi()).await.unwrap().unwrap());
        }
        let one_more = timeout(Duration::from_millis(200), connection.open_bi()).await;
        assert!(one_more.is_err(), "there is no credit for another stream");
        assert!(connection.open_uni().await.is_err() || connection.max_datagram_size().is_none());
    }

    #[tokio::test]
    async fn strangers_of_one_network_have_few_connections() {
        let leader = Relay::start("11");
        let stranger = Stranger::new();
        let mut open = Vec::new();
        for _ in 0..MAX_NETWORK_UNPROVEN {
            open.push(stranger.connect(&leader).await.unwrap());
        }
        assert!(
            stranger.connect(&leader).await.is_err(),
            "there is no place for another one"
        );
        open.iter()
            .for_each(|connection| connection.close(0_u8.into(), b""));
        leader
            .until("all are gone", |leader| leader.count("link_connections") == 0)
            .await;
        assert!(stranger.connect(&leader).await.is_ok());
    }

    #[tokio::test]
    async fn half_a_frame_ends_the_link() {
        let mut leader = Relay::start_with("11", SHORT);
        let stranger = Stranger::new();
        let (_connection, mut send, mut receive) = stranger.follow(&leader).await;
        let (number, _down) = leader.opened().await;
        send.write_all(&[0, 0, 0, 9, 0x82]).await.unwrap();
        assert_eq!(leader.lost().await, number);
        assert_eq!(reset(&mut receive).await, 1);
    }

    #[tokio::test]
    async fn a_long_or_malformed_frame_ends_the_link() {
        for bytes in [&[0xFF, 0xFF, 0xFF, 0xFF][..], &[0, 0, 0, 1, 0xFF]] {
            let mut leader = Relay::start("11");
            let stranger = Stranger::new();
            let (_connection, mut send, mut receive) = stranger.follow(&leader).await;
            let (number, _down) = leader.opened().await;
            send.write_all(bytes).await.unwrap();
            assert_eq!(leader.lost().await, number);
            assert_eq!(reset(&mut receive).await, 1);
        }
    }

    #[tokio::test]
    async fn endless_frames_wait_at_the_sender() {
        let mut leader = Relay::start("11");
        let stranger = Stranger::new();
        let (_connection, mut send, _receive) = stranger.follow(&leader).await;
        leader.opened().await;
        let frames = framed(&LinkFrame::Up(UpFrame::Leave(1)), "").repeat(10_000);
        let mut sent = 0;
        // The shard takes nothing: the time-out is how a sender that waits is seen.
        while timeout(Duration::from_millis(500), send.write_all(&frames))
            .await
            .is_ok()
        {
            sent += frames.len();
            assert!(
                sent < 16 * 1024 * 1024,
                "more was taken than a stream's window and the shard's queue"
            );
        }
    }

    #[tokio::test]
    async fn a_follower_that_never_reads_costs_a_bounded_queue() {
        let mut leader = Relay::start("11");
        let stranger = Stranger::new();
        let (_connection, _send, _receive) = stranger.follow(&leader).await;
        let (_, down) = leader.opened().await;
        let mut sent = 0;
        while down.send(message(sent, 60_000)).is_ok() {
            sent += 1;
            tokio::task::yield_now().await;
            assert!(sent * 60_000 < 64 * 1024 * 1024, "{sent} messages wait");
        }
    }

    #[tokio::test]
    async fn a_follower_that_takes_nothing_for_long_is_given_up() {
        let mut leader = Relay::start_with("11", SHORT);
        let stranger = Stranger::new();
        let (_connection, _send, _receive) = stranger.follow(&leader).await;
        let (number, down) = leader.opened().await;
        (0..200).for_each(|seq| drop(down.send(message(seq, 60_000))));
        assert_eq!(leader.lost().await, number);
    }

    #[tokio::test]
    async fn a_link_takes_no_second_follow() {
        let mut leader = Relay::start("11");
        let stranger = Stranger::new();
        let (_connection, mut send, _receive) = stranger.follow(&leader).await;
        let (number, _down) = leader.opened().await;
        let ticket = leader.grant_to(stranger.fingerprint).ticket;
        send.write_all(&framed(&follow(), &ticket)).await.unwrap();
        assert_eq!(leader.lost().await, number);
    }

    #[test]
    fn a_frame_is_behind_its_length() {
        let bytes = framed(&LinkFrame::Up(UpFrame::Unfollow), "");
        assert_eq!(Bytes::from(bytes), Bytes::from_static(&[0, 0, 0, 2, 0x81, 7]));
    }
}
