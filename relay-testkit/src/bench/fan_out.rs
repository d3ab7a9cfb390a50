//! Deliveries to many subscribers.

use super::kind::Kind;
use super::load::{Load, Member};
use super::relay::BenchRelay;
use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

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

/// How long all clients may take to be connected: a thousand handshakes are two seconds of CPU.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Most messages that the publisher is ahead of the slowest subscriber, so that nobody gets a gap.
const WINDOW: u64 = 512;

/// Groups that are signed before the clock runs: more than go through.
const SIGNED_AHEAD: usize = 5_000;

/// As many messages as go through to this many subscribers, so many in a turn of the publisher; if they are signed, each turn is a group.
pub(super) async fn deliveries(
    subscribers: usize,
    args: &BenchArgs,
    turn: usize,
    kind: Kind,
) -> Result<Value> {
    let relay = BenchRelay::start().await?;
    let connecting = Instant::now();
    let mut load = Load::new(&relay);
    load.ask_for(kind);
    load.join(subscribers, CONNECT_TIMEOUT).await?;
    let connected = connecting.elapsed();
    let mut publisher = Member::publisher(&relay, CONNECT_TIMEOUT).await?;
    if kind != Kind::Unsigned {
        publisher.sign_ahead(SIGNED_AHEAD, turn, args.payload)?;
    }
    let (start, cpu, before) = (Instant::now(), relay.cpu(), load.delivered());
    let end = start + Duration::from_secs(args.seconds);
    publish_until(end, &mut publisher, &load, (turn, args.payload, kind)).await?;
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

/// Publishes a message, and waits until all subscribers have it: so all of them are subscribed, their links are open, and nothing is
/// under way.
pub(super) async fn reach_all(publisher: &mut Member, loads: &[Load<'_>], payload: usize) -> Result<()> {
    publisher.publish(payload);
    let published = publisher.published();
    wait_until(publisher, "all have the first message", || {
        loads.iter().all(|load| load.slowest() >= published)
    })
    .await
}

/// Runs the publisher until something is so.
pub(super) async fn wait_until(
    publisher: &mut Member,
    what: &str,
    mut done: impl FnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    while !done() {
        ensure!(Instant::now() < deadline, "not in time: {what}");
        publisher
            .run_until(Instant::now() + Duration::from_millis(5))
            .await?;
    }
    Ok(())
}

/// Publishes as much as goes through to all subscribers: so many messages of so many bytes in a turn, signed or not.
pub(super) async fn publish_until(
    end: Instant,
    publisher: &mut Member,
    load: &Load<'_>,
    (turn, payload, kind): (usize, usize, Kind),
) -> Result<()> {
    while Instant::now() < end {
        let ahead = publisher.published() - load.slowest();
        if ahead < WINDOW && publisher.unsent() < 64 {
            match kind {
                Kind::Unsigned => (0..turn).for_each(|_| publisher.publish(payload)),
                Kind::Signed | Kind::SignedInParts | Kind::SignedUnasked => publisher.publish_signed(turn)?,
            }
            publisher.run_once().await?;
        } else {
            publisher
                .run_until(Instant::now() + Duration::from_micros(200))
                .await?;
        }
    }
    Ok(())
}
