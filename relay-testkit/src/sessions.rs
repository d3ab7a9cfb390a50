//! `relay-testkit sessions`: clients that open sessions with the relays of a running edge and keep them, so that what a session costs
//! can be read from outside of the relay's process.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::io::Read;
use std::time::Duration;
use streamchain_client::connection::{Connection, ConnectionOptions};
use streamchain_client::core::{Event, Reading, Route};
use streamchain_client::http::EdgeClient;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Most sessions of one run: each is an open file, and a task.
const MAX_SESSIONS: i64 = 10_000;

/// How many sessions are being opened at a time: more would wait for each other in the edge.
const AT_ONCE: usize = 16;

/// How long one session may take to open on a busy machine.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// `relay-testkit sessions`
#[derive(Debug, Args)]
pub struct SessionsArgs {
    /// The edge's URL
    #[arg(long, value_name = "URL")]
    pub edge: String,
    /// The stream
    #[arg(long)]
    pub stream: String,
    /// How many sessions
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=MAX_SESSIONS))]
    pub sessions: u32,
}

/// Opens the sessions, prints a line once all are open, and keeps them until standard input ends.
pub fn run(args: &SessionsArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // One client for all: each would read the system's root certificates for itself.
        let edge = EdgeClient::new(&args.edge, None)?;
        let (opened, mut events) = mpsc::channel(AT_ONCE);
        for index in 0..args.sessions as usize {
            if index >= AT_ONCE {
                next(&mut events).await?;
            }
            tokio::spawn(keep(edge.clone(), args.stream.clone(), opened.clone()));
        }
        for _ in 0..AT_ONCE.min(args.sessions as usize) {
            next(&mut events).await?;
        }
        println!("{{\"sessions\":{}}}", args.sessions);
        let input = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        tokio::select! {
            read = input => read?.map(drop).context("standard input"),
            end = events.recv() => match end {
                Some(Err(error)) => Err(error),
                _ => bail!("a session ended"),
            },
        }
    })
}

async fn next(events: &mut mpsc::Receiver<Result<()>>) -> Result<()> {
    timeout(OPEN_TIMEOUT, events.recv())
        .await
        .context("a session does not open")?
        .context("no session is left")?
}

/// One session: reports that it is open, and afterwards any end of it.
async fn keep(edge: EdgeClient, stream: String, events: mpsc::Sender<Result<()>>) {
    if let Err(error) = follow(edge, &stream, &events).await {
        // Nobody listens any more once the run is over.
        drop(events.send(Err(error)).await);
    }
}

async fn follow(edge: EdgeClient, stream: &str, events: &mpsc::Sender<Result<()>>) -> Result<()> {
    let options = ConnectionOptions {
        read: Some(Reading::stored_from(0)),
        ..ConnectionOptions::new(stream)
    };
    let mut connection = Connection::open(edge, options)?;
    let mut is_open = false;
    loop {
        match connection.next_event().await? {
            Event::Route(Route::Session) if !is_open => {
                is_open = true;
                events.send(Ok(())).await?;
            }
            Event::Route(route) if is_open => bail!("a session ended: {route:?}"),
            _ => {}
        }
    }
}
