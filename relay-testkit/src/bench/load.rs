//! The clients: subscribers in a thread of their own, and one publisher in the caller's.

use super::invitations::Invitations;
use super::kind::Kind;
use crate::client::{Client, Invitation};
use crate::signing::{GroupSigner, SignedFrame, SigningKey};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use streamchain_client::peer::Identity;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::{ClientFrame, RelayFrame};
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

/// Most handshakes at a time, so that none times out.
const MAX_CONNECTING: usize = 50;

fn unix_micros() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_micros()).unwrap_or(u64::MAX)
}

/// What one subscriber got.
#[derive(Default)]
struct Got {
    next: AtomicU64,
    messages: AtomicU64,
    gaps: AtomicU64,
    open: AtomicU64,
}

/// An invited client's socket, in no runtime yet.
pub struct Seat {
    identity: Identity,
    invitation: Invitation,
    socket: std::net::UdpSocket,
}

impl Seat {
    /// A seat at this relay.
    pub fn of(relay: &Invitations) -> Result<Self> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").context("one socket each: see ulimit -n")?;
        socket.set_nonblocking(true)?;
        let (identity, invitation) = relay.invite(socket.local_addr()?);
        Ok(Self {
            identity,
            invitation,
            socket,
        })
    }
}

/// A client on a socket of its own.
pub struct Member {
    client: Client,
    socket: UdpSocket,
    relay: std::net::SocketAddr,
    published: u64,
    /// Signs what is published together.
    signer: Option<GroupSigner>,
    /// Groups that are signed and not sent, and the payload that all of their messages have.
    signed: VecDeque<SignedFrame>,
    payload: Vec<u8>,
    buffer: Vec<u8>,
}

impl Member {
    async fn new(identity: &Identity, invitation: &Invitation, socket: UdpSocket) -> Result<Self> {
        let client = Client::new(identity, invitation, Client::channel(), Instant::now())?;
        let relay = invitation.relay;
        Ok(Self {
            client,
            socket,
            relay,
            published: 0,
            signer: None,
            signed: VecDeque::new(),
            payload: Vec::new(),
            buffer: vec![0; 2_048],
        })
    }

    /// A publisher, connected and welcomed.
    pub async fn publisher(relay: &Invitations, patience: Duration) -> Result<Self> {
        Self::welcomed(Seat::of(relay)?, patience).await
    }

    /// A publisher on this seat, connected and welcomed; its number is its port.
    pub async fn welcomed(seat: Seat, patience: Duration) -> Result<Self> {
        let socket = UdpSocket::from_std(seat.socket)?;
        let mut producer = [7; 16];
        producer[..2].copy_from_slice(&socket.local_addr()?.port().to_be_bytes());
        let mut member = Self::new(&seat.identity, &seat.invitation, socket).await?;
        let (key, producer) = (SigningKey::generate()?, ProducerId(producer));
        member.client.send(&ClientFrame::Hello {
            producer,
            key: Some(key.public()),
        });
        let stream = Invitations::stream();
        member.signer = Some(GroupSigner::new(key, stream, Invitations::AUTHOR, producer));
        let deadline = Instant::now() + patience;
        while member.client.receive().is_none() {
            if Instant::now() > deadline {
                bail!("the publisher was not welcomed");
            }
            member
                .run_until(Instant::now() + Duration::from_millis(5))
                .await?;
        }
        Ok(member)
    }

    /// Queues a message that holds the time.
    pub fn publish(&mut self, bytes: usize) {
        let mut payload = unix_micros().to_be_bytes().to_vec();
        payload.resize(bytes.max(payload.len()), 0);
        self.client.send(&ClientFrame::Publish {
            producer_seq: self.published,
            payload: &payload,
        });
        self.published += 1;
    }

    /// Queues messages that hold the time: as one signed group, or one by one.
    pub fn publish_together(&mut self, messages: usize, bytes: usize, signs: bool) -> Result<()> {
        if !signs {
            (0..messages).for_each(|_| self.publish(bytes));
            return Ok(());
        }
        let mut payload = unix_micros().to_be_bytes().to_vec();
        payload.resize(bytes.max(payload.len()), 0);
        let payloads = vec![payload.as_slice(); messages];
        let signer = self.signer.as_mut().context("a member that publishes")?;
        let frame = signer.sign(&payloads)?;
        self.client.send(&ClientFrame::Group {
            producer_seq: frame.first,
            previous: frame.previous,
            signature: frame.signature,
            payloads,
        });
        self.published += messages as u64;
        Ok(())
    }

