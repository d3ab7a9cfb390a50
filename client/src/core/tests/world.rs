//! A model of one stream's relay and edge: what is committed is never lost, what a relay accepted and did not commit is
//! lost with it; requests and sessions fail at random, some of them after they took effect.

mod relay;
mod signed;

use crate::core::{
    ClientOptions, Command, Event, Failure, Input, KeptChain, Message, PostAnswer, StreamClient,
};
pub(super) use signed::{AUTHOR, STREAM};
use std::collections::VecDeque;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Epoch, ProducerId, Seq};
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::SplitMix64;

/// One step of the clock.
const STEP_MS: u64 = 10;

/// How often things fail, in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Steps in which the relay dies, or comes back if it is dead.
    pub kills: u64,
    /// Steps in which another leader takes over and the sessions stay.
    pub moves: u64,
    /// Steps in which a session is cut.
    pub cuts: u64,
    /// Messages that the relay refuses.
    pub refusals: u64,
    /// Requests that fail, half of them after they took effect.
    pub failures: u64,
    /// Subscriptions that begin with a gap.
    pub gaps: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    producer: ProducerId,
    producer_seq: u64,
    payload: Vec<u8>,
    /// At the first message of a signed group.
    group: Option<GroupHeader>,
}

/// A client's session at the relay.
#[derive(Debug, Default)]
struct Session {
    number: u64,
    producer: Option<ProducerId>,
    /// The next seq to send.
    next: Option<u64>,
    committed_sent: u64,
    refused_from: Option<u64>,
    /// Whether it asked for signatures.
    signatures: bool,
    /// Whether it takes groups as one frame.
    takes_groups: bool,
}

struct Actor {
    client: StreamClient,
    session: Option<Session>,
    inputs: VecDeque<(u64, Answered)>,
    following: Option<u64>,
    received: Vec<Message>,
    stored: Vec<u64>,
    /// What the client's shell has kept on its disk.
    disk: KeptChain,
}

/// What reaches a client later.
enum Answered {
    Opened(u64),
    NotOpened(u64, Failure),
    Ended(u64),
    Frames(u64, Vec<u8>),
    History(Result<Vec<Message>, Failure>),
    Posted(u64, Result<PostAnswer, Failure>),
}

