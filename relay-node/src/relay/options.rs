//! The options of `relay-node run`.

use crate::core::limits::{
    NETWORK_CHECKS_PER_S, SESSION_BYTES_PER_S, SESSION_MESSAGES_PER_S, SHARD_UNCOMMITTED_MIB,
    STREAM_BYTES_PER_S, STREAM_MESSAGES_PER_S,
};
use crate::core::{Rate, Rates};
use crate::relay::links::options::LinkArgs;
use crate::turn::options::TurnArgs;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::limits::{COMMIT_INTERVAL_MS, MAX_RELAY_SHARDS};

/// What `relay-node run --help` ends with.
pub(crate) const RUN_EXAMPLES: &str = "\
EXAMPLES
  On this machine, for a local edge:
    export STREAMCHAIN_RELAY_KEY=$(relay-node key --master $MASTER_SECRET --id local)
    relay-node run --id local --edge http://127.0.0.1:8787 --listen 127.0.0.1:7100

  On a server with a public address, one thread per core, UDP ports 7100 to 7103 open:
    relay-node run --id fra-1 --region fra --edge https://streamchain.example \\
        --listen 0.0.0.0:7100 --advertise 203.0.113.7 --shards 4 --state /var/lib/relay-node

The relay reads its key from the environment variable STREAMCHAIN_RELAY_KEY or from a file (--key-file), because other users
of the machine can see command lines. At SIGTERM or Ctrl-C the relay stores the accepted messages (for at most 10 s), ends its
registration and sessions, and exits with code 0.";

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `relay-node run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// This relay's id: 1 to 32 characters of a-z, 0-9 and -, of which the first is a letter or digit
    #[arg(long, env = "STREAMCHAIN_RELAY_ID")]
    pub id: RelayId,
    /// The edge's URL
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub edge: String,
    /// UDP address to listen on; shard N listens on this port + N. May be given more than once (IPv4 and IPv6)
    #[arg(
        long,
        env = "STREAMCHAIN_LISTEN",
        value_delimiter = ',',
        default_value = "127.0.0.1:7100"
    )]
    pub listen: Vec<SocketAddr>,
    /// IP address at which clients reach this relay, if it differs from --listen. May be given more than once
    #[arg(long, env = "STREAMCHAIN_ADVERTISE", value_delimiter = ',', value_name = "IP")]
    pub advertise: Vec<IpAddr>,
    /// Number of threads, each with its own port, streams and sessions
    #[arg(long, env = "STREAMCHAIN_SHARDS", default_value_t = 1)]
    pub shards: u16,
    /// Region of this relay, shown in the app and used to choose a relay near the client
    #[arg(long, env = "STREAMCHAIN_REGION", default_value = "")]
    pub region: String,
    /// Sessions that this relay has room for: beyond them, clients are sent to other relays that serve the stream or can
    /// [default: 20000 for each thread]
    #[arg(long, env = "STREAMCHAIN_CAPACITY", value_name = "N")]
    pub capacity: Option<u64>,
    /// How long a batch of messages stays open before it is sent to the edge, in milliseconds
    #[arg(long, env = "STREAMCHAIN_COMMIT_INTERVAL_MS", default_value_t = COMMIT_INTERVAL_MS, value_name = "MS")]
    pub commit_interval_ms: u64,
    /// Memory of each thread for messages that the edge has not stored yet, in MiB. When it is full, publishers must
    /// wait
    #[arg(
        long,
        env = "STREAMCHAIN_UNSTORED_MIB",
        default_value_t = SHARD_UNCOMMITTED_MIB,
        value_parser = clap::value_parser!(u16).range(1..),
        value_name = "N"
    )]
    pub unstored_mib: u16,
    /// Folder that keeps the relay's certificate across restarts
    #[arg(
        long,
        env = "STREAMCHAIN_STATE",
        default_value = ".streamchain/relay",
        value_name = "DIR"
    )]
    pub state: PathBuf,
    /// The relay's key, 64 hexadecimal digits: see `relay-node key`
    #[arg(long, env = "STREAMCHAIN_RELAY_KEY", hide_env_values = true, hide = true)]
    pub key: Option<String>,
    /// File with the relay's key, for container engines, which hand secrets over as files. The variable
    /// STREAMCHAIN_RELAY_KEY goes before it
    #[arg(long, env = "STREAMCHAIN_RELAY_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// TCP address of the Prometheus metrics, at /metrics [default: no metrics]. There is no authentication: use a
    /// loopback or private address
    #[arg(long, env = "STREAMCHAIN_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// The rate limits.
    #[command(flatten)]
    pub rates: RateArgs,
    /// Links to other relays.
    #[command(flatten)]
    pub links: LinkArgs,
    /// ICE-TCP and TURN.
    #[command(flatten)]
    pub turn: TurnArgs,
    /// Format of the log. The variable RUST_LOG chooses what is logged, for example debug or relay_node=trace
    #[arg(long, env = "STREAMCHAIN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

impl RunArgs {
    /// How many shards the relay has.
    pub(crate) fn shard_count(&self) -> Result<usize> {
        let shards = usize::from(self.shards);
        if shards == 0 || shards > MAX_RELAY_SHARDS {
            bail!("--shards {shards}: expected 1 to {MAX_RELAY_SHARDS}");
        }
        Ok(shards)
    }

    /// The relay's key, from the environment or from its file.
    pub(crate) fn relay_key(&self) -> Result<RelayKey> {
        if let Some(key) = &self.key {
            return RelayKey::from_hex(key).context("STREAMCHAIN_RELAY_KEY: see `relay-node key --help`");
        }
        let file = self.key_file.as_deref().context(
            "STREAMCHAIN_RELAY_KEY is not set: `relay-node key` prints it, see `relay-node run --help`",
        )?;
        let text = fs::read_to_string(file).with_context(|| format!("--key-file {}", file.display()))?;
        RelayKey::from_hex(text.trim())
            .with_context(|| format!("--key-file {}: see `relay-node key --help`", file.display()))
    }
}

/// The part of `relay-node run` about how much clients may send.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rate limits (0 means no limit)")]
pub struct RateArgs {
    /// Frames that one session may send each second
    #[arg(long, env = "STREAMCHAIN_SESSION_MESSAGES", default_value_t = SESSION_MESSAGES_PER_S, value_name = "N")]
    pub session_messages: u32,
    /// Payload bytes that one session may send each second
    #[arg(long, env = "STREAMCHAIN_SESSION_BYTES", default_value_t = SESSION_BYTES_PER_S, value_name = "N")]
    pub session_bytes: u32,
    /// Messages that one stream accepts each second
    #[arg(long, env = "STREAMCHAIN_STREAM_MESSAGES", default_value_t = STREAM_MESSAGES_PER_S, value_name = "N")]
    pub stream_messages: u32,
    /// Payload bytes that one stream accepts each second
    #[arg(long, env = "STREAMCHAIN_STREAM_BYTES", default_value_t = STREAM_BYTES_PER_S, value_name = "N")]
    pub stream_bytes: u32,
    /// Signatures that are checked each second for all sessions of one network (an IPv4 address or an IPv6 /64)
    #[arg(long, env = "STREAMCHAIN_NETWORK_CHECKS", default_value_t = NETWORK_CHECKS_PER_S, value_name = "N")]
    pub network_checks: u32,
}

impl RateArgs {
    /// As the relay's core takes them.
    pub(crate) fn rates(&self) -> Rates {
        Rates {
            session: Rate {
                messages_per_s: self.session_messages,
                bytes_per_s: self.session_bytes,
            },
            stream: Rate {
                messages_per_s: self.stream_messages,
                bytes_per_s: self.stream_bytes,
            },
            network_checks_per_s: self.network_checks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }

    fn args(more: &[&str]) -> RunArgs {
        let usual = ["run", "--id", "a", "--edge", "http://edge"];
        Command::try_parse_from(usual.iter().chain(more)).unwrap().run
    }

    #[test]
    fn the_key_comes_from_a_file_unless_the_environment_has_one() {
        let (of_file, of_variable) = ("11".repeat(32), "22".repeat(32));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, format!("{of_file}\n")).unwrap();
        let mut run = args(&["--key-file", file.to_str().unwrap()]);
        run.key = None;
        assert_eq!(run.relay_key().unwrap().to_hex(), of_file);
        run.key = Some(of_variable.clone());
        assert_eq!(run.relay_key().unwrap().to_hex(), of_variable);
    }

    #[test]
    fn a_missing_key_is_refused_and_its_file_named() {
        let mut run = args(&["--key-file", "/nowhere/key"]);
        run.key = None;
        let refused = format!("{:#}", run.relay_key().err().unwrap());
        assert!(refused.contains("--key-file /nowhere/key"), "{refused}");
        run.key_file = None;
        let refused = run.relay_key().err().unwrap().to_string();
        assert!(refused.contains("STREAMCHAIN_RELAY_KEY is not set"), "{refused}");
    }
}