    /// Signs groups that [`Self::publish_signed`] sends, so that what an author spends is not measured beside the relay.
    pub fn sign_ahead(&mut self, groups: usize, messages: usize, bytes: usize) -> Result<()> {
        self.payload = vec![7; bytes];
        let payloads = vec![self.payload.as_slice(); messages];
        let signer = self.signer.as_mut().context("a member that publishes")?;
        for _ in 0..groups {
            self.signed.push_back(signer.sign(&payloads)?);
        }
        Ok(())
    }

    /// Queues the next group that was signed ahead, of so many messages.
    pub fn publish_signed(&mut self, messages: usize) -> Result<()> {
        let frame = self.signed.pop_front().context("a group that was signed ahead")?;
        self.client.send(&ClientFrame::Group {
            producer_seq: frame.first,
            previous: frame.previous,
            signature: frame.signature,
            payloads: vec![self.payload.as_slice(); messages],
        });
        self.published += messages as u64;
        Ok(())
    }

    /// The next message from the relay.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.client.receive()
    }

    /// Whether the relay, or the network, ended it.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Messages queued so far.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Messages that wait for room in the connection.
    pub fn unsent(&self) -> usize {
        self.client.unsent()
    }

    /// Reads and writes until `end`.
    pub async fn run_until(&mut self, end: Instant) -> Result<()> {
        loop {
            self.run_once().await?;
            let until = self.client.next_timeout().min(end);
            if timeout_at(until.into(), self.socket.readable()).await.is_err() && Instant::now() >= end {
                return Ok(());
            }
            if Instant::now() >= end {
                return self.run_once().await;
            }
        }
    }

    /// Reads what has arrived and writes what there is.
    pub async fn run_once(&mut self) -> Result<()> {
        let now = Instant::now();
        while let Ok((length, source)) = self.socket.try_recv_from(&mut self.buffer) {
            let datagram = self.buffer.get(..length).unwrap_or_default();
            self.client.handle_datagram(datagram, source, now)?;
        }
        if self.client.next_timeout() <= now {
            self.client.handle_timeout(now)?;
        }
        while let Some(transmit) = self.client.next_transmit()? {
            self.socket.send_to(&transmit.contents, self.relay).await?;
        }
        Ok(())
    }

    async fn subscribe_forever(
        mut self,
        kind: Kind,
        got: Arc<Got>,
        delays: Arc<Mutex<Vec<u64>>>,
    ) -> Result<()> {
        self.client.send(&ClientFrame::Abilities(kind.abilities()));
        self.client.send(&ClientFrame::Subscribe {
            from: Some(Seq(0)),
            signatures: kind.asks(),
        });
        loop {
            self.run_once().await?;
            if self.client.is_open() {
                got.open.store(1, Ordering::Relaxed);
            }
            while let Some(message) = self.client.receive() {
                take(&message, &got, &delays)?;
            }
            let _ = timeout_at(self.client.next_timeout().into(), self.socket.readable()).await;
        }
    }
}

/// Counts what a message brought.
fn take(message: &[u8], got: &Got, delays: &Mutex<Vec<u64>>) -> Result<()> {
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match RelayFrame::read(&mut reader)? {
            Some(RelayFrame::Message { seq, payload, .. }) => take_message(seq, payload, got, delays)?,
            Some(RelayFrame::SignedGroup(group)) => {
                for (seq, payload) in (group.seq.0..).zip(&group.payloads) {
                    take_message(Seq(seq), payload, got, delays)?;
                }
            }
            Some(RelayFrame::Gap { from, to }) => {
                got.gaps.fetch_add(to.0 - from.0, Ordering::Relaxed);
                got.next.store(to.0, Ordering::Relaxed);
            }
            _ => {}
        }
    }
    Ok(())
}

fn take_message(seq: Seq, payload: &[u8], got: &Got, delays: &Mutex<Vec<u64>>) -> Result<()> {
    if got.next.swap(seq.0 + 1, Ordering::Relaxed) > seq.0 {
        bail!("message {seq} came twice or out of order");
    }
    got.messages.fetch_add(1, Ordering::Relaxed);
    let sent = payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    if let (Some(sent), Ok(mut delays)) = (sent, delays.lock())
        && delays.len() < 100_000
    {
        delays.push(unix_micros().saturating_sub(sent));
    }
    Ok(())
}

/// What a subscriber begins with.
type Invited = (Identity, Invitation, std::net::UdpSocket, Arc<Got>);

