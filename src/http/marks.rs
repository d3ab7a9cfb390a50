//! How far a stream is on the chain, for those streams whose objects are not notified of it.

use crate::request::Call;
use crate::storage::d1::runs::{self, Marks};
use streamchain_edge_core::stream_log::LogState;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::stream_settings::Anchoring;
use worker::{Error, console_error};

/// Sets the marks of a stream that is anchored in rounds by what the database says: its object is notified only while
/// somebody watches the stream. Should the database be down, the object's marks stand.
pub(super) async fn refresh(call: &Call, state: &mut LogState) {
    if state.settings.anchor == Anchoring::Own {
        return;
    }
    match read(call, state).await {
        Ok(Some(marks)) => set(state, marks),
        Ok(None) => {}
        Err(error) => console_error!("request {}: marks of {}: {error}", call.id, state.id),
    }
}

async fn read(call: &Call, state: &LogState) -> Result<Option<Marks>, Error> {
    let db = call.env.d1("DB")?;
    runs::marks(&db, call.config.rounds, state.id).await
}

fn set(state: &mut LogState, marks: Marks) {
    state.anchored = mark(state.anchored, marks.begin, marks.anchored);
    state.finalized = mark(state.finalized, marks.begin, marks.finalized);
}

/// The mark of a stream whose first run begins at `begin`. Before that it had anchors of its own, whose mark its object
/// has; until that is behind them, it stands.
fn mark(own: Seq, begin: Seq, in_rounds: Option<Seq>) -> Seq {
    match own < begin {
        true => own,
        false => in_rounds.unwrap_or(begin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_anchors_come_before_rounds() {
        let mark = |own, begin, in_rounds: Option<u64>| mark(Seq(own), Seq(begin), in_rounds.map(Seq)).0;
        assert_eq!(mark(0, 0, None), 0);
        assert_eq!(mark(0, 0, Some(7)), 7);
        assert_eq!(
            mark(9, 0, Some(7)),
            7,
            "the object was notified of what was taken back since"
        );
        assert_eq!(mark(3, 5, Some(7)), 3, "an anchor of its own is missing");
        assert_eq!(mark(5, 5, None), 5);
        assert_eq!(mark(5, 5, Some(7)), 7);
    }
}
