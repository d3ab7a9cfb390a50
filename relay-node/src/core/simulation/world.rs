//! Relays with their real machines, links, clients and an edge, on a virtual network and clock.

mod faults;
mod links;

pub(super) use faults::Fault;

use super::client::{Client, Next, Part};
use super::edge::{Edge, Run};
use crate::core::edge_requests::{Answer, Ticket};
use crate::core::peer_connection::SessionConfig;
use crate::core::session::SessionKey;
use crate::core::{Command, LinkMessage, LinkPeer, Loss, Memory, Now, Rates, Shard, ShardConfig};
use links::Links;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::config::{CryptoProvider, DtlsCert};
use streamchain_protocol::auth::{FingerprintHash, MaxMessage, RelayKey, SessionRights, SessionToken};
use streamchain_protocol::ids::{SessionId, ShortId};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::SplitMix64;

const STREAM: ShortId = ShortId([0x51; 20]);
/// How long it takes until both ends of a broken link know.
const LINK_TIMEOUT: Duration = Duration::from_millis(600);
const EDGE_LATENCY: Duration = Duration::from_millis(8);
const CLIENT_LATENCY: Duration = Duration::from_millis(2);
const SHARD_LATENCY: Duration = Duration::from_micros(50);
/// How often a shard's sessions are handed what they were sent: what comes in between shares messages.
const TURN: Duration = Duration::from_millis(1);
/// How often a relay acquires the epochs of its streams again.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(500);
/// How long it takes at most until all know who is there, once nothing changes: a second each to count at a follower and at the
/// leader, and the ways between.
const PRESENCE_SETTLES: Duration = Duration::from_secs(20);
/// How long a relay that shuts down goes on.
const LEAVING: Duration = Duration::from_millis(400);
/// Incoming links have numbers from here on, outgoing ones below.
const INCOMING: u64 = 1 << 63;
/// Small, so that followers that lie behind get gaps.
const MEMORY: Memory = Memory {
    replay_bytes: 4_000,
    uncommitted_bytes: 1_000_000,
};

/// A shard of a run of a relay.
type Place = (Run, usize);

/// What the network is like when all is well.
pub(super) struct Network {
    /// How long a frame of a link takes from or to each relay, milliseconds: the longer of the two counts.
    pub latencies: Vec<u64>,
    pub shards: usize,
    /// Of 1,000 frames of links so many are lost, and sent again.
    pub loss_per_mille: u64,
    /// A relay whose links carry only so many bytes of messages in a second.
    pub slow: Option<(usize, u64)>,
    /// The time in which the first sessions are opened.
    pub arrival: Duration,
}

impl Network {
    pub(super) fn of(latencies: &[u64]) -> Self {
        Self {
            latencies: latencies.to_vec(),
            shards: 1,
            loss_per_mille: 0,
            slow: None,
            arrival: Duration::from_millis(CLIENTS_ARRIVE_MS),
        }
    }
}

/// The time in which the first sessions are opened, unless a network says another.
const CLIENTS_ARRIVE_MS: u64 = 9;

struct Relay {
    run: u64,
    shards: Vec<Shard>,
}

enum Event {
    /// A frame of a link between relays: of which link, and to whom.
    Linked(usize, Place, LinkPeer, LinkMessage),
    LinkedInside(Place, usize, LinkMessage),
    LinkLost(Place, LinkPeer),
    Answered(Place, Ticket, Answer),
    /// A client's message reaches its relay, if the session is still this one.
    FromClient(usize, u64, Vec<u8>),
    ToClient(usize, u64, Vec<u8>),
    Reconnect(usize),
    /// A shard's sessions are handed what they were sent.
    Collect(Place),
    Confirm(usize),
    /// A run of a relay that shuts down is over, if it has not died before.
    Gone(Run),
}

/// Where a client's session is: relay, shard and key.
struct Seat {
    place: Place,
    key: SessionKey,
}

