//! `streamchain sub`: writes the messages of a stream, or of all that match a pattern, to standard output, each once and in order.

mod all;
mod args;
mod follower;
mod line;
mod one;

use crate::exit::Exit;
use args::Source;

pub(crate) use args::{SUB_EXAMPLES, SubArgs};

pub(crate) async fn run(args: &SubArgs) -> Result<(), Exit> {
    match &args.source {
        Source::Matching(pattern) => all::run(args, pattern).await,
        Source::One(_) if args.owner.is_some() => Err(Exit::NotDone(
            "--owner is for a pattern, not for one stream".into(),
        )),
        Source::One(stream) => one::run(args, stream).await,
    }
}
