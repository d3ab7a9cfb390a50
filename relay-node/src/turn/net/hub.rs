//! What the tasks of the TURN server's thread share: the machine, its sockets and the queues of its connections.
//!
//! What always holds: no borrow lives across an await.

use crate::transport::packet::RelayPacket;
use crate::turn::server::client::Client;
use crate::turn::server::{Output, TurnServer};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Network;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Packets of the shards that are taken in one turn, so that sockets get theirs in between.
const RELAY_BURST: usize = 64;

/// Takes a packet of a client in a network to the shard whose address is its destination. It may drop the packet, and never waits.
pub(crate) type ToShards = Box<dyn Fn(RelayPacket, Network) + Send>;

pub(super) struct Hub {
    pub(super) server: RefCell<TurnServer>,
    to_shards: ToShards,
    pub(super) udp: RefCell<HashMap<SocketAddr, Rc<UdpSocket>>>,
    pub(super) streams: RefCell<HashMap<Client, mpsc::Sender<Vec<u8>>>>,
    started: Instant,
    started_unix: UnixMs,
}

impl Hub {
    pub(super) fn new(server: TurnServer, to_shards: ToShards) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            server: RefCell::new(server),
            to_shards,
            udp: RefCell::default(),
            streams: RefCell::default(),
            started: Instant::now(),
            started_unix: UnixMs(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// A wall-clock time that never goes backwards.
    pub(super) fn now(&self) -> UnixMs {
        self.started_unix.plus_ms(self.uptime_ms())
    }

    /// Milliseconds since the start.
    pub(super) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn handle_client(&self, client: Client, packet: &[u8]) {
        self.server.borrow_mut().handle_client(client, packet, self.now());
        self.do_outputs();
    }

    pub(super) fn do_outputs(&self) {
        loop {
            let output = self.server.borrow_mut().poll_output();
            match output {
                Some(Output::ToClient { client, packet }) => self.send(&client, packet),
                Some(Output::ToRelay {
                    source,
                    destination,
                    packet,
                    network,
                }) => {
                    let packet = RelayPacket {
                        source,
                        destination,
                        packet,
                    };
                    (self.to_shards)(packet, network);
                }
                None => return,
            }
        }
    }

    /// Sends, or drops what does not fit.
    fn send(&self, client: &Client, packet: Vec<u8>) {
        if client.transport.is_stream() {
            if let Some(stream) = self.streams.borrow().get(client) {
                let _ = stream.try_send(packet);
            }
        } else if let Some(socket) = self.udp.borrow().get(&client.server) {
            let _ = socket.try_send_to(&packet, client.address);
        }
    }

    pub(super) async fn take_from_relay(&self, mut from_relay: mpsc::Receiver<RelayPacket>) {
        let mut burst = Vec::with_capacity(RELAY_BURST);
        while from_relay.recv_many(&mut burst, RELAY_BURST).await > 0 {
            for RelayPacket {
                source,
                destination,
                packet,
            } in burst.drain(..)
            {
                let now = self.now();
                self.server
                    .borrow_mut()
                    .handle_relay(source, destination, &packet, now);
                self.do_outputs();
            }
            tokio::task::yield_now().await;
        }
    }
}
