//! The Account object: one for each principal.

pub(crate) mod api;
mod object;