pub(super) struct World {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
    network: Network,
    start: Instant,
    now: Instant,
    random: SplitMix64,
    relays: Vec<Relay>,
    pub edge: Edge,
    links: Links,
    parted: BTreeSet<(usize, usize)>,
    /// Until when nothing that a relay sends or is sent over links arrives.
    held: Vec<Option<Instant>>,
    pub clients: Vec<Client>,
    seats: Vec<Option<Seat>>,
    /// The clients that were seated at each relay's shards; some have left since.
    seated: Vec<Vec<Vec<usize>>>,
    /// How many sessions each client had: messages of an earlier one are lost.
    sessions: Vec<u64>,
    events: BTreeMap<(Instant, u64), Event>,
    numbered: u64,
    /// Shards with something to do, and those whose sessions are handed something soon.
    touched: BTreeSet<Place>,
    collecting: BTreeSet<Place>,
    pub most_in_flight: usize,
    /// Whether relays find out at a broken link that the other one's port is closed.
    pub ports_close: bool,
}

impl World {
    pub(super) fn new(seed: u64, network: Network, parts: &[Part]) -> Self {
        let crypto = Arc::new(crate::core::dtls::crypto_provider());
        let certificate = crypto.dtls_provider.generate_certificate().unwrap();
        let (start, count, relays) = (Instant::now(), parts.len(), network.latencies.len());
        let mut world = Self {
            crypto,
            certificate,
            start,
            now: start,
            random: SplitMix64::new(seed),
            relays: Vec::new(),
            edge: Edge::default(),
            links: Links::default(),
            parted: BTreeSet::new(),
            held: vec![None; relays],
            clients: parts
                .iter()
                .enumerate()
                .map(|(index, part)| Client::new(index, *part))
                .collect(),
            seats: (0..count).map(|_| None).collect(),
            seated: vec![vec![Vec::new(); network.shards]; relays],
            sessions: vec![0; count],
            events: BTreeMap::new(),
            numbered: 0,
            touched: BTreeSet::new(),
            collecting: BTreeSet::new(),
            most_in_flight: 0,
            ports_close: false,
            network,
        };
        for relay in 0..relays {
            let shards = world.shards(0);
            world.relays.push(Relay { run: 0, shards });
            world.plan(CONFIRM_INTERVAL, Event::Confirm(relay));
        }
        let arrival = world.network.arrival.as_millis() as u64;
        for client in 0..count {
            let at = client as u64 * arrival / count as u64;
            world.plan(Duration::from_millis(at), Event::Reconnect(client));
        }
        world
    }

    fn shards(&mut self, run: u64) -> Vec<Shard> {
        let keys = RelayKey::from_hex(&"11".repeat(32)).unwrap().session_keys();
        let shards = self.network.shards;
        (0..shards)
            .map(|index| {
                Shard::new(ShardConfig {
                    keys: keys.clone(),
                    session: self.session_config(),
                    index,
                    shards,
                    follows: true,
                    commit_interval: Duration::from_millis(20),
                    seed: run + self.random.next_bits(),
                    memory: MEMORY,
                    rates: Rates::NONE,
                })
            })
            .collect()
    }

    fn session_config(&self) -> SessionConfig {
        SessionConfig {
            certificate: self.certificate.clone(),
            crypto: self.crypto.clone(),
        }
    }

    fn now(&self) -> Now {
        let passed = (self.now - self.start).as_millis() as u64;
        Now {
            instant: self.now,
            unix: UnixMs(1_700_000_000_000 + passed),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_bits() % bound as u64) as usize
    }

    fn plan(&mut self, wait: Duration, event: Event) {
        self.plan_at(self.now + wait, event);
    }

    fn plan_at(&mut self, at: Instant, event: Event) {
        self.numbered += 1;
        self.events.insert((at, self.numbered), event);
    }

    fn run_of(&self, relay: usize) -> Run {
        let run = self.relays[relay].run;
        Run { relay, run }
    }

    /// The shard, if this run of its relay is alive.
    fn shard(&mut self, (run, shard): Place) -> Option<&mut Shard> {
        let relay = &mut self.relays[run.relay];
        (relay.run == run.run).then(|| &mut relay.shards[shard])
    }

    /// A shard was handed something: it has commands, and its sessions are handed what they are sent.
    fn touch(&mut self, place: Place) {
        self.touched.insert(place);
        if self.collecting.insert(place) {
            self.plan(TURN, Event::Collect(place));
        }
    }

    fn are_parted(&self, one: usize, other: usize) -> bool {
        self.parted.contains(&(one.min(other), one.max(other)))
    }

