//! Relays with their real machines, links, clients and an edge, on a virtual network and clock.

mod links;

use super::client::{Client, Next};
use super::edge::{Edge, Run};
use crate::core::edge_requests::{Answer, Ticket};
use crate::core::peer_connection::SessionConfig;
use crate::core::session::SessionKey;
use crate::core::{Command, LinkMessage, LinkPeer, Memory, Now, Rates, Shard, ShardConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::config::{CryptoProvider, DtlsCert};
use streamchain_protocol::auth::{FingerprintHash, MaxMessage, RelayKey, SessionRights, SessionToken};
use streamchain_protocol::ids::{SessionId, ShortId};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::SplitMix64;

pub(super) const RELAYS: usize = 3;
pub(super) const SHARDS: usize = 2;
const STREAM: ShortId = ShortId([0x51; 20]);
/// How long it takes until both ends of a broken link know.
const LINK_TIMEOUT: Duration = Duration::from_millis(600);
const EDGE_LATENCY: Duration = Duration::from_millis(8);
const CLIENT_LATENCY: Duration = Duration::from_millis(2);
const SHARD_LATENCY: Duration = Duration::from_micros(50);
/// How often a relay acquires the epochs of its streams again.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(500);
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

struct Relay {
    run: u64,
    is_alive: bool,
    shards: Vec<Shard>,
}

/// A link between two relays.
struct Link {
    lower: (Place, u64),
    upper: (Place, u64),
    is_broken: bool,
}

enum Event {
    Linked(Place, LinkPeer, LinkMessage),
    LinkLost(Place, LinkPeer),
    Answered(Place, Ticket, Answer),
    /// A client's message reaches its relay, if the session is still this one.
    FromClient(usize, u64, Vec<u8>),
    ToClient(usize, u64, Vec<u8>),
    Reconnect(usize),
    Confirm(usize),
    /// A run of a relay that shuts down is over, if it has not died before.
    Gone(Run),
}

/// What happens to the network.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// A relay dies, and another run of it begins.
    Restart(usize),
    /// A relay shuts down in order, and another run of it begins.
    Leave(usize),
    /// The links between two relays break, and none comes up.
    Part(usize, usize),
    /// All relays reach each other again.
    Heal,
    /// A client connects again somewhere else.
    Move(usize),
    /// Clients publish so many messages each.
    Publish(u8),
}

/// Where a client's session is: relay, shard and key; and how many it had before.
struct Seat {
    place: Place,
    key: SessionKey,
}

pub(super) struct World {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
    start: Instant,
    now: Instant,
    random: SplitMix64,
    relays: Vec<Relay>,
    pub edge: Edge,
    links: Vec<Link>,
    parted: Vec<(usize, usize)>,
    latencies: [u64; RELAYS],
    pub clients: Vec<Client>,
    seats: Vec<Option<Seat>>,
    /// How many sessions each client had: messages of an earlier one are lost.
    sessions: Vec<u64>,
    events: BTreeMap<(Instant, u64), Event>,
    numbered: u64,
    /// Bytes of messages on their way over each link, by its lower end.
    in_flight: BTreeMap<(Place, u64), usize>,
    pub most_in_flight: usize,
}

impl World {
    pub(super) fn new(seed: u64, clients: usize, latencies: [u64; RELAYS]) -> Self {
        let crypto = Arc::new(crate::core::dtls::crypto_provider());
        let certificate = crypto.dtls_provider.generate_certificate().unwrap();
        let start = Instant::now();
        let mut world = Self {
            crypto,
            certificate,
            start,
            now: start,
            random: SplitMix64::new(seed),
            relays: Vec::new(),
            edge: Edge::default(),
            links: Vec::new(),
            parted: Vec::new(),
            latencies,
            clients: (0..clients).map(Client::new).collect(),
            seats: (0..clients).map(|_| None).collect(),
            sessions: vec![0; clients],
            events: BTreeMap::new(),
            numbered: 0,
            in_flight: BTreeMap::new(),
            most_in_flight: 0,
        };
        for relay in 0..RELAYS {
            let shards = world.shards(0);
            world.relays.push(Relay {
                run: 0,
                is_alive: true,
                shards,
            });
            world.plan(CONFIRM_INTERVAL, Event::Confirm(relay));
        }
        for client in 0..clients {
            world.plan(Duration::from_millis(client as u64), Event::Reconnect(client));
        }
        world
    }

