//! The Anchorer object: one for each signing account.

pub(crate) mod api;
mod object;
