//! An edge for one machine that keeps nothing but counts: benches and tests run a real relay against it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use streamchain_protocol::auth::{LinkKey, LinkTicket, RelayKey};
use streamchain_protocol::ids::{Epoch, RelayId, Seq, StreamId, StreamRef};
use streamchain_protocol::signed::{GroupWalker, ProducerChain, Walked};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::webrtc::parse_fingerprint;
use streamchain_protocol::wire::problem::PRODUCER_CONFLICT;
use streamchain_protocol::wire::{
    AcquireEpoch, Acquired, Committed, EpochGrant, FollowGrant, KeyState, LinkReach, ProducerKey,
    ProducerState, Registration, Renewed,
};
use streamchain_protocol::wire::{Batch, Bundle, BundleAnswer, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Largest request, bytes: a batch and its head.
const MAX_REQUEST_BYTES: usize = Batch::MAX_BODY_BYTES + 16 * 1024;

/// How often a request that is stalled looks whether it may go on.
const STALL_POLL: std::time::Duration = std::time::Duration::from_millis(5);

/// The epoch of all streams.
const EPOCH: Epoch = Epoch(1);

/// What the edge has.
#[derive(Debug, Default)]
pub struct Kept {
    /// The last registration.
    pub registration: Option<Registration>,
    /// The last registration of each relay, by its id.
    pub registrations: HashMap<String, Registration>,
    /// Where relays that follow are sent to, in place of where the leader's links are.
    pub link_detour: Option<SocketAddr>,
    /// Whether the relay said goodbye.
    pub goodbye: bool,
    /// How many messages each stream has.
    pub heads: HashMap<String, u64>,
    /// How far each stream's producers are.
    pub producers: HashMap<(String, ProducerKey), ProducerChain>,
    /// The messages themselves, if asked for.
    pub records: Option<Vec<Record>>,
    /// Answer this many batches with 503.
    pub failures: u32,
    /// Whether it answers as an edge of the version before bundles.
    pub knows_no_bundles: bool,
    /// How many bundles came.
    pub bundles: u32,
    /// Every `x-request-id` that came with a request.
    pub request_ids: Vec<String>,
    /// Answer no batch until this is over.
    pub stalled: bool,
}

impl Kept {
    /// Takes the producers of a batch, whose groups must be whole and follow each other, or nothing of it.
    fn follow(&mut self, stream: &str, batch: &Batch) -> Result<(), String> {
        let mut walker = GroupWalker::new(stream_id(stream).ok_or("no stream")?);
        let mut after = HashMap::new();
        for record in &batch.records {
            let key = (stream.to_owned(), record.producer_key());
            let known = self.producers.get(&key).copied().unwrap_or_default();
            let chain = after.entry(key).or_insert(known);
            let followed = match walker.push(record).map_err(|error| error.to_string())? {
                Walked::Unsigned => chain.push_unsigned(record.producer_seq),
                Walked::Inside => Ok(()),
                Walked::Group(group) => chain.push_group(&group.signed).map(drop),
            };
            followed.map_err(|error| error.to_string())?;
        }
        walker.finish().map_err(|error| error.to_string())?;
        self.producers.extend(after);
        Ok(())
    }
}

/// The whole id that this edge gives a stream, by its short id.
pub fn stream_id(short: &str) -> Option<StreamId> {
    let Ok(StreamRef::Short(short)) = short.parse() else {
        return None;
    };
    let mut id = [0; 32];
    id[..20].copy_from_slice(&short.0);
    Some(StreamId(id))
}

/// A running edge. The relay that it is started with leads all streams; those that are added follow it.
#[derive(Clone)]
pub struct LoopbackEdge {
    kept: Arc<Mutex<Kept>>,
    /// What requests of each relay must show, by its id.
    authorizations: Arc<Mutex<HashMap<String, String>>>,
    leader: RelayId,
    leader_key: LinkKey,
    address: SocketAddr,
}

impl LoopbackEdge {
    /// Listens on a free port of this machine, inside the current runtime.
    pub async fn start(relay: &RelayId, key: &RelayKey) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let edge = Self {
            kept: Arc::default(),
            authorizations: Arc::default(),
            leader: relay.clone(),
            leader_key: key.link_key(),
            address: listener.local_addr()?,
        };
        edge.add(relay, key);
        let serving = edge.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let edge = serving.clone();
                // A relay that hangs up ends its connection, nothing else.
                tokio::spawn(async move { edge.serve(stream).await });
            }
        });
        Ok(edge)
    }

    /// From now on this relay is known too.
    pub fn add(&self, relay: &RelayId, key: &RelayKey) {
        let shown = format!("authorization: bearer {}", key.uplink_bearer(relay)).to_lowercase();
        locked(&self.authorizations).insert(relay.to_string(), shown);
    }

    /// `http://127.0.0.1:…`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has now.
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut received = Vec::new();
        loop {
            let Some((head, body)) = read_request(&mut stream, &mut received).await? else {
                return Ok(());
            };
            let request_id = header(&head, "x-request-id").unwrap_or_default().to_owned();
            self.kept().request_ids.push(request_id.clone());
            while head.starts_with("POST") && self.kept().stalled {
                tokio::time::sleep(STALL_POLL).await;
            }
            let (status, answer) = match self.is_authorized(&head) {
                true => self.answer(&head, &body),
                false => (401, "{}".to_owned()),
            };
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\nx-request-id: {request_id}\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(format!("{head}{answer}").as_bytes()).await?;
        }
    }

    /// Whether a request shows what the relay in its path must show.
    fn is_authorized(&self, head: &str) -> bool {
        let target = head.split_whitespace().nth(1).unwrap_or_default();
        let relay = target.split(['/', '?']).nth(3).unwrap_or_default();
        let authorizations = locked(&self.authorizations);
        let shown = authorizations.get(relay);
        shown.is_some_and(|shown| head.to_lowercase().contains(shown))
    }

    fn answer(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut words = head.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let parts: Vec<&str> = target
            .split(['?'])
            .next()
            .unwrap_or_default()
            .split('/')
            .skip(3)
            .collect();
        match (method, &parts[..]) {
            ("PUT", [relay]) => self.register(relay, body),
            ("DELETE", [_]) => {
                self.kept().goodbye = true;
                (200, "{}".into())
            }
            ("PUT", [relay, "streams", stream]) => self.acquire_epoch(relay, stream, body),
            ("GET", [_, "streams", stream, "producers", producer]) => self.producer(stream, producer, target),
            ("POST", [_, "streams", stream, "batches"]) => self.commit(stream, body),
            ("POST", [_, "batches"]) => self.commit_bundle(body),
            _ => (404, "{}".into()),
        }
    }

    fn register(&self, relay: &str, body: &[u8]) -> (u16, String) {
        let Ok(registration) = serde_json::from_slice::<Registration>(body) else {
            return (400, "{}".into());
        };
        let cursor = registration.cursor;
        let mut kept = self.kept();
        kept.registrations.insert(relay.to_owned(), registration.clone());
        kept.registration = Some(registration);
        json(&Renewed {
            renew_after_ms: 200,
            cursor,
            notices: vec![],
        })
    }

    fn acquire_epoch(&self, relay: &str, stream: &str, body: &[u8]) -> (u16, String) {
        let Some(id) = stream_id(stream) else {
            return (400, "{}".into());
        };
        let Ok(name) = "demo".parse() else {
            return (500, "{}".into());
        };
        if relay != self.leader.as_str() {
            let follows = serde_json::from_slice(body).is_ok_and(|asked: AcquireEpoch| asked.follows);
            return match follows.then(|| self.follow_grant(relay, id)).flatten() {
                Some(follow) => json(&Acquired::Follows { follow }),
                None => (409, "{}".into()),
            };
        }
        let head = Seq(self.kept().heads.get(stream).copied().unwrap_or(0));
        json(&EpochGrant {
            stream: id,
            name,
            epoch: EPOCH,
            head,
            waiting: 0,
            signed: Some(Signed::Optional),
        })
    }

    /// What lets a relay follow the leader, once both are registered with links.
    fn follow_grant(&self, follower: &str, stream: StreamId) -> Option<FollowGrant> {
        let kept = self.kept();
        let reach = |relay: &str| kept.registrations.get(relay)?.mesh.clone();
        let (leader, own) = (reach(self.leader.as_str())?, reach(follower)?);
        let expires = UnixSec(u32::MAX.into());
        let ticket = LinkTicket {
            follower: follower.parse().ok()?,
            fingerprint: parse_fingerprint(&own.fingerprint)?,
            stream: stream.short(),
            epoch: EPOCH,
            expires,
        };
        Some(FollowGrant {
            stream,
            name: "demo".parse().ok()?,
            leader: self.leader.clone(),
            epoch: EPOCH,
            signed: Signed::Optional,
            link: LinkReach {
                addresses: kept.link_detour.map_or(leader.addresses, |detour| vec![detour]),
                fingerprint: leader.fingerprint,
            },
            ticket: ticket.sign(&self.leader_key),
            expires,
        })
    }

    /// Takes every key for the author's.
    fn producer(&self, stream: &str, producer: &str, target: &str) -> (u16, String) {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
        };
        let (Ok(id), Some(Ok(author))) = (producer.parse(), value("author").map(str::parse)) else {
            return (400, "{}".into());
        };
        let key = ProducerKey { author, id };
        let chain = self.kept().producers.get(&(stream.to_owned(), key)).copied();
        json(&ProducerState {
            stored: chain.and_then(|chain| chain.next().checked_sub(1)),
            digest: chain.and_then(|chain| chain.last()),
            key: value("key").map(|_| KeyState {
                ok: true,
                until: None,
                reason: None,
            }),
        })
    }

    fn commit_bundle(&self, body: &[u8]) -> (u16, String) {
        let Ok(bundle) = Bundle::decode(body) else {
            return (400, "{}".into());
        };
        self.kept().bundles += 1;
        if self.kept().knows_no_bundles {
            return (404, "{}".into());
        }
        let answers = bundle.batches().iter().enumerate();
        let lines = answers.map(|(position, (stream, batch))| {
            let (status, answer) = self.commit(&stream.to_string(), batch);
            BundleAnswer::line(position, status, answer.as_bytes())
        });
        let lines: Vec<u8> = lines.flatten().collect();
        (200, String::from_utf8_lossy(&lines).into_owned())
    }

    fn commit(&self, stream: &str, body: &[u8]) -> (u16, String) {
        let Ok(batch) = Batch::decode(body) else {
            return (400, "{}".into());
        };
        let mut kept = self.kept();
        if kept.failures > 0 {
            kept.failures -= 1;
            return (503, "{}".into());
        }
        if kept.heads.get(stream).copied().unwrap_or(0) == batch.first.0
            && let Err(refused) = kept.follow(stream, &batch)
        {
            return (
                409,
                format!(
                    r#"{{"type":"https://streamchain.dev/problems/{PRODUCER_CONFLICT}","detail":"{refused}"}}"#
                ),
            );
        }
        let head = kept.heads.entry(stream.to_owned()).or_default();
        let committed = batch.end();
        // The retry of a batch that is stored is answered like the first time.
        if *head == batch.first.0 {
            *head = committed.0;
            if let Some(records) = &mut kept.records {
                records.extend(batch.records);
            }
        } else if *head != committed.0 {
            return (409, r#"{"type":"https://streamchain.dev/problems/gap"}"#.into());
        }
        json(&Committed {
            committed,
            waiting: 0,
            withdrawn: Vec::new(),
        })
    }
}

/// A test that panicked while it held the lock has failed anyway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The value of a header in a request's head.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn json(value: &impl serde::Serialize) -> (u16, String) {
    serde_json::to_string(value).map_or((500, "{}".into()), |text| (200, text))
}

/// The next request's head and body; `None` when the other side has hung up.
async fn read_request(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
) -> io::Result<Option<(String, Vec<u8>)>> {
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(received.get(..end).unwrap_or_default()).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            let total = end + 4 + length.unwrap_or(0);
            if let Some(body) = received.get(end + 4..total).map(<[u8]>::to_vec) {
                received.drain(..total);
                return Ok(Some((head, body)));
            }
        }
        if received.len() > MAX_REQUEST_BYTES || stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}
