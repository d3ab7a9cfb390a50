//! The machine of one stream: opens a session, sends what is published, takes what comes, and goes on when the session
//! ends; by HTTP while no relay can be reached.
//!
//! What always holds: one session at a time, each with a number of its own, and what a former one still brings changes
//! nothing; nothing that was published is lost and nothing is stored twice, whatever ends when ([`super::outbox`]); a reader
//! gets every message once and in order ([`super::feed`]).

mod by_http;
mod relay_frames;

use super::failure::{Failure, Fatal};
use super::feed::{Feed, FeedEvent, Reading};
use super::frames;
use super::groups::{KeptChain, SealedGroup, Signing};
use super::limits::{
    FALLBACK_BACKOFF, MAX_PAUSE_MS, PING_AFTER_MS, SESSION_BACKOFF, STEADY_SESSION_MS, WELCOME_TIMEOUT_MS,
};
use super::message::{Message, MessageSignature};
use super::outbox::{Outbox, PostAnswer, PublishError, Stored};
use super::pacer::Pacer;
use super::turns::ByHttp;
use std::collections::VecDeque;
use std::sync::Arc;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::proof::AnchorRef;

/// What a client is to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientOptions {
    /// Under which producer id it publishes; `None` when it does not.
    pub(crate) producer: Option<ProducerId>,
    /// What it signs with what it publishes; `None` when it signs nothing.
    pub(crate) signing: Option<Signing>,
    /// What it reads; `None` when it does not.
    pub(crate) read: Option<Reading>,
    /// Whether it reads the signatures of messages too.
    pub(crate) signatures: bool,
    /// Whether it uses HTTP alone.
    pub(crate) http_only: bool,
}

/// What the caller must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Open a session; answer with [`Input::SessionOpened`] or [`Input::SessionFailed`], and this number.
    OpenSession(u64),
    /// End the session of this number, if it is there.
    CloseSession(u64),
    /// Read stored messages from this seq on; answer with [`Input::History`].
    FetchHistory(Seq),
    /// Post what [`StreamClient::post`] returns; answer with [`Input::Posted`].
    Post,
    /// Follow the stream by server-sent events from this seq on; answer with [`Input::Followed`], [`Input::FollowState`] and
    /// [`Input::FollowEnded`].
    Follow(Seq),
    /// End that, if it is there.
    StopFollowing,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// The channel of this session is open.
    SessionOpened(u64),
    /// This session did not open.
    SessionFailed(u64, Failure),
    /// This session is over.
    SessionEnded(u64, Failure),
    /// A data-channel message came in this session.
    Received(u64, &'a [u8]),
    /// The answer to [`Command::FetchHistory`].
    History(Result<Vec<Message>, Failure>),
    /// The answer to [`Command::Post`], with the producer_seq that was posted.
    Posted(u64, Result<PostAnswer, Failure>),
    /// A stored message came by [`Command::Follow`].
    Followed(Message),
    /// The signature of the messages that come next by [`Command::Follow`].
    FollowedSignature(MessageSignature),
    /// The state of the stream, which comes before the first message of [`Command::Follow`].
    FollowState(streamchain_protocol::ids::Epoch),
    /// The events of [`Command::Follow`] ended.
    FollowEnded(Option<Failure>),
}

/// How the stream is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Not at all.
    None,
    /// By a data channel to a relay.
    Session,
    /// By HTTP.
    Http,
}

/// What the application gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The next message of the stream.
    Message(Message),
    /// The messages from this seq on are taken back: others follow with their seqs. Only with [`Guarantee::Live`](super::Guarantee::Live).
    Retracted(Seq),
    /// A published message is stored.
    Stored(Stored),
    /// Messages are anchored on the chain, or their anchor has another state.
    Anchored(AnchorRef),
    /// The stream is reached in another way than before, or no longer.
    Route(Route),
    /// An attempt failed or a session ended; the client goes on by itself.
    Failed(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// Until this time.
    Waiting(u64),
    Opening,
    /// The channel is open, and the relay's welcome is to come before this time.
    Greeting(u64),
    /// Since this time.
    Open(u64),
}

/// The client of one stream.
#[derive(Debug)]
pub(crate) struct StreamClient {
    link: Link,
    /// The number of the present session or attempt.
    session: u64,
    failures: u32,
    http_only: bool,
    outbox: Option<Outbox>,
    feed: Option<Feed>,
    signatures: bool,
    /// The signature that came last, whose messages follow it.
    signature: Option<Arc<MessageSignature>>,
    http: ByHttp,
    pacer: Pacer,
    /// Frames that are sent before messages.
    control: VecDeque<Vec<u8>>,
    /// Until when nothing is published, since the relay refused a message.
    paused_until: Option<u64>,
    pauses: u32,
    /// When the relay was last heard of, or sent a ping.
    heard_ms: u64,
    route: Route,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
}

