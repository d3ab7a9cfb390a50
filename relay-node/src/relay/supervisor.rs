//! `relay-node run`: opens the sockets, starts a thread per shard, registers with the edge and keeps renewing,
//! and shuts down in order.

use crate::core::dtls::crypto_provider;
use crate::core::lease::Lease;
use crate::core::limits::MAX_SESSIONS;
use crate::core::peer_connection::SessionConfig;
use crate::core::retry::Backoff;
use crate::core::{EdgeError, Memory, Rates, Shard, ShardConfig};
use crate::random::{random, random_seed};
use crate::relay::addresses;
use crate::relay::certificate::{self, DTLS_FILES, LINK_FILES};
use crate::relay::clock::now;
use crate::relay::edge_client::EdgeClient;
use crate::relay::ice_tcp_listeners::open_ice_tcp;
use crate::relay::links::{Endpoint, EndpointConfig, LinkStatus, RelayLinks};
use crate::relay::metrics::{self, Sources};
use crate::relay::options::RunArgs;
use crate::relay::shard_links::ShardLinks;
use crate::relay::shard_thread::{Order, Report, ShardThread};
use crate::transport::tcp_ingress::TcpIngressSetup;
use crate::transport::udp::Socket;
use crate::turn::setup;
use anyhow::{Context, Result};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use str0m::config::{CryptoProvider, DtlsCert};
use streamchain_protocol::auth::SessionKeys;
use streamchain_protocol::ids::{Incarnation, ShortId};
use streamchain_protocol::limits::CHOSEN_LIFE_MS;
use streamchain_protocol::util::BackoffBounds;
use streamchain_protocol::util::SplitMix64;
use streamchain_protocol::webrtc::{Candidate, Transport};
use streamchain_protocol::wire::{self, Notice, NoticeEvent, Registration, shard_of};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{error, info, warn};

/// How long a shutdown may take to commit the backlog.
const SHIP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long peers may take to be sent *going away*.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(3);

/// Orders that may wait for a shard: notices come by the hundred in one order.
const MAX_ORDERS: usize = 64;

/// The waits after a failed registration: shorter than the time in which the edge takes a relay for dead.
const REGISTRATION_WAITS: BackoffBounds = BackoffBounds {
    first_ms: 250,
    max_ms: 5_000,
};

struct Running {
    orders: mpsc::Sender<Order>,
    report: watch::Receiver<Report>,
    thread: JoinHandle<()>,
}

/// Runs a relay until a signal stops it.
pub(crate) fn run(args: &RunArgs) -> Result<()> {
    let key = args.relay_key()?;
    let shards = args.shard_count()?;
    let metrics = args.metrics_listen.map(metrics::bind).transpose()?;
    let crypto = Arc::new(crypto_provider());
    let certificate = certificate::load_or_make(&args.state, DTLS_FILES, &crypto)?;
    let link_certificate = certificate::load_or_make(&args.state, LINK_FILES, &crypto)?;
    let link_fingerprint = certificate::fingerprint(&link_certificate, &crypto);
    let (link_socket, reach) = args.links.open(&args.advertise, &link_fingerprint)?.unzip();
    let (sockets, mut registered) = bind_shards(args, shards)?;
    let mut ingress = open_ice_tcp(&sockets, &mut registered, &args.turn);
    let (turn, turn_reports) = setup::start(
        &args.turn,
        &args.listen,
        &args.advertise,
        &registered,
        &key,
        &mut ingress,
    )?;
    let incarnation = Incarnation(random()?);
    let edge_client = EdgeClient::new(&args.edge, &args.id, &key, incarnation).context("--edge")?;
    let edge_client = edge_client.following(reach.is_some());
    let registration = Registration {
        fingerprint: certificate::fingerprint(&certificate, &crypto),
        shards: registered,
        turn,
        mesh: reach,
        ..registration_of(args, incarnation, shards)
    };
    registration.check().context("this relay can't be registered")?;
    let start = Start {
        keys: key.session_keys(),
        certificate,
        crypto,
        shards,
        follows: link_socket.is_some(),
        rates: args.rates.rates(),
        uncommitted_bytes: usize::from(args.unstored_mib) * 1024 * 1024,
    };
    let interval = Duration::from_millis(args.commit_interval_ms);
    let (relay_links, queues) = RelayLinks::of_shards(shards);
    let running = start.all((sockets, ingress, relay_links), &edge_client, interval)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let link_status = Arc::new(LinkStatus::default());
    let endpoint = link_socket.map(|socket| {
        let _in_runtime = runtime.enter();
        let parts = (socket, link_certificate, key.link_key());
        Endpoint::start(EndpointConfig::new(parts, queues, &link_status))
    });
    let endpoint = endpoint.transpose()?;
    if let Some(listener) = metrics {
        let shards = running.iter().map(|shard| shard.report.clone()).collect();
        let sources = Sources {
            shards,
            turn: turn_reports,
            edge: edge_client.status(),
            links: endpoint.is_some().then(|| Arc::clone(&link_status)),
        };
        runtime.spawn(metrics::serve(listener, sources));
    }
    let control = Control {
        edge_client,
        registration,
        shards: running,
        edge: args.edge.clone(),
        endpoint,
    };
    runtime.block_on(control.run())
}

