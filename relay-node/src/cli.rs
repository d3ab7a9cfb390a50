//! The command line.

use crate::core::limits::{
    SESSION_BYTES_PER_S, SESSION_MESSAGES_PER_S, SHARD_UNSTORED_MIB, STREAM_BYTES_PER_S,
    STREAM_MESSAGES_PER_S,
};
use crate::core::{Rate, Rates};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;
use streamchain_protocol::ids::{RelayId, StreamRef};
use streamchain_protocol::limits::COMMIT_INTERVAL_MS;

const ABOUT: &str =
    "The StreamChain relay: live messages between browsers over WebRTC, with a receipt for each.";

const RUN_EXAMPLES: &str = "\
EXAMPLES
  On this machine, for a local edge:
    export STREAMCHAIN_RELAY_KEY=$(relay-node key --master $MASTER_SECRET --id local)
    relay-node run --id local --edge http://127.0.0.1:8787 --listen 127.0.0.1:7100

  On a server with a public address, one thread per core, UDP ports 7100 to 7103 open:
    relay-node run --id fra-1 --region fra --edge https://streamchain.example \\
        --listen 0.0.0.0:7100 --advertise 203.0.113.7 --shards 4 --state /var/lib/relay-node

The key is only read from the environment, so that it is not seen in the list of processes.
SIGTERM or Ctrl-C ships what is held (at most 10 s), says goodbye to edge and peers, and exits with 0.";

const VERIFY_EXAMPLES: &str = "\
EXAMPLE
    curl -s https://streamchain.example/v1/streams/demo/messages/17/receipt > receipt.json
    relay-node verify receipt.json --rpc https://ethereum-rpc.example --contract 0x5FbD…0aa3

Nothing of ours is asked: the proof is computed here, and the chain says whether its root was anchored.
Give --contract if you know it: a receipt could name a contract of its own making.

EXIT CODES
    0  the receipt holds
    1  it does not: the failed step says why
    2  it could not be checked: unreadable file, unreachable RPC endpoint";

const AUDIT_EXAMPLES: &str = "\
EXAMPLES
    relay-node audit --edge https://streamchain.example --rpc https://ethereum-rpc.example --contract 0x5FbD…0aa3
    relay-node audit --edge http://127.0.0.1:8787 --rpc http://127.0.0.1:8545 --stream demo --json

Every stored message is read and hashed here; every root is compared with the events of the contract alone. Messages
that are stored and wait for an anchor are counted, and are no difference. Progress goes to standard error.

EXIT CODES
    0  all roots agree
    1  something differs: the first difference of each stream says what
    2  it could not be checked: unreachable edge or RPC endpoint, a node that is not believed";

const REBUILD_EXAMPLES: &str = "\
EXAMPLE
    MASTER_SECRET=… relay-node rebuild --edge https://streamchain.example

For an edge whose tables of anchors or chain events were lost or damaged. It empties them and reads the contract's
events anew, from CONTRACT_BLOCK on; stored messages and segments are not touched. Receipts are missing until it is
done, and equal those from before. The edge refuses while it does not reach the chain. Check with relay-node audit.";