    /// How long a frame takes between two relays.
    fn latency(&self, one: usize, other: usize) -> Duration {
        let latencies = &self.network.latencies;
        Duration::from_millis(latencies[one].max(latencies[other]))
    }

    fn is_seated_at(&self, client: usize, run: Run) -> bool {
        let seat = self.seats[client].as_ref();
        seat.is_some_and(|seat| seat.place.0 == run)
    }

    fn seat(&mut self, client: usize) {
        let relay = self.below(self.relays.len());
        let shard = self.below(self.network.shards);
        let place = (self.run_of(relay), shard);
        let (author, now) = (self.clients[client].producer().author, self.now());
        let number = self.sessions[client] * (1 << 32) + client as u64;
        let token = SessionToken {
            rights: SessionRights::ALL,
            expires: UnixSec(u64::MAX),
            session: SessionId(number.to_be_bytes()),
            stream: STREAM,
            author,
            fingerprint: FingerprintHash([0; 16]),
            relay_begins: false,
            max_message: MaxMessage::UNKNOWN,
            end: None,
        };
        let key = self.relays[relay].shards[shard].open_simulated(token, now);
        self.seats[client] = Some(Seat { place, key });
        self.seated[relay][shard].push(client);
        self.touch(place);
        self.clients[client].open();
        self.send_outgoing(client);
    }

    fn send_outgoing(&mut self, client: usize) {
        let session = self.sessions[client];
        for message in self.clients[client].take_outgoing() {
            self.plan(CLIENT_LATENCY, Event::FromClient(client, session, message));
        }
    }

    /// Lets this much time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until all clients have everything, for a minute at most, and then until they know of each other.
    pub(super) fn settle(&mut self) {
        let end = self.now + Duration::from_secs(60);
        while !self.clients.iter().all(|client| client.is_done(&self.edge)) {
            assert!(
                self.now < end,
                "not all is there after a minute: {}",
                self.state()
            );
            self.pass(Duration::from_millis(100));
            self.fault(Fault::Publish(0));
        }
        let (all, end) = (self.clients.len() as u64, self.now + PRESENCE_SETTLES);
        let asked = |client: &&Client| client.wants_presence();
        let knows = |client: &Client| client.readers == Some(all);
        while !self.clients.iter().filter(asked).all(knows) {
            let known: Vec<_> = self
                .clients
                .iter()
                .filter(asked)
                .map(|client| client.readers)
                .collect();
            assert!(self.now < end, "{all} read the stream, known are {known:?}");
            self.pass(Duration::from_millis(100));
        }
    }

    fn state(&self) -> String {
        let of = |client: &Client| {
            let stored = self.edge.stored(client.producer());
            let Client {
                index,
                cursor,
                committed,
                published,
                ..
            } = client;
            let place = self.seats[*index].as_ref().map(|seat| seat.place);
            format!(
                "client {index} at {place:?}: {cursor} read, {committed} committed, {stored} of {published} stored\n"
            )
        };
        let behind = self.clients.iter().filter(|client| !client.is_done(&self.edge));
        let clients: String = behind.take(20).map(of).collect();
        format!(
            "epoch {}, head {}\n{clients}",
            self.edge.epoch,
            self.edge.records.len()
        )
    }

