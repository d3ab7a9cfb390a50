//! The Anchorer object: one for each signing account.

pub mod api;
mod object;
