//! `streamchain pub`: publishes standard input, a message for each line.
//!
//! What always holds: it exits with 0 only when every line is stored, exactly once and in order.

use crate::edge::{EdgeArgs, ReachArgs, Watch};
use crate::exit::Exit;
use crate::input::Lines;
use clap::Args;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use streamchain_client::connection::{Connection, ConnectionOptions};
use streamchain_client::core::{Event, PublishError, Signing};
use streamchain_client::http::{EdgeClient, NoSigning};
use streamchain_client::signing::{ChainFile, SigningKey};
use streamchain_protocol::ids::{ProducerId, StreamRef};

/// What the help text of the command ends with.
pub(crate) const PUB_EXAMPLES: &str = "\
EXAMPLES
    echo hello | streamchain pub demo --edge https://streamchain.example
    tail -f /var/log/syslog | streamchain pub syslog
    streamchain history demo --json | streamchain pub copy --json

Each line becomes a message. With --json each line is an object with \"text\", or with \"payload\" in hexadecimal digits.
The command exits with 0 only when all messages are stored; until then it goes on over new sessions and other relays, and
by HTTP while no relay can be reached. No message is stored twice.

Messages are signed. Without STREAMCHAIN_TOKEN the author is a key: the one in the file --key, which is made where there is
none, or one of this run alone. An API key signs with --key once its account has registered the key (streamchain keys certify).

If the command itself is ended before it is done, run it again with the same input, the same --producer and the same --key or
STREAMCHAIN_TOKEN: the messages that are stored already are passed over. With --key and --producer the command keeps what it
signed beside the key's file, since each signature names the one before.";

/// `streamchain pub`
#[derive(Debug, Args)]
pub(crate) struct PubArgs {
    /// The stream, by name or id; a name that is new makes a stream where the edge allows it
    pub(crate) stream: String,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// Read JSON lines
    #[arg(long)]
    pub(crate) json: bool,
    /// Number the messages under this id, 32 hexadecimal digits, so that a second run adds nothing twice [default: random]
    #[arg(long, value_name = "ID")]
    pub(crate) producer: Option<ProducerId>,
    /// File with the key that signs (P-256, PEM), which only its owner may read; it is made where there is none
    #[arg(long, value_name = "FILE", conflicts_with = "unsigned")]
    pub(crate) key: Option<PathBuf>,
    /// Sign nothing
    #[arg(long)]
    pub(crate) unsigned: bool,
}

pub(crate) async fn run(args: &PubArgs) -> Result<(), Exit> {
    let mut watch = Watch::new(&args.reach);
    let mut options = ConnectionOptions {
        publish: true,
        producer: args.producer,
        http_only: args.reach.http,
        ..ConnectionOptions::new(&args.stream)
    };
    let mut edge = args.edge.client()?;
    if let Some(key) = signing_key(args, &edge)? {
        edge = edge.with_key(Arc::new(key));
        sign(&edge, args, &mut options, &mut watch).await?;
    }
    let mut publishing = Publishing {
        connection: Connection::open(edge, options)?,
        watch,
        waiting: VecDeque::new(),
        stored: 0,
        start: Instant::now(),
    };
    let published = publishing.all(Lines::of_stdin(args.json)).await;
    publishing.note_sum(published.is_ok());
    publishing.connection.close().await;
    published
}

/// The key that signs: that of the file, or a new one for a guest who is nobody before and after.
fn signing_key(args: &PubArgs, edge: &EdgeClient) -> Result<Option<SigningKey>, Exit> {
    if let Some(file) = &args.key {
        return Ok(Some(SigningKey::of_file(file)?));
    }
    match args.unsigned || edge.has_token() {
        true => Ok(None),
        false => Ok(SigningKey::generate()),
    }
}

