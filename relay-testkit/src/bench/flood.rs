//! Clients inside their rates, alone and beside a flood of clients that send far more than they may.
//!
//! Alone and beside the flood in turns, so that whatever else the machine does falls on both alike.

use super::{BenchRelay, Member, Seat};
use anyhow::{Result, anyhow, ensure};
use relay_node::{Rate, Rates};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};

/// Clients inside their rates.
pub const CALM: usize = 10;

/// Clients far over theirs.
pub const FLOODERS: usize = 100;

/// What a session may send in a second.
pub const RATE: Rate = Rate {
    messages_per_s: 2,
    bytes_per_s: 0,
};

/// Sessions are held to that, their stream to nothing.
pub const RATES: Rates = Rates {
    session: RATE,
    stream: Rate::NONE,
    network_checks_per_s: 0,
};

/// The calm send once in a second each.
const CALM_EVERY: Duration = Duration::from_secs(1);

/// The flooders send every 140 ms: seven in a second, three and a half times what they may. Above four times they would be ended.
pub const FLOOD_EVERY: Duration = Duration::from_millis(140);

/// How long it is measured at a stretch.
pub const WINDOW: Duration = Duration::from_secs(2);
const ROUNDS: usize = 6;

/// Two of the calm's turns.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

/// One of the calm: when it sent what is not answered yet, and how long the answers took.
pub struct Calm {
    member: Member,
    sent: VecDeque<Instant>,
    took: Vec<Duration>,
    accepted: u64,
    refused: u64,
}

impl Calm {
    /// All of the calm, connected and welcomed.
    pub async fn all(relay: &BenchRelay, patience: Duration) -> Result<Vec<Self>> {
        let mut calm = Vec::new();
        for _ in 0..CALM {
            calm.push(Self {
                member: Member::publisher(relay, patience).await?,
                sent: VecDeque::new(),
                took: Vec::new(),
                accepted: 0,
                refused: 0,
            });
        }
        Ok(calm)
    }

    /// Messages that it sent.
    pub fn published(&self) -> u64 {
        self.member.published()
    }

    /// Messages of it that the relay took.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How often a message was refused, or another error came.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn publish(&mut self, bytes: usize) {
        self.sent.push_back(Instant::now());
        self.member.publish(bytes);
    }

    async fn run_once(&mut self) -> Result<()> {
        self.member.run_once().await?;
        while let Some(message) = self.member.receive() {
            for answer in answers(&message)? {
                let sent = self.sent.pop_front();
                let sent = sent.ok_or_else(|| anyhow!("an answer to nothing that was sent"))?;
                match answer {
                    Answer::Accepted => {
                        self.accepted += 1;
                        self.took.push(sent.elapsed());
                    }
                    Answer::Refused | Answer::Limited => self.refused += 1,
                }
            }
        }
        Ok(())
    }
}

/// The answer to a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Accepted,
    /// It is over its rate.
    Limited,
    /// It was refused for another reason.
    Refused,
}

/// The answers in a message from the relay.
pub fn answers(message: &[u8]) -> Result<Vec<Answer>> {
    let mut reader = Reader::new(message);
    let mut answers = Vec::new();
    while !reader.is_at_end() {
        match RelayFrame::read(&mut reader)? {
            Some(RelayFrame::Accepted { .. }) => answers.push(Answer::Accepted),
            Some(RelayFrame::Error { code, .. }) if code == ErrorCode::RateLimited as u64 => {
                answers.push(Answer::Limited);
            }
            Some(RelayFrame::Error { .. }) => answers.push(Answer::Refused),
            _ => {}
        }
    }
    Ok(answers)
}

/// What the flooders are to do, and how it was answered.
#[derive(Default)]
struct Flood {
    connected: AtomicBool,
    ordered: AtomicBool,
    over: AtomicBool,
    taken: AtomicU64,
    limited: AtomicU64,
}

impl Flood {
    /// Connects all flooders, and floods while it is ordered to.
    async fn run(&self, seats: Vec<Seat>, patience: Duration, bytes: usize) -> Result<()> {
        let mut members = welcomed(seats, patience).await?;
        self.connected.store(true, Ordering::Relaxed);
        let mut due = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            for member in members.iter_mut().filter(|member| !member.is_closed()) {
                if self.ordered.load(Ordering::Relaxed) {
                    member.publish(bytes);
                }
                // One that the relay has ended can't send any more: that is what is wanted.
                let _ = member.run_once().await;
                while let Some(message) = member.receive() {
                    self.count(&answers(&message)?);
                }
            }
            due += FLOOD_EVERY;
            tokio::time::sleep_until(due.into()).await;
        }
        Ok(())
    }

    fn count(&self, answers: &[Answer]) {
        for one in answers {
            match one {
                Answer::Accepted => self.taken.fetch_add(1, Ordering::Relaxed),
                Answer::Limited => self.limited.fetch_add(1, Ordering::Relaxed),
                Answer::Refused => 0,
            };
        }
    }
}

