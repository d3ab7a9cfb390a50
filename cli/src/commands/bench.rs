//! `streamchain bench`: a small load on a stream, measured from here.

use crate::edge::{EdgeArgs, ReachArgs, Watch};
use crate::exit::Exit;
use crate::output::{Format, Output};
use clap::Args;
use serde_json::json;
use std::time::{Duration, Instant};
use streamchain_client::connection::{Connection, ConnectionOptions};
use streamchain_client::core::{Event, Guarantee, Reading};
use streamchain_protocol::ids::Seq;

/// What the help text of the command ends with.
pub(crate) const BENCH_EXAMPLES: &str = "\
EXAMPLES
    streamchain bench --edge http://127.0.0.1:8787
    streamchain bench --messages 100000 --size 100

Publishes messages to a new stream as fast as they are stored, and reads them over the same session. Writes JSON:
messages a second, and how long a message took until it was delivered and until it was stored, in milliseconds. The
messages stay, and are anchored like all others: on a deployment that costs gas, use few of them.";

/// Most messages of a run, so that a slip of the finger costs little.
const MAX_MESSAGES: u64 = 1_000_000;

/// `streamchain bench`
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The stream, by name or id [default: a new one, bench- and eight digits]
    pub(crate) stream: Option<String>,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// How many messages
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=MAX_MESSAGES))]
    pub(crate) messages: u64,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..=65_536))]
    pub(crate) size: u32,
}

pub(crate) async fn run(args: &BenchArgs) -> Result<(), Exit> {
    let random = getrandom::u32().map_err(|error| Exit::NotDone(error.to_string()))?;
    let stream = args
        .stream
        .clone()
        .unwrap_or_else(|| format!("bench-{random:08x}"));
    let options = ConnectionOptions {
        publish: true,
        read: Some(Reading {
            from: Seq(0),
            guarantee: Guarantee::Live,
        }),
        http_only: args.reach.http,
        ..ConnectionOptions::new(&stream)
    };
    let mut bench = Bench {
        connection: Connection::open(args.edge.client()?, options)?,
        watch: Watch::new(&args.reach),
        wanted: args.messages,
        size: args.size as usize,
        sent: Vec::new(),
        delivered: Vec::new(),
        stored: Vec::new(),
    };
    bench.connect().await?;
    let start = Instant::now();
    let measured = bench.measure().await;
    let seconds = start.elapsed().as_secs_f64();
    bench.connection.close().await;
    measured?;
    let mut output = Output::new(Format::Json);
    output.json(&json!({
        "stream": stream, "messages": args.messages, "bytes": args.size, "seconds": (seconds * 1_000.0).round() / 1_000.0,
        "messagesPerSecond": (args.messages as f64 / seconds).round(),
        "deliveredMs": quantiles(bench.delivered), "storedMs": quantiles(bench.stored),
    }))?;
    output.flush()
}

struct Bench {
    connection: Connection,
    watch: Watch,
    wanted: u64,
    size: usize,
    /// When each message was published, by its number.
    sent: Vec<Instant>,
    delivered: Vec<Duration>,
    stored: Vec<Duration>,
}

impl Bench {
    /// Waits until the stream is reached, so that this is not measured.
    async fn connect(&mut self) -> Result<(), Exit> {
        loop {
            let deadline = self.watch.deadline();
            tokio::select! {
                event = self.connection.next_event() => {
                    let event = event?;
                    self.watch.event(&event);
                    if matches!(event, Event::Route(_)) {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => return Err(self.watch.gave_up()),
            }
        }
    }

    async fn measure(&mut self) -> Result<(), Exit> {
        while (self.stored.len() as u64) < self.wanted || (self.delivered.len() as u64) < self.wanted {
            while (self.sent.len() as u64) < self.wanted && self.connection.has_room() {
                let mut payload = (self.sent.len() as u64).to_be_bytes().to_vec();
                payload.resize(self.size, b'.');
                self.sent.push(Instant::now());
                let published = self.connection.publish(payload);
                published.map_err(|error| Exit::NotDone(error.to_string()))?;
            }
            let deadline = self.watch.deadline();
            tokio::select! {
                event = self.connection.next_event() => self.take(&event?),
                () = tokio::time::sleep_until(deadline.into()) => return Err(self.watch.gave_up()),
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Event) {
        let took = |number: u64| {
            let sent = usize::try_from(number)
                .ok()
                .and_then(|number| self.sent.get(number));
            sent.map(Instant::elapsed)
        };
        match event {
            Event::Stored(stored) => self.stored.extend(took(stored.producer_seq)),
            Event::Message(message) => {
                let number = message
                    .payload
                    .first_chunk()
                    .map(|number| u64::from_be_bytes(*number));
                self.delivered.extend(number.and_then(took));
            }
            event => return self.watch.event(event),
        }
        self.watch.progress();
    }
}

fn quantiles(mut took: Vec<Duration>) -> serde_json::Value {
    took.sort_unstable();
    let at = |share: f64| {
        let index = ((took.len() as f64 - 1.0) * share) as usize;
        took.get(index)
            .map(|took| (took.as_secs_f64() * 10_000.0).round() / 10.0)
    };
    json!({ "p50": at(0.5), "p99": at(0.99) })
}
