//! The client on a network: carries out what the core asks for, on the caller's task.
//!
//! What always holds: nothing goes on while nobody awaits [`Connection::next_event`], but requests that are under way; it
//! may be dropped at any moment, and called again, and nothing is lost.

mod requests;
mod session;

use crate::core::{
    ClientOptions, Command, Event, Failure, Fatal, Input, PublishError, Reading, Route, Signing, StreamClient,
};
use crate::http::{EdgeClient, Posted};
use crate::peer::Identity;
use crate::signing::ChainFile;
use requests::{Reply, Requests};
use session::Session;
use std::str::FromStr;
use std::time::{Duration, Instant};
use streamchain_protocol::ids::{ProducerId, StreamRef};

/// Most messages that are sent, or read, between two looks at the sockets.
const MESSAGES_PER_TURN: usize = 64;

/// How often a session that waits for acknowledgements is looked at.
const SESSION_POLL: Duration = Duration::from_secs(1);

/// Longest wait without a look at the clock.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a connection is to do.
#[derive(Debug)]
pub struct ConnectionOptions {
    /// The stream, by name or id.
    pub stream: String,
    /// Whether it publishes.
    pub publish: bool,
    /// Under which producer id; a random one when there is none. The same author may go on under the same id in another
    /// run: then messages are numbered from 0 again, and those that are stored already count as stored.
    pub producer: Option<ProducerId>,
    /// What it signs with what it publishes ([`EdgeClient::author_key`]); nothing is signed without.
    pub signing: Option<Signing>,
    /// Where the chain of signed groups is kept for a later run of the same producer; nowhere without.
    pub chain: Option<ChainFile>,
    /// What it reads.
    pub read: Option<Reading>,
    /// Whether what it reads comes with signatures.
    pub signatures: bool,
    /// Whether it uses HTTP alone.
    pub http_only: bool,
}

impl ConnectionOptions {
    /// Returns options of a connection to this stream that does nothing yet.
    pub fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            publish: false,
            producer: None,
            signing: None,
            chain: None,
            read: None,
            signatures: false,
            http_only: false,
        }
    }
}

/// A connection to one stream.
pub struct Connection {
    client: StreamClient,
    stream: StreamRef,
    identity: Identity,
    requests: Requests,
    session: Option<Session>,
    chain: Option<ChainFile>,
    start: Instant,
}

/// Unpredictable bytes.
fn random<const N: usize>() -> Result<[u8; N], Fatal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fatal::System(format!("the operating system gives no random bytes: {error}")))?;
    Ok(bytes)
}

/// Random bits for waits, where bits that are not random do no harm.
fn bits() -> u64 {
    getrandom::u64().unwrap_or_default()
}

impl Connection {
    /// Begins to connect; must be called inside a `tokio` runtime.
    pub fn open(edge: EdgeClient, options: ConnectionOptions) -> Result<Self, Fatal> {
        let stream = StreamRef::from_str(&options.stream)
            .map_err(|error| Fatal::System(format!("stream: {error}")))?;
        let producer = match (options.publish, options.producer) {
            (true, Some(producer)) => Some(producer),
            (true, None) => Some(ProducerId(random()?)),
            (false, _) => None,
        };
        let client = StreamClient::new(&ClientOptions {
            producer,
            signing: options.signing,
            read: options.read,
            signatures: options.signatures,
            http_only: options.http_only,
        });
        let identity =
            Identity::make().ok_or_else(|| Fatal::System("the DTLS certificate could not be made".into()))?;
        Ok(Self {
            client,
            requests: Requests::new(edge, stream.clone(), options.signatures),
            stream,
            identity,
            session: None,
            chain: options.chain,
            start: Instant::now(),
        })
    }

    /// Publishes a message; returns its number. It is stored once [`Event::Stored`] says so.
    pub fn publish(&mut self, payload: Vec<u8>) -> Result<u64, PublishError> {
        self.client.publish(payload)
    }

    /// Returns whether [`Self::publish`] takes another message.
    pub fn has_room(&self) -> bool {
        self.client.has_room()
    }

    /// Returns how many published messages are not stored yet.
    pub fn unstored(&self) -> usize {
        self.client.unstored()
    }

    /// Returns how the stream is reached now.
    pub fn route(&self) -> Route {
        self.client.route()
    }

