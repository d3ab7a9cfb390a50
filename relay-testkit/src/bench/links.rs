//! `relay-testkit links`: relays as processes of their own, with QUIC links between them, over real UDP on loopback. Prints JSON.

use super::TURN;
use super::delay::Delay;
use super::fan_out::{CONNECT_TIMEOUT, publish_until, reach_all, wait_until};
use super::invitations::Invitations;
use super::kind::Kind;
use super::load::{Load, Member, quantiles};
use super::process::RelayProcess;
use crate::loopback_edge::LoopbackEdge;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::slice::from_ref;
use std::time::{Duration, Instant};
use streamchain_protocol::auth::{MasterSecret, RelayKey};
use streamchain_protocol::ids::RelayId;

/// `relay-testkit links`
#[derive(Debug, Args)]
pub struct LinksArgs {
    /// The program relay-node
    #[arg(long, value_name = "FILE")]
    pub relay: PathBuf,
    /// Size of a payload, in bytes
    #[arg(long, default_value_t = 100)]
    pub payload: usize,
    /// Length of each run, in seconds
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
    /// How often what is compared is measured, in turns
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// How long a datagram between relays takes in the runs with a delay, in milliseconds
    #[arg(long, default_value_t = 40)]
    pub delay_ms: u64,
    /// Subscribers where deliveries are compared
    #[arg(long, default_value_t = 1_000)]
    pub readers: usize,
    /// Numbers of relays that follow where the leader's CPU is measured, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "0,1,8")]
    pub relays: Vec<usize>,
    /// How many streams with one reader each, where memory is measured
    #[arg(long, default_value_t = 2_000)]
    pub streams: usize,
    /// Measure only one stream with so many readers
    #[arg(long, value_name = "READERS")]
    pub largest: Option<usize>,
    /// Relays that follow, in that run
    #[arg(long, default_value_t = 3)]
    pub followers: usize,
    /// Threads of each relay, in that run
    #[arg(long, default_value_t = 2)]
    pub shards: usize,
    /// Messages a second, in that run
    #[arg(long, default_value_t = 1)]
    pub rate: u64,
}

/// Messages a second where a hop is measured: few enough that none waits for another.
const HOP_RATE: u64 = 100;

/// Messages a second where the leader's CPU is measured: each goes out by itself.
const PACED_RATE: u64 = 50;

/// Streams of a run before its memory is measured, so that what is there once is there.
const STREAMS_BEFORE: usize = 100;

/// How long memory is let settle.
const SETTLES: Duration = Duration::from_secs(2);

/// A handshake is some milliseconds of CPU for both of its ends.
const CONNECT_MS_EACH: u64 = 20;

/// Runs all of it and prints the figures.
pub fn run(args: &LinksArgs) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(&measure(args)?)?);
    Ok(())
}

/// Runs all of it, or the largest run alone.
fn measure(args: &LinksArgs) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match args.largest {
            Some(readers) => largest(readers, args).await,
            None => all(args).await,
        }
    })
}

async fn all(args: &LinksArgs) -> Result<Value> {
    let mut latency = Vec::new();
    for _ in 0..args.rounds {
        latency.push(latencies(args).await?);
    }
    let (mut leader, mut rounds) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        for relays in &args.relays {
            leader.push(leader_part(*relays, args).await?);
        }
        rounds.push(deliveries(args).await?);
    }
    Ok(json!({
        "delayMs": args.delay_ms, "latency": latency, "leader": leader, "rounds": rounds,
        "memory": { "leader": memory(false, args).await?, "follower": memory(true, args).await? },
    }))
}

/// A leader, and relays that follow it.
struct Mesh {
    edge: LoopbackEdge,
    leader: RelayProcess,
    followers: Vec<RelayProcess>,
    /// The way to the leader's links, if it takes time.
    _delay: Option<Delay>,
}

impl Mesh {
    /// Relays of so many shards each; `delay` is how long a datagram of their links takes.
    async fn start(args: &LinksArgs, followers: usize, shards: usize, delay: Duration) -> Result<Self> {
        let master = MasterSecret::from_hex(&"4d".repeat(32))?;
        let relay = |name: &str| -> Result<(RelayId, RelayKey)> {
            let id: RelayId = name.parse()?;
            let key = master.relay_key(&id);
            Ok((id, key))
        };
        let (id, key) = relay("leader")?;
        let edge = LoopbackEdge::start(&id, &key).await?;
        let leader = RelayProcess::start(&args.relay, &edge, (&id, &key), shards).await?;
        let delay = match delay.is_zero() {
            true => None,
            false => Some(Delay::to(leader.links()?, delay)?),
        };
        edge.kept().link_detour = delay.as_ref().map(Delay::address);
        let mut mesh = Self {
            edge,
            leader,
            followers: Vec::new(),
            _delay: delay,
        };
        for number in 0..followers {
            let (id, key) = relay(&format!("follower-{number}"))?;
            mesh.edge.add(&id, &key);
            let follower = RelayProcess::start(&args.relay, &mesh.edge, (&id, &key), shards).await?;
            mesh.followers.push(follower);
        }
        Ok(mesh)
    }