impl StreamClient {
    /// Returns a client that begins at its first [`Self::handle_timeout`].
    pub(crate) fn new(options: &ClientOptions) -> Self {
        Self {
            link: Link::Waiting(0),
            session: 0,
            failures: 0,
            http_only: options.http_only,
            outbox: options
                .producer
                .map(|producer| Outbox::new(producer, options.signing.clone())),
            feed: options.read.map(Feed::new),
            signatures: options.signatures,
            signature: None,
            http: ByHttp::default(),
            pacer: Pacer::default(),
            control: VecDeque::new(),
            paused_until: None,
            pauses: 0,
            heard_ms: 0,
            route: Route::None,
            commands: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Publishes a message; returns its number. It is stored once [`Event::Stored`] says so.
    pub(crate) fn publish(&mut self, payload: Vec<u8>) -> Result<u64, PublishError> {
        match &mut self.outbox {
            Some(outbox) => outbox.publish(payload),
            None => Err(PublishError::Full),
        }
    }

    /// Returns whether [`Self::publish`] takes another message.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.as_ref().is_some_and(Outbox::has_room)
    }

    /// Returns how many published messages are not stored yet.
    pub(crate) fn unstored(&self) -> usize {
        self.outbox.as_ref().map_or(0, Outbox::len)
    }

    /// Returns how the stream is reached now.
    pub(crate) fn route(&self) -> Route {
        self.route
    }

    /// Returns what there is to post, at [`Command::Post`].
    pub(crate) fn post(&mut self) -> Result<Option<super::outbox::Post<'_>>, Fatal> {
        self.outbox.as_mut().map_or(Ok(None), Outbox::post)
    }

    /// Takes the groups that were signed since the last call: to be kept before what [`Self::next_send`] or [`Self::post`]
    /// returned is sent, if a later run is to go on behind them.
    pub(crate) fn take_unkept(&mut self) -> Vec<SealedGroup> {
        self.outbox.as_mut().map(Outbox::take_unkept).unwrap_or_default()
    }

    /// Returns where the chain of the producer's groups stands; `None` when nothing is signed.
    pub(crate) fn chain(&self) -> Option<KeptChain> {
        self.outbox.as_ref().and_then(Outbox::chain)
    }

    /// Returns who numbers the messages.
    pub(crate) fn producer(&self) -> Option<ProducerId> {
        self.outbox.as_ref().map(Outbox::producer)
    }

