//! The Account object: one for each principal.

pub mod api;
mod object;
