//! The Webhooks object: one for each stream that has webhooks.

mod delivery;
mod object;
mod rows;