pub(super) struct World {
    now: u64,
    random: SplitMix64,
    faults: Faults,
    epoch: u64,
    is_alive: bool,
    log: Vec<Record>,
    tentative: Vec<Record>,
    /// Messages that were posted and wait for the leader.
    inbox: Vec<Record>,
    actors: Vec<Actor>,
    messages_per_s: u64,
    publishes_received: u64,
    sessions_opened: u64,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            now: 0,
            random: SplitMix64::new(seed),
            faults,
            epoch: 1,
            is_alive: true,
            log: vec![],
            tentative: vec![],
            inbox: vec![],
            actors: vec![],
            messages_per_s: 0,
            publishes_received: 0,
            sessions_opened: 0,
        }
    }

    pub(super) fn join(&mut self, options: &ClientOptions) -> usize {
        self.actors.push(Actor {
            client: StreamClient::new(options),
            session: None,
            inputs: VecDeque::new(),
            following: None,
            received: vec![],
            stored: vec![],
            disk: KeptChain::default(),
        });
        self.actors.len() - 1
    }

    pub(super) fn limit_to(&mut self, messages_per_s: u64) {
        self.messages_per_s = messages_per_s;
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.random.next_bits() % bound.max(1)
    }

    fn happens(&mut self, in_a_thousand: u64) -> bool {
        self.below(1_000) < in_a_thousand
    }

    pub(super) fn publish(&mut self, who: usize, payload: &[u8]) -> bool {
        self.actors[who].client.publish(payload.to_vec()).is_ok()
    }

    /// No faults from now on.
    pub(super) fn heal(&mut self) {
        self.faults = Faults::default();
        if !self.is_alive {
            self.start_relay();
        }
    }

    pub(super) fn log(&self) -> Vec<u64> {
        self.log.iter().map(|record| number(&record.payload)).collect()
    }

    pub(super) fn read(&self, who: usize) -> Vec<u64> {
        let received = &self.actors[who].received;
        assert!(
            received
                .iter()
                .enumerate()
                .all(|(index, message)| index as u64 == message.seq.0)
        );
        received.iter().map(|message| number(&message.payload)).collect()
    }

    pub(super) fn stored_events(&self, who: usize) -> Vec<u64> {
        self.actors[who].stored.clone()
    }

    pub(super) fn sessions_opened(&self) -> u64 {
        self.sessions_opened
    }

    pub(super) fn publishes_received(&self) -> u64 {
        self.publishes_received
    }

    pub(super) fn is_settled(&self, messages: u64) -> bool {
        self.log.len() as u64 == messages
            && self.actors.iter().all(|actor| {
                actor.client.unstored() == 0
                    && (actor.received.len() as u64 == messages
                        || actor.client.producer() == Some(super::PRODUCER))
            })
    }

    pub(super) fn step(&mut self) {
        self.now += STEP_MS;
        if self.happens(self.faults.kills) {
            if self.is_alive {
                self.kill_relay()
            } else {
                self.start_relay()
            }
        }
        if self.is_alive && self.happens(self.faults.moves) {
            self.move_leader();
        }
        for who in 0..self.actors.len() {
            if self.actors[who].session.is_some() && self.happens(self.faults.cuts) {
                self.cut(who);
            }
            self.drive(who);
        }
        if self.happens(400) {
            self.commit();
        }
        for who in 0..self.actors.len() {
            self.pump(who);
            self.follow(who);
        }
    }

    /// The relay dies and another leader takes its place at once: every session is cut, and nothing else fails.
    pub(super) fn take_over(&mut self) {
        self.kill_relay();
        self.start_relay();
    }

    fn kill_relay(&mut self) {
        self.is_alive = false;
        self.tentative.clear();
        (0..self.actors.len()).for_each(|who| self.cut(who));
    }

    fn start_relay(&mut self) {
        self.is_alive = true;
        self.epoch += 1;
    }

    fn cut(&mut self, who: usize) {
        if let Some(session) = self.actors[who].session.take() {
            // What was on its way is lost with the session.
            self.actors[who]
                .inputs
                .retain(|(_, input)| !matches!(input, Answered::Frames(..)));
            self.later(who, Answered::Ended(session.number));
        }
    }

    fn later(&mut self, who: usize, input: Answered) {
        let at = self.now + 10 + self.below(60);
        let queue = &mut self.actors[who].inputs;
        // A session's frames keep their order.
        let at = queue.back().map_or(at, |(last, _)| at.max(*last));
        queue.push_back((at, input));
    }

    fn commit(&mut self) {
        let waiting = std::mem::take(&mut self.inbox);
        if self.is_alive {
            for record in &waiting {
                self.append(record.clone());
            }
        }
        self.log.append(&mut self.tentative);
        if !self.is_alive {
            // The edge writes itself when no relay leads, under an epoch of its own.
            for record in waiting {
                if record.producer_seq == self.next_of(record.producer) {
                    self.check_chain(&record);
                    self.log.push(record);
                }
            }
            self.epoch += 1;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Record> {
        self.log.iter().chain(&self.tentative)
    }

    fn next_of(&self, producer: ProducerId) -> u64 {
        let own = self.all().filter(|record| record.producer == producer);
        own.map(|record| record.producer_seq + 1).max().unwrap_or(0)
    }

    fn stored_of(&self, producer: ProducerId) -> Option<u64> {
        let own = self.log.iter().filter(|record| record.producer == producer);
        own.map(|record| record.producer_seq).max()
    }

    fn seq_of(&self, producer: ProducerId, producer_seq: u64) -> Option<u64> {
        let is_it = |record: &Record| record.producer == producer && record.producer_seq == producer_seq;
        self.all().position(is_it).map(|seq| seq as u64)
    }

    fn append(&mut self, record: Record) {
        if record.producer_seq == self.next_of(record.producer) {
            self.check_chain(&record);
            self.tentative.push(record);
        }
    }

    fn drive(&mut self, who: usize) {
        while self.actors[who]
            .inputs
            .front()
            .is_some_and(|(at, _)| *at <= self.now)
        {
            let (_, input) = self.actors[who].inputs.pop_front().unwrap();
            let (now, bits) = (self.now, self.random.next_bits());
            let client = &mut self.actors[who].client;
            let taken = match input {
                Answered::Opened(number) => client.handle(Input::SessionOpened(number), now, bits),
                Answered::NotOpened(number, failure) => {
                    client.handle(Input::SessionFailed(number, failure), now, bits)
                }
                Answered::Ended(number) => {
                    let failure = Failure::Ended("cut".into());
                    client.handle(Input::SessionEnded(number, failure), now, bits)
                }
                Answered::Frames(number, bytes) => client.handle(Input::Received(number, &bytes), now, bits),
                Answered::History(answer) => client.handle(Input::History(answer), now, bits),
                Answered::Posted(producer_seq, answer) => {
                    client.handle(Input::Posted(producer_seq, answer), now, bits)
                }
            };
            taken.unwrap();
            self.turn(who);
        }
        self.turn(who);
    }

    /// What a shell does after each input.
    fn turn(&mut self, who: usize) {
        let (now, bits) = (self.now, self.random.next_bits());
        self.actors[who].client.handle_timeout(now, bits);
        while let Some(command) = self.actors[who].client.poll_command() {
            self.command(who, command);
        }
        while self.actors[who].session.is_some()
            && let Some(message) = self.actors[who].client.next_send(now).unwrap()
        {
            self.keep(who);
            self.relay_receives(who, &message);
        }
        while let Some(event) = self.actors[who].client.poll_event() {
            let actor = &mut self.actors[who];
            match event {
                Event::Message(message) => actor.received.push(message),
                Event::Retracted(from) => actor.received.truncate(from.0 as usize),
                Event::Stored(stored) => actor.stored.push(stored.producer_seq),
                _ => {}
            }
        }
    }

    fn command(&mut self, who: usize, command: Command) {
        match command {
            Command::OpenSession(session) => self.open(who, session),
            Command::CloseSession(session) => {
                self.actors[who].session.take_if(|open| open.number == session);
            }
            Command::FetchHistory(from) => {
                let failed = self.happens(self.faults.failures);
                let answer = if failed {
                    Err(no_edge())
                } else {
                    Ok(self.page(from.0))
                };
                self.later(who, Answered::History(answer));
            }
            Command::Post => self.post(who),
            Command::Follow(from) => self.actors[who].following = Some(from.0),
            Command::StopFollowing => self.actors[who].following = None,
        }
    }

    fn open(&mut self, who: usize, number: u64) {
        if self.happens(self.faults.failures) {
            self.later(who, Answered::NotOpened(number, no_edge()));
        } else if !self.is_alive || self.happens(self.faults.failures) {
            self.later(
                who,
                Answered::NotOpened(number, Failure::NoPath("no answer".into())),
            );
        } else {
            self.sessions_opened += 1;
            self.actors[who].session = Some(Session {
                number,
                ..Session::default()
            });
            self.later(who, Answered::Opened(number));
        }
    }

    fn page(&self, from: u64) -> Vec<Message> {
        let page = self.log.iter().enumerate().skip(from as usize).take(20);
        page.map(|(seq, record)| message(seq as u64, record)).collect()
    }

    fn post(&mut self, who: usize) {
        let client = &mut self.actors[who].client;
        let producer = client.producer().unwrap();
        let Some(records) = client
            .post()
            .unwrap()
            .map(|post| signed::records(producer, &post))
        else {
            let none = Answered::Posted(0, Err(no_edge()));
            return self.later(who, none);
        };
        self.keep(who);
        let first = records[0].producer_seq;
        let end = first + records.len() as u64;
        let failed = self.happens(self.faults.failures);
        if failed && self.happens(500) {
            return self.later(who, Answered::Posted(first, Err(no_edge())));
        }
        let known = self.inbox.iter().filter(|record| record.producer == producer);
        let in_inbox = known.map(|record| record.producer_seq + 1).max().unwrap_or(0);
        let stored = self.stored_of(producer);
        let next = in_inbox.max(stored.map_or(0, |last| last + 1));
        let answer = if stored.is_some_and(|last| end <= last + 1) {
            Ok(PostAnswer::Stored(self.seq_of(producer, first).map(Seq)))
        } else if end <= next {
            Ok(PostAnswer::Kept)
        } else if first == next {
            self.inbox.extend(records);
            Ok(PostAnswer::Kept)
        } else {
            assert!(first > next, "a group is repeated as it was, or follows");
            Err(Failure::Refused {
                status: 409,
                slug: "producer-conflict".into(),
                detail: String::new(),
                retry_ms: None,
                stored: next.checked_sub(1),
            })
        };
        let answer = if failed { Err(no_edge()) } else { answer };
        self.later(who, Answered::Posted(first, answer));
    }

    /// The edge sends the events that a follower has not got.
    fn follow(&mut self, who: usize) {
        let Some(from) = self.actors[who].following else {
            return;
        };
        let (now, bits, epoch) = (self.now, self.random.next_bits(), Epoch(self.epoch));
        let page = self.page(from);
        let ends = self.happens(self.faults.failures);
        let actor = &mut self.actors[who];
        actor.client.handle(Input::FollowState(epoch), now, bits).unwrap();
        for message in page {
            actor.following = Some(message.seq.0 + 1);
            actor.client.handle(Input::Followed(message), now, bits).unwrap();
        }
        if ends {
            actor.following = None;
            actor
                .client
                .handle(Input::FollowEnded(Some(no_edge())), now, bits)
                .unwrap();
        }
        self.turn(who);
    }
}

fn no_edge() -> Failure {
    Failure::NoEdge("no answer".into())
}

fn message(seq: u64, record: &Record) -> Message {
    Message {
        seq: Seq(seq),
        time: UnixMs(0),
        author: Address::ZERO,
        payload: record.payload.clone(),
        erased: None,
        signature: None,
    }
}

fn number(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload.try_into().unwrap())
}
