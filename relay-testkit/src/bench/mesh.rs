//! `relay-testkit mesh`: one stream over several shards of a relay, over real UDP on loopback. Prints JSON.
//!
//! The shards that follow take the stream over links inside the relay: the same machines as between relays, with queues between
//! threads in place of QUIC.

use super::TURN;
use super::fan_out::{CONNECT_TIMEOUT, publish_until, reach_all};
use super::invitations::Invitations;
use super::kind::Kind;
use super::load::{Load, Member, quantiles};
use super::process::resident_bytes;
use super::relay::BenchRelay;
use anyhow::{Context, Result};
use clap::Args;
use relay_node::Rates;
use serde_json::{Value, json};
use std::path::Path;
use std::slice::from_ref;
use std::time::{Duration, Instant};

/// `relay-testkit mesh`
#[derive(Debug, Args)]
pub struct MeshArgs {
    /// Numbers of shards that follow, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "0,1,8")]
    pub followers: Vec<usize>,
    /// Numbers of subscribers on them, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "10,1000,4000")]
    pub subscribers: Vec<usize>,
    /// Messages a second, where the leader's part is measured
    #[arg(long, default_value_t = 20)]
    pub rate: u64,
    /// Size of a payload, in bytes
    #[arg(long, default_value_t = 100)]
    pub payload: usize,
    /// Length of each run, in seconds
    #[arg(long, default_value_t = 4)]
    pub seconds: u64,
    /// How often what is compared is measured, in turns
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Subscribers where deliveries are compared
    #[arg(long, default_value_t = 1_000)]
    pub readers: usize,
    /// Measure only the memory of streams with one reader each, there
    #[arg(long, value_enum, value_name = "WHERE")]
    pub memory_at: Option<Where>,
    /// How many such streams
    #[arg(long, default_value_t = 2_000)]
    pub streams: usize,
}

/// Where the memory of this process stands.
const OWN_STATM: &str = "/proc/self/statm";

/// How often the leader's part is measured: ten thousand sessions are opened each time.
const MAX_LEADER_ROUNDS: usize = 2;

/// By then a shard has reported what it counted.
const REPORTED_WITHIN: Duration = Duration::from_millis(1_200);

/// Runs all of it and prints the figures.
pub fn run(args: &MeshArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(async {
        if let Some(at) = args.memory_at {
            return memory(at, args).await;
        }
        let mut leader = Vec::new();
        for _ in 0..args.rounds.min(MAX_LEADER_ROUNDS) {
            for (followers, subscribers) in leader_cases(args) {
                leader.push(leader_part(followers, subscribers, args).await?);
            }
        }
        let mut rounds = Vec::new();
        for _ in 0..args.rounds {
            rounds.push(json!({
                "leader": readers(Where::Leader, args).await?,
                "follower": readers(Where::Follower, args).await?,
                "both": readers(Where::Both, args).await?,
            }));
        }
        let direct = latency(Where::Leader, args).await?;
        let hop = latency(Where::Follower, args).await?;
        anyhow::Ok(json!({
            "leader": leader, "rounds": rounds, "latency": { "direct": direct, "hop": hop },
        }))
    })?;
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(())
}

/// Numbers of followers and of subscribers on them.
fn leader_cases(args: &MeshArgs) -> Vec<(usize, usize)> {
    let of_followers = |followers: &usize| {
        // Without followers nobody reads: what remains is to give seqs and to commit.
        let subscribers = if *followers == 0 {
            &[0][..]
        } else {
            &args.subscribers
        };
        subscribers
            .iter()
            .map(|count| (*followers, *count))
            .collect::<Vec<_>>()
    };
    args.followers.iter().flat_map(of_followers).collect()
}

/// Where the subscribers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Where {
    /// At the stream's home shard, which leads it.
    Leader,
    /// At a shard that follows.
    Follower,
    /// At both, as many each.
    Both,
}

/// A relay of so many shards, and the shards that follow.
async fn relay_with(followers: usize) -> Result<(BenchRelay, Vec<usize>)> {
    let relay = BenchRelay::start_shards(followers + 1, Rates::NONE).await?;
    let home = relay.home();
    Ok((relay, (0..=followers).filter(|shard| *shard != home).collect()))
}

/// What the leader's thread needs for a message, with so many subscribers on so many followers.
async fn leader_part(followers: usize, subscribers: usize, args: &MeshArgs) -> Result<Value> {
    let (relay, shards) = relay_with(followers).await?;
    let mut load = Load::new(&relay);
    for (index, shard) in shards.iter().enumerate() {
        relay.invite_to(*shard);
        let share = subscribers / followers + usize::from(index < subscribers % followers);
        load.join(share, CONNECT_TIMEOUT).await?;
    }
    relay.invite_to(relay.home());
    let mut publisher = Member::publisher(&relay, CONNECT_TIMEOUT).await?;
    let cpu = || relay.cpu_of(relay.home()).context("the CPU time is not known");
    let of_followers = || {
        shards
            .iter()
            .filter_map(|shard| relay.cpu_of(*shard))
            .sum::<Duration>()
    };
    publisher.run_until(Instant::now() + REPORTED_WITHIN).await?;
    let (idle, followers_idle, bytes_idle) = (cpu()?, of_followers(), relay.bytes_out());
    publisher
        .run_until(Instant::now() + Duration::from_secs(args.seconds))
        .await?;
    let (before, bytes_before, count) = (cpu()?, relay.bytes_out(), args.rate * args.seconds);
    let (start, followers_before) = (Instant::now(), of_followers());
    for number in 0..count {
        publisher
            .run_until(start + Duration::from_micros(number * 1_000_000 / args.rate))
            .await?;
        publisher.publish(args.payload);
    }
    publisher
        .run_until(start + Duration::from_secs(args.seconds))
        .await?;
    let spent = (cpu()? - before).saturating_sub(before - idle);
    let sending = (of_followers() - followers_before).saturating_sub(followers_before - followers_idle);
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    while load.delivered() + load.gaps() < count * subscribers as u64 && Instant::now() < deadline {
        publisher
            .run_until(Instant::now() + Duration::from_millis(50))
            .await?;
    }
    publisher.run_until(Instant::now() + REPORTED_WITHIN).await?;
    let sent = relay.bytes_out() - bytes_before;
    let sent = sent.saturating_sub(bytes_before - bytes_idle);
    Ok(json!({
        "followerMicrosPerDelivery": micros(sending) / load.delivered().max(1) as f64,
        "bytesPerDelivery": sent as f64 / load.delivered().max(1) as f64,
        "followers": followers, "subscribers": subscribers, "messages": count, "rate": args.rate,
        "leaderMicrosPerMessage": micros(spent) / count as f64, "idleMicrosPerSecond": micros(before - idle) / args.seconds as f64,
        "delivered": load.delivered(), "gaps": load.gaps(),
    }))
}