    /// Returns the next thing that the caller must do.
    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Returns the next thing for the application.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if let Some(stored) = self.outbox.as_mut().and_then(Outbox::next_stored) {
            return Some(Event::Stored(stored));
        }
        self.feed.as_mut().and_then(Feed::poll).map(|event| match event {
            FeedEvent::Message(message) => Event::Message(message),
            FeedEvent::Retracted(from) => Event::Retracted(from),
        })
    }

    /// Returns the next data-channel message to send in the present session, when its channel takes one.
    pub(crate) fn next_send(&mut self, now_ms: u64) -> Result<Option<Vec<u8>>, Fatal> {
        if let Some(frame) = self.control.pop_front() {
            return Ok(Some(frame));
        }
        let is_paused = self.paused_until.is_some() || self.pacer.wait_ms(now_ms) > 0;
        let Some(outbox) = &mut self.outbox else {
            return Ok(None);
        };
        if !matches!(self.link, Link::Open(_)) || is_paused {
            return Ok(None);
        }
        let mut message = Vec::new();
        let (frames, bytes) = outbox.write_message(self.pacer.max_together(), &mut message)?;
        self.pacer.spend(frames, bytes, now_ms);
        Ok((frames > 0).then_some(message))
    }

    /// Takes what happened. `bits` are random.
    pub(crate) fn handle(&mut self, input: Input<'_>, now_ms: u64, bits: u64) -> Result<(), Fatal> {
        match input {
            Input::SessionOpened(session) => self.opened(session, now_ms),
            Input::SessionFailed(session, failure) => {
                if session == self.session && self.link == Link::Opening {
                    self.failed(failure, now_ms, bits)?;
                }
            }
            Input::SessionEnded(session, failure) => {
                if session == self.session && self.is_linked() {
                    self.end_session(failure, now_ms, bits);
                }
            }
            Input::Received(session, message) => {
                if session == self.session && self.is_linked() {
                    self.received(message, now_ms, bits)?;
                }
            }
            Input::History(answer) => self.history(answer, now_ms, bits)?,
            Input::Posted(producer_seq, answer) => self.posted(producer_seq, answer, now_ms, bits)?,
            Input::Followed(message) => self.followed(message),
            Input::FollowedSignature(signature) => self.signature = Some(Arc::new(signature)),
            Input::FollowState(epoch) => {
                self.signature = None;
                if let Some(feed) = &mut self.feed {
                    feed.enter(epoch);
                }
            }
            Input::FollowEnded(failure) => self.follow_ended(failure, now_ms, bits)?,
        }
        self.plan(now_ms);
        Ok(())
    }

    /// Does what is due; also to be called when something was published or read.
    pub(crate) fn handle_timeout(&mut self, now_ms: u64, bits: u64) {
        match self.link {
            Link::Waiting(until) if until <= now_ms => self.open_session(),
            Link::Greeting(until) if until <= now_ms => {
                self.end_session(
                    Failure::Ended("the relay does not answer hello".into()),
                    now_ms,
                    bits,
                );
            }
            _ => {}
        }
        if self.is_linked() && now_ms >= self.heard_ms.saturating_add(PING_AFTER_MS) {
            self.heard_ms = now_ms;
            self.control.push_back(frames::ping());
        }
        if self.paused_until.is_some_and(|until| until <= now_ms) {
            self.paused_until = None;
            if let Some(outbox) = &mut self.outbox {
                outbox.resend_unanswered();
            }
        }
        self.plan(now_ms);
    }

    /// Returns when [`Self::handle_timeout`] is to be called.
    pub(crate) fn next_timeout(&self, now_ms: u64) -> u64 {
        let link = match self.link {
            Link::Waiting(until) | Link::Greeting(until) => until,
            Link::Opening | Link::Open(_) => u64::MAX,
        };
        let ping = match self.is_linked() {
            true => self.heard_ms.saturating_add(PING_AFTER_MS),
            false => u64::MAX,
        };
        let paced = match self.pacer.wait_ms(now_ms) {
            0 => u64::MAX,
            wait => now_ms.saturating_add(wait),
        };
        let paused = self.paused_until.unwrap_or(u64::MAX);
        let http = self.http.next_timeout(self.unstored() > 0);
        link.min(ping).min(paced).min(paused).min(http)
    }

    fn is_linked(&self) -> bool {
        matches!(self.link, Link::Greeting(_) | Link::Open(_))
    }

    fn open_session(&mut self) {
        if self.http_only {
            self.link = Link::Waiting(u64::MAX);
            self.start_http();
            return;
        }
        self.session += 1;
        self.link = Link::Opening;
        self.commands.push_back(Command::OpenSession(self.session));
    }

    fn opened(&mut self, session: u64, now_ms: u64) {
        if session != self.session || self.link != Link::Opening {
            self.commands.push_back(Command::CloseSession(session));
            return;
        }
        self.heard_ms = now_ms;
        self.control.clear();
        // From here on the session brings what comes: two sources could be of different epochs.
        self.stop_following();
        self.signature = None;
        self.control.push_back(frames::abilities());
        match &self.outbox {
            Some(outbox) => {
                self.control
                    .push_back(frames::hello(outbox.producer(), outbox.key()));
                self.link = Link::Greeting(now_ms.saturating_add(WELCOME_TIMEOUT_MS));
            }
            None => self.is_open(now_ms),
        }
        if let Some(feed) = &mut self.feed {
            self.control
                .push_back(frames::subscribe(feed.resume(), self.signatures));
        }
    }

    fn is_open(&mut self, now_ms: u64) {
        self.link = Link::Open(now_ms);
        (self.paused_until, self.pauses) = (None, 0);
        self.stop_http();
        self.set_route(Route::Session);
    }

    /// The attempt failed.
    fn failed(&mut self, failure: Failure, now_ms: u64, bits: u64) -> Result<(), Fatal> {
        if failure.is_final() {
            return Err(Fatal::Refused(failure));
        }
        if failure.is_replaceable() {
            self.start_http();
        }
        self.pause_link(failure, now_ms, bits);
        Ok(())
    }

    /// Waits before the next attempt.
    fn pause_link(&mut self, failure: Failure, now_ms: u64, bits: u64) {
        let bounds = match self.http.is_active() {
            true => FALLBACK_BACKOFF,
            false => SESSION_BACKOFF,
        };
        let wait = bounds.jittered_ms(self.failures, bits);
        let wait = failure
            .retry_ms()
            .map_or(wait, |asked| asked.min(MAX_PAUSE_MS).max(wait));
        self.failures = self.failures.saturating_add(1);
        self.link = Link::Waiting(now_ms.saturating_add(wait));
        self.events.push_back(Event::Failed(failure));
    }

    /// Ends the present session; another one follows.
    fn end_session(&mut self, failure: Failure, now_ms: u64, bits: u64) {
        self.commands.push_back(Command::CloseSession(self.session));
        if let Link::Open(since) = self.link
            && now_ms >= since.saturating_add(STEADY_SESSION_MS)
        {
            self.failures = 0;
        }
        self.control.clear();
        self.paused_until = None;
        self.pacer = Pacer::default();
        if let Some(outbox) = &mut self.outbox {
            outbox.session_ended();
        }
        self.set_route(if self.http.is_active() {
            Route::Http
        } else {
            Route::None
        });
        self.pause_link(failure, now_ms, bits);
    }

    /// A message with the signature that it is under, if that came before it.
    fn with_signature(&self, message: Message) -> Message {
        let signature = self
            .signature
            .clone()
            .filter(|signature| signature.covers(message.seq));
        Message { signature, ..message }
    }

    fn set_route(&mut self, route: Route) {
        if self.route != route {
            self.route = route;
            self.events.push_back(Event::Route(route));
        }
    }
}
