//! The Account object: one for each principal.

mod object;