/// As many messages as go through to all readers.
async fn readers(at: Where, args: &MeshArgs) -> Result<Value> {
    // Where the leader alone sends there is one thread, as without a mesh.
    let (relay, followers) = relay_with(usize::from(at != Where::Leader)).await?;
    let mut load = Load::new(&relay);
    let home = relay.home();
    let shards: Vec<usize> = match at {
        Where::Leader => vec![home],
        Where::Follower => followers,
        Where::Both => (0..2).collect(),
    };
    for shard in &shards {
        relay.invite_to(*shard);
        load.join(args.readers / shards.len(), CONNECT_TIMEOUT).await?;
    }
    relay.invite_to(home);
    let mut publisher = Member::publisher(&relay, CONNECT_TIMEOUT).await?;
    reach_all(&mut publisher, from_ref(&load), args.payload).await?;
    let cpu = |shard: usize| relay.cpu_of(shard).context("the CPU time is not known");
    let all: Vec<usize> = if at == Where::Leader {
        vec![home]
    } else {
        vec![0, 1]
    };
    let before = all.iter().map(|shard| cpu(*shard)).collect::<Result<Vec<_>>>()?;
    let (start, delivered) = (Instant::now(), load.delivered());
    let end = start + Duration::from_secs(args.seconds);
    publish_until(end, &mut publisher, &load, (TURN, args.payload, Kind::Unsigned)).await?;
    let (elapsed, delivered) = (start.elapsed(), load.delivered() - delivered);
    let after = all.iter().map(|shard| cpu(*shard)).collect::<Result<Vec<_>>>()?;
    let spent: Vec<f64> = after
        .iter()
        .zip(&before)
        .map(|(after, before)| micros(*after - *before))
        .collect();
    let senders = all.iter().zip(&spent).filter(|(shard, _)| shards.contains(shard));
    let of_senders: f64 = senders.map(|(_, spent)| spent).sum();
    Ok(json!({
        "readers": args.readers, "deliveries": delivered, "seconds": elapsed.as_secs_f64(), "published": publisher.published(),
        "deliveriesPerSecond": delivered as f64 / elapsed.as_secs_f64(),
        "microsPerDelivery": of_senders / delivered as f64,
        "microsPerDeliveryOfAll": spent.iter().sum::<f64>() / delivered as f64,
        "shares": spent.iter().map(|spent| spent / micros(elapsed)).collect::<Vec<_>>(), "gaps": load.gaps(),
    }))
}

/// Publish at the leader to deliver, directly or over one link.
async fn latency(at: Where, args: &MeshArgs) -> Result<Value> {
    let (relay, followers) = relay_with(1).await?;
    let follower = followers.first().copied().context("one shard follows")?;
    let mut load = Load::new(&relay);
    relay.invite_to(if at == Where::Follower {
        follower
    } else {
        relay.home()
    });
    load.join(1, CONNECT_TIMEOUT).await?;
    relay.invite_to(relay.home());
    let mut publisher = Member::publisher(&relay, CONNECT_TIMEOUT).await?;
    reach_all(&mut publisher, from_ref(&load), args.payload).await?;
    load.forget_delays();
    let (start, count) = (Instant::now(), 200 * args.seconds);
    for number in 0..count {
        publisher
            .run_until(start + Duration::from_micros(number * 5_000))
            .await?;
        publisher.publish(args.payload);
    }
    publisher
        .run_until(Instant::now() + Duration::from_millis(200))
        .await?;
    Ok(quantiles(load.delays()))
}

/// Memory of one stream with one reader, at its home or over a link: the difference is what an idle link keeps, at both ends. Each is
/// measured in a process of its own.
async fn memory(at: Where, args: &MeshArgs) -> Result<Value> {
    let (relay, followers) = relay_with(1).await?;
    let follower = followers.first().copied().context("one shard follows")?;
    relay.invite_to(if at == Where::Follower {
        follower
    } else {
        relay.home()
    });
    let mut load = Load::new(&relay);
    // So many before, that what is there once is there.
    load.join_each(100, CONNECT_TIMEOUT, |relay, number| {
        relay.invite_on(1_000_000 + number);
    })
    .await?;
    let before = resident_bytes(Path::new(OWN_STATM))?;
    load.join_each(args.streams, CONNECT_TIMEOUT, Invitations::invite_on)
        .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let bytes = (resident_bytes(Path::new(OWN_STATM))? - before) as f64 / args.streams as f64;
    Ok(json!({ "streams": args.streams, "bytesPerStream": bytes }))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000_000.0
}
