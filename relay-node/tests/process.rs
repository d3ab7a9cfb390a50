//! The relay as a process, over real sockets: from `relay-node run` to its exit.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use relay_node::now;
use relay_testkit::LoopbackEdge;
use relay_testkit::{Client, Identity, Invitation};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamchain_protocol::Address;
use streamchain_protocol::auth::{MasterSecret, RelayKey};
use streamchain_protocol::auth::{SessionRights, SessionToken, ice_password};
use streamchain_protocol::ids::{ProducerId, Seq, SessionId, ShortId};
use streamchain_protocol::webrtc::parse_fingerprint;
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::{ClientFrame, RelayFrame};

/// Far more than anything here takes, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);

fn master() -> String {
    "4d".repeat(32)
}

fn key() -> RelayKey {
    MasterSecret::from_hex(&master())
        .unwrap()
        .relay_key(&"local".parse().unwrap())
}

/// An address that nothing listens on.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// The value of one metric; `None` while the relay does not answer.
fn metric(address: SocketAddr, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let line = answer.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

fn relay_node() -> Command {
    Command::new(env!("CARGO_BIN_EXE_relay-node"))
}

/// A relay process that is killed when its test is over.
struct Process(Child);

impl Process {
    fn run(edge: &str, key: &str, state: &std::path::Path) -> Self {
        Self::run_with(edge, key, state, &[])
    }

    fn run_with(edge: &str, key: &str, state: &std::path::Path, arguments: &[&str]) -> Self {
        let mut command = relay_node();
        command.args([
            "run",
            "--id",
            "local",
            "--listen",
            "127.0.0.1:0",
            "--edge",
            edge,
            "--state",
        ]);
        command
            .arg(state)
            .args(arguments)
            .env("STREAMCHAIN_RELAY_KEY", key)
            .stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// KiB of memory that it has in use.
    #[cfg(target_os = "linux")]
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How it ended, and what it said.
    fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap(), said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An edge, and a folder for the relay's state.
struct Scene {
    edge: LoopbackEdge,
    state: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let (started, edge) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                started
                    .send(
                        LoopbackEdge::start(&"local".parse().unwrap(), &key())
                            .await
                            .unwrap(),
                    )
                    .unwrap();
                std::future::pending::<()>().await;
            });
        });
        let edge = edge.recv().unwrap();
        edge.kept().records = Some(vec![]);
        Self {
            edge,
            state: tempfile::tempdir().unwrap(),
        }
    }

    /// Waits for what another process does.
    fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stored(&self) -> Vec<String> {
        let kept = self.edge.kept();
        let records = kept.records.iter().flatten();
        records
            .map(|record| String::from_utf8_lossy(&record.payload).into_owned())
            .collect()
    }

    /// A client of the registered relay.
    fn connect(&self) -> Peer {
        let registration = self.edge.kept().registration.clone().unwrap();
        let candidate = registration.shards[0].candidates[0].clone();
        let crypto = Arc::new(relay_node::crypto_provider());
        let identity = Identity::new(crypto.dtls_provider.generate_certificate().unwrap(), crypto);
        let token = SessionToken {
            rights: SessionRights::ALL,
            expires: now().unix.to_sec().plus_s(60),
            session: SessionId([1; 8]),
            stream: ShortId([9; 20]),
            author: Address::ZERO,
            fingerprint: identity.fingerprint_hash(),
            relay_begins: true,
            max_message: streamchain_protocol::auth::MaxMessage::UNKNOWN,
            end: None,
        };
        let (keys, socket) = (key().session_keys(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let token = token.sign(&keys);
        let relay = SocketAddr::new(candidate.address, candidate.port);
        let invitation = Invitation {
            password: ice_password(&token, &keys),
            token,
            fingerprint: parse_fingerprint(&registration.fingerprint).unwrap(),
            relay_begins: true,
            relay,
            local: socket.local_addr().unwrap(),
        };
        let client = Client::new(&identity, &invitation, Client::channel(), Instant::now()).unwrap();
        Peer {
            client,
            socket,
            relay,
        }
    }
}

/// A client on a real socket.
struct Peer {
    client: Client,
    socket: UdpSocket,
    relay: SocketAddr,
}

impl Peer {
    /// Reads and writes until a frame comes that `wanted` takes.
    fn until(&mut self, what: &str, mut wanted: impl FnMut(&RelayFrame<'_>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 2_048];
        loop {
            assert!(Instant::now() < deadline, "{what}");
            while let Some(transmit) = self.client.next_transmit().unwrap() {
                self.socket.send_to(&transmit.contents, self.relay).unwrap();
            }
            while let Some(message) = self.client.receive() {
                let mut reader = Reader::new(&message);
                while !reader.is_at_end() {
                    if RelayFrame::read(&mut reader)
                        .unwrap()
                        .is_some_and(|frame| wanted(&frame))
                    {
                        return;
                    }
                }
            }
            let wait = self
                .client
                .next_timeout()
                .saturating_duration_since(Instant::now());
            self.socket
                .set_read_timeout(Some(
                    wait.clamp(Duration::from_millis(1), Duration::from_millis(50)),
                ))
                .unwrap();
            match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    self.client
                        .handle_datagram(&buffer[..length], source, Instant::now())
                        .unwrap();
                }
                Err(_) => self.client.handle_timeout(Instant::now()).unwrap(),
            }
        }
    }
}

