//! Whom the caller of `verify` and `verify-stream` believes: a contract on a chain, and if required an owner, an anchorer,
//! and the owner of the stream of rounds.
//!
//! What always holds: the contract comes from the caller, by an option or by a file of the caller's, never from the
//! receipt or the edge that is checked. Anybody can deploy a contract, and open a stream of any name in an honest one.
//! Anybody can also anchor rounds that speak of any stream: a required stream says nothing about whose rounds they are.

use clap::Args;
use serde::Deserialize;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{StreamId, StreamName, StreamRef};

/// What the help texts of both commands say about the configuration file.
pub(crate) const TRUST_HELP: &str = "\
WHOM YOU BELIEVE
    The contract must be given, by --contract or by a configuration file. The file is that of --config, or else
    $XDG_CONFIG_HOME/streamchain/verify.json (~/.config/streamchain/verify.json) if it exists. It is JSON. Every field is
    optional, and an option of the same name takes precedence:

    { \"rpc\": \"https://ethereum-rpc.example\", \"chainId\": 11155111, \"contract\": \"0x5FbD…0aa3\",
      \"owner\": \"0x…\", \"anchorer\": \"0x…\", \"roundsOwner\": \"0x…\" }

    Anybody may open a stream of any name in the contract, so a name alone proves nothing: require --owner, or the
    stream's id. Anybody may anchor rounds, which speak of any stream: where a stream is required and its messages are in
    rounds, require --rounds-owner or --anchorer as well. Both commands print the owners and the anchorer.";

/// Largest configuration file that is read, bytes: its six fields need some hundred.
const MAX_CONFIG_BYTES: u64 = 64 * 1024;

/// The options of both commands that say whom the caller believes.
#[derive(Debug, Clone, Default, Args)]
pub struct TrustArgs {
    /// JSON file that says whom you believe, see below
    #[arg(long, env = "STREAMCHAIN_VERIFY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// JSON-RPC endpoint of the chain
    #[arg(long, env = "STREAMCHAIN_RPC", value_name = "URL")]
    pub rpc: Option<String>,
    /// Id of the chain (EIP-155) [default: that of the endpoint]
    #[arg(long, value_name = "NUMBER")]
    pub chain_id: Option<u64>,
    /// StreamChain contract that you trust
    #[arg(long, value_name = "ADDRESS")]
    pub contract: Option<Address>,
    /// Account that the stream must belong to
    #[arg(long, value_name = "ADDRESS")]
    pub owner: Option<Address>,
    /// Account that must have sent the anchors
    #[arg(long, value_name = "ADDRESS")]
    pub anchorer: Option<Address>,
    /// Account whose stream of rounds the messages must be in, unless they have an anchor of their own
    #[arg(long, value_name = "ADDRESS")]
    pub rounds_owner: Option<Address>,
}

/// The configuration file. An unknown field is refused: a misspelt one would require nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrustFile {
    rpc: Option<String>,
    chain_id: Option<u64>,
    contract: Option<Address>,
    owner: Option<Address>,
    anchorer: Option<Address>,
    rounds_owner: Option<Address>,
}

/// Whom the caller believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    pub rpc: String,
    pub contract: Address,
    pub chain_id: Option<u64>,
    pub owner: Option<Address>,
    pub anchorer: Option<Address>,
    pub rounds_owner: Option<Address>,
}

impl TrustArgs {
    /// Joins the options and the configuration file; the error says which option is missing.
    pub(crate) fn resolve(&self) -> Result<Trust, String> {
        let file = self.file()?;
        let missing = |option: &str, what: &str| {
            format!("{what}: give {option}, or a configuration file that says it (--config, see --help)")
        };
        let contract = self.contract.or(file.contract).ok_or_else(|| {
            missing(
                "--contract",
                "which contract do you believe? A forged receipt or a forging edge would name the forger's",
            )
        })?;
        let rpc = self.rpc.clone().or(file.rpc);
        Ok(Trust {
            rpc: rpc.ok_or_else(|| missing("--rpc", "which JSON-RPC endpoint shall be asked?"))?,
            contract,
            chain_id: self.chain_id.or(file.chain_id),
            owner: self.owner.or(file.owner),
            anchorer: self.anchorer.or(file.anchorer),
            rounds_owner: self.rounds_owner.or(file.rounds_owner),
        })
    }

