//! The Stream object: one for each stream.

mod access;
mod append;
mod creation;
mod erasure;
mod news;
mod object;
mod outbox;
mod sessions;
mod signals;
mod tables;
mod waiters;
