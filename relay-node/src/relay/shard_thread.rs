//! The thread of one shard: feeds the machine and does what it says.
//!
//! No other thread touches its sessions or sockets. Orders come from the supervisor, a few a second.

use crate::core::counters::{Counters, ErrorCounts, Latencies};
use crate::core::{Answer, Command, LinkMessage, LinkPeer, Load, Now, Path, Request, Shard, Ticket};
use crate::relay::bundles::{deliver, next_parcel};
use crate::relay::clock::now;
use crate::relay::edge_client::EdgeClient;
use crate::relay::links::RelayLinks;
use crate::relay::shard_links::ShardLinks;
use crate::transport::packet::IngressPacket;
use crate::transport::packet::is_relayed;
use crate::transport::tcp_ingress::TcpIngress;
use crate::transport::udp::Socket;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::wire::Notice;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, warn};

/// Most requests of a shard to the edge at a time; the rest wait.
const MAX_REQUESTS: usize = 64;

/// How often a shard reports to the supervisor.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// What the supervisor orders a shard to do.
#[derive(Debug)]
pub enum Order {
    /// Handle these notices of the edge.
    Notices(Vec<Notice>),
    /// Acquire the epochs of all streams again.
    Confirm,
    /// Take no new sessions and messages, and commit the backlog.
    Ship,
    /// Send every peer *going away*, and end its session.
    Goodbye,
}

/// The state of a shard, for the supervisor and the metrics.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many sessions, streams and uncommitted messages there are.
    pub load: Load,
    /// What the shard has counted since its start.
    pub counters: Counters,
    /// The errors sent to clients.
    pub errors: ErrorCounts,
    /// How long batches took to be committed.
    pub commits: Latencies,
    /// Open ICE-TCP connections.
    pub tcp_connections: u64,
    /// Whether its backlog is committed after [`Order::Ship`].
    pub shipped: bool,
    /// After [`Order::Ship`]: the streams with uncommitted messages, and how many.
    pub unshipped: Vec<(ShortId, u64)>,
    /// Whether every session has ended after [`Order::Goodbye`].
    pub gone: bool,
}

/// A shard with its sockets and its edge client.
pub struct ShardThread {
    shard: Shard,
    sockets: Vec<Socket>,
    ingress: TcpIngress,
    ingress_packets: Vec<IngressPacket>,
    links: ShardLinks,
    linked: Vec<(usize, LinkMessage)>,
    relay_links: RelayLinks,
    edge_client: EdgeClient,
    orders: mpsc::Receiver<Order>,
    reports: watch::Sender<Report>,
    requests: JoinSet<()>,
    /// The answers to them, as they come: at most as many as there are streams that asked.
    answers: mpsc::UnboundedReceiver<(Ticket, Answer)>,
    answered: mpsc::UnboundedSender<(Ticket, Answer)>,
    waiting: VecDeque<(Ticket, Request)>,
    reported: Option<Instant>,
    shipping: bool,
    leaving: bool,
}

enum Wake {
    Readable(io::Result<usize>),
    Ingress,
    Linked,
    RelayLinked,
    Answer(Ticket, Answer),
    Order(Option<Order>),
    Time,
}

impl ShardThread {
    /// A thread's state before it runs.
    pub fn new(
        shard: Shard,
        sockets: Vec<Socket>,
        ingress: TcpIngress,
        links: ShardLinks,
        edge_client: EdgeClient,
        orders: mpsc::Receiver<Order>,
        reports: watch::Sender<Report>,
    ) -> Self {
        let (answered, answers) = mpsc::unbounded_channel();
        Self {
            shard,
            sockets,
            ingress,
            ingress_packets: Vec::new(),
            links,
            linked: Vec::new(),
            relay_links: RelayLinks::none(),
            edge_client,
            orders,
            reports,
            requests: JoinSet::new(),
            answers,
            answered,
            waiting: VecDeque::new(),
            reported: None,
            shipping: false,
            leaving: false,
        }
    }

    /// The same with links to other relays.
    pub(crate) fn with_relay_links(self, relay_links: RelayLinks) -> Self {
        Self { relay_links, ..self }
    }

    /// Runs until every session has ended after [`Order::Goodbye`], or the supervisor is gone.
    pub async fn run(mut self) -> io::Result<()> {
        loop {
            let now = now();
            self.shard.handle_timeout(now);
            self.run_commands(now).await;
            self.report(now.instant);
            if self.leaving && self.shard.is_empty() {
                return Ok(());
            }
            match self.wake().await {
                Wake::Readable(ready) => self.read(ready?)?,
                Wake::Ingress => self.read_ingress(),
                Wake::Linked => self.read_links(),
                Wake::RelayLinked => self.read_relay_links(),
                Wake::Answer(ticket, answer) => self.take_answers(ticket, answer),
                Wake::Order(Some(order)) => self.take_order(order),
                Wake::Order(None) => return Ok(()),
                Wake::Time => {}
            }
        }
    }

    fn read(&mut self, index: usize) -> io::Result<()> {
        let (shard, now) = (&mut self.shard, now());
        let Some(socket) = self.sockets.get_mut(index) else {
            return Ok(());
        };
        socket.read(|datagram, remote, local| {
            // A relayed address exists only in this process: one that comes from a network is forged.
            if !is_relayed(remote.ip()) {
                shard.handle_datagram(datagram, Path::udp(remote, local), now);
            }
        })
    }

    fn read_ingress(&mut self) {
        let now = now();
        for IngressPacket { path, packet } in self.ingress_packets.drain(..) {
            self.shard.handle_datagram(&packet, path, now);
        }
    }

    fn read_links(&mut self) {
        let now = now();
        for (shard, message) in self.linked.drain(..) {
            self.shard.handle_link(LinkPeer::Shard(shard), message, now);
        }
    }

