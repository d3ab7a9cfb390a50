//! `streamchain sub 'sensors.*'`: the messages of every stream that matches a pattern, those that are there and those that come.
//!
//! What always holds: the messages of each stream are written once and in order, as those of a stream alone; a stream that ends
//! ends no other, but one whose messages do not hold ends the command.

use super::args::SubArgs;
use super::follower::follow;
use super::line::{How, Line};
use crate::edge::Watch;
use crate::exit::Exit;
use crate::output::{Format, Output, with_stream};
use crate::roster::{MAX_FOLLOWED, MAX_KNOWN, Roster};
use serde_json::json;
use std::rc::Rc;
use std::time::{Duration, Instant};
use streamchain_protocol::pattern::Pattern;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

/// Most lines that wait to be written: then the streams wait, and with them the relays.
const MAX_WAITING_LINES: usize = 64;

/// How long the edge may wait for new streams, seconds.
const LIST_WAIT_S: u64 = 8;

/// After this time the whole list is read again, since a stream that came to be readable is not new.
const LIST_AGAIN: Duration = Duration::from_secs(300);

/// Least time between two questions for new streams: those that come together are one answer.
const LIST_PAUSE: Duration = Duration::from_millis(250);

/// How long the ends of all sessions may take: they are only a courtesy.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Follows the streams of a pattern.
pub(crate) async fn run(args: &SubArgs, pattern: &Pattern) -> Result<(), Exit> {
    for (is_there, option) in [
        (args.until.is_some(), "--until"),
        (args.cursor.is_some(), "--cursor"),
    ] {
        if is_there {
            return Err(Exit::NotDone(format!(
                "{option} is for one stream, not for a pattern"
            )));
        }
    }
    let following = async {
        let (lines, mut written) = mpsc::channel(MAX_WAITING_LINES);
        let mut all = All {
            how: Rc::new(How::new(args)?),
            lines,
            tasks: JoinSet::new(),
            roster: Roster::default(),
            watch: Watch::new(&args.reach),
            output: Output::new(Format::of(args.json)),
            left: args.count,
            noted: (0, false),
        };
        all.tasks
            .spawn_local(list(all.how.clone(), pattern.clone(), all.lines.clone()));
        let ended = all.write(&mut written).await;
        let flushed = all.output.flush();
        // The tasks see by it that nobody reads their lines any more, and end their sessions.
        drop(written);
        let goodbye = async { while all.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, goodbye).await;
        ended.and(flushed)
    };
    LocalSet::new().run_until(following).await
}

/// The command with all its streams.
struct All {
    how: Rc<How>,
    lines: mpsc::Sender<Line>,
    tasks: JoinSet<()>,
    roster: Roster,
    watch: Watch,
    output: Output,
    left: Option<u64>,
    /// How many streams were noted as left out, and whether it was noted that no more can be remembered.
    noted: (usize, bool),
}

impl All {
    /// Writes what the tasks have, until the last message that is asked for.
    async fn write(&mut self, lines: &mut mpsc::Receiver<Line>) -> Result<(), Exit> {
        while self.left != Some(0) {
            let line = match lines.try_recv() {
                Ok(line) => line,
                Err(_) => {
                    self.output.flush()?;
                    // This command has a sender itself.
                    let Some(line) = lines.recv().await else {
                        return Ok(());
                    };
                    line
                }
            };
            self.take(line)?;
            while self.tasks.try_join_next().is_some() {}
            while let Some(found) = self.roster.next() {
                let (how, lines) = (self.how.clone(), self.lines.clone());
                self.tasks.spawn_local(follow(how, found, lines));
            }
            self.note_left_out();
        }
        Ok(())
    }

    fn take(&mut self, line: Line) -> Result<(), Exit> {
        match line {
            Line::Listed(streams, is_new) => {
                for stream in streams {
                    if !self.roster.found(stream, is_new) && !self.noted.1 {
                        self.noted.1 = true;
                        self.watch.note(&format!(
                            "more than {MAX_KNOWN} streams match: the others are left out"
                        ));
                    }
                }
            }
            Line::Opened(stream) => self.roster.opened(stream),
            Line::Ended { stream, start, note } => {
                self.watch.note(&note);
                self.roster.ended(stream, start);
            }
            Line::Note(text) => self.watch.note(&text),
            Line::Message(stream, message, signed) => {
                self.output.message_of(&stream, &message, signed)?;
                self.left = self.left.map(|left| left.saturating_sub(1));
            }
            Line::Retracted {
                stream,
                from,
                written,
            } => {
                self.output
                    .json(&with_stream(json!({ "retracted": from }), &stream))?;
                self.left = self.left.map(|left| left.saturating_add(written));
            }
            Line::Failed(exit) => return Err(exit),
        }
        Ok(())
    }

    fn note_left_out(&mut self) {
        let left_out = self.roster.left_out();
        if left_out > self.noted.0 {
            self.watch.note(&format!(
                "{MAX_FOLLOWED} streams are followed, which is the limit; {left_out} more match and wait until one ends"
            ));
        }
        self.noted.0 = self.noted.0.max(left_out);
    }
}

/// Lists the streams that match, and then those that come; ends with a failure, or when nobody takes the lines any more.
async fn list(how: Rc<How>, pattern: Pattern, lines: mpsc::Sender<Line>) {
    tokio::select! {
        () = lines.closed() => {}
        Err(exit) = list_on(&how, &pattern, &lines) => {
            let _ = lines.send(Line::Failed(exit)).await;
        }
    }
}

async fn list_on(how: &How, pattern: &Pattern, lines: &mpsc::Sender<Line>) -> Result<(), Exit> {
    let mut watch = Watch::new(&how.reach);
    let mut is_new = false;
    loop {
        let until = Instant::now() + LIST_AGAIN;
        let mut after: Option<String> = None;
        while Instant::now() < until {
            watch.progress();
            let ask = async || {
                how.edge
                    .matches(pattern, how.owner, after.as_deref(), LIST_WAIT_S)
                    .await
            };
            let page = watch.until_answered(ask).await?;
            if lines.send(Line::Listed(page.streams, is_new)).await.is_err() {
                return Ok(());
            }
            after = Some(page.after);
            if is_new {
                tokio::time::sleep(LIST_PAUSE).await;
            }
            is_new = is_new || !page.more;
        }
    }
}
