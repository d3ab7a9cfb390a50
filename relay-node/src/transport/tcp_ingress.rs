//! How packets reach a shard beside its UDP sockets: by ICE-TCP connections of its own thread, and by the TURN server's
//! thread.

use crate::transport::connections::Connections;
use crate::transport::ice_tcp::IceTcp;
use crate::transport::packet::is_relayed;
use crate::transport::packet::{IngressPacket, RelayPacket, TurnInbox};
use std::io;
use std::net::TcpListener;
use str0m::net::{Protocol, Transmit};
use tokio::sync::mpsc;

/// Packets that wait for a shard's thread: at most 1.5 KiB each, so 3 MiB.
const MAX_INBOX: usize = 2_048;

/// Packets taken in one turn, so that they are answered before the next.
const MAX_PACKETS_PER_TURN: usize = 128;

/// A `TcpIngress` that is not open yet: made where the shard's thread is started.
pub struct TcpIngressSetup {
    sender: mpsc::Sender<IngressPacket>,
    packets: mpsc::Receiver<IngressPacket>,
    listeners: Vec<TcpListener>,
    connections_max: usize,
    turn: Option<TurnInbox>,
}

/// The ICE-TCP connections and the TURN packets of a shard, in its thread.
pub struct TcpIngress {
    packets: mpsc::Receiver<IngressPacket>,
    /// Keeps `packets` from ending.
    _sender: mpsc::Sender<IngressPacket>,
    tcp: IceTcp,
    connections: Connections,
    turn: Option<TurnInbox>,
}

impl TcpIngressSetup {
    /// With the listeners for ICE-TCP, which may be none, and how many connections they may take.
    pub fn new(listeners: Vec<TcpListener>, connections_max: usize) -> Self {
        let (sender, packets) = mpsc::channel(MAX_INBOX);
        Self {
            sender,
            packets,
            listeners,
            connections_max,
            turn: None,
        }
    }

    /// Where other threads leave packets for the shard.
    pub fn sender(&self) -> mpsc::Sender<IngressPacket> {
        self.sender.clone()
    }

    /// Where the shard leaves packets for TURN clients.
    pub(crate) fn set_turn(&mut self, turn: TurnInbox) {
        self.turn = Some(turn);
    }

    /// Begins to take connections; inside the `LocalSet` of the shard's thread.
    pub fn open(self) -> io::Result<TcpIngress> {
        let connections = Connections::new(self.connections_max);
        Ok(TcpIngress {
            tcp: IceTcp::start(self.listeners, &connections, &self.sender)?,
            connections,
            packets: self.packets,
            _sender: self.sender,
            turn: self.turn,
        })
    }
}

impl TcpIngress {
    /// How many TCP connections there are.
    pub fn connections(&self) -> usize {
        self.connections.open()
    }

    /// Waits for packets and adds a turn's worth to `taken`.
    pub async fn take(&mut self, taken: &mut Vec<IngressPacket>) {
        self.packets.recv_many(taken, MAX_PACKETS_PER_TURN).await;
    }

    /// Sends a packet that does not go by a UDP socket; returns whether it was one.
    pub fn send(&self, transmit: &Transmit) -> bool {
        let (source, destination) = (transmit.source, transmit.destination);
        if transmit.proto == Protocol::Tcp {
            self.tcp.send(source, destination, &transmit.contents);
            return true;
        }
        if !is_relayed(destination.ip()) {
            return false;
        }
        if let Some(turn) = &self.turn {
            turn.leave(RelayPacket {
                source,
                destination,
                packet: transmit.contents.to_vec(),
            });
        }
        true
    }
}
