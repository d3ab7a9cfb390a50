//! What is behind a webhook's cursor, in the order of event streams: the stream's messages first, then what the chain says.

use crate::stream_log::{Cursor, EventRange, StoredEvent};
use serde_json::json;
use streamchain_protocol::ids::Seq;

/// Most events in one delivery.
pub const MAX_DELIVERY_ITEMS: usize = 500;

/// What was read of the stream, at one moment of it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The number of messages of the stream.
    pub head: Seq,
    /// Which events the stream keeps.
    pub range: EventRange,
    /// Messages from the cursor on without a gap, as JSON.
    pub messages: Vec<(Seq, String)>,
    /// Events from the cursor on, in order.
    pub events: Vec<StoredEvent>,
}

/// One event of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// How far the receiver is with it.
    pub(super) id: Cursor,
    /// Its kind.
    pub(super) name: String,
    /// Its content.
    pub(super) json: String,
}

/// What follows a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How far it goes.
    pub(super) to: Cursor,
    /// The events, of all kinds.
    pub(super) items: Vec<Item>,
}

/// Not all of a delivery that is fixed could be read: it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream's events up to {0} could not be read yet")]
pub struct Unready(Cursor);

impl Found {
    /// Joins what follows `from`; with `until`, exactly up to there. Without the stream's messages they are passed over.
    pub(super) fn gather(
        from: Cursor,
        until: Option<Cursor>,
        with_messages: bool,
        source: Source,
    ) -> Result<Self, Unready> {
        let (mut to, mut items) = (from, Vec::new());
        let (end, last) = until.map_or((source.head, u64::MAX), |until| (until.seq, until.event));
        match with_messages {
            true => {
                let wanted = source.messages.into_iter().filter(|(seq, _)| *seq < end);
                for (seq, json) in wanted.take(MAX_DELIVERY_ITEMS) {
                    to.seq = seq.next();
                    items.push(Item::new(to, "stored", json));
                }
            }
            false => to.seq = end,
        }
        if to.seq >= end {
            put_events(&mut to, last, source.range, source.events, &mut items);
        }
        match until {
            Some(until) if to != until => Err(Unready(until)),
            _ => Ok(Self { to, items }),
        }
    }
}

impl Item {
    fn new(id: Cursor, name: impl Into<String>, json: String) -> Self {
        let name = name.into();
        Self { id, name, json }
    }
}

/// Puts the events behind `to` up to number `last`, and before them what is known of those that are kept no more.
fn put_events(
    to: &mut Cursor,
    last: u64,
    range: EventRange,
    events: Vec<StoredEvent>,
    items: &mut Vec<Item>,
) {
    let lost_to = (range.first - 1).min(last);
    if to.event < lost_to {
        let lost = json!({ "from": to.event + 1, "to": lost_to + 1 });
        to.event = lost_to;
        items.push(Item::new(*to, "gap", lost.to_string()));
    }
    for event in events {
        if event.number <= to.event || event.number > last || items.len() >= MAX_DELIVERY_ITEMS {
            continue;
        }
        to.event = event.number;
        items.push(Item::new(*to, event.name, event.json));
    }
}
