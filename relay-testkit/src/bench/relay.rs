//! The relay under test.

use super::invitations::{Invitations, STREAM};
use crate::loopback_edge::LoopbackEdge;
use anyhow::{Context, Result};
use relay_node::EdgeClient;
use relay_node::SessionConfig;
use relay_node::Socket;
use relay_node::TcpIngressSetup;
use relay_node::certificate;
use relay_node::crypto_provider;
use relay_node::{Memory, Rates, Shard, ShardConfig};
use relay_node::{Order, Report, ShardLinks, ShardThread};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::ids::{Incarnation, RelayId};
use streamchain_protocol::webrtc::parse_fingerprint;
use streamchain_protocol::wire::shard_of;
use tokio::sync::{mpsc, watch};

/// One shard, in a thread of its own.
struct RunningShard {
    address: SocketAddr,
    thread: Arc<std::sync::OnceLock<String>>,
    report: watch::Receiver<Report>,
    /// The shard runs as long as this is held.
    _orders: mpsc::Sender<Order>,
}

/// A relay, its shards in threads of their own.
pub struct BenchRelay {
    invitations: Invitations,
    shards: Vec<RunningShard>,
    edge: LoopbackEdge,
}

impl Deref for BenchRelay {
    type Target = Invitations;
    fn deref(&self) -> &Invitations {
        &self.invitations
    }
}

impl BenchRelay {
    /// Starts an edge, and a relay of one shard that takes whatever comes.
    pub async fn start() -> Result<Self> {
        Self::start_with(Rates::NONE).await
    }

    /// Starts an edge, and a relay of one shard that holds clients to these rates.
    pub async fn start_with(rates: Rates) -> Result<Self> {
        Self::start_shards(1, rates).await
    }

    /// Starts an edge, and a relay of so many shards that holds clients to these rates.
    pub async fn start_shards(shards: usize, rates: Rates) -> Result<Self> {
        let relay: RelayId = "bench".parse()?;
        let key = RelayKey::from_hex(&"5b".repeat(32))?;
        let edge = LoopbackEdge::start(&relay, &key).await?;
        let crypto = Arc::new(crypto_provider());
        let certificate = certificate::make(&crypto)?;
        let fingerprint = parse_fingerprint(&certificate::fingerprint(&certificate, &crypto));
        let edge_client = EdgeClient::new(&edge.url(), &relay, &key, Incarnation([1; 8]))?;
        let config = |index| ShardConfig {
            keys: key.session_keys(),
            session: SessionConfig {
                certificate: certificate.clone(),
                crypto: crypto.clone(),
            },
            index,
            shards,
            follows: false,
            commit_interval: Duration::from_millis(50),
            seed: 1 + index as u64,
            memory: Memory::default(),
            rates,
        };
        let links = ShardLinks::between(shards);
        let running = links
            .into_iter()
            .enumerate()
            .map(|(index, links)| RunningShard::start(config(index), links, edge_client.clone()));
        let shards: Vec<RunningShard> = running.collect::<Result<_>>()?;
        let addresses = shards.iter().map(|shard| shard.address).collect();
        let fingerprint = fingerprint.context("the certificate has no fingerprint")?;
        Ok(Self {
            invitations: Invitations::new(key.session_keys(), fingerprint, addresses)?,
            shards,
            edge,
        })
    }

    /// The shard that has the stream of all clients from the edge; the others follow it.
    pub fn home(&self) -> usize {
        shard_of(STREAM, self.shards.len())
    }

    /// How many messages are stored.
    pub fn stored(&self) -> u64 {
        self.edge.kept().heads.values().sum()
    }

    /// Bytes of datagrams that all shards sent, as they reported last: a second ago at most.
    pub fn bytes_out(&self) -> u64 {
        let of_shard = |shard: &RunningShard| {
            let counters = shard.report.borrow().counters;
            let sent = counters.list().into_iter().find(|(name, _)| *name == "bytes_out");
            sent.map_or(0, |(_, bytes)| bytes)
        };
        self.shards.iter().map(of_shard).sum()
    }

    /// CPU time of the first shard's thread so far; `None` where /proc does not say.
    pub fn cpu(&self) -> Option<Duration> {
        self.cpu_of(0)
    }

    /// CPU time of a shard's thread so far; `None` where /proc does not say.
    pub fn cpu_of(&self, shard: usize) -> Option<Duration> {
        let thread = self.shards.get(shard)?.thread.get()?;
        let text = std::fs::read_to_string(format!("/proc/{thread}/schedstat")).ok()?;
        text.split_whitespace()
            .next()?
            .parse()
            .ok()
            .map(Duration::from_nanos)
    }
}

impl RunningShard {
    fn start(config: ShardConfig, links: ShardLinks, edge_client: EdgeClient) -> Result<Self> {
        let shard = Shard::new(config);
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        let (orders, inbox) = mpsc::channel(1);
        let (reports, report) = watch::channel(Report::default());
        let thread = Arc::new(std::sync::OnceLock::new());
        let named = thread.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new().name("relay".into()).spawn(move || {
            if let Ok(link) = std::fs::read_link("/proc/thread-self") {
                let _ = named.set(link.display().to_string());
            }
            let ended = runtime.block_on(async move {
                let sockets = vec![Socket::new(socket)?];
                let ingress = TcpIngressSetup::new(Vec::new(), 0).open()?;
                ShardThread::new(shard, sockets, ingress, links, edge_client, inbox, reports)
                    .run()
                    .await
            });
            if let Err(failed) = ended {
                eprintln!("the relay's socket failed: {failed}");
            }
        })?;
        Ok(Self {
            address,
            thread,
            report,
            _orders: orders,
        })
    }
}
