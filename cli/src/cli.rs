//! The command line: what `streamchain` can be asked for, and which command does it.

use crate::commands::bench::{self, BENCH_EXAMPLES, BenchArgs};
use crate::commands::history::{self, HISTORY_EXAMPLES, HistoryArgs};
use crate::commands::keys::{self, KEYS_EXAMPLES, KeysCommand};
use crate::commands::publish::{self, PUB_EXAMPLES, PubArgs};
use crate::commands::receipt::{self, RECEIPT_EXAMPLES, ReceiptArgs};
use crate::commands::status::{self, STATUS_EXAMPLES, StatusArgs};
use crate::commands::subscribe::{self, SUB_EXAMPLES, SubArgs};
use crate::commands::tail::{self, TAIL_EXAMPLES, TailArgs};
use crate::exit::{EXIT_CODES, Exit, report};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use relay_node::{CheckCommand, RelayCommand};
use std::process::ExitCode;

const ABOUT: &str =
    "Live streams with an Ethereum receipt for every message: publish, follow, check, run a relay.";

const EXAMPLES: &str = "\
EXAMPLES
    export STREAMCHAIN_EDGE=https://streamchain.example
    echo hello | streamchain pub demo          publish a message
    streamchain sub demo --from 0              read the stream, and go on
    streamchain receipt demo 0 > receipt.json  get a message's receipt
    streamchain verify receipt.json …          check it against the chain, without asking the edge

VARIABLES
    STREAMCHAIN_EDGE   the edge's URL, in place of --edge
    STREAMCHAIN_TOKEN  an access token or API key; without one, pub and bench become a guest

streamchain COMMAND --help shows examples of each command.";

/// The arguments of the process.
#[derive(Debug, Parser)]
#[command(name = "streamchain", version, about = ABOUT, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The commands. Their doc comments are the help texts.
#[derive(Debug, Subcommand)]
enum Command {
    /// Publish standard input, a message for each line
    #[command(after_long_help = help(PUB_EXAMPLES))]
    Pub(Box<PubArgs>),
    /// Write a stream's messages to standard output, each once and in order
    #[command(after_long_help = help(SUB_EXAMPLES))]
    Sub(Box<SubArgs>),
    /// Show everything that happens to a stream, by server-sent events
    #[command(after_long_help = help(TAIL_EXAMPLES))]
    Tail(TailArgs),
    /// Write stored messages to standard output
    #[command(after_long_help = help(HISTORY_EXAMPLES))]
    History(HistoryArgs),
    #[command(flatten)]
    Check(CheckCommand),
    /// Get the receipt of a message
    #[command(after_long_help = help(RECEIPT_EXAMPLES))]
    Receipt(ReceiptArgs),
    /// Show how a deployment, or one of its streams, is
    #[command(after_long_help = help(STATUS_EXAMPLES))]
    Status(StatusArgs),
    /// Make, list and revoke API keys
    #[command(subcommand, after_long_help = help(KEYS_EXAMPLES))]
    Keys(KeysCommand),
    /// Publish and read a small load, and measure it
    #[command(after_long_help = help(BENCH_EXAMPLES))]
    Bench(Box<BenchArgs>),
    /// Run a relay, and what belongs to it
    #[command(subcommand)]
    Relay(RelayCommand),
    /// Write the completions of a shell to standard output
    #[command(after_long_help = COMPLETION_EXAMPLES)]
    Completions {
        /// The shell
        shell: CompletedShell,
    },
}

const COMPLETION_EXAMPLES: &str = "\
EXAMPLES
    streamchain completions bash > ~/.local/share/bash-completion/completions/streamchain
    streamchain completions zsh > \"${fpath[1]}/_streamchain\"
    streamchain completions fish > ~/.config/fish/completions/streamchain.fish";

/// The shells that completions are made and tested for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum CompletedShell {
    Bash,
    Zsh,
    Fish,
}

