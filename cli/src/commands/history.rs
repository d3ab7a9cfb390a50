//! `streamchain history`: writes stored messages to standard output.

use crate::edge::EdgeArgs;
use crate::exit::Exit;
use crate::output::{Format, Output};
use clap::Args;
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::limits::MAX_HISTORY_MESSAGES;

/// What the help text of the command ends with.
pub(crate) const HISTORY_EXAMPLES: &str = "\
EXAMPLES
    streamchain history demo --edge https://streamchain.example
    streamchain history demo --from 1000 --until 2000 --json

Writes the messages that are stored when the command begins, and ends. The output is that of streamchain sub.";

/// `streamchain history`
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The stream, by name or id
    pub(crate) stream: StreamRef,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    /// First message
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(crate) from: u64,
    /// End before this message [default: all that are stored]
    #[arg(long, value_name = "SEQ")]
    pub(crate) until: Option<u64>,
    /// Write JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(args: &HistoryArgs) -> Result<(), Exit> {
    let edge = args.edge.client()?;
    let mut output = Output::new(Format::of(args.json));
    let (mut next, mut end) = (args.from, args.until);
    while end.is_none_or(|end| next < end) {
        let limit = end.map_or(MAX_HISTORY_MESSAGES as u64, |end| end - next);
        let limit = limit.min(MAX_HISTORY_MESSAGES as u64);
        let page = edge.history(&args.stream, Seq(next), limit).await?;
        // What is stored later is not waited for.
        end = Some(end.map_or(page.head.0, |end| end.min(page.head.0)));
        let wanted = |seq: Seq| end.is_none_or(|end| seq.0 < end);
        for message in page.messages.iter().take_while(|message| wanted(message.seq)) {
            output.message(message, None)?;
        }
        if page.next.0 <= next {
            break;
        }
        next = page.next.0;
    }
    output.flush()
}