#[test]
fn a_terminated_relay_commits_its_messages_and_says_goodbye() {
    let scene = Scene::new();
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let relay = Process::run_with(&scene.edge.url(), &key().to_hex(), scene.state.path(), &arguments);
    scene.until("registered", |_| {
        metric(metrics, "streamchain_registered") == Some(1.0)
    });
    let mut peer = scene.connect();
    peer.client.send(&ClientFrame::Hello {
        producer: ProducerId([1; 16]),
        key: None,
    });
    peer.client.send(&ClientFrame::Subscribe {
        from: Some(Seq(0)),
        signatures: false,
    });
    peer.client.send(&ClientFrame::Publish {
        producer_seq: 0,
        payload: b"first",
    });
    peer.until("stored", |frame| {
        matches!(frame, RelayFrame::Committed { committed: Seq(1) })
    });
    assert_eq!(scene.stored(), ["first"]);

    scene.edge.kept().failures = 2;
    peer.client.send(&ClientFrame::Publish {
        producer_seq: 1,
        payload: b"last",
    });
    peer.until("accepted", |frame| {
        matches!(frame, RelayFrame::Accepted { producer_seq: 1, .. })
    });
    relay.terminate();
    let mut committed = false;
    peer.until("going away, after all is committed", |frame| {
        committed |= matches!(frame, RelayFrame::Committed { committed: Seq(2) });
        matches!(frame, RelayFrame::Error { code: 6, .. })
    });
    assert!(committed);
    let (status, said) = relay.end();
    assert!(status.success(), "{said}");
    assert_eq!(scene.stored(), ["first", "last"]);
    assert!(scene.edge.kept().goodbye);
}

#[test]
fn a_restarted_relay_keeps_its_certificate_not_its_incarnation() {
    let scene = Scene::new();
    let mut seen = vec![];
    for _ in 0..2 {
        scene.edge.kept().registration = None;
        let relay = Process::run(&scene.edge.url(), &key().to_hex(), scene.state.path());
        scene.until("registered", |scene| scene.edge.kept().registration.is_some());
        seen.extend(scene.edge.kept().registration.clone());
        relay.terminate();
        assert!(relay.end().0.success());
    }
    assert_eq!(seen[0].fingerprint, seen[1].fingerprint);
    assert_ne!(seen[0].incarnation, seen[1].incarnation);
}

#[test]
fn a_wrong_key_is_counted_and_is_no_registration() {
    let scene = Scene::new();
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let relay = Process::run_with(
        &scene.edge.url(),
        &"00".repeat(32),
        scene.state.path(),
        &arguments,
    );
    let refused = "streamchain_edge_requests_total{outcome=\"unauthorized\"}";
    scene.until("refused", |_| {
        metric(metrics, refused).is_some_and(|count| count > 0.0)
    });
    assert_eq!(metric(metrics, "streamchain_registered"), Some(0.0));
    relay.terminate();
    assert!(relay.end().0.success(), "it tries again until it is stopped");
}

