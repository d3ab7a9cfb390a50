//! The Anchorer object: one for each signing account.

mod object;
mod rounds;
