//! `relay-node`: see `relay-node --help`.

use anyhow::Result;
use clap::Parser;
use relay_node::cli::{Cli, Command, KeyArgs, LogFormat};
use std::process::ExitCode;
use streamchain_protocol::auth::MasterSecret;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Run(args) => {
            log_to_stderr(args.log_format);
            relay_node::run::run(args)
        }
        Command::Rebuild(args) => relay_node::rebuild::run(args),
        Command::Key(args) => print_key(args),
        Command::Verify(args) => return ExitCode::from(relay_node::verify::run(args)),
        Command::Audit(args) => return ExitCode::from(relay_node::audit::run(args)),
        Command::Bench(args) => relay_node::bench::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_key(args: &KeyArgs) -> Result<()> {
    let key = MasterSecret::from_hex(&args.master)?.relay_key(&args.id);
    println!("{}", key.to_hex());
    Ok(())
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
