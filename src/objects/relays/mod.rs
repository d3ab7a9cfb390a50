//! The Relays object: the one directory of relays.

mod object;
mod tables;