/// Clients on these seats, connected and welcomed.
pub async fn welcomed(seats: Vec<Seat>, patience: Duration) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for seat in seats {
        members.push(Member::welcomed(seat, patience).await?);
    }
    Ok(members)
}

/// The calm go on for `time`; how long their messages took to be accepted. They send one after the other, so that they do not wait for each other here.
pub async fn watch(calm: &mut [Calm], time: Duration, bytes: usize) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let mut due = Instant::now();
    let mut turn = 0;
    while Instant::now() < end {
        if Instant::now() >= due {
            if let Some(member) = calm.get_mut(turn % CALM) {
                member.publish(bytes);
            }
            turn += 1;
            // Turns that a busy machine missed are left out: the calm would be over their rate to make up for them.
            due = due.max(Instant::now()) + CALM_EVERY / CALM as u32;
        }
        run_all(calm).await?;
    }
    let took = calm.iter_mut().flat_map(|one| one.took.drain(..)).collect();
    Ok(took)
}

/// All of the calm read and write what is there.
pub async fn run_all(calm: &mut [Calm]) -> Result<()> {
    for one in calm.iter_mut() {
        one.run_once().await?;
    }
    tokio::time::sleep(Duration::from_micros(200)).await;
    Ok(())
}

/// Alone and beside the flood in turns; what the messages of the calm took.
async fn measure(calm: &mut [Calm], flood: &Flood, bytes: usize) -> Result<[Vec<Duration>; 2]> {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.append(&mut watch(calm, WINDOW, bytes).await?);
        flood.ordered.store(true, Ordering::Relaxed);
        beside.append(&mut watch(calm, WINDOW, bytes).await?);
        flood.ordered.store(false, Ordering::Relaxed);
    }
    Ok([alone, beside])
}

/// How long ten clients inside their rates wait until a message is accepted: alone, and beside a hundred far over theirs.
/// Fails if one of the ten is refused anything, or is not answered.
pub async fn beside_a_flood(patience: Duration, bytes: usize) -> Result<Value> {
    let relay = BenchRelay::start_with(RATES).await?;
    let mut calm = Calm::all(&relay, patience).await?;
    let seats = (0..FLOODERS).map(|_| Seat::of(&relay)).collect::<Result<_>>()?;
    let flood = Arc::new(Flood::default());
    let flooding = flood.clone();
    // In a thread of their own: what they cost themselves is not the relay's.
    let flooding = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(flooding.run(seats, patience, bytes))
    });
    while !flood.connected.load(Ordering::Relaxed) {
        ensure!(!flooding.is_finished(), "the flooders could not connect");
        run_all(&mut calm).await?;
    }
    let [alone, beside] = measure(&mut calm, &flood, bytes).await?;
    flood.over.store(true, Ordering::Relaxed);
    flooding.join().map_err(|_| anyhow!("the flood panicked"))??;
    let deadline = Instant::now() + ANSWERS_TIMEOUT;
    while calm.iter().any(|one| !one.sent.is_empty()) && Instant::now() < deadline {
        run_all(&mut calm).await?;
    }
    ensure!(
        calm.iter().all(|one| one.refused == 0 && one.sent.is_empty()),
        "a client inside its rate was refused, or not answered"
    );
    Ok(json!({
        "calm": CALM, "flooders": FLOODERS, "messages": alone.len() + beside.len(),
        "aloneMicros": quantiles(alone), "besideMicros": quantiles(beside),
        "taken": flood.taken.load(Ordering::Relaxed), "limited": flood.limited.load(Ordering::Relaxed),
    }))
}

fn quantiles(mut took: Vec<Duration>) -> Value {
    took.sort_unstable();
    let at = |share: f64| took.get(((took.len() as f64 - 1.0) * share) as usize);
    let micros = |share| {
        at(share)
            .map(Duration::as_micros)
            .and_then(|micros| u64::try_from(micros).ok())
    };
    json!({ "p50": micros(0.5), "p90": micros(0.9) })
}