    fn read_relay_links(&mut self) {
        self.relay_links.hand_over(&mut self.shard, now());
    }

    /// Takes all answers that are there, so that what follows from them goes to the edge together.
    fn take_answers(&mut self, ticket: Ticket, answer: Answer) {
        let now = now();
        self.shard.handle_answer(ticket, answer, now);
        while let Ok((ticket, answer)) = self.answers.try_recv() {
            self.shard.handle_answer(ticket, answer, now);
        }
    }

    fn take_order(&mut self, order: Order) {
        let now = now();
        match order {
            Order::Notices(notices) => notices
                .iter()
                .for_each(|notice| self.shard.handle_notice(notice, now)),
            Order::Confirm => self.shard.confirm_streams(),
            Order::Ship => {
                self.shard.begin_shutdown();
                self.shipping = true;
            }
            Order::Goodbye => {
                self.shard.say_goodbye(now);
                self.leaving = true;
            }
        }
        self.reported = None;
    }

    /// Does all that the machine commands now.
    async fn run_commands(&mut self, now: Now) {
        while let Some(command) = self.shard.next_command(now) {
            match command {
                Command::Transmit(transmit) if self.ingress.send(&transmit) => {}
                Command::Transmit(transmit) => {
                    let source = transmit.source;
                    if let Some(socket) = self
                        .sockets
                        .iter_mut()
                        .find(|socket| serves(socket.local(), source))
                    {
                        socket
                            .send(&transmit.contents, source, transmit.destination)
                            .await;
                    }
                }
                Command::Ask(ticket, request) => self.waiting.push_back((ticket, request)),
                Command::Link(LinkPeer::Shard(shard), message) => self.links.send(shard, message),
                Command::Dial(number, grant) => self.relay_links.dial(&mut self.shard, number, grant, now),
                Command::Link(LinkPeer::Relay(number), message) => {
                    self.relay_links.send(&mut self.shard, number, message, now);
                }
                Command::StreamLost(stream, reason) => warn!(%stream, %reason, "lost the stream's epoch"),
            }
        }
        for socket in &mut self.sockets {
            socket.flush().await;
        }
        let bundles = self.edge_client.bundle_support().is_likely(now.instant);
        while self.requests.len() < MAX_REQUESTS
            && let Some(parcel) = next_parcel(&mut self.waiting, bundles)
        {
            let (edge_client, answers) = (self.edge_client.clone(), self.answered.clone());
            self.requests.spawn(deliver(edge_client, parcel, answers));
        }
    }

    fn report(&mut self, now: Instant) {
        let due = self.reported.is_none_or(|last| now >= last + REPORT_INTERVAL);
        if !due && !self.shipping {
            return;
        }
        self.reported = Some(now);
        let unshipped = if self.shipping {
            self.shard.unshipped()
        } else {
            Vec::new()
        };
        self.reports.send_replace(Report {
            load: self.shard.load(),
            counters: self.shard.counters(),
            errors: self.shard.errors(),
            commits: self.shard.commits(),
            tcp_connections: self.ingress.connections() as u64,
            shipped: self.shipping && self.shard.is_shipped(),
            unshipped,
            gone: self.leaving && self.shard.is_empty(),
        });
    }

    async fn wake(&mut self) -> Wake {
        let until = self
            .shard
            .next_timeout()
            .unwrap_or_else(|| Instant::now() + REPORT_INTERVAL);
        let until = until.min(Instant::now() + REPORT_INTERVAL);
        let sockets = &self.sockets;
        let readable = poll_fn(|context| {
            for (index, socket) in sockets.iter().enumerate() {
                if let Poll::Ready(ready) = socket.poll_readable(context) {
                    return Poll::Ready(ready.map(|()| index));
                }
            }
            Poll::Pending
        });
        tokio::select! {
            ready = readable => Wake::Readable(ready),
            () = self.ingress.take(&mut self.ingress_packets) => Wake::Ingress,
            () = self.links.take(&mut self.linked) => Wake::Linked,
            () = self.relay_links.wait() => Wake::RelayLinked,
            Some((ticket, answer)) = self.answers.recv() => Wake::Answer(ticket, answer),
            Some(done) = self.requests.join_next() => {
                if let Err(failed) = done {
                    error!(%failed, "a task with a request to the edge failed");
                }
                Wake::Time
            },
            order = self.orders.recv() => Wake::Order(order),
            () = tokio::time::sleep_until(until.into()) => Wake::Time,
        }
    }
}

/// Whether a datagram from `source` leaves through the socket bound to `local`.
fn serves(local: SocketAddr, source: SocketAddr) -> bool {
    // A socket on all IPv6 addresses may carry IPv4 as well (RFC 3493 §5.3), one on all of IPv4 no IPv6.
    let family = local.is_ipv6() || source.is_ipv4();
    local == source || (local.ip().is_unspecified() && family && local.port() == source.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_leaves_through_a_socket_of_its_family_and_port() {
        let serves = |local: &str, source: &str| serves(local.parse().unwrap(), source.parse().unwrap());
        assert!(serves("192.0.2.1:7100", "192.0.2.1:7100"));
        assert!(serves("0.0.0.0:7100", "192.0.2.1:7100"));
        assert!(serves("[::]:7100", "[2001:db8::1]:7100"));
        assert!(serves("[::]:7100", "192.0.2.1:7100"), "one socket for both");
        assert!(
            !serves("0.0.0.0:7100", "[2001:db8::1]:7100"),
            "IPv4 can't carry IPv6"
        );
        assert!(!serves("0.0.0.0:7100", "192.0.2.1:7101"));
        assert!(!serves("192.0.2.2:7100", "192.0.2.1:7100"));
    }
}