/// What was typed.
#[derive(Debug, Parser)]
#[command(name = "relay-node", version, about = ABOUT, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a relay
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Check a receipt with the chain alone
    #[command(after_long_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Check all stored messages with the chain alone
    #[command(after_long_help = AUDIT_EXAMPLES)]
    Audit(AuditArgs),
    /// Have the edge make its anchors anew, from stored segments and the chain alone
    #[command(after_long_help = REBUILD_EXAMPLES)]
    Rebuild(RebuildArgs),
    /// Print a relay's key, derived from the edge's master secret
    Key(KeyArgs),
    /// Measure one relay on this machine; prints JSON
    #[command(hide = true)]
    Bench(BenchArgs),
}

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
    /// This relay's id: 1 to 32 of a-z 0-9 -
    #[arg(long, env = "STREAMCHAIN_RELAY_ID")]
    pub id: RelayId,
    /// The edge's URL
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub edge: String,
    /// UDP address to listen on; shard N takes the port + N. May be given more than once (IPv4 and IPv6)
    #[arg(
        long,
        env = "STREAMCHAIN_LISTEN",
        value_delimiter = ',',
        default_value = "127.0.0.1:7100"
    )]
    pub listen: Vec<SocketAddr>,
    /// Address that clients reach this relay at, when it is not the one it listens on. May be given more than once
    #[arg(long, env = "STREAMCHAIN_ADVERTISE", value_delimiter = ',', value_name = "IP")]
    pub advertise: Vec<IpAddr>,
    /// Threads, each with its own port, streams and sessions
    #[arg(long, env = "STREAMCHAIN_SHARDS", default_value_t = 1)]
    pub shards: u16,
    /// Where this relay stands, for people and for the choice of a near one
    #[arg(long, env = "STREAMCHAIN_REGION", default_value = "")]
    pub region: String,
    /// How long a batch stays open, milliseconds
    #[arg(long, env = "STREAMCHAIN_COMMIT_INTERVAL_MS", default_value_t = COMMIT_INTERVAL_MS, value_name = "MS")]
    pub commit_interval_ms: u64,
    /// Memory for messages that the edge has not stored yet, MiB in each thread; when it is full publishers have to wait
    #[arg(
        long,
        env = "STREAMCHAIN_UNSTORED_MIB",
        default_value_t = SHARD_UNSTORED_MIB,
        value_parser = clap::value_parser!(u16).range(1..),
        value_name = "N"
    )]
    pub unstored_mib: u16,
    /// Folder for the certificate, which must outlive restarts
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
    /// TCP address of the Prometheus metrics, at /metrics; none unless given. Nobody is asked who he is: keep it on
    /// loopback or inside your network
    #[arg(long, env = "STREAMCHAIN_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// How much clients may send.
    #[command(flatten)]
    pub rates: RateArgs,
    /// The ways in for networks that let no UDP through.
    #[command(flatten)]
    pub turn: TurnArgs,
    /// How logs look; what is logged: RUST_LOG=debug, RUST_LOG=relay_node=trace
    #[arg(long, env = "STREAMCHAIN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The part of `relay-node run` about how much clients may send.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rate limits (0: none)")]
pub struct RateArgs {
    /// Frames that one session may send in a second
    #[arg(long, env = "STREAMCHAIN_SESSION_MESSAGES", default_value_t = SESSION_MESSAGES_PER_S, value_name = "N")]
    pub session_messages: u32,
    /// Payload bytes that one session may send in a second
    #[arg(long, env = "STREAMCHAIN_SESSION_BYTES", default_value_t = SESSION_BYTES_PER_S, value_name = "N")]
    pub session_bytes: u32,
    /// Messages that one stream takes in a second
    #[arg(long, env = "STREAMCHAIN_STREAM_MESSAGES", default_value_t = STREAM_MESSAGES_PER_S, value_name = "N")]
    pub stream_messages: u32,
    /// Payload bytes that one stream takes in a second
    #[arg(long, env = "STREAMCHAIN_STREAM_BYTES", default_value_t = STREAM_BYTES_PER_S, value_name = "N")]
    pub stream_bytes: u32,
}

impl RateArgs {
    /// As the relay's core takes them.
    pub fn rates(&self) -> Rates {
        Rates {
            session: Rate {
                messages_per_s: self.session_messages,
                bytes_per_s: self.session_bytes,
            },
            stream: Rate {
                messages_per_s: self.stream_messages,
                bytes_per_s: self.stream_bytes,
            },
        }
    }
}

/// The part of `relay-node run` for networks that let no UDP through.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Networks without UDP")]
pub struct TurnArgs {
    /// Take no ICE-TCP connections; else they are taken on the TCP ports of the same numbers as --listen
    #[arg(long, env = "STREAMCHAIN_NO_ICE_TCP")]
    pub no_ice_tcp: bool,
    /// Run no TURN server. Its only peer is this relay: it needs no ports for relaying and is no open relay
    #[arg(long, env = "STREAMCHAIN_NO_TURN", conflicts_with_all = ["turn_listen", "turn_tls_cert"])]
    pub no_turn: bool,
    /// UDP and TCP address of the TURN server [default: port 3478 of --listen]. May be given more than once
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_LISTEN",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub turn_listen: Vec<SocketAddr>,
    /// TLS address of the TURN server, best port 443 [default: port 5349 of --listen]. Needs --turn-tls-cert
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_TLS_LISTEN",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    #[arg(requires = "turn_tls_cert")]
    pub turn_tls_listen: Vec<SocketAddr>,
    /// Certificate chain for TURN over TLS, PEM; browsers take only one that they trust
    #[arg(long, env = "STREAMCHAIN_TURN_TLS_CERT", value_name = "FILE")]
    #[arg(requires = "turn_tls_key", requires = "turn_tls_host")]
    pub turn_tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_TLS_KEY",
        value_name = "FILE",
        requires = "turn_tls_cert"
    )]
    pub turn_tls_key: Option<PathBuf>,
    /// The host name that the certificate is for, which clients are told; with a port where a redirect changes it
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_TLS_HOST",
        value_name = "NAME[:PORT]",
        requires = "turn_tls_cert"
    )]
    pub turn_tls_host: Option<TlsHost>,
}

