//! One of the streams that match a pattern: reads it until it ends, or nobody takes its lines any more.

use super::args::{Place, stored};
use super::line::{How, Line};
use crate::authors::Authors;
use crate::edge::Watch;
use crate::exit::Exit;
use crate::roster::{Found, Start};
use std::rc::Rc;
use streamchain_client::connection::{Connection, ConnectionOptions};
use streamchain_client::core::{Event, Message, Reading, Route};
use streamchain_client::http::ListedStream;
use streamchain_protocol::ids::Seq;
use tokio::sync::mpsc;

/// Why the reading of a stream ended.
enum Ended {
    /// The edge or the relay refuses the stream.
    Refused(Exit),
    /// The command can't go on.
    Failed(Exit),
    /// Nobody takes the lines any more.
    Over,
}

impl From<mpsc::error::SendError<Line>> for Ended {
    fn from(_: mpsc::error::SendError<Line>) -> Self {
        Self::Over
    }
}

/// Reads a stream until it ends, or nobody takes the lines any more; then its session ends.
pub(super) async fn follow(how: Rc<How>, found: Found, lines: mpsc::Sender<Line>) {
    let mut follower = Follower {
        how,
        lines: lines.clone(),
        stream: found.stream,
        start: found.start,
        next: Seq(0),
        authors: None,
        failure: String::new(),
    };
    let mut connection = None;
    let ended = tokio::select! {
        ended = follower.read(&mut connection) => ended.err(),
        () = lines.closed() => None,
    };
    if let Some(connection) = connection {
        connection.close().await;
    }
    let name = follower.stream.name.as_str();
    let last = match ended {
        Some(Ended::Failed(exit)) => Line::Failed(exit.of(name)),
        Some(Ended::Refused(exit)) => {
            if let Some(authors) = follower.authors.take() {
                let mut ended = follower.how.ended.borrow_mut();
                ended.insert(follower.stream.id, authors);
            }
            Line::Ended {
                stream: follower.stream.id,
                start: follower.start,
                note: format!("{name} is left: {}", exit.text()),
            }
        }
        Some(Ended::Over) | None => return,
    };
    // Where nobody takes it, the command is over.
    let _ = lines.send(last).await;
}

struct Follower {
    how: Rc<How>,
    lines: mpsc::Sender<Line>,
    stream: ListedStream,
    /// Where the stream would go on if it ended now.
    start: Start,
    /// Behind the last message that was handed on.
    next: Seq,
    authors: Option<Authors>,
    /// The last failure that was noted.
    failure: String,
}

impl Follower {
    async fn read(&mut self, connection: &mut Option<Connection>) -> Result<(), Ended> {
        let reference = self.how.reference(&self.stream);
        self.authors = self.how.authors(self.stream.id, &reference, self.start);
        let from = self.first().await.map_err(Ended::Refused)?;
        self.go_on_at(from);
        let opened = self.open(from).map_err(Ended::Refused)?;
        let connection = connection.insert(opened);
        loop {
            let event = connection.next_event().await;
            match event.map_err(|fatal| Ended::Refused(fatal.into()))? {
                Event::Message(message) => self.take(message, from).await?,
                Event::Retracted(from) => {
                    let line = Line::Retracted {
                        stream: self.stream.name.clone(),
                        from,
                        written: self.next.0.saturating_sub(from.0),
                    };
                    self.lines.send(line).await?;
                    self.go_on_at(from);
                }
                Event::Route(Route::Session | Route::Http) => {
                    self.lines.send(Line::Opened(self.stream.id)).await?;
                    self.note("connected").await?;
                }
                Event::Failed(failure) => {
                    let text = failure.to_string();
                    if text != self.failure {
                        self.note(&text).await?;
                        self.failure = text;
                    }
                    // It is tried again for as long as it takes, and others shall not wait for it.
                    self.lines.send(Line::Opened(self.stream.id)).await?;
                }
                _ => {}
            }
        }
    }

    fn go_on_at(&mut self, next: Seq) {
        (self.start, self.next) = (Start::Seq(next), next);
    }

    /// The first message to read.
    async fn first(&self) -> Result<Seq, Exit> {
        match (self.start, self.how.from) {
            (Start::Seq(seq), _) | (Start::Asked, Place::Seq(seq)) => Ok(seq),
            (Start::Asked, Place::Head) => {
                let reference = self.how.reference(&self.stream);
                let ask = async || stored(&self.how.edge, &reference).await;
                Watch::new(&self.how.reach).until_answered(ask).await
            }
        }
    }

    fn open(&mut self, from: Seq) -> Result<Connection, Exit> {
        let how = &self.how;
        let reference = how.reference(&self.stream);
        let options = ConnectionOptions {
            read: Some(Reading {
                from,
                guarantee: how.guarantee,
            }),
            signatures: how.believed.is_some(),
            http_only: how.reach.http,
            ..ConnectionOptions::new(&reference.to_string())
        };
        Ok(Connection::open(how.edge.clone(), options)?)
    }

    /// Hands on a message, or those that are checked with it.
    async fn take(&mut self, message: Message, from: Seq) -> Result<(), Ended> {
        let checked = match &mut self.authors {
            None => vec![(message, None)],
            Some(authors) => {
                let checked = authors.take(message).await.map_err(Ended::Failed)?;
                checked
                    .into_iter()
                    .map(|one| (one.message, Some(one.signed)))
                    .collect()
            }
        };
        // The messages of a group from before the beginning were read for its signature alone.
        for (message, signed) in checked.into_iter().filter(|(message, _)| message.seq >= from) {
            let next = message.seq.next();
            let line = Line::Message(self.stream.name.clone(), Box::new(message), signed);
            self.lines.send(line).await?;
            self.go_on_at(next);
        }
        Ok(())
    }

    async fn note(&self, text: &str) -> Result<(), Ended> {
        let note = format!("{}: {text}", self.stream.name.as_str());
        Ok(self.lines.send(Line::Note(note)).await?)
    }
}
