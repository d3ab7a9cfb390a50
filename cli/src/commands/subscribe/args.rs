//! What `streamchain sub` can be asked for.

use crate::authors::Believed;
use crate::edge::{EdgeArgs, ReachArgs};
use clap::Args;
use relay_node::AuthorKey;
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;
use streamchain_client::core::{Failure, Guarantee};
use streamchain_client::http::{EdgeClient, Method};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::pattern::Pattern;

/// What the help text of the command ends with.
pub(crate) const SUB_EXAMPLES: &str = "\
EXAMPLES
    streamchain sub demo --edge https://streamchain.example
    streamchain sub demo --from 0 --until head --json > demo.jsonl
    streamchain sub demo --cursor demo.cursor | ./process
    streamchain sub 'sensors.*' --json

A pattern is the beginning of a name with a * behind it. Every stream that matches is followed, 100 at a time: those that are
there from --from on, and those that are made later from their first message on. Each line of text begins with the name of its
stream and a tab; a JSON line has \"stream\". The streams are the operator's, or those of --owner.

Messages are written once they are stored, so none is ever taken back. With --live they are written as soon as the relay
has them: those that a relay loses are taken back, by a line {\"retracted\": SEQ} (from this seq on), which needs --json.

Text is the payload and a line feed. A JSON line has \"seq\", \"time\" (milliseconds), \"author\", and \"text\", or
\"payload\" in hexadecimal digits where the payload is not UTF-8, or \"erased\".

With --verify each message is checked before it is written: the signature of its group, and who vouches for the key. A JSON line
has \"signed\" then: {\"key\", \"voucher\"}, where the voucher is self (the author is the key), wallet, or named (you named the key
as the author's, by --author-key). At a message whose signature does not hold, that has none, or whose key the operator alone
vouches for, as for a service's, the command ends with 1. With --allow-unsigned the last two are written: as JSON with \"signed\":
false or the voucher operator, as text with unsigned or operator and a tab before each line.

Each run knows nothing of groups that were before it, also with --cursor: verify-stream checks the whole stream.

With --cursor the command goes on where it stopped. The file holds the next seq; it is written after the messages, so
that after a crash some messages may be written again, but none is left out.";

/// From which message on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// What is stored from now on.
    Head,
    Seq(Seq),
}

impl FromStr for Place {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "now" | "head" => Ok(Self::Head),
            _ => text
                .parse()
                .map(|seq| Self::Seq(Seq(seq)))
                .map_err(|_| "expected a seq, or now".to_owned()),
        }
    }
}

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    One(StreamRef),
    Matching(Pattern),
}

impl FromStr for Source {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.contains('*') {
            true => text
                .parse()
                .map(Self::Matching)
                .map_err(|error| format!("a pattern: {error}")),
            false => text.parse().map(Self::One).map_err(|error| error.to_string()),
        }
    }
}

/// `streamchain sub`
#[derive(Debug, Args)]
pub(crate) struct SubArgs {
    /// The stream, by name or id, or a pattern of names ('sensors.*')
    #[arg(value_name = "STREAM")]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// Whose streams a pattern is of [default: the operator's]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) owner: Option<Address>,
    /// First message: a seq, or now
    #[arg(long, value_name = "SEQ", default_value = "now")]
    pub(crate) from: Place,
    /// End before this message; head stands for the number of messages that are stored at the start
    #[arg(long, value_name = "SEQ")]
    pub(crate) until: Option<Place>,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Write JSON lines
    #[arg(long)]
    pub(crate) json: bool,
    /// Write messages before they are stored
    #[arg(long, requires = "json", conflicts_with = "cursor")]
    pub(crate) live: bool,
    /// Check who wrote each message, and end at one whose signature does not hold
    #[arg(long, conflicts_with = "live")]
    pub(crate) verify: bool,
    /// With --verify, write messages too that have no signature, or one of a key that the operator alone vouches for
    #[arg(long, requires = "verify")]
    pub(crate) allow_unsigned: bool,
    /// With --verify, a key that you know to be an author's, such as a service's: 0x…address=key. May be given several times
    #[arg(long = "author-key", value_name = "AUTHOR=KEY", requires = "verify")]
    pub(crate) author_keys: Vec<AuthorKey>,
    /// File that keeps where the command stopped
    #[arg(long, value_name = "FILE")]
    pub(crate) cursor: Option<PathBuf>,
}

/// The part of a stream's state that is read.
#[derive(Deserialize)]
struct State {
    stored: Seq,
}

/// How many messages are stored; none of a stream that is not there yet.
pub(super) async fn stored(edge: &EdgeClient, stream: &StreamRef) -> Result<Seq, Failure> {
    let path = format!("/v1/streams/{stream}");
    match edge.json::<State>(Method::GET, &path, None).await {
        Ok(state) => Ok(state.stored),
        Err(failure) if failure.is_no_such_stream() => Ok(Seq(0)),
        Err(failure) => Err(failure),
    }
}

impl SubArgs {
    /// Whom the caller believes, if authors are checked.
    pub(super) fn believed(&self) -> Option<Believed> {
        self.verify.then(|| Believed {
            operator: self.allow_unsigned,
            keys: self.author_keys.clone(),
        })
    }

    pub(super) fn guarantee(&self) -> Guarantee {
        if self.live {
            Guarantee::Live
        } else {
            Guarantee::Stored
        }
    }
}
