//! One stream: its messages, from where the command stopped before.

use super::args::{Place, SubArgs, stored};
use crate::authors::Authors;
use crate::edge::Watch;
use crate::exit::Exit;
use crate::output::{Format, Output};
use crate::signed::Signed;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use streamchain_client::connection::{Connection, ConnectionOptions};
use streamchain_client::core::{Event, Message, Reading, Route};
use streamchain_protocol::ids::{Seq, StreamRef};

/// Follows one stream.
pub(super) async fn run(args: &SubArgs, stream: &StreamRef) -> Result<(), Exit> {
    let edge = args.edge.client()?;
    let kept = args.cursor.as_deref().map(read_cursor).transpose()?.flatten();
    let needs_head = kept.is_none() && args.from == Place::Head || args.until == Some(Place::Head);
    let head = if needs_head {
        stored(&edge, stream).await?
    } else {
        Seq(0)
    };
    let place = |place: Place| match place {
        Place::Head => head,
        Place::Seq(seq) => seq,
    };
    let from = kept.unwrap_or_else(|| place(args.from));
    let options = ConnectionOptions {
        read: Some(Reading {
            from,
            guarantee: args.guarantee(),
        }),
        signatures: args.verify,
        http_only: args.reach.http,
        ..ConnectionOptions::new(&stream.to_string())
    };
    let authors = args.believed().map(|believed| {
        let edge = (edge.clone(), args.reach.clone());
        Authors::new(edge, stream.clone(), believed, 1, None)
    });
    let mut reading = Subscription {
        connection: Connection::open(edge, options)?,
        watch: Watch::new(&args.reach),
        output: Output::new(Format::of(args.json)),
        authors,
        next: from,
        end: args.until.map(place),
        left: args.count,
        cursor: args.cursor.as_deref(),
    };
    let read = reading.all().await;
    let saved = reading.save();
    reading.connection.close().await;
    read.and(saved)
}

struct Subscription<'a> {
    connection: Connection,
    watch: Watch,
    output: Output,
    /// Checks who wrote the messages.
    authors: Option<Authors>,
    next: Seq,
    end: Option<Seq>,
    left: Option<u64>,
    cursor: Option<&'a Path>,
}

impl Subscription<'_> {
    fn is_over(&self) -> bool {
        self.left == Some(0) || self.end.is_some_and(|end| self.next >= end)
    }

    async fn all(&mut self) -> Result<(), Exit> {
        while !self.is_over() {
            let is_reached = self.connection.route() != Route::None;
            if is_reached {
                self.watch.progress();
            }
            let deadline = self.watch.deadline();
            // Flushed when nothing more is there at once.
            let event = tokio::select! {
                biased;
                event = self.connection.next_event() => Some(event?),
                () = std::future::ready(()) => None,
            };
            let event = match event {
                Some(event) => event,
                None => {
                    self.save()?;
                    tokio::select! {
                        event = self.connection.next_event() => event?,
                        () = tokio::time::sleep_until(deadline.into()), if !is_reached => {
                            return Err(self.watch.gave_up());
                        }
                    }
                }
            };
            self.take(event).await?;
        }
        Ok(())
    }

    fn write(&mut self, message: &Message, signed: Option<Signed>) -> Result<(), Exit> {
        // A group is checked whole, and may go beyond the end.
        if self.is_over() {
            return Ok(());
        }
        self.output.message(message, signed)?;
        self.next = message.seq.next();
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<(), Exit> {
        match event {
            Event::Message(message) => match &mut self.authors {
                None => self.write(&message, None)?,
                Some(authors) => {
                    let from = self.next;
                    for one in authors.take(message).await? {
                        // The messages of a group from before the beginning were read for its signature alone.
                        if one.message.seq >= from {
                            self.write(&one.message, Some(one.signed))?;
                        }
                    }
                }
            },
            Event::Retracted(from) => {
                self.output.json(&json!({ "retracted": from }))?;
                let taken_back = self.next.0.saturating_sub(from.0);
                self.left = self.left.map(|left| left.saturating_add(taken_back));
                self.next = from;
            }
            event => self.watch.event(&event),
        }
        Ok(())
    }

    /// Hands the messages to the reader, and then keeps where the command is.
    fn save(&mut self) -> Result<(), Exit> {
        self.output.flush()?;
        match self.cursor {
            Some(file) => write_cursor(file, self.next),
            None => Ok(()),
        }
    }
}

fn read_cursor(file: &Path) -> Result<Option<Seq>, Exit> {
    let named = |reason: &dyn std::fmt::Display| Exit::NotDone(format!("{}: {reason}", file.display()));
    match std::fs::read_to_string(file) {
        Ok(text) => text
            .trim()
            .parse()
            .map(|seq| Some(Seq(seq)))
            .map_err(|_| named(&"expected a seq")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(&error)),
    }
}

/// Whole or not at all.
fn write_cursor(file: &Path, next: Seq) -> Result<(), Exit> {
    let temporary = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut new = std::fs::File::create(&temporary)?;
        writeln!(new, "{next}")?;
        std::fs::rename(&temporary, file)
    };
    write().map_err(|error| Exit::NotDone(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_kept_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("demo.cursor");
        assert_eq!(read_cursor(&file).unwrap(), None);
        write_cursor(&file, Seq(17)).unwrap();
        assert_eq!(read_cursor(&file).unwrap(), Some(Seq(17)));
        std::fs::write(&file, "x").unwrap();
        assert!(read_cursor(&file).is_err());
    }
}