#[test]
fn every_request_to_the_edge_has_an_id_of_its_own() {
    let scene = Scene::new();
    let relay = Process::run(&scene.edge.url(), &key().to_hex(), scene.state.path());
    scene.until("renewals", |scene| scene.edge.kept().request_ids.len() >= 3);
    relay.terminate();
    assert!(relay.end().0.success());
    let ids = scene.edge.kept().request_ids.clone();
    let is_hex = |id: &String| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(ids.iter().all(is_hex), "{ids:?}");
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
}

/// What a relay may take beyond the payloads that it holds, KiB: their second copy in the batch under way, the
/// recent messages, the buffers of two peers, and what the allocator does not give back.
#[cfg(target_os = "linux")]
const BESIDE_PAYLOADS_KIB: u64 = 24 * 1_024;

/// Publishes from `next` on until the relay refuses with *overloaded*: the first producer_seq that it refused.
#[cfg(target_os = "linux")]
fn fill(peer: &mut Peer, mut next: u64, publish: impl Fn(&mut Peer, u64)) -> u64 {
    let mut full = false;
    while !full {
        publish(peer, next);
        peer.until("answered", |frame| match frame {
            RelayFrame::Accepted { producer_seq, .. } => *producer_seq == next,
            RelayFrame::Error { code, .. } => {
                full = *code == 8;
                full
            }
            _ => false,
        });
        next += u64::from(!full);
    }
    next
}

#[cfg(target_os = "linux")]
#[test]
fn a_stall_of_storage_keeps_memory_bounded_and_loses_nothing() {
    const UNSTORED_MIB: u64 = 16;
    let scene = Scene::new();
    let uncommitted = UNSTORED_MIB.to_string();
    let arguments = [
        "--unstored-mib",
        &uncommitted,
        "--session-bytes",
        "0",
        "--session-messages",
        "0",
    ];
    let relay = Process::run_with(&scene.edge.url(), &key().to_hex(), scene.state.path(), &arguments);
    scene.until("registered", |scene| scene.edge.kept().registration.is_some());
    let mut peer = scene.connect();
    peer.client.send(&ClientFrame::Hello {
        producer: ProducerId([1; 16]),
        key: None,
    });
    peer.client.send(&ClientFrame::Subscribe {
        from: Some(Seq(0)),
        signatures: false,
    });
    let payload = vec![7; 60_000];
    let publish = |peer: &mut Peer, producer_seq| {
        peer.client.send(&ClientFrame::Publish {
            producer_seq,
            payload: &payload,
        });
    };
    publish(&mut peer, 0);
    peer.until("stored", |frame| {
        matches!(frame, RelayFrame::Committed { committed: Seq(1) })
    });
    let before = relay.resident_kib();

    scene.edge.kept().stalled = true;
    let accepted = fill(&mut peer, 1, publish);
    let held_kib = (accepted - 1) * payload.len() as u64 / 1_024;
    assert!(
        held_kib > (UNSTORED_MIB - 1) * 1_024,
        "it takes messages up to its bound: {held_kib} KiB"
    );
    let during = relay.resident_kib();
    let bound = UNSTORED_MIB * 1_024 + BESIDE_PAYLOADS_KIB;
    println!(
        "storage stalled with {} messages of {} B held: {before} KiB before, {during} KiB now, {} KiB more of at most {bound}",
        accepted - 1,
        payload.len(),
        during.saturating_sub(before)
    );
    assert!(during.saturating_sub(before) <= bound);

    scene.edge.kept().stalled = false;
    peer.until(
        "all of it is stored",
        |frame| matches!(frame, RelayFrame::Committed { committed: Seq(seq) } if *seq == accepted),
    );
    let kept = scene.edge.kept();
    let numbers: Vec<u64> = kept
        .records
        .iter()
        .flatten()
        .map(|record| record.producer_seq)
        .collect();
    assert_eq!(numbers, (0..accepted).collect::<Vec<_>>(), "each once, in order");
}