/// Where clients reach TURN over TLS: `turn.example.org`, or `turn.example.org:443` in front of another port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsHost {
    name: String,
    port: Option<NonZeroU16>,
}

/// Not a host name, or not a port behind it.
#[derive(Debug, thiserror::Error)]
#[error("expected a host name, or a host name and a port, as turn.example.org:443")]
pub struct NotATlsHost;

impl FromStr for TlsHost {
    type Err = NotATlsHost;

    fn from_str(text: &str) -> Result<Self, NotATlsHost> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| NotATlsHost)?)),
            None => (text, None),
        };
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        if name.is_empty() || !name.bytes().all(in_name) {
            return Err(NotATlsHost);
        }
        Ok(Self {
            name: name.to_owned(),
            port,
        })
    }
}

impl TlsHost {
    /// The URL that clients are told, when the relay itself listens on this port.
    pub fn url(&self, listening: u16) -> String {
        let port = self.port.map_or(listening, NonZeroU16::get);
        format!("turns:{}:{port}?transport=tcp", self.name)
    }
}

/// `relay-node verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The receipt; - reads standard input
    pub receipt: PathBuf,
    /// A JSON-RPC endpoint of the receipt's chain
    #[arg(long, env = "STREAMCHAIN_RPC", value_name = "URL")]
    pub rpc: String,
    /// The StreamChain contract that you trust
    #[arg(long, value_name = "ADDRESS")]
    pub contract: Option<alloy_primitives::Address>,
}

/// `relay-node audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// The edge's URL
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub edge: String,
    /// A JSON-RPC endpoint of its chain
    #[arg(long, env = "STREAMCHAIN_RPC", value_name = "URL")]
    pub rpc: String,
    /// One stream, by name or id; without it all that the edge lists
    #[arg(long)]
    pub stream: Option<StreamRef>,
    /// The StreamChain contract that you trust; without it the one that the edge names
    #[arg(long, value_name = "ADDRESS")]
    pub contract: Option<alloy_primitives::Address>,
    /// The block to read events from; without it the one that the edge names (too late a one shows as a gap)
    #[arg(long, value_name = "NUMBER")]
    pub from_block: Option<u64>,
    /// An access token, for streams that not everybody may read
    #[arg(long, env = "STREAMCHAIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `relay-node rebuild`
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The edge's URL
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub edge: String,
    /// The edge's MASTER_SECRET, 64 hexadecimal digits: only the operator may do this
    #[arg(long, env = "MASTER_SECRET", hide_env_values = true)]
    pub master: String,
}

/// `relay-node key`
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The edge's MASTER_SECRET, 64 hexadecimal digits
    #[arg(long, env = "MASTER_SECRET", hide_env_values = true)]
    pub master: String,
    /// The relay's id
    #[arg(long)]
    pub id: RelayId,
}

/// `relay-node bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Subscribers, one run for each number
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    pub subscribers: Vec<usize>,
    /// Payload bytes
    #[arg(long, default_value_t = 100)]
    pub payload: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ids_out_of_shape_are_refused_with_the_reason() {
        let refused =
            Cli::try_parse_from(["relay-node", "key", "--master", "00", "--id", "Not Good"]).unwrap_err();
        assert!(refused.to_string().contains("expected 1 to 32"), "{refused}");
    }

    #[test]
    fn clients_are_told_the_port_in_front_of_a_redirect() {
        let url = |text: &str| TlsHost::from_str(text).map(|host| host.url(5349)).ok();
        let expected = |port: &str| Some(format!("turns:turn.example.org:{port}?transport=tcp"));
        assert_eq!(url("turn.example.org"), expected("5349"));
        assert_eq!(url("turn.example.org:443"), expected("443"));
        for wrong in [
            "",
            ":443",
            "turn.example.org:",
            "turn.example.org:0",
            "turn.example.org:99999",
            "a b",
            "[::1]:443",
        ] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }
}
