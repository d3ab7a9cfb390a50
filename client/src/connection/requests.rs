//! Requests that are under way, and their replies.
//!
//! What always holds: what a former event stream still brings is not passed on, since each has a channel of its own.

use crate::core::{Failure, Message, MessageSignature, PostAnswer};
use crate::http::{self, EdgeClient, Events, Posted, SessionAnswer};
use serde::Deserialize;
use std::future::pending;
use std::time::Duration;
use streamchain_protocol::ids::{Epoch, Seq, StreamRef};
use streamchain_protocol::limits::MAX_HISTORY_MESSAGES;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Events that wait until they are taken: then the event stream waits, and with it the edge.
const MAX_WAITING_EVENTS: usize = 256;

/// How long the end of a session may take at the edge: it is only a courtesy.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// What came back.
pub(super) enum Reply {
    Session(u64, Result<SessionAnswer, Failure>),
    History(Result<Vec<Message>, Failure>),
    Posted(u64, Result<PostAnswer, Failure>),
    FollowState(Epoch),
    Followed(Message),
    FollowedSignature(MessageSignature),
    FollowEnded(Option<Failure>),
}

/// An event stream that is being read.
struct Following {
    task: JoinHandle<()>,
    replies: mpsc::Receiver<Reply>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The requests of one connection.
pub(super) struct Requests {
    edge: EdgeClient,
    stream: StreamRef,
    /// Whether what is read comes with signatures.
    signatures: bool,
    sender: mpsc::UnboundedSender<Reply>,
    replies: mpsc::UnboundedReceiver<Reply>,
    following: Option<Following>,
}

/// The part of the event `state` that is read.
#[derive(Deserialize)]
struct State {
    epoch: Epoch,
}

impl Requests {
    pub(super) fn new(edge: EdgeClient, stream: StreamRef, signatures: bool) -> Self {
        // At most one request of each kind is under way, so this holds a few replies.
        let (sender, replies) = mpsc::unbounded_channel();
        Self {
            edge,
            stream,
            signatures,
            sender,
            replies,
            following: None,
        }
    }

    /// Waits for the next reply.
    pub(super) async fn next(&mut self) -> Reply {
        let followed = async {
            match &mut self.following {
                Some(following) => following.replies.recv().await,
                None => pending().await,
            }
        };
        let (reply, is_followed) = tokio::select! {
            biased;
            Some(reply) = self.replies.recv() => (reply, false),
            reply = followed => (reply.unwrap_or(Reply::FollowEnded(None)), true),
        };
        if is_followed && matches!(reply, Reply::FollowEnded(_)) {
            self.following = None;
        }
        reply
    }

    fn spawn(&self, request: impl Future<Output = Reply> + Send + 'static) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            // Without a receiver the connection is gone.
            let _ = sender.send(request.await);
        });
    }

    pub(super) fn open_session(&self, number: u64, offer: String) {
        let (edge, stream) = (self.edge.clone(), self.stream.clone());
        self.spawn(async move { Reply::Session(number, edge.open_session(&stream, offer).await) });
    }

    /// Ends a session at the edge, without waiting: a session that is not ended there is forgotten after a day.
    pub(super) fn end_session(&self, location: String) {
        if location.is_empty() {
            return;
        }
        let edge = self.edge.clone();
        tokio::spawn(async move {
            let _ = edge.end_session(&location).await;
        });
    }

    pub(super) async fn end_session_now(&self, location: String) {
        if !location.is_empty() {
            let _ = tokio::time::timeout(GOODBYE_TIMEOUT, self.edge.end_session(&location)).await;
        }
    }

    pub(super) fn fetch_history(&self, from: Seq) {
        let (edge, stream, signatures) = (self.edge.clone(), self.stream.clone(), self.signatures);
        self.spawn(async move {
            let limit = MAX_HISTORY_MESSAGES as u64;
            let page = match signatures {
                true => edge.signed_history(&stream, from, limit).await,
                false => edge.history(&stream, from, limit).await,
            };
            Reply::History(page.map(|page| page.messages))
        });
    }

    pub(super) fn post(&self, posted: Posted) {
        let (edge, stream) = (self.edge.clone(), self.stream.clone());
        let number = posted.producer_seq;
        self.spawn(async move { Reply::Posted(number, edge.publish(&stream, posted).await) });
    }

    pub(super) fn follow(&mut self, from: Seq) {
        let (sender, replies) = mpsc::channel(MAX_WAITING_EVENTS);
        let (edge, stream, signatures) = (self.edge.clone(), self.stream.clone(), self.signatures);
        let task = tokio::spawn(async move {
            let events = match signatures {
                true => edge.signed_events(&stream, from).await,
                false => edge.events(&stream, Some(from), None).await,
            };
            let failure = match events {
                Ok(events) => read_events(events, &sender).await.err(),
                Err(failure) => Some(failure),
            };
            let _ = sender.send(Reply::FollowEnded(failure)).await;
        });
        self.following = Some(Following { task, replies });
    }

    pub(super) fn stop_following(&mut self) {
        self.following = None;
    }
}

async fn read_events(mut events: Events, replies: &mpsc::Sender<Reply>) -> Result<(), Failure> {
    while let Some(event) = events.next().await? {
        let reply = match event.kind.as_str() {
            "state" => {
                let state: State = serde_json::from_str(&event.data)
                    .map_err(|error| Failure::NoEdge(format!("unreadable state: {error}")))?;
                Reply::FollowState(state.epoch)
            }
            "signature" => Reply::FollowedSignature(http::signature(&event)?),
            "stored" => Reply::Followed(http::message(&event)?),
            _ => continue,
        };
        if replies.send(reply).await.is_err() {
            break;
        }
    }
    Ok(())
}
