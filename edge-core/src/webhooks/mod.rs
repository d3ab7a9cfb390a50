//! Webhooks: a stream's events are posted to a URL. The machine of the Webhooks object.
//!
//! What always holds:
//! - a delivery is fixed, with its first and last event, before it is sent; until it succeeds it is sent again unchanged,
//!   under the same id. So a receiver that drops ids which it has seen gets each event exactly once, in order, whatever
//!   crashes;
//! - nothing is sent behind a delivery that did not succeed;
//! - no secret is kept: each is derived from the master secret, the webhook's id and a version.

mod gather;
mod kinds;
mod target;
mod wakening;
mod webhook;

pub use gather::{Found, MAX_DELIVERY_ITEMS, Source, Unready};
pub use kinds::Kinds;
pub use target::{Target, TargetRules};
pub use wakening::Wakening;
pub use webhook::{Creator, Delivery, NewWebhook, PauseReason, Plan, SecretRef, Stage, Turn, Webhook};

use crate::stream_log::Watch;

/// Most webhooks of one stream: each reads the stream by itself.
pub const MAX_WEBHOOKS_PER_STREAM: usize = 8;

/// Most webhooks that one account made, over all streams.
pub const MAX_WEBHOOKS_PER_ACCOUNT: u64 = 64;

/// Returns for what the stream's object has to wake these webhooks; `None` for nothing.
pub fn watch_of(webhooks: &[Webhook]) -> Option<Watch> {
    let there = || webhooks.iter().filter(|webhook| webhook.stage != Stage::Removing);
    match there().any(|webhook| webhook.kinds.has_messages()) {
        true => Some(Watch::All),
        false => there().next().map(|_| Watch::Events),
    }
}

#[cfg(test)]
mod tests;
