//! The command line: what `relay-node` can be asked for, and which command does it.

use crate::commands::TRUST_HELP;
use crate::commands::health::{self, HEALTH_EXAMPLES, HealthArgs};
use crate::commands::key::{self, KeyArgs};
use crate::commands::rebuild::{self, REBUILD_EXAMPLES, RebuildArgs};
use crate::commands::verify::{self, VERIFY_EXAMPLES, VerifyArgs};
use crate::commands::verify_stream::{self, VERIFY_STREAM_EXAMPLES, VerifyStreamArgs};
use crate::relay::options::{LogFormat, RUN_EXAMPLES, RunArgs};
use crate::relay::supervisor;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

const ABOUT: &str =
    "The StreamChain relay for messages between browsers over WebRTC, and commands that check receipts.";

/// The arguments of the process.
#[derive(Debug, Parser)]
#[command(name = "relay-node", version, about = ABOUT, propagate_version = true)]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The commands. Their doc comments are the help texts.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Relay(RelayCommand),
    #[command(flatten)]
    Check(CheckCommand),
}

/// The commands of those who run relays.
#[derive(Debug, Subcommand)]
pub enum RelayCommand {
    /// Run a relay
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Say whether the relay on this machine is registered with its edge; exit code 0 if it is
    #[command(after_long_help = HEALTH_EXAMPLES)]
    Health(HealthArgs),
    /// Make the edge read all anchors and contract events from the chain again
    #[command(after_long_help = REBUILD_EXAMPLES)]
    Rebuild(RebuildArgs),
    /// Print a relay's key, which derives from the edge's master secret
    Key(KeyArgs),
}

/// The commands of those who check what is stored.
#[derive(Debug, Subcommand)]
pub enum CheckCommand {
    /// Check a receipt against the chain, without asking the edge
    #[command(after_long_help = help(VERIFY_EXAMPLES))]
    Verify(Box<VerifyArgs>),
    /// Check all stored messages of one stream, or of all streams, against the chain
    #[command(after_long_help = help(VERIFY_STREAM_EXAMPLES), alias = "audit")]
    VerifyStream(Box<VerifyStreamArgs>),
}

impl RelayCommand {
    /// Does what was asked for, and says with which code `program` is to exit.
    pub fn execute(&self, program: &str) -> ExitCode {
        let done = match self {
            Self::Run(args) => {
                log_to_stderr(args.log_format);
                supervisor::run(args)
            }
            Self::Health(args) => health::run(args),
            Self::Rebuild(args) => rebuild::run(args),
            Self::Key(args) => key::run(args),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{program}: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

impl CheckCommand {
    /// Does what was asked for, and says with which code to exit.
    pub fn execute(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Verify(args) => verify::run(args),
            Self::VerifyStream(args) => verify_stream::run(args),
        })
    }
}

/// The end of a command's help text, with whom its caller believes in front.
fn help(examples: &str) -> String {
    format!("{TRUST_HELP}\n\n{examples}")
}

/// Runs the command that the arguments of the process name, and says with which code to exit.
pub fn run() -> ExitCode {
    match &Cli::parse().command {
        Command::Relay(command) => command.execute("relay-node"),
        Command::Check(command) => command.execute(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verify_stream_answers_to_its_old_name() {
        for name in ["verify-stream", "audit"] {
            let arguments = ["relay-node", name, "--edge", "http://e", "--rpc", "http://r"];
            let cli = Cli::try_parse_from(arguments).unwrap();
            let is_it = matches!(cli.command, Command::Check(CheckCommand::VerifyStream(_)));
            assert!(is_it, "{name}");
        }
    }

    #[test]
    fn ids_out_of_shape_are_refused_with_the_reason() {
        let refused =
            Cli::try_parse_from(["relay-node", "key", "--master", "00", "--id", "Not Good"]).unwrap_err();
        assert!(refused.to_string().contains("expected 1 to 32"), "{refused}");
    }
}