/// All subscribers of one run.
pub(super) struct Load<'a> {
    relay: &'a Invitations,
    got: Vec<Arc<Got>>,
    delays: Arc<Mutex<Vec<u64>>>,
    /// What those who join ask for.
    kind: Kind,
    /// The subscribers' threads run as long as these are held.
    keep: Vec<tokio::sync::mpsc::UnboundedSender<Invited>>,
}

impl<'a> Load<'a> {
    /// Nobody yet.
    pub(super) fn new(relay: &'a Invitations) -> Self {
        Self {
            relay,
            got: vec![],
            delays: Arc::default(),
            kind: Kind::Unsigned,
            keep: vec![],
        }
    }

    /// Those who join from now on ask for what is delivered in this kind of run.
    pub(super) fn ask_for(&mut self, kind: Kind) {
        self.kind = kind;
    }

    /// Adds subscribers and waits until they are connected.
    pub(super) async fn join(&mut self, count: usize, patience: Duration) -> Result<()> {
        self.join_each(count, patience, |_, _| {}).await
    }

    /// The same; before each is invited, `before` is called with its number.
    pub(super) async fn join_each(
        &mut self,
        count: usize,
        patience: Duration,
        before: impl Fn(&Invitations, u64),
    ) -> Result<()> {
        let (start, mut invited) = tokio::sync::mpsc::unbounded_channel::<Invited>();
        let (delays, kind) = (self.delays.clone(), self.kind);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("subscribers".into())
            .spawn(move || {
                runtime.block_on(async move {
                    let mut members = tokio::task::JoinSet::new();
                    while let Some((identity, invitation, socket, got)) = invited.recv().await {
                        let delays = delays.clone();
                        members.spawn(async move {
                            let socket = UdpSocket::from_std(socket)?;
                            Member::new(&identity, &invitation, socket)
                                .await?
                                .subscribe_forever(kind, got, delays)
                                .await
                        });
                    }
                    // The run is over: its members go with the runtime.
                });
            })?;
        let deadline = Instant::now() + patience;
        for number in 0..count {
            before(self.relay, number as u64);
            let socket = self.relay.socket()?;
            let (identity, invitation) = self.relay.invite(socket.local_addr()?);
            let got = Arc::new(Got::default());
            self.got.push(got.clone());
            start
                .send((identity, invitation, socket, got))
                .context("the subscribers' thread is gone")?;
            self.wait_open(MAX_CONNECTING, deadline).await?;
        }
        self.wait_open(1, deadline).await?;
        self.keep.push(start);
        Ok(())
    }

    /// Waits until fewer than `most` are still connecting.
    async fn wait_open(&self, most: usize, deadline: Instant) -> Result<()> {
        while self
            .got
            .iter()
            .filter(|got| got.open.load(Ordering::Relaxed) == 0)
            .count()
            >= most
        {
            if Instant::now() > deadline {
                bail!("the subscribers are not connected in time");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    fn sum(&self, of: impl Fn(&Got) -> &AtomicU64) -> u64 {
        self.got.iter().map(|got| of(got).load(Ordering::Relaxed)).sum()
    }

    /// Messages that all of them got.
    pub(super) fn delivered(&self) -> u64 {
        self.sum(|got| &got.messages)
    }

    /// Messages that any of them got a *gap* for.
    pub(super) fn gaps(&self) -> u64 {
        self.sum(|got| &got.gaps)
    }

    /// How far the slowest is.
    pub(super) fn slowest(&self) -> u64 {
        self.got
            .iter()
            .map(|got| got.next.load(Ordering::Relaxed))
            .min()
            .unwrap_or(0)
    }

    /// From now on only the delays of what comes later count.
    pub(super) fn forget_delays(&self) {
        if let Ok(mut delays) = self.delays.lock() {
            delays.clear();
        }
    }

    /// Publish to deliver, microseconds each.
    pub(super) fn delays(&self) -> Vec<u64> {
        self.delays
            .lock()
            .map(|delays| delays.clone())
            .unwrap_or_default()
    }
}

/// The middle and the end of what was measured, microseconds.
pub(super) fn quantiles(mut delays: Vec<u64>) -> Value {
    delays.sort_unstable();
    let at = |part: f64| {
        let index = ((delays.len() as f64 - 1.0) * part) as usize;
        delays.get(index).copied().unwrap_or(0)
    };
    json!({ "delivered": delays.len(), "p50Micros": at(0.5), "p99Micros": at(0.99), "maxMicros": at(1.0) })
}
