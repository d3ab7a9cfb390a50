//! What the commands that ask an edge have in common.

use crate::exit::Exit;
use clap::Args;
use std::time::{Duration, Instant};
use streamchain_client::core::{Event, Failure, Route};
use streamchain_client::http::EdgeClient;

/// The variable with the access token or API key. There is no option for it: arguments are seen by everybody on a machine.
const TOKEN_VARIABLE: &str = "STREAMCHAIN_TOKEN";

/// The pause before an edge that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Which edge.
#[derive(Debug, Clone, Args)]
pub(crate) struct EdgeArgs {
    /// The edge's URL. The access token or API key, where one is needed, is read from the variable STREAMCHAIN_TOKEN
    #[arg(long, env = "STREAMCHAIN_EDGE", value_name = "URL")]
    pub(crate) edge: String,
}

impl EdgeArgs {
    pub(crate) fn client(&self) -> Result<EdgeClient, Exit> {
        let token = std::env::var(TOKEN_VARIABLE)
            .ok()
            .filter(|token| !token.is_empty());
        Ok(EdgeClient::new(&self.edge, token.as_deref())?)
    }
}

/// How a stream is reached, and for how long in vain.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReachArgs {
    /// Use HTTP alone, without a data channel to a relay
    #[arg(long)]
    pub(crate) http: bool,
    /// Give up after so many seconds without progress
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) patience: u64,
    /// Write nothing to standard error but errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Notes on standard error, and the end of patience.
pub(crate) struct Watch {
    patience: Duration,
    quiet: bool,
    last: Instant,
    failure: String,
}

impl Watch {
    pub(crate) fn new(args: &ReachArgs) -> Self {
        Self {
            patience: Duration::from_secs(args.patience),
            quiet: args.quiet,
            last: Instant::now(),
            failure: "no answer".into(),
        }
    }

    /// Something went on.
    pub(crate) fn progress(&mut self) {
        self.last = Instant::now();
    }

    /// Asks until there is an answer, a refusal, or the end of patience.
    pub(crate) async fn until_answered<T>(
        &mut self,
        ask: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Exit> {
        loop {
            let failure = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.is_final() => return Err(failure.into()),
                Err(failure) => failure,
            };
            self.event(&Event::Failed(failure));
            if Instant::now() + ASK_AGAIN >= self.deadline() {
                return Err(self.gave_up());
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Writes a line for people.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("{}", relay_node::printable(text));
        }
    }

    /// Notes how the stream is reached.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Route(Route::None) => self.note("disconnected"),
            Event::Route(Route::Session) => self.note("connected to a relay"),
            Event::Route(Route::Http) => self.note("no relay can be reached: by HTTP"),
            Event::Failed(failure) => {
                let text = failure.to_string();
                if text != self.failure {
                    self.note(&text);
                    self.failure = text;
                }
            }
            _ => {}
        }
    }

    /// When patience ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.last + self.patience
    }

    /// The end of patience.
    pub(crate) fn gave_up(&self) -> Exit {
        let seconds = self.patience.as_secs();
        Exit::NotDone(format!(
            "nothing went on for {seconds} s; the last failure: {}",
            self.failure
        ))
    }
}
