//! `relay-testkit`: measures one relay on this machine; see `relay-testkit --help`.

use anyhow::Result;
use clap::Parser;
use relay_testkit::bench::links::{self, LinksArgs};
use relay_testkit::bench::mesh::{self, MeshArgs};
use relay_testkit::bench::{self, BenchArgs};
use relay_testkit::sessions::{self, SessionsArgs};

/// Measures the relay on this machine.
#[derive(Debug, Parser)]
#[command(name = "relay-testkit", version)]
enum Command {
    /// Measure one relay on this machine and print the results as JSON
    Bench(BenchArgs),
    /// Measure one stream over several shards of a relay and print the results as JSON
    Mesh(MeshArgs),
    /// Measure relays as processes with links between them and print the results as JSON
    Links(LinksArgs),
    /// Open sessions with the relays of a running edge, and keep them until standard input ends
    Sessions(SessionsArgs),
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Bench(args) => bench::run(&args),
        Command::Mesh(args) => mesh::run(&args),
        Command::Links(args) => links::run(&args),
        Command::Sessions(args) => sessions::run(&args),
    }
}