    fn follower(&self) -> Result<&RelayProcess> {
        self.followers.first().context("one relay follows")
    }
}

/// Publish at the leader to deliver: there, over a link on loopback, and over one with a delay.
async fn latencies(args: &LinksArgs) -> Result<Value> {
    let delay = Duration::from_millis(args.delay_ms);
    Ok(json!({
        "direct": latency(false, Duration::ZERO, args).await?,
        "hop": latency(true, Duration::ZERO, args).await?,
        "delayed": latency(true, delay, args).await?,
    }))
}

async fn latency(follows: bool, delay: Duration, args: &LinksArgs) -> Result<Value> {
    let mesh = Mesh::start(args, 1, 1, delay).await?;
    let reader = if follows { mesh.follower()? } else { &mesh.leader };
    let mut load = Load::new(reader);
    load.join(1, CONNECT_TIMEOUT).await?;
    let mut publisher = Member::publisher(&mesh.leader, CONNECT_TIMEOUT).await?;
    reach_all(&mut publisher, from_ref(&load), args.payload).await?;
    load.forget_delays();
    let (start, count) = (Instant::now(), HOP_RATE * args.seconds);
    for number in 0..count {
        publisher
            .run_until(start + Duration::from_micros(number * 1_000_000 / HOP_RATE))
            .await?;
        publisher.publish(args.payload);
    }
    wait_until(&mut publisher, "all messages are delivered", || {
        load.delivered() > count
    })
    .await?;
    Ok(quantiles(load.delays()))
}

/// What the leading process needs for a message that goes to so many relays, each with one reader.
async fn leader_part(relays: usize, args: &LinksArgs) -> Result<Value> {
    let mesh = Mesh::start(args, relays, 1, Duration::ZERO).await?;
    let mut loads = Vec::new();
    for relay in &mesh.followers {
        let mut load = Load::new(relay);
        load.join(1, CONNECT_TIMEOUT).await?;
        loads.push(load);
    }
    let mut publisher = Member::publisher(&mesh.leader, CONNECT_TIMEOUT).await?;
    reach_all(&mut publisher, &loads, args.payload).await?;
    let window = Duration::from_secs(args.seconds);
    let before = mesh.leader.cpu()?;
    publisher.run_until(Instant::now() + window).await?;
    let (start, began, count) = (Instant::now(), mesh.leader.cpu()?, PACED_RATE * args.seconds);
    for number in 0..count {
        publisher
            .run_until(start + Duration::from_micros(number * 1_000_000 / PACED_RATE))
            .await?;
        publisher.publish(args.payload);
    }
    publisher.run_until(start + window).await?;
    let idle = began - before;
    let spent = (mesh.leader.cpu()? - began).saturating_sub(idle);
    let published = publisher.published();
    wait_until(&mut publisher, "all messages are everywhere", || {
        loads.iter().all(|load| load.slowest() >= published)
    })
    .await?;
    let micros = |time: Duration| time.as_secs_f64() * 1_000_000.0;
    Ok(json!({
        "relays": relays, "messages": count, "rate": PACED_RATE, "leaderMicrosPerMessage": micros(spent) / count as f64,
        "idleMicrosPerSecond": micros(idle) / window.as_secs_f64(),
    }))
}

/// As many messages as go through to all readers, at the leader and at a follower; what both processes spent.
async fn deliveries(args: &LinksArgs) -> Result<Value> {
    let mut runs = Vec::new();
    for follows in [false, true] {
        let mesh = Mesh::start(args, 1, 1, Duration::ZERO).await?;
        let reader = if follows { mesh.follower()? } else { &mesh.leader };
        let mut load = Load::new(reader);
        let resident = reader.resident_bytes()?;
        load.join(args.readers, CONNECT_TIMEOUT).await?;
        let joined = reader.resident_bytes()? - resident;
        let mut publisher = Member::publisher(&mesh.leader, CONNECT_TIMEOUT).await?;
        reach_all(&mut publisher, from_ref(&load), args.payload).await?;
        let (start, delivered) = (Instant::now(), load.delivered());
        let (leader, follower) = (mesh.leader.cpu()?, mesh.follower()?.cpu()?);
        let end = start + Duration::from_secs(args.seconds);
        publish_until(end, &mut publisher, &load, (TURN, args.payload, Kind::Unsigned)).await?;
        let delivered = load.delivered() - delivered;
        let spent = [mesh.leader.cpu()? - leader, mesh.follower()?.cpu()? - follower];
        let [leader, follower] = spent.map(|spent| spent.as_secs_f64() * 1_000_000.0);
        let sender = if follows { follower } else { leader };
        runs.push(json!({
            "deliveries": delivered, "published": publisher.published(), "gaps": load.gaps(),
            "microsPerDelivery": sender / delivered.max(1) as f64,
            "leaderMicrosPerMessage": leader / publisher.published().max(1) as f64,
            "bytesPerReader": joined as f64 / args.readers as f64,
        }));
    }
    let [leader, follower] = runs.as_slice() else {
        return Ok(Value::Null);
    };
    Ok(json!({ "readers": args.readers, "leader": leader, "follower": follower }))
}