    fn file(&self) -> Result<TrustFile, String> {
        let (path, is_named) = match &self.config {
            Some(path) => (path.clone(), true),
            None => match default_path() {
                Some(path) => (path, false),
                None => return Ok(TrustFile::default()),
            },
        };
        match read(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound && !is_named => Ok(TrustFile::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_CONFIG_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// In the caller's own folder, never the working directory: that may be another's.
fn default_path() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(config.join("streamchain").join("verify.json"))
}

impl Trust {
    /// Returns why the chain is not the one that is believed.
    pub(crate) fn refuses_chain(&self, chain_id: u64) -> Option<String> {
        let expected = self.chain_id.filter(|expected| *expected != chain_id)?;
        Some(format!(
            "the endpoint is on chain {chain_id}, and {expected} is required"
        ))
    }

    /// Returns why the owner of a stream is not the one that is believed.
    pub(crate) fn refuses_owner(&self, owner: Address) -> Option<String> {
        let required = self.owner.filter(|required| *required != owner)?;
        Some(format!(
            "the stream belongs to {owner}, and {required} is required"
        ))
    }

    /// Returns why the account that sent an anchor is not the one that is believed.
    pub(crate) fn refuses_anchorer(&self, anchorer: Address) -> Option<String> {
        let required = self.anchorer.filter(|required| *required != anchorer)?;
        Some(format!("the anchor is by {anchorer}, and {required} is required"))
    }

    /// Returns why the owner of a stream of rounds is not the one that is believed about a stream of this owner.
    pub(crate) fn refuses_rounds(&self, rounds_owner: Address) -> Option<String> {
        let required = self.rounds_owner.filter(|required| *required != rounds_owner)?;
        Some(format!(
            "the rounds are of {rounds_owner}, and {required} is required"
        ))
    }

    /// Returns what must be required before rounds can say anything about a required stream: its id says who owns the
    /// stream, and nothing about who may anchor rounds that speak of it.
    pub(crate) fn lacks_rounds(
        &self,
        stream: Option<&StreamRef>,
        owner: Address,
        rounds_owner: Address,
    ) -> Option<String> {
        let is_stream_required = self.owner.is_some() || stream.is_some();
        (is_stream_required && !self.says_whose_rounds(owner, rounds_owner)).then(|| {
            format!(
                "whose rounds? These are of {rounds_owner}, and anybody may anchor rounds about any stream: give \
                 --rounds-owner or --anchorer"
            )
        })
    }

    /// Returns what the caller left open about the rounds, to be printed beside the result.
    pub(crate) fn open_about_rounds(&self, owner: Address, rounds_owner: Address) -> Option<String> {
        (!self.says_whose_rounds(owner, rounds_owner))
            .then(|| "compare the owner of the rounds, or require it: --rounds-owner".to_owned())
    }

    /// The owner of a stream may say everything about it; about another's, only whom the caller believes.
    fn says_whose_rounds(&self, owner: Address, rounds_owner: Address) -> bool {
        self.rounds_owner.is_some() || self.anchorer.is_some() || owner == rounds_owner
    }

    /// Returns what the caller left open about the stream, to be printed beside the result.
    pub(crate) fn open_questions(&self, stream: Option<&StreamRef>) -> Option<String> {
        let is_by_id = matches!(stream, Some(StreamRef::Id(_) | StreamRef::Short(_)));
        match (self.owner.is_some() || is_by_id, self.anchorer.is_some()) {
            (true, _) => None,
            (false, true) => Some("compare the owner, or require it: --owner, or --stream with an id".to_owned()),
            (false, false) => Some(
                "compare the owner and the anchorer, or require them: --owner, --anchorer, or --stream with an id"
                    .to_owned(),
            ),
        }
    }
}

/// Returns why a stream is not the one that was meant.
pub(crate) fn is_another(wanted: &StreamRef, id: StreamId, name: &StreamName) -> Option<String> {
    let is_it = match wanted {
        StreamRef::Name(wanted) => wanted == name,
        StreamRef::Id(wanted) => *wanted == id,
        StreamRef::Short(wanted) => *wanted == id.short(),
    };
    (!is_it).then(|| format!("the stream is {id} (\"{name}\"), and {wanted} is required"))
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
