//! Streams: taken up, committed, let go.

use super::{Command, Now, Shard};
use crate::core::edge_requests::{Request, Ticket, UplinkError};
use crate::core::limits::{STREAM_IDLE, STREAMS_MAX};
use crate::core::retry::Retry;
use crate::core::session::SessionKey;
use crate::core::stream::{Held, Stream};
use crate::core::timers::Owner;
use std::time::Instant;
use streamchain_protocol::ids::{Incarnation, ProducerId, ShortId};
use streamchain_protocol::wire::frame::ErrorCode;
use streamchain_protocol::wire::{Committed, EpochGrant, ProducerState};

impl Shard {
    /// Adds a session to its stream, which is asked for if it is new.
    pub(super) fn join_stream(&mut self, id: ShortId, key: SessionKey) {
        let stream = self.ask_for_stream(id);
        stream.idle_since = None;
        stream.sessions.push(key);
    }

    /// The stream, which is asked for if it is new.
    pub(super) fn ask_for_stream(&mut self, id: ShortId) -> &mut Stream {
        match self.streams.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                self.next_number += 1;
                let ticket = Ticket {
                    stream: id,
                    number: self.next_number,
                };
                let mut stream = Stream::new(ticket);
                if self.disputed.remove(&id) {
                    stream.fresh = Some(Incarnation(self.jitter.next_bits().to_be_bytes()));
                }
                self.commands.push_back(Command::Ask(
                    ticket,
                    Request::AcquireEpoch { fresh: stream.fresh },
                ));
                entry.insert(stream)
            }
        }
    }

    /// Takes a session out of its stream.
    pub(super) fn leave_stream(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(&session.stream()) else {
            return;
        };
        let before = stream.sessions.len();
        stream.sessions.retain(|other| *other != key);
        if stream.sessions.len() == before {
            return;
        }
        if let (Some(hello), Some(held)) = (session.hello, &mut stream.held)
            && hello.welcomed
        {
            held.producers.leave(hello.producer);
        }
        if stream.sessions.is_empty() {
            stream.idle_since = Some(now.instant);
            self.schedule_stream(session.stream());
        }
    }

    pub(super) fn schedule_stream(&mut self, id: ShortId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && let Some(at) = stream.next_timeout(STREAM_IDLE)
        {
            self.timers.schedule(Owner::Stream(id), at, &mut stream.scheduled);
        }
    }

    pub(super) fn stream_due(&mut self, id: ShortId, at: Instant, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.scheduled != Some(at) {
            return;
        }
        stream.scheduled = None;
        let idle = stream
            .idle_since
            .is_some_and(|since| since + STREAM_IDLE <= now.instant);
        if idle && stream.unstored() == 0 {
            return self.release(id);
        }
        let ticket = stream.ticket;
        if stream.acquire_epoch.is_due(now.instant) {
            self.commands.push_back(Command::Ask(
                ticket,
                Request::AcquireEpoch { fresh: stream.fresh },
            ));
        }
        if let Some(held) = &mut stream.held {
            let epoch = held.epoch;
            for (producer, retry) in &mut held.lookups {
                if retry.is_due(now.instant) {
                    let request = Request::Producer {
                        epoch,
                        producer: *producer,
                    };
                    self.commands.push_back(Command::Ask(ticket, request));
                }
            }
            if held.batch_retry.is_due(now.instant)
                && let Some(body) = held.backlog.under_way()
            {
                self.commands
                    .push_back(Command::Ask(ticket, Request::Batch { body }));
            }
        }
        self.close_batch(id, now);
        self.schedule_stream(id);
    }

    /// Sends the open batch if it is time, or at once when the shard goes down.
    pub(super) fn close_batch(&mut self, id: ShortId, now: Now) {
        let due_by = self.takes_messages().then_some(now.instant);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(held) = &mut stream.held else { return };
        if let Some(body) = held.backlog.close_batch(held.epoch, due_by) {
            held.batch_retry = Retry::default();
            held.batch_closed = Some(now.instant);
            self.commands
                .push_back(Command::Ask(stream.ticket, Request::Batch { body }));
        }
    }

    /// Asks whether the streams are still ours: the edge did not hear of us for so long that it may have given
    /// them to others. Those with messages to store would find out by themselves; one that is only listened to
    /// would go on for ever with nothing to hear.
    pub fn confirm_streams(&mut self) {
        for stream in self.streams.values().filter(|stream| stream.held.is_some()) {
            let request = Request::AcquireEpoch { fresh: stream.fresh };
            self.commands.push_back(Command::Ask(stream.ticket, request));
        }
    }

    pub(super) fn acquired(&mut self, id: ShortId, result: Result<EpochGrant, UplinkError>, now: Now) {
        let (interval, log_max_bytes) = (self.commit_interval, self.memory.log_bytes);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let held = stream.held.as_ref().map(|held| held.epoch);
        match result {
            Ok(taken) if taken.stream.short() == id && held.is_some_and(|epoch| epoch != taken.epoch) => {
                let reason = format!("it was elsewhere meanwhile; its epoch is {} now", taken.epoch);
                self.let_go(id, UplinkError::Moved(reason), now);
            }
            Ok(taken) if taken.stream.short() == id && held.is_some() => {}
            Ok(taken) if taken.stream.short() == id => {
                stream.hold(&taken, interval, log_max_bytes, now.instant);
                let waiting = taken.waiting;
                for key in stream.sessions.clone() {
                    self.stream_is_there(key, now);
                }
                if waiting > 0 {
                    self.fetch(id, now);
                }
            }
            Ok(_) => self.let_go(
                id,
                UplinkError::Refused("the answer is about another stream".into()),
                now,
            ),
            Err(error) if error.is_passing() => {
                stream.acquire_epoch.fail(now.instant, &mut self.jitter);
                self.counters.uplink_retries += 1;
                self.schedule_stream(id);
            }
            Err(error) => self.let_go(id, error, now),
        }
    }

    /// Asks how far a producer got, unless that is under way.
    pub(super) fn look_up(&mut self, id: ShortId, producer: ProducerId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(held) = &mut stream.held else { return };
        if let std::collections::hash_map::Entry::Vacant(entry) = held.lookups.entry(producer) {
            entry.insert(Retry::default());
            let request = Request::Producer {
                epoch: held.epoch,
                producer,
            };
            self.commands.push_back(Command::Ask(stream.ticket, request));
        }
    }

    pub(super) fn producer_found(
        &mut self,
        id: ShortId,
        producer: ProducerId,
        result: Result<ProducerState, UplinkError>,
        now: Now,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(held) = &mut stream.held else { return };
        match result {
            Ok(state) => {
                held.lookups.remove(&producer);
                held.producers.trim(held.backlog.committed());
                held.producers.learn(producer, state.stored);
                for key in stream.sessions.clone() {
                    self.stream_is_there(key, now);
                }
            }
            Err(error) if error.is_passing() => {
                if let Some(retry) = held.lookups.get_mut(&producer) {
                    retry.fail(now.instant, &mut self.jitter);
                    self.counters.uplink_retries += 1;
                }
                self.schedule_stream(id);
            }
            Err(error) => self.let_go(id, error, now),
        }
    }

    pub(super) fn batch_answered(&mut self, id: ShortId, result: Result<Committed, UplinkError>, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(held) = &mut stream.held else { return };
        let closed = held.batch_closed;
        match result {
            Ok(Committed { committed, waiting }) => match self.confirm(id, committed) {
                true => {
                    if let Some(closed) = closed {
                        self.commits
                            .observe(now.instant.saturating_duration_since(closed));
                    }
                    if waiting > 0 {
                        self.fetch(id, now);
                    }
                    self.close_batch(id, now);
                    self.queue_stream(id);
                    self.schedule_stream(id);
                }
                false => {
                    let error =
                        UplinkError::Refused(format!("the edge stored up to {committed}, not the batch"));
                    self.let_go(id, error, now);
                }
            },
            Err(error) if error.is_passing() => {
                held.batch_retry.fail(now.instant, &mut self.jitter);
                self.counters.uplink_retries += 1;
                self.schedule_stream(id);
            }
            Err(error) => self.let_go(id, error, now),
        }
    }

    fn confirm(&mut self, id: ShortId, committed: streamchain_protocol::ids::Seq) -> bool {
        let Some(Held {
            backlog, producers, ..
        }) = self.streams.get_mut(&id).and_then(|stream| stream.held.as_mut())
        else {
            return false;
        };
        let before = backlog.bytes();
        let Some(numbers) = backlog.confirm(committed) else {
            return false;
        };
        self.unstored_bytes -= before - backlog.bytes();
        self.counters.batches_stored += 1;
        self.counters.messages_stored += numbers.len() as u64;
        numbers
            .into_iter()
            .for_each(|(producer, number)| producers.stored(producer, number));
        true
    }

    /// Forgets a stream that is not ours (any more): its sessions are told to connect again.
    pub(super) fn let_go(&mut self, id: ShortId, error: UplinkError, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        self.counters.streams_lost += 1;
        // Elsewhere the next epoch is another anyway.
        if matches!(error, UplinkError::Refused(_)) && self.disputed.len() < STREAMS_MAX {
            self.disputed.insert(id);
        }
        self.commands.push_back(Command::StreamLost(id, error));
        let lost = stream.held.take().map_or(0, |held| held.backlog.bytes());
        self.unstored_bytes -= lost;
        for key in stream.sessions.clone() {
            self.close_with(
                key,
                ErrorCode::StreamMoved,
                "the stream is elsewhere: connect again",
                now,
            );
        }
        self.streams.remove(&id);
    }
}
