//! The command `streamchain`: see `streamchain --help`, and docs/CLI.md.
//!
//! The modules, each of which imports only those above it:
//! - `exit`: exit codes, and which failure leads to which.
//! - `input`, `output`: lines of standard input and output.
//! - `roster`: which streams of a pattern are followed.
//! - `edge`: what the commands that ask an edge have in common.
//! - `commands`: a file each.
//! - `cli`: the command line.

mod authors;
mod cli;
mod commands;
mod edge;
mod exit;
mod input;
mod output;
mod roster;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
