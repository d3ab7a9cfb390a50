//! How far a stream is on the chain, for those streams whose objects are not notified of it.

use crate::request::Call;
use crate::storage::d1::runs::{self, Marks};
use streamchain_edge_core::stream_log::LogState;
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

/// Before its first run the stream had anchors of its own, whose marks the object has.
fn set(state: &mut LogState, marks: Marks) {
    let own = |mark| marks.begin.min(mark);
    state.anchored = marks.anchored.unwrap_or_else(|| own(state.anchored));
    state.finalized = marks.finalized.unwrap_or_else(|| own(state.finalized));
}
