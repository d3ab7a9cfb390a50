//! `streamchain tail`: everything that happens to a stream, by server-sent events.

use crate::edge::EdgeArgs;
use crate::exit::Exit;
use crate::output::{Format, Output};
use clap::Args;
use relay_node::printable;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use streamchain_client::core::{Failure, ServerEvent};
use streamchain_client::http::EdgeClient;
use streamchain_protocol::ids::{Seq, StreamRef};

/// What the help text of the command ends with.
pub(crate) const TAIL_EXAMPLES: &str = "\
EXAMPLES
    streamchain tail demo --edge https://streamchain.example
    streamchain tail demo --from 0 --json

Beside messages (stored) this shows what happens on the chain: anchored, final, reorg, chain. It needs HTTP alone, and
goes on by itself when a response ends. For messages alone and more of them a second, use streamchain sub.";

/// How long to wait until a response that ended is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// `streamchain tail`
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// The stream, by name or id
    pub(crate) stream: StreamRef,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    /// First message [default: what comes from now on]
    #[arg(long, value_name = "SEQ")]
    pub(crate) from: Option<u64>,
    /// Go on behind the event with this id
    #[arg(long, value_name = "ID", conflicts_with = "from")]
    pub(crate) after: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Write JSON lines
    #[arg(long)]
    pub(crate) json: bool,
    /// Give up after so many seconds without an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) patience: u64,
}

pub(crate) async fn run(args: &TailArgs) -> Result<(), Exit> {
    let edge = args.edge.client()?;
    let mut output = Output::new(Format::of(args.json));
    let mut cursor = args.after.clone();
    let mut left = args.count;
    let mut answered = Instant::now();
    while left != Some(0) {
        let from = args.from.filter(|_| cursor.is_none()).map(Seq);
        let ended = follow(
            &edge,
            args,
            from,
            &mut cursor,
            &mut left,
            &mut output,
            &mut answered,
        )
        .await;
        output.flush()?;
        match ended {
            Ok(()) => {}
            Err(Ended::Output(exit)) => return Err(exit),
            Err(Ended::Edge(failure)) => {
                if failure.is_final() || answered.elapsed() > Duration::from_secs(args.patience) {
                    return Err(failure.into());
                }
            }
        }
        if left != Some(0) {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

enum Ended {
    Edge(Failure),
    Output(Exit),
}

/// Reads one response.
async fn follow(
    edge: &EdgeClient,
    args: &TailArgs,
    from: Option<Seq>,
    cursor: &mut Option<String>,
    left: &mut Option<u64>,
    output: &mut Output,
    answered: &mut Instant,
) -> Result<(), Ended> {
    let mut events = edge
        .events(&args.stream, from, cursor.as_deref())
        .await
        .map_err(Ended::Edge)?;
    while let Some(event) = events.next().await.map_err(Ended::Edge)? {
        *answered = Instant::now();
        let is_repeated = event.kind == "state" && cursor.is_some();
        if !event.id.is_empty() {
            *cursor = Some(event.id.clone());
        }
        // Each response begins with the state: only the first one is news.
        if is_repeated {
            continue;
        }
        write(&event, output)
            .and_then(|()| output.flush())
            .map_err(Ended::Output)?;
        *left = left.map(|left| left.saturating_sub(1));
        if *left == Some(0) {
            return Ok(());
        }
    }
    Ok(())
}

fn write(event: &ServerEvent, output: &mut Output) -> Result<(), Exit> {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_else(|_| json!(event.data));
    match output.format() {
        Format::Json => output.json(&json!({ "event": event.kind, "id": event.id, "data": data })),
        Format::Text => output.line(&format!(
            "{:<9} {}",
            printable(&event.kind),
            printable(&data.to_string())
        )),
    }
}
