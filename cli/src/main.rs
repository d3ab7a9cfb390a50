//! The command `streamchain`: see `streamchain --help`, and docs/CLI.md.
//!
//! The modules, each of which imports only those above it:
//! - `exit`: exit codes, and which failure leads to which.
//! - `signed`: what is shown of who signed a message.
//! - `input`, `output`: lines of standard input and output.
//! - `recent`: a map with a bound.
//! - `roster`: which streams of a pattern are followed.
//! - `edge`: what the commands that ask an edge have in common.
//! - `authors`: who wrote the messages that are read.
//! - `commands`: a file each.
//! - `cli`: the command line.

mod authors;
mod cli;
mod commands;
mod edge;
mod exit;
mod input;
mod output;
mod recent;
mod roster;
mod signed;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