    /// Goes to the next event before `end`; `false` when there is none.
    fn step(&mut self, end: Instant) -> bool {
        let timers = self.relays.iter().flat_map(|relay| &relay.shards);
        let timer = timers.filter_map(Shard::next_timeout).min();
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = timer.into_iter().chain(event).min().filter(|next| *next < end) else {
            return false;
        };
        self.now = next.max(self.now);
        let now = self.now();
        for relay in 0..self.relays.len() {
            let run = self.run_of(relay);
            for shard in 0..self.network.shards {
                let its = &mut self.relays[relay].shards[shard];
                if its.next_timeout().is_some_and(|at| at <= now.instant) {
                    its.handle_timeout(now);
                    self.touch((run, shard));
                }
            }
        }
        while let Some(entry) = self
            .events
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let event = entry.remove();
            self.take(event);
        }
        while let Some(place) = self.touched.pop_first() {
            self.run_commands(place);
        }
        true
    }

    fn take(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Linked(index, place, peer, message) => {
                self.landed(index, &message);
                self.hand_over(place, |shard| shard.handle_link(peer, message, now));
            }
            Event::LinkedInside(place, from, message) => {
                let peer = LinkPeer::Shard(from);
                self.hand_over(place, |shard| shard.handle_link(peer, message, now));
            }
            Event::LinkLost(place, peer) => {
                let loss = match self.ports_close {
                    true => Loss::PortClosed,
                    false => Loss::Failed,
                };
                self.hand_over(place, |shard| shard.handle_link_lost(STREAM, peer, loss, now));
            }
            Event::Answered(place, ticket, answer) => {
                self.hand_over(place, |shard| shard.handle_answer(ticket, answer, now));
            }
            Event::FromClient(client, session, message) => {
                let seat = self.seats[client]
                    .as_ref()
                    .filter(|_| self.sessions[client] == session);
                if let Some(Seat { place, key }) = seat {
                    let (place, key) = (*place, *key);
                    self.hand_over(place, |shard| shard.take_simulated(key, &message, now));
                }
            }
            Event::ToClient(client, session, message) if self.sessions[client] == session => {
                match self.clients[client].receive(&message, &mut self.edge) {
                    Next::GoOn => self.send_outgoing(client),
                    Next::Reconnect => self.fault(Fault::Move(client)),
                }
            }
            Event::ToClient(..) => {}
            Event::Reconnect(client) if self.seats[client].is_none() => self.seat(client),
            Event::Reconnect(_) => {}
            Event::Gone(run) if self.run_of(run.relay) == run => self.fault(Fault::Restart(run.relay)),
            Event::Gone(_) => {}
            Event::Collect(place) => self.collect(place),
            Event::Confirm(relay) => {
                for shard in 0..self.network.shards {
                    self.hand_over((self.run_of(relay), shard), Shard::confirm_streams);
                }
                self.plan(CONFIRM_INTERVAL, Event::Confirm(relay));
            }
        }
    }

    fn hand_over(&mut self, place: Place, what: impl FnOnce(&mut Shard)) {
        if let Some(shard) = self.shard(place) {
            what(shard);
            self.touch(place);
        }
    }

    /// Hands over what the sessions of a shard were sent; one that is over is replaced by another.
    fn collect(&mut self, place: Place) {
        self.collecting.remove(&place);
        if self.shard(place).is_none() {
            return;
        }
        let mut seated = std::mem::take(&mut self.seated[place.0.relay][place.1]);
        seated.retain(|client| self.is_seated_at(*client, place.0));
        seated.sort_unstable();
        seated.dedup();
        for client in &seated {
            let Some(Seat { place: at, key }) = &self.seats[*client] else {
                continue;
            };
            let (at, key, session) = (*at, *key, self.sessions[*client]);
            let Some(shard) = self.shard(place).filter(|_| at == place) else {
                continue;
            };
            for message in shard.written(STREAM, key) {
                self.plan(CLIENT_LATENCY, Event::ToClient(*client, session, message));
            }
        }
        self.seated[place.0.relay][place.1] = seated;
    }

    fn run_commands(&mut self, place: Place) {
        let now = self.now();
        while let Some(command) = self.shard(place).and_then(|shard| shard.next_command(now)) {
            match command {
                Command::Ask(ticket, request) => {
                    let believes = self.random.next_bits().is_multiple_of(2);
                    let relays = &self.relays;
                    let is_gone = |run: Run| relays[run.relay].run != run.run;
                    let answer = self.edge.answer(place.0, (ticket, request), is_gone, believes);
                    self.plan(EDGE_LATENCY, Event::Answered(place, ticket, answer));
                }
                Command::Dial(number, grant) => {
                    let leader: usize = grant.leader.as_str()[1..].parse().unwrap();
                    self.dial(place, number, leader);
                }
                Command::Link(LinkPeer::Shard(shard), message) => {
                    let event = Event::LinkedInside((place.0, shard), place.1, message);
                    self.plan(SHARD_LATENCY, event);
                }
                Command::Link(LinkPeer::Relay(number), message) => self.carry(place, number, message),
                Command::Transmit(_) | Command::StreamLost(..) => {}
            }
        }
    }
}