    /// Returns which stream it is.
    pub fn stream(&self) -> &StreamRef {
        &self.stream
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for the next event.
    pub async fn next_event(&mut self) -> Result<Event, Fatal> {
        loop {
            if let Some(event) = self.client.poll_event() {
                return Ok(event);
            }
            if let Some(session) = &mut self.session {
                session.take_tcp().await;
            }
            self.turn()?;
            if let Some(event) = self.client.poll_event() {
                return Ok(event);
            }
            self.wait().await?;
        }
    }

    /// Does what can be done without waiting.
    fn turn(&mut self) -> Result<(), Fatal> {
        self.client.handle_timeout(self.now_ms(), bits());
        self.run_commands()?;
        self.drive_session()?;
        self.run_commands()
    }

    fn handle(&mut self, input: Input<'_>) -> Result<(), Fatal> {
        self.client.handle(input, self.now_ms(), bits())
    }

    fn run_commands(&mut self) -> Result<(), Fatal> {
        while let Some(command) = self.client.poll_command() {
            match command {
                Command::OpenSession(number) => {
                    let session = Session::begin(number, &self.identity, Instant::now());
                    match session {
                        Ok((session, offer)) => {
                            self.session = Some(session);
                            self.requests.open_session(number, offer);
                        }
                        Err(error) => {
                            self.handle(Input::SessionFailed(number, Failure::NoPath(error.to_string())))?
                        }
                    }
                }
                Command::CloseSession(number) => {
                    if let Some(session) = self.session.take_if(|session| session.number() == number) {
                        self.requests.end_session(session.close());
                    }
                }
                Command::FetchHistory(from) => self.requests.fetch_history(from),
                Command::Post => self.post()?,
                Command::Follow(from) => self.requests.follow(from),
                Command::StopFollowing => self.requests.stop_following(),
            }
        }
        Ok(())
    }

    fn post(&mut self) -> Result<(), Fatal> {
        let producer = self.client.producer();
        let posted = self.client.post()?.zip(producer).map(|(post, producer)| Posted {
            producer,
            producer_seq: post.producer_seq,
            payloads: post.payloads.iter().map(|payload| payload.to_vec()).collect(),
            signed: post.signed,
            at_once: post.at_once,
        });
        self.keep_groups()?;
        match posted {
            Some(posted) => self.requests.post(posted),
            // It became stored meanwhile, or the rest of its group is not there yet.
            None => {
                let nothing = Failure::NoEdge("nothing is left to post".into());
                self.handle(Input::Posted(0, Err(nothing)))?;
            }
        }
        Ok(())
    }

    /// Keeps what was signed, before it is sent: a later run must not sign anything else under the same numbers.
    fn keep_groups(&mut self) -> Result<(), Fatal> {
        let groups = self.client.take_unkept();
        let Some(file) = self.chain.as_mut().filter(|_| !groups.is_empty()) else {
            return Ok(());
        };
        file.append(&groups)?;
        match self.client.chain().filter(|_| file.is_long()) {
            Some(chain) => file.rewrite(&chain),
            None => Ok(()),
        }
    }

    /// Lets the session read, send and notice what is due.
    fn drive_session(&mut self) -> Result<(), Fatal> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let number = session.number();
        let now = Instant::now();
        let mut failure = session.read(now).err();
        if session.has_just_opened() {
            self.handle(Input::SessionOpened(number))?;
        }
        self.take_received(number)?;
        for _ in 0..MESSAGES_PER_TURN {
            let now_ms = self.now_ms();
            let Some(session) = &mut self.session else {
                return Ok(());
            };
            if !session.is_writable() {
                break;
            }
            let Some(message) = self.client.next_send(now_ms)? else {
                break;
            };
            self.keep_groups()?;
            if let Some(session) = &mut self.session {
                session.send(message);
            }
        }
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        if failure.is_none() {
            failure = session.write(now).err();
        }
        let Some(failure) = failure else {
            return Ok(());
        };
        let was_open = session.was_open();
        if let Some(session) = self.session.take() {
            self.requests.end_session(session.close());
        }
        match was_open {
            true => self.handle(Input::SessionEnded(number, failure)),
            false => self.handle(Input::SessionFailed(number, failure)),
        }
    }

    fn take_received(&mut self, number: u64) -> Result<(), Fatal> {
        while let Some(message) = self.session.as_mut().and_then(Session::receive) {
            self.handle(Input::Received(number, &message))?;
            self.run_commands()?;
        }
        Ok(())
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> Result<(), Fatal> {
        let now_ms = self.now_ms();
        let due = self.client.next_timeout(now_ms).saturating_sub(now_ms);
        let mut wait = Duration::from_millis(due).min(MAX_WAIT);
        if let Some(session) = &self.session {
            let session_due = session.next_timeout().saturating_duration_since(Instant::now());
            wait = wait.min(session_due).min(SESSION_POLL);
        }
        let session = self.session.as_ref();
        let ready = async {
            match session {
                Some(session) => session.ready().await,
                None => std::future::pending().await,
            }
        };
        let reply = tokio::select! {
            reply = self.requests.next() => Some(reply),
            () = ready => None,
            () = tokio::time::sleep(wait) => None,
        };
        match reply {
            Some(reply) => self.take_reply(reply),
            None => Ok(()),
        }
    }

    fn take_reply(&mut self, reply: Reply) -> Result<(), Fatal> {
        match reply {
            Reply::Session(number, answer) => {
                let Some(session) = self.session.as_mut().filter(|session| session.number() == number) else {
                    if let Ok(answer) = answer {
                        self.requests.end_session(answer.location);
                    }
                    return Ok(());
                };
                let accepted = answer.and_then(|answer| session.accept(answer, Instant::now()));
                let Err(failure) = accepted else {
                    return Ok(());
                };
                if let Some(session) = self.session.take() {
                    self.requests.end_session(session.close());
                }
                self.handle(Input::SessionFailed(number, failure))
            }
            Reply::History(answer) => self.handle(Input::History(answer)),
            Reply::Posted(producer_seq, answer) => self.handle(Input::Posted(producer_seq, answer)),
            Reply::FollowState(epoch) => self.handle(Input::FollowState(epoch)),
            Reply::Followed(message) => self.handle(Input::Followed(message)),
            Reply::FollowedSignature(signature) => self.handle(Input::FollowedSignature(signature)),
            Reply::FollowEnded(failure) => self.handle(Input::FollowEnded(failure)),
        }
    }

    /// Ends the connection: sends what the session still has to say, and ends it at the edge.
    pub async fn close(mut self) {
        if let Some((file, chain)) = self.chain.as_mut().zip(self.client.chain()) {
            // What the file has already is enough for a later run; this only makes it shorter.
            let _ = file.rewrite(&chain);
        }
        if let Some(session) = self.session.take() {
            let location = session.close();
            self.requests.end_session_now(location).await;
        }
    }
}
