//! A relay's real machine, clients and a fake edge on a simulated network with a virtual clock.
//!
//! Every datagram takes a millisecond unless a test has it otherwise; every answer of the edge ten. Nothing sleeps.

#![allow(dead_code)] // each test file uses its part

pub mod check;
pub mod edge;
pub mod joining;
mod notices;
pub mod received;
mod relay;
pub mod signed;
mod time;

use relay::shard;

use edge::Edge;
use relay_node::{Answer, EdgeError, LinkMessage, Memory, Now, Path, Rates, Request, Shard, Ticket};
use relay_testkit::{Client, Identity, Invitation};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::{CryptoProvider, DtlsCert};
use streamchain_protocol::Address;
use streamchain_protocol::auth::{RelayKey, SessionKeys, SessionRights, SessionToken, ice_password};
use streamchain_protocol::ids::{ProducerId, Seq, SessionId, ShortId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::frame::ClientFrame;
use streamchain_protocol::wire::shard_of_session;

pub const RELAY: &str = "127.0.0.1:7100";
pub const STREAM: ShortId = ShortId([0x51; 20]);
pub const START_MS: u64 = 1_700_000_000_000;
/// Small, so that a test can fill it.
pub const MEMORY: Memory = Memory {
    replay_bytes: 600_000,
    uncommitted_bytes: 1_000_000,
};
const LATENCY: Duration = Duration::from_millis(1);
const EDGE_LATENCY: Duration = Duration::from_millis(10);
/// As the relay's edge client has it.
const EDGE_TIMEOUT: Duration = Duration::from_secs(10);

pub fn keys() -> SessionKeys {
    RelayKey::from_hex(&"11".repeat(32)).unwrap().session_keys()
}

/// Which client, counted from 0.
pub type Who = usize;

/// A datagram on its way.
struct Flight {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// How many shards the relay of [`Net::large`] has: the first one of so many is the stream's home.
const SHARDS_OF_A_LARGE_RELAY: usize = 3;

pub struct Net {
    /// The first shard of the relay, which has the stream from the edge.
    pub shard: Shard,
    /// Its other shards.
    pub others: Vec<Shard>,
    /// The shard that clients connect to from now on.
    pub at_shard: usize,
    pub edge: Edge,
    pub clients: Vec<Client>,
    /// The frames that each client received, as text.
    pub received: Vec<Vec<String>>,
    /// The same by the channel that they came on.
    pub received_on: HashMap<(Who, ChannelId), Vec<String>>,
    /// The edge's part in streams other than [`STREAM`].
    pub other_streams: BTreeMap<ShortId, Edge>,
    crypto: Arc<CryptoProvider>,
    relay_certificate: DtlsCert,
    addresses: BTreeMap<SocketAddr, Who>,
    flights: VecDeque<Flight>,
    answers: VecDeque<(Instant, usize, Ticket, Answer)>,
    /// Frames of links on their way: when they arrive, from which shard and to which.
    links: VecDeque<(Instant, usize, usize, LinkMessage)>,
    /// How long a frame of a link takes.
    pub link_latency: Duration,
    start: Instant,
    now: Instant,
    sessions: u8,
    grants: u32,
    moved: BTreeMap<SocketAddr, SocketAddr>,
    /// How many bytes the relay sent to each address.
    sent: BTreeMap<SocketAddr, usize>,
    checks: BTreeMap<Who, Vec<u8>>,
    /// Datagrams that the relay sent to somebody who is no client.
    pub astray: usize,
    /// Clients that are cut off: nothing reaches them.
    pub deaf: Vec<Who>,
    /// Whether clients that connect from now on are of another stack, which begins SCTP itself.
    pub clients_begin_sctp: bool,
    /// Whether the relay begins the DTLS handshake with clients that connect from now on.
    pub relay_begins: bool,
    /// How long a datagram takes.
    pub latency: Duration,
    /// What the relay said about lost streams.
    pub lost: Vec<String>,
    /// Until when the edge's storage hangs.
    stalled_until: Option<Instant>,
    timed_out: u32,
}

impl Net {
    pub fn new() -> Self {
        Self::with_rates(Rates::NONE)
    }

    /// A net whose relay has these rate limits.
    /// With `RELAY_TESTS_AT_A_FOLLOWER` it is one of three shards, and clients connect to one that follows: what tests of messages,
    /// signatures, presence and stalls say of a relay is so there too (`npm test -- followers`). Others look into the first shard.
    pub fn with_rates(rates: Rates) -> Self {
        if std::env::var_os("RELAY_TESTS_AT_A_FOLLOWER").is_none() {
            return Self::with_shards(1, rates);
        }
        let mut net = Self::with_shards(SHARDS_OF_A_LARGE_RELAY, rates);
        net.at_shard = 1;
        net
    }

    /// A net whose relay has three shards, of which the first one has the stream from the edge.
    pub fn large() -> Self {
        Self::with_shards(SHARDS_OF_A_LARGE_RELAY, Rates::NONE)
    }

    /// The same, and the relay asks who leads when it leads no more, so that its sessions can go on.
    pub fn large_that_follows() -> Self {
        Self::with(SHARDS_OF_A_LARGE_RELAY, Rates::NONE, true)
    }

    /// A net whose relay has so many shards.
    pub fn with_shards(shards: usize, rates: Rates) -> Self {
        Self::with(shards, rates, false)
    }

    fn with(shards: usize, rates: Rates, follows: bool) -> Self {
        let crypto = Arc::new(relay_node::crypto_provider());
        let relay_certificate = crypto.dtls_provider.generate_certificate().unwrap();
        let shard_of = |index| shard((index, shards), &relay_certificate, &crypto, rates, follows);
        let start = Instant::now();
        Self {
            shard: shard_of(0),
            others: (1..shards).map(shard_of).collect(),
            at_shard: 0,
            edge: Edge::new(),
            clients: vec![],
            received: vec![],
            received_on: HashMap::new(),
            other_streams: BTreeMap::new(),
            crypto,
            relay_certificate,
            addresses: BTreeMap::new(),
            flights: VecDeque::new(),
            answers: VecDeque::new(),
            links: VecDeque::new(),
            link_latency: Duration::ZERO,
            start,
            now: start,
            sessions: 0,
            grants: 0,
            moved: BTreeMap::new(),
            sent: BTreeMap::new(),
            checks: BTreeMap::new(),
            astray: 0,
            deaf: vec![],
            clients_begin_sctp: false,
            relay_begins: true,
            latency: LATENCY,
            lost: vec![],
            stalled_until: None,
            timed_out: 0,
        }
    }

    /// The edge's storage hangs from now on, for so long: requests are answered when it is over, or time out, some of
    /// them done and some not.
    pub fn stall(&mut self, time: Duration) {
        self.stalled_until = Some(self.now + time);
    }

    /// Whether the edge's storage hangs.
    pub fn is_stalled(&self) -> bool {
        self.stalled_until.is_some_and(|end| end > self.now)
    }

    /// The edge's answer to a request of now, and when it is there.
    fn ask(&mut self, ticket: Ticket, request: Request) -> Option<(Instant, Answer)> {
        if ticket.stream != STREAM {
            let edge = self.other_streams.entry(ticket.stream).or_default();
            return Some((self.now + EDGE_LATENCY, edge.answer(ticket, request)?));
        }
        let Some(end) = self.stalled_until.filter(|end| *end > self.now) else {
            return Some((self.now + EDGE_LATENCY, self.edge.answer(ticket, request)?));
        };
        if end - self.now < EDGE_TIMEOUT {
            return Some((end + EDGE_LATENCY, self.edge.answer(ticket, request)?));
        }
        self.timed_out += 1;
        let lost = EdgeError::Unavailable("no answer within 10 s".into());
        let answer = match &request {
            Request::AcquireEpoch { .. } => Answer::AcquireEpoch(Err(lost)),
            Request::Producer { lookup, .. } => Answer::Producer(*lookup, Err(lost)),
            Request::Batch { .. } => Answer::Batch(Err(lost)),
            Request::Inbox { .. } => Answer::Inbox(Err(lost)),
            Request::Release { .. } => Answer::Released,
            Request::Presence { .. } => Answer::PresenceTaken,
        };
        // Every other one was done all the same.
        if self.timed_out.is_multiple_of(2) {
            let _ = self.edge.answer(ticket, request);
        }
        Some((self.now + EDGE_TIMEOUT, answer))
    }

    pub fn now(&self) -> Now {
        let passed = (self.now - self.start).as_millis() as u64;
        Now {
            instant: self.now,
            unix: UnixMs(START_MS + passed),
        }
    }

    /// The id of a session that the edge would send to the shard which clients connect to.
    fn session_id(&self) -> SessionId {
        let shards = 1 + self.others.len();
        let mut id = [self.sessions; 8];
        while shard_of_session(SessionId(id), shards) != self.at_shard {
            id[7] = id[7].wrapping_add(1);
        }
        SessionId(id)
    }

    /// A token as the edge would sign it now, for a client with `identity`.
    pub fn token(&mut self, identity: &Identity) -> SessionToken {
        self.sessions += 1;
        SessionToken {
            rights: SessionRights::ALL,
            expires: self.now().unix.to_sec().plus_s(60),
            session: self.session_id(),
            stream: STREAM,
            author: Address::repeat_byte(self.sessions),
            fingerprint: identity.fingerprint_hash(),
            relay_begins: self.relay_begins,
            max_message: streamchain_protocol::auth::MaxMessage::UNKNOWN,
            end: None,
        }
    }

    /// A client that knows nothing of the relay's own DTLS and SCTP.
    pub fn foreign_identity(&self) -> Identity {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        Identity::new(crypto.dtls_provider.generate_certificate().unwrap(), crypto)
    }

    pub fn identity(&self) -> Identity {
        Identity::new(
            self.crypto.dtls_provider.generate_certificate().unwrap(),
            self.crypto.clone(),
        )
    }

    pub fn address(who: Who) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 40_000 + who as u16))
    }

    /// Where a shard of the relay is reached.
    pub fn relay_address(shard: usize) -> SocketAddr {
        let mut address: SocketAddr = RELAY.parse().unwrap();
        address.set_port(address.port() + shard as u16);
        address
    }

    /// A shard of the relay.
    pub fn shard_at(&mut self, index: usize) -> &mut Shard {
        match index.checked_sub(1) {
            None => &mut self.shard,
            Some(other) => &mut self.others[other],
        }
    }

    /// A client with this token begins to connect.
    pub fn connect_with(&mut self, identity: &Identity, ufrag: String, channel: ChannelConfig) -> Who {
        let password = ice_password(&ufrag, &keys());
        self.connect_as(identity, ufrag, password, channel)
    }

    /// A client with this token and password begins to connect.
    pub fn connect_as(
        &mut self,
        identity: &Identity,
        ufrag: String,
        password: String,
        channel: ChannelConfig,
    ) -> Who {
        let who = self.received.len();
        let fingerprint = self
            .crypto
            .sha256_provider
            .sha256(&self.relay_certificate.certificate);
        let invitation = Invitation {
            password,
            token: ufrag,
            fingerprint,
            relay_begins: self.relay_begins,
            relay: Self::relay_address(self.at_shard),
            local: Self::address(who),
        };
        let new = match self.clients_begin_sctp {
            true => Client::new_beginning_sctp,
            false => Client::new,
        };
        self.clients
            .push(new(identity, &invitation, channel, self.now).unwrap());
        self.received.push(vec![]);
        self.addresses.insert(Self::address(who), who);
        who
    }

    /// A client whose token the edge has signed begins to connect.
    pub fn connect(&mut self) -> Who {
        let identity = self.identity();
        let ufrag = self.token(&identity).sign(&keys());
        self.connect_with(&identity, ufrag, Client::channel())
    }

    /// A client that is connected.
    pub fn open(&mut self) -> Who {
        let who = self.connect();
        self.until("the channel opens", |net| net.clients[who].is_open());
        who
    }

    /// A client that was welcomed as a producer of its own and receives everything from seq 0.
    pub fn open_member(&mut self) -> Who {
        let who = self.open();
        self.hello(who, who as u8 + 1);
        self.subscribe(who, Some(0));
        self.until("welcome", |net| {
            net.received[who].iter().any(|said| said.starts_with("welcome"))
        });
        who
    }

    pub fn hello(&mut self, who: Who, producer: u8) {
        self.clients[who].send(&ClientFrame::Hello {
            producer: ProducerId([producer; 16]),
            key: None,
        });
    }

    pub fn subscribe(&mut self, who: Who, from: Option<u64>) {
        self.clients[who].send(&ClientFrame::Subscribe {
            from: from.map(Seq),
            signatures: false,
        });
    }

    pub fn publish(&mut self, who: Who, producer_seq: u64, text: &str) {
        self.publish_bytes(who, producer_seq, text.as_bytes());
    }

    pub fn publish_bytes(&mut self, who: Who, producer_seq: u64, payload: &[u8]) {
        self.clients[who].send(&ClientFrame::Publish {
            producer_seq,
            payload,
        });
    }

    /// The relay dies and another process takes its place under the same address.
    pub fn restart_relay(&mut self) {
        let shards = 1 + self.others.len();
        for index in 0..shards {
            *self.shard_at(index) = shard(
                (index, shards),
                &self.relay_certificate,
                &self.crypto,
                Rates::NONE,
                false,
            );
        }
        self.links.clear();
        self.flights.clear();
        self.answers.clear();
        for who in 0..self.clients.len() {
            self.deaf.push(who);
        }
    }

    /// From now on the client's datagrams come from another address (its NAT lost the old one).
    pub fn move_client(&mut self, who: Who) {
        let address = Self::address(who + 500);
        self.addresses.insert(address, who);
        self.moved.insert(Self::address(who), address);
    }

    /// What goes to the client's first address gets nowhere from now on.
    pub fn forget_address(&mut self, who: Who) {
        self.addresses.remove(&Self::address(who));
    }

    /// The last connectivity check that a client sent.
    pub fn last_check_of(&self, who: Who) -> Option<Vec<u8>> {
        self.checks.get(&who).cloned()
    }

    /// How many bytes the relay sent to an address.
    pub fn sent_to(&self, address: SocketAddr) -> usize {
        self.sent.get(&address).copied().unwrap_or(0)
    }

    /// What is on its way to this address.
    pub fn in_flight_to(&self, address: SocketAddr) -> Vec<&[u8]> {
        let flights = self.flights.iter().filter(|flight| flight.to == address);
        flights.map(|flight| flight.bytes.as_slice()).collect()
    }

    /// Loses what is on its way.
    pub fn lose(&mut self, is_lost: impl Fn(&[u8]) -> bool) {
        self.flights.retain(|flight| !is_lost(&flight.bytes));
    }

    /// Hands the relay a datagram at once.
    pub fn inject(&mut self, bytes: &[u8], from: SocketAddr) {
        let now = self.now();
        self.shard
            .handle_datagram(bytes, Path::udp(from, RELAY.parse().unwrap()), now);
        self.settle();
    }
}
