//! `relay-testkit bench`: one shard on this machine under load from clients in another thread, over real UDP on
//! loopback, with an edge that stores at once. Prints JSON.
//!
//! Clients and relay share the machine, and a client costs as much as its share of the relay; so beside what
//! was delivered per second of wall clock it says how many deliveries the relay makes per second of its own
//! CPU time.

pub mod flood;
mod load;
mod relay;
mod signed;

use anyhow::Result;
use clap::Args;
use load::Load;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub use load::{Member, Seat};
pub use relay::BenchRelay;

/// `relay-testkit bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Numbers of subscribers, separated by commas: one run for each
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    pub subscribers: Vec<usize>,
    /// Size of a payload, in bytes
    #[arg(long, default_value_t = 100)]
    pub payload: usize,
    /// Length of each run, in seconds
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
}

/// Messages per second of the latency run.
const LATENCY_RATE: u64 = 1_000;

/// How long all clients may take to be connected: a thousand handshakes are two seconds of CPU.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Messages in a turn of the publisher.
const TURN: usize = 16;

/// Most messages that the publisher is ahead of the slowest subscriber, so that nobody gets a gap.
const WINDOW: u64 = 512;

/// Runs all benches and prints their figures.
pub fn run(args: &BenchArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(async {
        let latency = latency(args).await?;
        let mut fan_out = Vec::new();
        for subscribers in &args.subscribers {
            fan_out.push(deliveries(*subscribers, args, TURN, false).await?);
        }
        let flood = flood::beside_a_flood(CONNECT_TIMEOUT, args.payload).await?;
        let signed = signed::signed(args).await?;
        anyhow::Ok(json!({ "latency": latency, "fanOut": fan_out, "flood": flood, "signed": signed }))
    })?;
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(())
}

/// Publish to deliver, at a thousand messages a second.
async fn latency(args: &BenchArgs) -> Result<Value> {
    let relay = BenchRelay::start().await?;
    let mut load = Load::new(&relay);
    load.join(1, CONNECT_TIMEOUT).await?;
    let mut publisher = Member::publisher(&relay, CONNECT_TIMEOUT).await?;
    let count = LATENCY_RATE * args.seconds;
    let start = Instant::now();
    for number in 0..count {
        let at = start + Duration::from_micros(number * 1_000_000 / LATENCY_RATE);
        publisher.run_until(at).await?;
        publisher.publish(args.payload);
    }
    publisher
        .run_until(Instant::now() + Duration::from_millis(200))
        .await?;
    let mut delays = load.delays();
    delays.sort_unstable();
    let at = |part: f64| {
        delays
            .get(((delays.len() as f64 - 1.0) * part) as usize)
            .copied()
            .unwrap_or(0)
    };
    Ok(json!({
        "messages": count, "delivered": delays.len(), "payload": args.payload, "rate": LATENCY_RATE,
        "p50Micros": at(0.5), "p99Micros": at(0.99), "maxMicros": at(1.0),
    }))
}

/// As many messages as go through to this many subscribers, so many in a turn of the publisher; with signatures, each turn is a group
/// and every subscriber asks for its signature.
async fn deliveries(subscribers: usize, args: &BenchArgs, turn: usize, signs: bool) -> Result<Value> {
    let relay = BenchRelay::start().await?;
    let connecting = Instant::now();
    let load = signed::subscribers(&relay, subscribers, signs).await?;
    let connected = connecting.elapsed();
    let mut publisher = Member::publisher(&relay, CONNECT_TIMEOUT).await?;
    let (start, cpu, before) = (Instant::now(), relay.cpu(), load.delivered());
    let end = start + Duration::from_secs(args.seconds);
    while Instant::now() < end {
        let ahead = publisher.published() - load.slowest();
        if ahead < WINDOW && publisher.unsent() < 64 {
            publisher.publish_together(turn, args.payload, signs)?;
            publisher.run_once().await?;
        } else {
            publisher
                .run_until(Instant::now() + Duration::from_micros(200))
                .await?;
        }
    }
    let (elapsed, delivered) = (start.elapsed().as_secs_f64(), load.delivered() - before);
    let busy = relay.cpu().zip(cpu).map(|(now, then)| (now - then).as_secs_f64());
    Ok(json!({
        "subscribers": subscribers, "payload": args.payload, "seconds": elapsed,
        "published": publisher.published(), "deliveries": delivered,
        "deliveriesPerSecond": (delivered as f64 / elapsed).round(),
        "deliveriesPerRelayCpuSecond": busy.map(|busy| (delivered as f64 / busy).round()),
        "relayCpuShare": busy.map(|busy| (100.0 * busy / elapsed).round() / 100.0),
        "gaps": load.gaps(), "connectSeconds": connected.as_secs_f64(),
    }))
}