/// What streams with one reader each take in both processes, if their readers are at the leader, or at the follower: the difference
/// is what an idle link keeps.
async fn memory(follows: bool, args: &LinksArgs) -> Result<Value> {
    let mesh = Mesh::start(args, 1, 1, Duration::ZERO).await?;
    let reader = if follows { mesh.follower()? } else { &mesh.leader };
    let mut load = Load::new(reader);
    load.join_each(STREAMS_BEFORE, CONNECT_TIMEOUT, |relay, number| {
        relay.invite_on(1_000_000 + number);
    })
    .await?;
    let both = || anyhow::Ok([mesh.leader.resident_bytes()?, mesh.follower()?.resident_bytes()?]);
    tokio::time::sleep(SETTLES).await;
    let before = both()?;
    load.join_each(args.streams, CONNECT_TIMEOUT, Invitations::invite_on)
        .await?;
    tokio::time::sleep(SETTLES).await;
    let after = both()?;
    let [leader, follower] = [0, 1].map(|index| {
        let grown = after.get(index).zip(before.get(index));
        grown.map_or(0.0, |(after, before)| {
            (after - before) as f64 / args.streams as f64
        })
    });
    Ok(json!({ "streams": args.streams, "leaderBytesPerStream": leader, "followerBytesPerStream": follower }))
}

/// One stream with so many readers on relays that follow.
async fn largest(readers: usize, args: &LinksArgs) -> Result<Value> {
    let mesh = Mesh::start(args, args.followers, args.shards, Duration::ZERO).await?;
    let before = memory_of(&mesh.followers)?;
    let (patience, start) = (
        CONNECT_TIMEOUT + Duration::from_millis(CONNECT_MS_EACH * readers as u64),
        Instant::now(),
    );
    let mut loads = Vec::new();
    for (index, relay) in mesh.followers.iter().enumerate() {
        let mut load = Load::new(relay);
        let share = readers / args.followers + usize::from(index < readers % args.followers);
        load.join_each(share, patience, |relay, number| {
            relay.invite_to(number as usize % relay.shards());
        })
        .await?;
        loads.push(load);
    }
    let connected = start.elapsed();
    let mut publisher = Member::publisher(&mesh.leader, patience).await?;
    let delivered = || loads.iter().map(Load::delivered).sum::<u64>();
    let gaps = || loads.iter().map(Load::gaps).sum::<u64>();
    reach_all(&mut publisher, &loads, args.payload).await?;
    loads.iter().for_each(Load::forget_delays);
    let (start, count) = (Instant::now(), args.rate * args.seconds);
    let (leader, followers) = (mesh.leader.cpu()?, cpu_of(&mesh.followers)?);
    // Each reader has had the first message.
    let first = readers as u64;
    let due = first + readers as u64 * count;
    for number in 0..count {
        publisher
            .run_until(start + Duration::from_micros(number * 1_000_000 / args.rate.max(1)))
            .await?;
        publisher.publish(args.payload);
    }
    wait_until(&mut publisher, "all messages are delivered", || {
        delivered() + gaps() >= due
    })
    .await?;
    let elapsed = start.elapsed().as_secs_f64();
    let delivered = delivered().saturating_sub(first);
    let share = |spent: Duration| spent.as_secs_f64() / elapsed;
    let memory = (memory_of(&mesh.followers)? - before) as f64;
    let delays = loads.iter().flat_map(Load::delays).collect();
    Ok(json!({
        "readers": readers, "followers": args.followers, "shards": args.shards, "rate": args.rate,
        "connectSeconds": connected.as_secs_f64(), "messages": count, "delivered": delivered, "gaps": gaps(),
        "deliveriesPerSecond": delivered as f64 / elapsed,
        "leaderShare": share(mesh.leader.cpu()? - leader),
        "followersShare": share(cpu_of(&mesh.followers)? - followers),
        "bytesPerReader": memory / readers as f64, "latency": quantiles(delays),
    }))
}

fn memory_of(relays: &[RelayProcess]) -> Result<i64> {
    relays.iter().map(RelayProcess::resident_bytes).sum()
}

fn cpu_of(relays: &[RelayProcess]) -> Result<Duration> {
    relays.iter().map(RelayProcess::cpu).sum()
}
