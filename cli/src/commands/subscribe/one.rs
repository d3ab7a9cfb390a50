//! `streamchain sub`: writes a stream's messages to standard output, each once and in order.

use crate::authors::Authors;
use crate::edge::{EdgeArgs, ReachArgs, Watch};
use crate::exit::Exit;
use crate::output::{Format, Output};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use streamchain_client::connection::{Connection, ConnectionOptions};
use streamchain_client::core::{Event, Guarantee, Message, Reading, Route};
use streamchain_client::http::{EdgeClient, Method};
use streamchain_protocol::ids::Seq;

/// What the help text of the command ends with.
pub(crate) const SUB_EXAMPLES: &str = "\
EXAMPLES
    streamchain sub demo --edge https://streamchain.example
    streamchain sub demo --from 0 --until head --json > demo.jsonl
    streamchain sub demo --cursor demo.cursor | ./process

Messages are written once they are stored, so none is ever taken back. With --live they are written as soon as the relay
has them: those that a relay loses are taken back, by a line {\"retracted\": SEQ} (from this seq on), which needs --json.

Text is the payload and a line feed. A JSON line has \"seq\", \"time\" (milliseconds), \"author\", and \"text\", or
\"payload\" in hexadecimal digits where the payload is not UTF-8, or \"erased\".

With --verify each message is checked before it is written: the signature of its group, and who vouches for the key. A JSON line
has \"signed\" then: {\"key\", \"voucher\"}, where the voucher is self (the author is the key), wallet, or operator. At a message
whose signature does not hold, or that has none (unless --allow-unsigned), the command ends with 1.

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

/// `streamchain sub`
#[derive(Debug, Args)]
pub(crate) struct SubArgs {
    /// The stream, by name or id
    pub(crate) stream: String,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
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
    /// With --verify, write messages without a signature too
    #[arg(long, requires = "verify")]
    pub(crate) allow_unsigned: bool,
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
async fn stored(edge: &EdgeClient, stream: &str) -> Result<Seq, Exit> {
    let path = format!("/v1/streams/{stream}");
    match edge.json::<State>(Method::GET, &path, None).await {
        Ok(state) => Ok(state.stored),
        Err(failure) if failure.is_no_such_stream() => Ok(Seq(0)),
        Err(failure) => Err(failure.into()),
    }
}

pub(crate) async fn run(args: &SubArgs) -> Result<(), Exit> {
    let edge = args.edge.client()?;
    let kept = args.cursor.as_deref().map(read_cursor).transpose()?.flatten();
    let needs_head = kept.is_none() && args.from == Place::Head || args.until == Some(Place::Head);
    let head = if needs_head {
        stored(&edge, &args.stream).await?
    } else {
        Seq(0)
    };
    let place = |place: Place| match place {
        Place::Head => head,
        Place::Seq(seq) => seq,
    };
    let from = kept.unwrap_or_else(|| place(args.from));
    let options = ConnectionOptions {
        read: Some(Reading {
            from,
            guarantee: if args.live {
                Guarantee::Live
            } else {
                Guarantee::Stored
            },
        }),
        signatures: args.verify,
        http_only: args.reach.http,
        ..ConnectionOptions::new(&args.stream)
    };
    let authors = match args.verify {
        true => Some(authors(&edge, args)?),
        false => None,
    };
    let mut reading = Subscription {
        connection: Connection::open(edge, options)?,
        watch: Watch::new(&args.reach),
        output: Output::new(Format::of(args.json)),
        authors,
        next: from,
        end: args.until.map(place),
        left: args.count,
        cursor: args.cursor.as_deref(),
    };
    let read = reading.all().await;
    let saved = reading.save();
    reading.connection.close().await;
    read.and(saved)
}

fn authors(edge: &EdgeClient, args: &SubArgs) -> Result<Authors, Exit> {
    let stream = args
        .stream
        .parse()
        .map_err(|error| Exit::NotDone(format!("stream: {error}")))?;
    Ok(Authors::new(edge.clone(), stream, args.allow_unsigned))
}

struct Subscription<'a> {
    connection: Connection,
    watch: Watch,
    output: Output,
    /// Checks who wrote the messages.
    authors: Option<Authors>,
    next: Seq,
    end: Option<Seq>,
    left: Option<u64>,
    cursor: Option<&'a Path>,
}

impl Subscription<'_> {
    fn is_over(&self) -> bool {
        self.left == Some(0) || self.end.is_some_and(|end| self.next >= end)
    }

    async fn all(&mut self) -> Result<(), Exit> {
        while !self.is_over() {
            let is_reached = self.connection.route() != Route::None;
            if is_reached {
                self.watch.progress();
            }
            let deadline = self.watch.deadline();
            // Flushed when nothing more is there at once.
            let event = tokio::select! {
                biased;
                event = self.connection.next_event() => Some(event?),
                () = std::future::ready(()) => None,
            };
            let event = match event {
                Some(event) => event,
                None => {
                    self.save()?;
                    tokio::select! {
                        event = self.connection.next_event() => event?,
                        () = tokio::time::sleep_until(deadline.into()), if !is_reached => {
                            return Err(self.watch.gave_up());
                        }
                    }
                }
            };
            self.take(event).await?;
        }
        Ok(())
    }

    fn write(&mut self, message: &Message, signed: Option<&Value>) -> Result<(), Exit> {
        // A group is checked whole, and may go beyond the end.
        if self.is_over() {
            return Ok(());
        }
        self.output.message(message, signed)?;
        self.next = message.seq.next();
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<(), Exit> {
        match event {
            Event::Message(message) => match &mut self.authors {
                None => self.write(&message, None)?,
                Some(authors) => {
                    let from = self.next;
                    for one in authors.take(message).await? {
                        // The messages of a group from before the beginning were read for its signature alone.
                        if one.message.seq >= from {
                            self.write(&one.message, Some(&one.signed))?;
                        }
                    }
                }
            },
            Event::Retracted(from) => {
                self.output.json(&json!({ "retracted": from }))?;
                let taken_back = self.next.0.saturating_sub(from.0);
                self.left = self.left.map(|left| left.saturating_add(taken_back));
                self.next = from;
            }
            event => self.watch.event(&event),
        }
        Ok(())
    }

    /// Hands the messages to the reader, and then keeps where the command is.
    fn save(&mut self) -> Result<(), Exit> {
        self.output.flush()?;
        match self.cursor {
            Some(file) => write_cursor(file, self.next),
            None => Ok(()),
        }
    }
}

fn read_cursor(file: &Path) -> Result<Option<Seq>, Exit> {
    let named = |reason: &dyn std::fmt::Display| Exit::NotDone(format!("{}: {reason}", file.display()));
    match std::fs::read_to_string(file) {
        Ok(text) => text
            .trim()
            .parse()
            .map(|seq| Some(Seq(seq)))
            .map_err(|_| named(&"expected a seq")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(&error)),
    }
}

/// Whole or not at all.
fn write_cursor(file: &Path, next: Seq) -> Result<(), Exit> {
    let temporary = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut new = std::fs::File::create(&temporary)?;
        writeln!(new, "{next}")?;
        std::fs::rename(&temporary, file)
    };
    write().map_err(|error| Exit::NotDone(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_kept_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("demo.cursor");
        assert_eq!(read_cursor(&file).unwrap(), None);
        write_cursor(&file, Seq(17)).unwrap();
        assert_eq!(read_cursor(&file).unwrap(), Some(Seq(17)));
        std::fs::write(&file, "x").unwrap();
        assert!(read_cursor(&file).is_err());
    }
}