/// What is registered of a relay with so many shards, but for its addresses and certificates.
fn registration_of(args: &RunArgs, incarnation: Incarnation, shards: usize) -> Registration {
    Registration {
        incarnation,
        fingerprint: String::new(),
        region: args.region.clone(),
        shards: Vec::new(),
        turn: Vec::new(),
        sessions: 0,
        streams: 0,
        cursor: 0,
        session_ends: true,
        reads_rounds: true,
        spreads: true,
        mesh: None,
        location: args.links.location,
        capacity: Some(args.capacity.unwrap_or((shards * MAX_SESSIONS) as u64)),
        joins: true,
        key: None,
    }
}

/// The sockets of all shards, and what is registered of each.
fn bind_shards(args: &RunArgs, shards: usize) -> Result<(Vec<Vec<UdpSocket>>, Vec<wire::Shard>)> {
    let bound = |shard| {
        let sockets = bind(&args.listen, shard)?;
        let candidates = addresses::of_sockets(&sockets, &args.advertise)?;
        Ok((sockets, wire::Shard { candidates }))
    };
    let bound: Vec<_> = (0..shards).map(bound).collect::<Result<_>>()?;
    Ok(bound.into_iter().unzip())
}

/// The sockets of one shard: every address, at its port + the shard's index (port 0: any that is free).
fn bind(listen: &[SocketAddr], shard: usize) -> Result<Vec<UdpSocket>> {
    let open = |address: &SocketAddr| {
        let mut address = *address;
        if address.port() != 0 {
            let port = u16::try_from(shard)
                .ok()
                .and_then(|shard| address.port().checked_add(shard));
            address.set_port(
                port.with_context(|| format!("--listen {address}: no port left for shard {shard}"))?,
            );
        }
        UdpSocket::bind(address).with_context(|| {
            format!("--listen {address}: can't listen there. Is another relay running? Choose another port")
        })
    };
    listen.iter().map(open).collect()
}

struct Start {
    keys: SessionKeys,
    certificate: DtlsCert,
    crypto: Arc<CryptoProvider>,
    shards: usize,
    follows: bool,
    rates: Rates,
    uncommitted_bytes: usize,
}

/// How datagrams and frames of links reach a shard.
struct Ways {
    sockets: Vec<UdpSocket>,
    ingress: TcpIngressSetup,
    links: ShardLinks,
    relay_links: RelayLinks,
}

/// The same of all shards, but for their links to each other.
type AllWays = (Vec<Vec<UdpSocket>>, Vec<TcpIngressSetup>, Vec<RelayLinks>);

