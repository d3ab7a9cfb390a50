//! Relays as processes of their own: the program that is shipped, with QUIC links between them.

use super::invitations::Invitations;
use crate::loopback_edge::LoopbackEdge;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::webrtc::{Transport, parse_fingerprint};
use streamchain_protocol::wire::Registration;

/// How long a relay may take to register.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The options under which clients may send what they like.
const UNLIMITED: [&str; 10] = [
    "--session-messages",
    "0",
    "--session-bytes",
    "0",
    "--stream-messages",
    "0",
    "--stream-bytes",
    "0",
    "--network-checks",
    "0",
];

/// A relay that runs as a process, until this is dropped.
pub(super) struct RelayProcess {
    started: Started,
    registration: Registration,
    invitations: Invitations,
}

impl Deref for RelayProcess {
    type Target = Invitations;
    fn deref(&self) -> &Invitations {
        &self.invitations
    }
}

impl RelayProcess {
    /// Starts the program as a relay of an edge that knows it, and waits until it is registered.
    pub(super) async fn start(
        program: &Path,
        edge: &LoopbackEdge,
        (id, key): (&RelayId, &RelayKey),
        shards: usize,
    ) -> Result<Self> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let state = std::env::temp_dir().join(format!("streamchain-bench-{}-{number}", std::process::id()));
        let child = Command::new(program)
            .args(["run", "--id", id.as_str(), "--edge", &edge.url()])
            .args(["--listen", "127.0.0.1:0", "--link-listen", "127.0.0.1:0"])
            .args(["--no-turn", "--no-ice-tcp", "--shards", &shards.to_string()])
            .args(UNLIMITED)
            .arg("--state")
            .arg(&state)
            .env("STREAMCHAIN_RELAY_KEY", key.to_hex())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not run", program.display()))?;
        let mut started = Started { child, state };
        let registration = started.registered(edge, id).await?;
        let fingerprint = parse_fingerprint(&registration.fingerprint);
        let shards = registration.shards.iter().map(|shard| {
            let mut candidates = shard.candidates.iter();
            let udp = candidates.find(|candidate| candidate.transport == Transport::Udp);
            udp.map(|udp| SocketAddr::new(udp.address, udp.port))
        });
        let shards: Option<Vec<_>> = shards.collect();
        let invitations = Invitations::new(
            key.session_keys(),
            fingerprint.context("the relay registered no fingerprint")?,
            shards.context("the relay has a shard without UDP")?,
        )?;
        Ok(Self {
            started,
            registration,
            invitations,
        })
    }

    /// Where its links are reached.
    pub(super) fn links(&self) -> Result<SocketAddr> {
        let mesh = self.registration.mesh.as_ref();
        let address = mesh.and_then(|mesh| mesh.addresses.first()).copied();
        address.context("the relay registered no links")
    }

    /// CPU time of all its threads so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(self.proc("task"))? {
            // One that ended meanwhile has nothing more to say.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            let spent = text.split_whitespace().next().context("the thread's CPU time")?;
            nanos += spent.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Its memory that is in use, bytes.
    pub(super) fn resident_bytes(&self) -> Result<i64> {
        resident_bytes(&self.proc("statm"))
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.started.child.id().to_string())
            .join(file)
    }
}

/// A process that is ended, and its folder removed, when this is dropped.
struct Started {
    child: Child,
    state: PathBuf,
}

impl Started {
    async fn registered(&mut self, edge: &LoopbackEdge, id: &RelayId) -> Result<Registration> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let registered = edge.kept().registrations.get(id.as_str()).cloned();
            if let Some(registration) = registered {
                return Ok(registration);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the relay {id} ended: {status}");
            }
            ensure!(
                Instant::now() < deadline,
                "the relay {id} did not register in time"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself, and have made no folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.state);
    }
}

/// Memory in use, bytes, from a `statm` file of /proc.
pub(super) fn resident_bytes(statm: &Path) -> Result<i64> {
    let text = fs::read_to_string(statm)?;
    let pages: i64 = text
        .split_whitespace()
        .nth(1)
        .context("the resident pages")?
        .parse()?;
    Ok(pages * 4_096)
}