/// The end of a command's help text.
fn help(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

/// The command line, with the texts of the relay's commands under the names that they have here.
fn command_line() -> clap::Command {
    ["verify", "verify-stream", "relay"]
        .into_iter()
        .fold(Cli::command(), |command, name| {
            command.mut_subcommand(name, renamed)
        })
}

fn renamed(command: clap::Command) -> clap::Command {
    let long = command.get_after_long_help().map(|text| here(&text.to_string()));
    let command = match long {
        Some(text) => command.after_long_help(text),
        None => command,
    };
    let names: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    let command = names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, renamed));
    command.mut_args(|arg| {
        let (help, long) = (
            arg.get_help().map(|text| here(&text.to_string())),
            arg.get_long_help().map(|text| here(&text.to_string())),
        );
        let arg = help.into_iter().fold(arg, clap::Arg::help);
        long.into_iter().fold(arg, clap::Arg::long_help)
    })
}

/// A text about `relay-node`, about this program.
fn here(text: &str) -> String {
    let text = text.replace("relay-node verify", "streamchain verify");
    // A folder of that name is no program.
    let mut words = text.split("relay-node ");
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, rest| format!("{text}streamchain relay {rest}"))
}

/// Runs the command that the arguments of the process name, and says with which code to exit.
pub(crate) fn run() -> ExitCode {
    let parsed = command_line()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => execute(&cli.command),
        Err(error) => error.exit(),
    }
}

fn execute(command: &Command) -> ExitCode {
    match command {
        Command::Check(command) => return command.execute(),
        Command::Relay(command) => return command.execute("streamchain relay"),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    report(match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(ask(command));
            // A thread that still reads standard input must not be waited for.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Exit::NotDone(error.to_string())),
    })
}

async fn ask(command: &Command) -> Result<(), Exit> {
    match command {
        Command::Pub(args) => publish::run(args).await,
        Command::Sub(args) => subscribe::run(args).await,
        Command::Tail(args) => tail::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::Receipt(args) => receipt::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Completions { shell } => completions(*shell),
        Command::Check(_) | Command::Relay(_) => Ok(()),
    }
}

fn completions(shell: CompletedShell) -> Result<(), Exit> {
    let shell = match shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line(), "streamchain", &mut script);
    Ok(std::io::Write::write_all(&mut std::io::stdout(), &script)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command_line().debug_assert();
    }

    #[test]
    fn help_names_this_program_and_shows_examples() {
        fn check(command: &mut clap::Command) {
            let text = command.render_long_help().to_string();
            assert!(
                !text.contains("relay-node verify") && !text.contains("relay-node run"),
                "{text}"
            );
            let name = command.get_name().to_owned();
            let groups = command.has_subcommands();
            for sub in command.get_subcommands_mut() {
                check(sub);
            }
            let has_none = ["make", "list", "certify", "revoke", "key", "help"].contains(&name.as_str());
            assert!(
                groups || has_none || text.contains("EXAMPLE"),
                "{name} teaches nothing: {text}"
            );
        }
        check(&mut command_line());
    }

    #[test]
    fn wrong_arguments_are_refused_with_what_is_expected() {
        for (arguments, expected) in [
            (
                &["sub", "demo", "--edge", "http://e", "--from", "x"][..],
                "expected a seq, or now",
            ),
            (&["sub", "demo", "--edge", "http://e", "--live"][..], "--json"),
            (
                &[
                    "sub",
                    "demo",
                    "--edge",
                    "http://e",
                    "--verify",
                    "--author-key",
                    "0x02",
                ][..],
                "expected AUTHOR=KEY",
            ),
            (&["sub", "*", "--edge", "http://e"][..], "with one * behind it"),
            (&["sub", "a*b", "--edge", "http://e"][..], "with one * behind it"),
            (&["sub", "Not A Name", "--edge", "http://e"][..], "Not A Name"),
            (&["tail", "a.*", "--edge", "http://e"][..], "a.*"),
            (&["receipt", "demo", "--edge", "http://e"][..], "SEQ"),
            (
                &["keys", "make", "k", "--edge", "http://e", "--rights", "own"][..],
                "expected read, write or manage",
            ),
            (&["tail", "Not A Name", "--edge", "http://e"][..], "Not A Name"),
            (
                &["pub", "demo", "--edge", "http://e", "--producer", "1"][..],
                "producer",
            ),
        ] {
            let all = ["streamchain"].iter().chain(arguments);
            let error = Cli::try_parse_from(all).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
