//! Fuzz targets: every parser that reads what strangers send.
//!
//! What always holds: a target takes any bytes, ends without a panic, and checks what the parser promises beside that
//! (what was read is written again as it was; nothing that was changed verifies).
//!
//! `cargo test -p streamchain-fuzz` gives each target its corpus and a fixed number of seeded mutations of it.
//! `npm run fuzz` runs one for as long as it is told, guided by coverage.

pub mod fixed;
mod mutate;
mod targets;

pub use mutate::Mutator;
pub use targets::{TARGETS, Target, corpus_folder};
