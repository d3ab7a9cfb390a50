//! The Stream object: one for each stream.

mod access;
mod append;
mod author_rows;
mod chunks;
mod creation;
mod erasure;
mod leading;
mod news;
mod object;
mod outbox;
mod rounds;
mod sessions;
mod signals;
mod tables;
mod waiters;
mod webhooks;