impl Start {
    /// Starts all shards, each with its sockets and its queues to the others.
    fn all(
        &self,
        (sockets, ingress, relay_links): AllWays,
        edge_client: &EdgeClient,
        interval: Duration,
    ) -> Result<Vec<Running>> {
        let parts = sockets
            .into_iter()
            .zip(ingress)
            .zip(ShardLinks::between(self.shards))
            .zip(relay_links);
        let running = parts
            .enumerate()
            .map(|(index, (((sockets, ingress), links), relay_links))| {
                let ways = Ways {
                    sockets,
                    ingress,
                    links,
                    relay_links,
                };
                self.shard(index, ways, edge_client.clone(), interval)
            });
        running.collect()
    }

    fn shard(
        &self,
        index: usize,
        ways: Ways,
        edge_client: EdgeClient,
        interval: Duration,
    ) -> Result<Running> {
        let Ways {
            sockets: bound,
            ingress,
            links,
            relay_links,
        } = ways;
        let shard = Shard::new(ShardConfig {
            keys: self.keys.clone(),
            session: SessionConfig {
                certificate: self.certificate.clone(),
                crypto: self.crypto.clone(),
            },
            index,
            shards: self.shards,
            follows: self.follows,
            commit_interval: interval,
            seed: u64::from_ne_bytes(random()?),
            memory: Memory {
                uncommitted_bytes: self.uncommitted_bytes,
                ..Memory::default()
            },
            rates: self.rates,
        });
        let (orders, inbox) = mpsc::channel(MAX_ORDERS);
        let (reports, report) = watch::channel(Report::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || {
                let ended = tokio::task::LocalSet::new().block_on(&runtime, async move {
                    let sockets = bound
                        .into_iter()
                        .map(Socket::new)
                        .collect::<std::io::Result<Vec<_>>>()?;
                    ShardThread::new(
                        shard,
                        sockets,
                        ingress.open()?,
                        links,
                        edge_client,
                        inbox,
                        reports,
                    )
                    .with_relay_links(relay_links)
                    .run()
                    .await
                });
                if let Err(failed) = ended {
                    error!(shard = index, %failed, "the shard's sockets failed");
                }
            })?;
        Ok(Running {
            orders,
            report,
            thread,
        })
    }
}

/// Registers, renews, hands notices to the shards, and shuts down.
struct Control {
    edge_client: EdgeClient,
    registration: Registration,
    shards: Vec<Running>,
    edge: String,
    /// Links to other relays.
    endpoint: Option<Endpoint>,
}

impl Control {
    async fn run(mut self) -> Result<()> {
        let mut stop = std::pin::pin!(stop_signal());
        let result = tokio::select! {
            signal = &mut stop => signal.map(|name| info!(signal = name, "stopping")),
            failed = self.renew_forever() => Err(failed),
        };
        tokio::select! {
            () = self.shut_down() => {}
            _ = stop_signal() => warn!("stopped at once by a second signal"),
        }
        result
    }

    /// Renews until a shard is gone.
    async fn renew_forever(&mut self) -> anyhow::Error {
        let (mut backoff, mut jitter) = (Backoff::default(), SplitMix64::new(random_seed()));
        let mut connected = false;
        let mut lease = Lease::default();
        loop {
            if self.shards.iter().any(|shard| shard.thread.is_finished()) {
                return anyhow::anyhow!("a shard has ended: see the log above");
            }
            self.count();
            let sent = now();
            match self.edge_client.renew(&self.registration).await {
                Ok(renewed) => {
                    if !connected {
                        self.say_ready();
                        connected = true;
                    }
                    backoff.succeed();
                    if lease.renewed(sent, now()) {
                        warn!("the lease may have expired: acquiring the epochs of all streams again");
                        self.order(|| Order::Confirm).await;
                    }
                    self.hand_out(renewed.notices).await;
                    self.registration.cursor = renewed.cursor;
                    sleep(Duration::from_millis(renewed.renew_after_ms)).await;
                }
                Err(refused) => {
                    connected = false;
                    let wait = backoff.fail(REGISTRATION_WAITS, &mut jitter);
                    self.say_unregistered(&refused, wait);
                    sleep(wait).await;
                }
            }
        }
    }

