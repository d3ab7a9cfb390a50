//! History, and the stream by HTTP alone while no session opens: one request at a time for what is published, server-sent
//! events for what is read.
//!
//! What always holds: messages are posted in the order of `producer_seq`, with the numbers that they have on a data
//! channel; so what a relay took before, or takes later, is the same message.

use super::{Command, Event, Route, StreamClient};
use crate::core::failure::{Failure, Fatal};
use crate::core::limits::{HISTORY_PAUSE_MS, UNSTORED_PAUSE_MS};
use crate::core::message::Message;
use crate::core::outbox::PostAnswer;
use crate::core::turns::Turn;

impl StreamClient {
    pub(super) fn start_http(&mut self) {
        if self.http.is_active {
            return;
        }
        self.http.is_active = true;
        if let Some(outbox) = &mut self.outbox {
            outbox.begin_posting();
        }
        if let Some(feed) = &mut self.feed {
            // Events name an epoch at their beginning only.
            feed.take_back();
        }
        self.set_route(Route::Http);
    }

    pub(super) fn stop_http(&mut self) {
        self.http.is_active = false;
    }

    pub(super) fn stop_following(&mut self) {
        if self.http.follow.is_under_way {
            self.http.follow = Turn::default();
            self.commands.push_back(Command::StopFollowing);
        }
    }

    /// Begins the requests that are due.
    pub(super) fn plan(&mut self, now_ms: u64) {
        let wanted = self.feed.as_ref().and_then(|feed| feed.wants_history());
        self.http.is_history_needed = wanted.is_some();
        if let Some(from) = wanted
            && self.http.history.begins(now_ms)
        {
            self.commands.push_back(Command::FetchHistory(from));
        }
        if !self.http.is_active {
            return;
        }
        if self.unstored() > 0 && self.http.post.begins(now_ms) {
            self.commands.push_back(Command::Post);
        }
        if !self.is_linked()
            && let Some(feed) = &mut self.feed
            && self.http.follow.begins(now_ms)
        {
            self.commands.push_back(Command::Follow(feed.resume()));
        }
    }

    pub(super) fn history(
        &mut self,
        answer: Result<Vec<Message>, Failure>,
        now_ms: u64,
        bits: u64,
    ) -> Result<(), Fatal> {
        match answer {
            Ok(messages) => {
                // What is not stored yet is not in history: it is asked for again a little later.
                let pause = if messages.is_empty() { HISTORY_PAUSE_MS } else { 0 };
                self.http.history.succeeded(now_ms.saturating_add(pause));
                if let Some(feed) = &mut self.feed {
                    feed.history(messages);
                }
            }
            Err(failure) if failure.is_final() => return Err(Fatal::Refused(failure)),
            Err(failure) => self.http.history.failed(Some(&failure), now_ms, bits),
        }
        Ok(())
    }

    pub(super) fn posted(
        &mut self,
        producer_seq: u64,
        answer: Result<PostAnswer, Failure>,
        now_ms: u64,
        bits: u64,
    ) -> Result<(), Fatal> {
        let Some(outbox) = &mut self.outbox else {
            return Ok(());
        };
        match answer {
            Ok(answer) => {
                let wait = if outbox.posted(producer_seq, answer)? {
                    UNSTORED_PAUSE_MS
                } else {
                    0
                };
                self.http.post.succeeded(now_ms.saturating_add(wait));
            }
            Err(failure) if failure.is_final() || failure.is_broken_chain() => {
                return Err(Fatal::Refused(failure));
            }
            Err(failure) => {
                if matches!(&failure, Failure::Refused { status: 409, slug, .. } if slug == "producer-conflict")
                {
                    outbox.conflict(&failure)?;
                }
                self.http.post.failed(Some(&failure), now_ms, bits);
                self.events.push_back(Event::Failed(failure));
            }
        }
        Ok(())
    }

    pub(super) fn followed(&mut self, message: Message) {
        if !self.http.follow.is_under_way {
            return;
        }
        self.http.follow.failures = 0;
        let message = self.with_signature(message);
        if let Some(feed) = &mut self.feed {
            let mark = message.seq.next();
            feed.message(message);
            feed.commit(mark);
        }
    }

    pub(super) fn follow_ended(
        &mut self,
        failure: Option<Failure>,
        now_ms: u64,
        bits: u64,
    ) -> Result<(), Fatal> {
        if !self.http.follow.is_under_way {
            return Ok(());
        }
        // A session makes a stream that is not there yet; until one opens, this waits for it.
        let waits = |failure: &Failure| !self.http_only && failure.is_no_such_stream();
        if let Some(failure) = failure
            .clone()
            .filter(|failure| failure.is_final() && !waits(failure))
        {
            return Err(Fatal::Refused(failure));
        }
        self.http.follow.failed(failure.as_ref(), now_ms, bits);
        Ok(())
    }
}