/// Finds out who publishes and what is signed with, however long the edge does not answer, until patience ends.
async fn sign(
    edge: &EdgeClient,
    args: &PubArgs,
    options: &mut ConnectionOptions,
    watch: &mut Watch,
) -> Result<(), Exit> {
    let author = match watch.until_answered(async || edge.author_key().await).await? {
        Ok(author) => author,
        Err(reason @ NoSigning::NotCertified { .. }) => {
            return Err(Exit::Refused(format!(
                "{reason}: have the account that made the API key register it (streamchain keys certify), or publish as the guest that the key is, without STREAMCHAIN_TOKEN"
            )));
        }
        Err(reason) if args.key.is_some() => return Err(Exit::Refused(reason.to_string())),
        Err(reason) => {
            watch.note(&format!("the messages are not signed: {reason}"));
            return Ok(());
        }
    };
    let stream: StreamRef = args
        .stream
        .parse()
        .map_err(|error| Exit::NotDone(format!("stream: {error}")))?;
    let stream = watch
        .until_answered(async || edge.stream_id(&stream).await)
        .await?;
    let kept = match (&args.key, args.producer) {
        (Some(key), Some(producer)) => Some(ChainFile::open(key, stream, producer)?),
        _ => None,
    };
    let (file, chain) = kept.unzip();
    options.chain = file;
    options.signing = Some(Signing {
        key: author.key,
        stream,
        author: author.author,
        chain: chain.unwrap_or_default(),
    });
    Ok(())
}

struct Publishing {
    connection: Connection,
    watch: Watch,
    /// Lines that the connection has no room for yet.
    waiting: VecDeque<Vec<u8>>,
    stored: u64,
    start: Instant,
}

impl Publishing {
    /// Publishes all lines. A line that is wrong ends the command once everything before it is stored.
    async fn all(&mut self, mut lines: Lines) -> Result<(), Exit> {
        let (mut is_at_end, mut wrong) = (false, None);
        loop {
            self.publish_waiting()?;
            let is_done = self.waiting.is_empty() && self.connection.unstored() == 0;
            if is_done {
                self.watch.progress();
                if is_at_end && self.drain_events().await? {
                    return wrong.map_or(Ok(()), Err);
                }
            }
            let reads = !is_at_end && self.waiting.is_empty();
            let deadline = self.watch.deadline();
            tokio::select! {
                line = lines.next(), if reads => match line {
                    Ok(Some(payloads)) => self.waiting.extend(payloads),
                    Ok(None) => is_at_end = true,
                    Err(reason) => {
                        is_at_end = true;
                        wrong = Some(reason);
                    }
                },
                event = self.connection.next_event() => self.take(&event?),
                () = tokio::time::sleep_until(deadline.into()), if !is_done => return Err(self.watch.gave_up()),
            }
        }
    }

    fn publish_waiting(&mut self) -> Result<(), Exit> {
        while self.connection.has_room()
            && let Some(payload) = self.waiting.pop_front()
        {
            match self.connection.publish(payload) {
                Ok(_) | Err(PublishError::Full) => {}
                Err(error) => return Err(Exit::NotDone(error.to_string())),
            }
        }
        Ok(())
    }

    /// Takes events that are there already; returns true, since nothing is left to wait for.
    async fn drain_events(&mut self) -> Result<bool, Exit> {
        loop {
            tokio::select! {
                biased;
                event = self.connection.next_event() => self.take(&event?),
                () = std::future::ready(()) => return Ok(true),
            }
        }
    }

    fn take(&mut self, event: &Event) {
        if let Event::Stored(_) = event {
            self.stored += 1;
            self.watch.progress();
        }
        self.watch.event(event);
    }

    fn note_sum(&self, is_done: bool) {
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = (self.stored as f64 / seconds.max(0.001)).round();
        let left = self.connection.unstored() + self.waiting.len();
        let rest = if is_done {
            String::new()
        } else {
            format!("; {left} are not known to be stored")
        };
        self.watch.note(&format!(
            "{} messages stored in {seconds:.1} s ({rate} a second){rest}",
            self.stored
        ));
    }
}