    fn shards(&mut self, run: u64) -> Vec<Shard> {
        let keys = RelayKey::from_hex(&"11".repeat(32)).unwrap().session_keys();
        (0..SHARDS)
            .map(|index| {
                Shard::new(ShardConfig {
                    keys: keys.clone(),
                    session: self.session_config(),
                    index,
                    shards: SHARDS,
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
        self.numbered += 1;
        self.events.insert((self.now + wait, self.numbered), event);
    }

    fn run_of(&self, relay: usize) -> Run {
        Run {
            relay,
            run: self.relays[relay].run,
        }
    }

    /// The shard, if this run of its relay is alive.
    fn shard(&mut self, (run, shard): Place) -> Option<&mut Shard> {
        let relay = &mut self.relays[run.relay];
        (relay.run == run.run && relay.is_alive).then(|| &mut relay.shards[shard])
    }

    fn are_parted(&self, one: usize, other: usize) -> bool {
        self.parted.contains(&(one.min(other), one.max(other)))
    }

    /// How long a frame takes between two relays.
    fn latency(&self, one: usize, other: usize) -> Duration {
        Duration::from_millis(self.latencies[one].max(self.latencies[other]))
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Restart(relay) => {
                let gone = self.run_of(relay);
                self.relays[relay].run += 1;
                let shards = self.shards(self.relays[relay].run);
                self.relays[relay].shards = shards;
                self.break_links(|link| [link.lower.0.0, link.upper.0.0].contains(&gone));
                for client in 0..self.clients.len() {
                    if self.seats[client]
                        .as_ref()
                        .is_some_and(|seat| seat.place.0 == gone)
                    {
                        self.unseat(client, Duration::from_millis(300));
                    }
                }
            }
            Fault::Leave(relay) => {
                let shards = &mut self.relays[relay].shards;
                shards.iter_mut().for_each(Shard::begin_shutdown);
                (0..SHARDS).for_each(|shard| self.run_commands((self.run_of(relay), shard)));
                self.plan(LEAVING, Event::Gone(self.run_of(relay)));
            }
            Fault::Part(one, other) if one != other => {
                self.parted.push((one.min(other), one.max(other)));
                let ends = |link: &Link| (link.lower.0.0.relay, link.upper.0.0.relay);
                self.break_links(|link| [(one, other), (other, one)].contains(&ends(link)));
            }
            Fault::Part(..) => {}
            Fault::Heal => self.parted.clear(),
            Fault::Move(client) => {
                let client = client % self.clients.len();
                if let Some(Seat { place, key }) = self.seats[client].take() {
                    let now = self.now();
                    if let Some(shard) = self.shard(place) {
                        shard.end_simulated(key, now);
                    }
                    self.unseat(client, Duration::from_millis(20));
                }
            }
            Fault::Publish(count) => {
                for client in 0..self.clients.len() {
                    self.clients[client].tick(u64::from(count));
                    self.send_outgoing(client);
                }
            }
        }
    }

    /// A client's session is gone; it opens another one after a while.
    fn unseat(&mut self, client: usize, wait: Duration) {
        self.seats[client] = None;
        self.sessions[client] += 1;
        self.clients[client].reconnects += 1;
        self.plan(wait, Event::Reconnect(client));
    }

    fn break_links(&mut self, is_meant: impl Fn(&Link) -> bool) {
        let mut lost = Vec::new();
        for link in self
            .links
            .iter_mut()
            .filter(|link| !link.is_broken && is_meant(link))
        {
            link.is_broken = true;
            lost.extend([link.lower, link.upper]);
        }
        for (place, number) in lost {
            self.plan(LINK_TIMEOUT, Event::LinkLost(place, LinkPeer::Relay(number)));
        }
    }

    fn seat(&mut self, client: usize) {
        let relay = self.below(RELAYS);
        let shard = self.below(SHARDS);
        let place = (self.run_of(relay), shard);
        let (author, now) = (self.clients[client].producer().author, self.now());
        let number = self.sessions[client] * 64 + client as u64;
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
        let shard = &mut self.relays[relay].shards[shard];
        let key = shard.open_simulated(token, now);
        self.seats[client] = Some(Seat { place, key });
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

    /// Lets time pass until all clients have everything, for a minute at most.
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
        let clients: String = self.clients.iter().map(of).collect();
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
        for relay in 0..RELAYS {
            self.relays[relay]
                .shards
                .iter_mut()
                .for_each(|shard| shard.handle_timeout(now));
        }
        while let Some(entry) = self
            .events
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let event = entry.remove();
            self.take(event);
        }
        for relay in 0..RELAYS {
            for shard in 0..SHARDS {
                self.run_commands((self.run_of(relay), shard));
            }
        }
        for client in 0..self.clients.len() {
            self.collect(client);
        }
        true
    }

    fn take(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Linked(place, peer, message) => {
                self.landed(place, &message);
                if let Some(shard) = self.shard(place) {
                    shard.handle_link(peer, message, now);
                }
            }
            Event::LinkLost(place, peer) => {
                if let Some(shard) = self.shard(place) {
                    shard.handle_link_lost(STREAM, peer, now);
                }
            }
            Event::Answered(place, ticket, answer) => {
                if let Some(shard) = self.shard(place) {
                    shard.handle_answer(ticket, answer, now);
                }
            }
            Event::FromClient(client, session, message) => {
                let seat = self.seats[client]
                    .as_ref()
                    .filter(|_| self.sessions[client] == session);
                if let Some(Seat { place, key }) = seat {
                    let (place, key) = (*place, *key);
                    if let Some(shard) = self.shard(place) {
                        shard.take_simulated(key, &message, now);
                    }
                }
            }
            Event::ToClient(client, session, message) if self.sessions[client] == session => {
                match self.clients[client].receive(&message, &self.edge) {
                    Next::GoOn => self.send_outgoing(client),
                    Next::Reconnect => self.fault(Fault::Move(client)),
                }
            }
            Event::ToClient(..) => {}
            Event::Reconnect(client) if self.seats[client].is_none() => self.seat(client),
            Event::Reconnect(_) => {}
            Event::Gone(run) if self.run_of(run.relay) == run => self.fault(Fault::Restart(run.relay)),
            Event::Gone(_) => {}
            Event::Confirm(relay) => {
                self.relays[relay]
                    .shards
                    .iter_mut()
                    .for_each(Shard::confirm_streams);
                self.plan(CONFIRM_INTERVAL, Event::Confirm(relay));
            }
        }
    }

    /// Hands over what a session was sent; one that is over is replaced by another.
    fn collect(&mut self, client: usize) {
        let Some(Seat { place, key }) = &self.seats[client] else {
            return;
        };
        let (place, key, session) = (*place, *key, self.sessions[client]);
        let Some(shard) = self.shard(place) else {
            return;
        };
        for message in shard.written(STREAM, key) {
            self.plan(CLIENT_LATENCY, Event::ToClient(client, session, message));
        }
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
                    let event = Event::Linked((place.0, shard), LinkPeer::Shard(place.1), message);
                    self.plan(SHARD_LATENCY, event);
                }
                Command::Link(LinkPeer::Relay(number), message) => self.carry(place, number, message),
                Command::Transmit(_) | Command::StreamLost(..) => {}
            }
        }
    }
}