    fn say_ready(&self) {
        let addresses: Vec<String> = self
            .registration
            .shards
            .iter()
            .flat_map(|shard| &shard.candidates)
            .filter(|candidate| candidate.transport == Transport::Udp)
            .map(|Candidate { address, port, .. }| SocketAddr::new(*address, *port).to_string())
            .collect();
        let (edge, fingerprint) = (&self.edge, &self.registration.fingerprint);
        let turn = self.registration.turn.join(",");
        info!(address = addresses.join(","), %edge, %fingerprint, shards = self.shards.len(), turn, "ready");
    }

    fn say_unregistered(&self, refused: &EdgeError, retry: Duration) {
        let (edge, again) = (&self.edge, format!("{:.1} s", retry.as_secs_f64()));
        match refused {
            EdgeError::Unauthorized(_) => error!(%edge, %refused, again, "not registered"),
            _ => {
                warn!(%edge, %refused, again, "the registration failed; sessions go on, the relay tries again")
            }
        }
    }

    fn count(&mut self) {
        let (mut sessions, mut streams) = (0, 0);
        for shard in &self.shards {
            let load = shard.report.borrow().load;
            sessions += load.sessions;
            streams += load.streams;
        }
        self.registration.sessions = sessions;
        self.registration.streams = streams;
    }

    /// To each shard the notices of streams that it has from the edge. Those about sessions go to all shards, since a session may be
    /// at any. A full inbox is waited for: the cursor moves on only behind them.
    async fn hand_out(&self, notices: Vec<Notice>) {
        let mut shares: Vec<Vec<Notice>> = vec![Vec::new(); self.shards.len()];
        for notice in notices.into_iter().flat_map(Notice::by_stream) {
            let is_of_sessions = matches!(
                notice.event,
                NoticeEvent::SessionEnded { .. } | NoticeEvent::Withdrawn { .. }
            );
            if is_of_sessions || notice.stream == ShortId::EVERY {
                shares.iter_mut().for_each(|share| share.push(notice.clone()));
                continue;
            }
            if let Some(share) = shares.get_mut(shard_of(notice.stream, self.shards.len())) {
                share.push(notice);
            }
        }
        for (shard, share) in self.shards.iter().zip(shares) {
            if !share.is_empty() {
                // A shard that has ended is found at the next renewal.
                let _ = shard.orders.send(Order::Notices(share)).await;
            }
        }
    }

    /// Commits the backlog, ends the registration, then closes the sessions: so that the edge sends clients that come
    /// back to other relays.
    async fn shut_down(&mut self) {
        self.order(|| Order::Ship).await;
        let deadline = Instant::now() + SHIP_TIMEOUT;
        for shard in &mut self.shards {
            let _ = timeout_at(deadline, shard.report.wait_for(|report| report.shipped)).await;
        }
        for shard in &self.shards {
            for (stream, messages) in &shard.report.borrow().unshipped {
                error!(%stream, messages, "not committed: the edge did not take these messages in time");
            }
        }
        self.count();
        match self.edge_client.goodbye().await {
            Ok(()) if self.registration.sessions > 0 => sleep(Duration::from_millis(CHOSEN_LIFE_MS)).await,
            Ok(()) => {}
            Err(refused) => warn!(%refused, "the registration was not ended; it expires within 10 s"),
        }
        self.order(|| Order::Goodbye).await;
        for shard in &mut self.shards {
            let _ = timeout(GOODBYE_TIMEOUT, shard.report.wait_for(|report| report.gone)).await;
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.close().await;
        }
        let counters = self
            .shards
            .iter()
            .flat_map(|shard| shard.report.borrow().counters.list());
        let stored: u64 = counters
            .filter(|(name, _)| *name == "messages_stored")
            .map(|(_, count)| count)
            .sum();
        info!(messages_stored = stored, "stopped");
    }

    async fn order(&self, order: impl Fn() -> Order) {
        for shard in &self.shards {
            let _ = shard.orders.send(order()).await;
        }
    }
}

/// Waits for a signal to stop, and returns its name.
async fn stop_signal() -> Result<&'static str> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt.map(|()| "SIGINT").map_err(Into::into),
            _ = terminate.recv() => Ok("SIGTERM"),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c()
        .await
        .map(|()| "Ctrl-C")
        .map_err(Into::into)
}
