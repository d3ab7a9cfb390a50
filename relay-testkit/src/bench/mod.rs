//! `relay-testkit bench`: one shard on this machine under load from clients in another thread, over real UDP on
//! loopback, with an edge that stores at once. Prints JSON.
//!
//! Clients and relay share the machine, and a client costs as much as its share of the relay; so beside what
//! was delivered per second of wall clock it says how many deliveries the relay makes per second of its own
//! CPU time.

mod delay;
mod fan_out;
pub mod flood;
mod invitations;
mod kind;
pub mod links;
mod load;
pub mod mesh;
mod process;
mod relay;
mod signed;

use anyhow::Result;
use fan_out::{CONNECT_TIMEOUT, deliveries};
use kind::Kind;
use load::{Load, quantiles};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub use fan_out::BenchArgs;
pub use invitations::Invitations;
pub use load::{Member, Seat};
pub use relay::BenchRelay;

/// Messages per second of the latency run.
const LATENCY_RATE: u64 = 1_000;

/// Messages in a turn of the publisher.
const TURN: usize = 16;

/// Runs all benches and prints their figures.
pub fn run(args: &BenchArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(async {
        let latency = latency(args).await?;
        let mut fan_out = Vec::new();
        for subscribers in &args.subscribers {
            fan_out.push(deliveries(*subscribers, args, TURN, Kind::Unsigned).await?);
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
    let mut figures = quantiles(load.delays());
    if let Value::Object(figures) = &mut figures {
        figures.insert("messages".into(), json!(count));
    }
    Ok(figures)
}
