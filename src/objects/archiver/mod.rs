//! The Archiver object: moves what is final from the database into packs, and erases payloads, by owners' wish or by age.

mod erasing;
mod jobs;
mod object;
mod pass;
mod rounds;
mod tables;
