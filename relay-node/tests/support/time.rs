//! Time goes from one event to the next, and all that is on its way arrives.

use super::received::as_text;
use super::{Flight, Net};
use relay_node::{Command, LinkPeer, Path, Shard};
use std::time::{Duration, Instant};

impl Net {
    /// Lets time pass until `done`, for 60 s of virtual time at most.
    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = self.now + Duration::from_secs(60);
        self.settle();
        while !done(self) {
            assert!(
                self.now < deadline,
                "{what}: not within 60 s\nreceived: {:#?}",
                self.received
            );
            self.step(deadline);
        }
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while self.now < end {
            self.step(end);
        }
    }

    /// Goes to the next event.
    fn step(&mut self, end: Instant) {
        let flights = self.flights.iter().map(|flight| flight.at);
        let answers = self.answers.iter().map(|answer| answer.0);
        let clients = self
            .clients
            .iter()
            .filter(|client| !client.is_closed())
            .map(|client| client.next_timeout());
        let links = self.links.iter().map(|link| link.0);
        let shards = std::iter::once(&self.shard).chain(&self.others);
        let next = flights
            .chain(answers)
            .chain(clients)
            .chain(links)
            .chain(shards.filter_map(Shard::next_timeout))
            .min()
            .unwrap_or(end);
        self.now = next.max(self.now + Duration::from_micros(10)).min(end);
        let now = self.now();
        for index in 0..=self.others.len() {
            self.shard_at(index).handle_timeout(now);
        }
        for client in &mut self.clients {
            if client.next_timeout() <= self.now {
                let _ = client.handle_timeout(self.now);
            }
        }
        self.deliver();
        self.settle();
    }

    fn deliver(&mut self) {
        while let Some(index) = self.flights.iter().position(|flight| flight.at <= self.now) {
            let flight = self.flights.remove(index).unwrap();
            let shard = (0..=self.others.len()).find(|index| flight.to == Self::relay_address(*index));
            if let Some(index) = shard {
                let (path, now) = (Path::udp(flight.from, flight.to), self.now());
                self.shard_at(index).handle_datagram(&flight.bytes, path, now);
            } else if let Some(who) = self
                .addresses
                .get(&flight.to)
                .filter(|who| !self.deaf.contains(who))
            {
                // A client that was dropped by its test is simply gone.
                if let Some(client) = self.clients.get_mut(*who) {
                    let _ = client.handle_datagram(&flight.bytes, flight.from, self.now);
                }
            } else {
                self.astray += 1;
            }
        }
        while let Some(index) = self.answers.iter().position(|answer| answer.0 <= self.now) {
            let (_, shard, ticket, answer) = self.answers.remove(index).unwrap();
            let now = self.now();
            self.shard_at(shard).handle_answer(ticket, answer, now);
        }
    }

    /// Lets everybody say what they have to say now.
    pub fn settle(&mut self) {
        let mut is_settled = false;
        while !is_settled {
            for index in 0..=self.others.len() {
                self.settle_shard(index);
            }
            is_settled = !self.deliver_links();
        }
        let at = self.now + self.latency;
        for (who, client) in self.clients.iter_mut().enumerate() {
            while let Ok(Some(transmit)) = client.next_transmit() {
                let (from, to) = (transmit.source, transmit.destination);
                let from = self.moved.get(&from).copied().unwrap_or(from);
                let bytes = transmit.contents.to_vec();
                if bytes.starts_with(&[0, 1]) {
                    self.checks.insert(who, bytes.clone());
                }
                self.flights.push_back(Flight { at, from, to, bytes });
            }
            while let Some((channel, message)) = client.receive_on() {
                let texts = as_text(&message);
                let on = self.received_on.entry((who, channel)).or_default();
                on.extend(texts.iter().cloned());
                self.received[who].extend(texts);
            }
        }
    }

    /// Hands over the frames of links that have arrived; whether there were any.
    fn deliver_links(&mut self) -> bool {
        let mut any = false;
        while let Some(index) = self.links.iter().position(|link| link.0 <= self.now) {
            let (_, from, to, message) = self.links.remove(index).unwrap();
            let now = self.now();
            self.shard_at(to).handle_link(LinkPeer::Shard(from), message, now);
            any = true;
        }
        any
    }

    fn settle_shard(&mut self, index: usize) {
        let (at, now) = (self.now + self.latency, self.now());
        while let Some(command) = self.shard_at(index).next_command(now) {
            match command {
                Command::Transmit(transmit) => {
                    let (from, to) = (transmit.source, transmit.destination);
                    *self.sent.entry(to).or_default() += transmit.contents.len();
                    self.flights.push_back(Flight {
                        at,
                        from,
                        to,
                        bytes: transmit.contents.to_vec(),
                    });
                }
                Command::Ask(ticket, request) => {
                    if let Some((at, answer)) = self.ask(ticket, request) {
                        self.answers.push_back((at, index, ticket, answer));
                    }
                }
                Command::Link(LinkPeer::Shard(to), message) => {
                    let at = self.now + self.link_latency;
                    self.links.push_back((at, index, to, message));
                }
                Command::Link(LinkPeer::Relay(_), _) | Command::Dial(..) => panic!("there is one relay"),
                Command::StreamLost(_, reason) => self.lost.push(reason.to_string()),
            }
        }
    }
}
