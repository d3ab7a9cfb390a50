//! The relay as a process, an edge for it, and clients on real sockets.

#![allow(dead_code)] // each test file uses its part

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
use streamchain_protocol::ids::{SessionId, ShortId};
use streamchain_protocol::webrtc::parse_fingerprint;
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::RelayFrame;
use streamchain_protocol::wire::shard_of_session;

/// Far more than anything here takes, so that a busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub fn master() -> String {
    "4d".repeat(32)
}

pub fn key() -> RelayKey {
    MasterSecret::from_hex(&master())
        .unwrap()
        .relay_key(&"local".parse().unwrap())
}

/// An address that nothing listens on.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// The value of one metric; `None` while the relay does not answer.
pub fn metric(address: SocketAddr, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let line = answer.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

pub fn relay_node() -> Command {
    Command::new(env!("CARGO_BIN_EXE_relay-node"))
}

/// A relay process that is killed when its test is over.
pub struct Process(pub Child);

impl Process {
    pub fn run(edge: &str, key: &str, state: &std::path::Path) -> Self {
        Self::run_with(edge, key, state, &[])
    }

    pub fn run_with(edge: &str, key: &str, state: &std::path::Path, arguments: &[&str]) -> Self {
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

    pub fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// KiB of memory that it has in use.
    #[cfg(target_os = "linux")]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How it ended, and what it said.
    pub fn end(mut self) -> (ExitStatus, String) {
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

/// The stream of all clients here.
pub const STREAM: ShortId = ShortId([9; 20]);

/// An edge, and a folder for the relay's state.
pub struct Scene {
    pub edge: LoopbackEdge,
    pub state: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Self {
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
    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn stored(&self) -> Vec<String> {
        let kept = self.edge.kept();
        let records = kept.records.iter().flatten();
        records
            .map(|record| String::from_utf8_lossy(&record.payload).into_owned())
            .collect()
    }

    /// A client of the registered relay.
    pub fn connect(&self) -> Peer {
        self.connect_as(Address::ZERO)
    }

    /// A session of this author at the registered relay.
    pub fn connect_as(&self, author: Address) -> Peer {
        self.connect_to(STREAM, author)
    }

    /// A session of this author on this stream.
    pub fn connect_to(&self, stream: ShortId, author: Address) -> Peer {
        self.connect_at(stream, author, SessionId([stream.0[0]; 8]))
    }

    /// The same with this id, at the shard that the session is spread to.
    pub fn connect_at(&self, stream: ShortId, author: Address, session: SessionId) -> Peer {
        let registration = self.edge.kept().registration.clone().unwrap();
        let shard = shard_of_session(session, registration.shards.len());
        let candidate = registration.shards[shard].candidates[0].clone();
        let crypto = Arc::new(relay_node::crypto_provider());
        let identity = Identity::new(crypto.dtls_provider.generate_certificate().unwrap(), crypto);
        let token = SessionToken {
            rights: SessionRights::ALL,
            expires: now().unix.to_sec().plus_s(60),
            session,
            stream,
            author,
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
pub struct Peer {
    pub client: Client,
    socket: UdpSocket,
    relay: SocketAddr,
}

impl Peer {
    /// Reads and writes until a frame comes that `wanted` takes.
    pub fn until(&mut self, what: &str, mut wanted: impl FnMut(&RelayFrame<'_>) -> bool) {
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
