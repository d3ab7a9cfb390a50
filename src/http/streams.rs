//! `/v1/streams`: make, list, read, change.

use super::listing::{listed, visible_to};
use super::{marks, matches};
use crate::api::stream::{ChangeSettings, Create, Created, GetOverview};
use crate::auth::principal::{self as auth, Principal};
use crate::path::PathParameters;
use crate::problem::{Kind, Problem, need_right};
use crate::rate_limit;
use crate::request::{Call, MAX_JSON_BYTES};
use crate::response::{Answer, json_without_nulls};
use crate::storage::d1::streams;
use alloy_primitives::Address;
use serde::Deserialize;
use serde_json::{Value, json};
use streamchain_edge_core::stream_log::{LogState, NewStream};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{RelayId, StreamId, StreamName, StreamRef};
use streamchain_protocol::limits::MAX_EXACT_INTEGER;
use streamchain_protocol::stream_settings::{
    Anchoring, Mode, ReadAccess, Retention, SettingsChange, Signed, StreamSettings, WriteAccess,
};

#[derive(Deserialize)]
struct Wanted {
    name: String,
    owner: Option<Address>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    read: ReadAccess,
    #[serde(default)]
    write: WriteAccess,
    #[serde(default)]
    p2p: bool,
    #[serde(default)]
    prove: bool,
    anchor: Option<Anchoring>,
    #[serde(default)]
    retention: Retention,
    #[serde(default)]
    signed: Signed,
}

impl Wanted {
    fn settings(&self, of_deployment: Anchoring) -> StreamSettings {
        StreamSettings {
            mode: self.mode,
            read: self.read,
            write: self.write,
            p2p: self.p2p,
            prove: self.prove,
            retention: self.retention,
            signed: self.signed,
            ..StreamSettings::default()
        }
        .anchored_by(self.anchor, of_deployment)
    }
}

/// What is made when anybody wants the operator's stream `name`; refused for the system's own names.
pub(crate) fn new_stream(call: &Call, name: StreamName) -> Result<NewStream, Problem> {
    if name.is_system() {
        return Err(Problem::new(
            Kind::Forbidden,
            "names that begin with _ are the system's own",
        ));
    }
    Ok(NewStream {
        owner: call.config.operator,
        name,
        settings: call.config.usual_settings(),
    })
}

/// `POST /v1/streams`: the operator's for anybody where that is switched on, with the usual settings; all others
/// for their owner or the operator.
pub(crate) async fn create(mut call: Call, _at: PathParameters) -> Answer {
    call.need_type("application/json")?;
    let principal = auth::principal(&call).await?;
    let wanted: Wanted = call.json(MAX_JSON_BYTES).await?;
    let new = new_stream(&call, wanted.name.parse()?)?;
    let settings = wanted.settings(call.config.new_anchor);
    let owner = wanted.owner.unwrap_or(new.owner);
    let new = NewStream {
        owner,
        settings,
        ..new
    };
    let is_usual = owner == call.config.operator && settings == call.config.usual_settings();
    if !(is_usual && call.config.auto_create) {
        need_owner(principal.as_ref(), &new)?;
    }
    let id = StreamId::of(new.owner, &new.name);
    let asked = Create {
        stream: new,
        client: rate_limit::client(call.headers(), &call.config),
        account: principal.as_ref().map(|one| one.account),
    };
    let Created { mut state, created } = call.stream(id.short())?.call(asked).await?;
    if state.settings.read == ReadAccess::Private {
        // It may have been there before, and somebody else's to read.
        auth::need(&call, &StreamRef::Id(id), Right::Read).await?;
    }
    if !created {
        marks::refresh(&call, &mut state).await;
    }
    let response = json_without_nulls(if created { 201 } else { 200 }, describe(&call, &state))?;
    response.headers().set("location", &format!("/v1/streams/{id}"))?;
    Ok(response)
}

/// Refuses all but the wallet that will own the stream, its services that may manage it, and the operator.
fn need_owner(principal: Option<&Principal>, new: &NewStream) -> Result<(), Problem> {
    let stream = StreamId::of(new.owner, &new.name).short();
    let rights = principal.map(|one| match one.operator || one.account == new.owner {
        true => one.scope.on(stream),
        false => Default::default(),
    });
    need_right(principal.is_some(), rights.unwrap_or_default(), Right::Manage)
}

/// `GET /v1/streams`: those that one may read, the newest first; with `match`, those whose names match. Its own resource shows
/// how far each got. Private streams are listed for their owner and the operator.
pub(crate) async fn list(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let principal = auth::principal(call).await?;
    if let Some(pattern) = call.query("match")? {
        return matches::list(call, principal.as_ref(), &pattern).await;
    }
    let visible = visible_to(principal.as_ref());
    let limit = call.page_rows()?;
    let below = call.number("cursor")?.unwrap_or(MAX_EXACT_INTEGER);
    let rows = streams::list(&call.env.d1("DB")?, visible, below, limit).await?;
    let cursor = rows.last().filter(|_| rows.len() == limit).map(|last| last.place);
    let streams: Vec<Value> = rows.iter().map(listed).collect();
    json_without_nulls(200, json!({ "streams": streams, "cursor": cursor }))
}

/// `GET /v1/streams/{stream}`
pub(crate) async fn get(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    auth::need(call, stream, Right::Read).await?;
    let overview = call.stream(call.short(stream))?.call(GetOverview {}).await?;
    let (mut state, presence) = (overview.state, overview.presence);
    marks::refresh(call, &mut state).await;
    let mut shown = describe(call, &state);
    if let (Some(presence), Value::Object(fields)) = (presence, &mut shown) {
        fields.insert("presence".into(), json!(presence));
    }
    json_without_nulls(200, shown)
}

/// `PATCH /v1/streams/{stream}`: changes the settings that the body names.
pub(crate) async fn change(mut call: Call, at: PathParameters) -> Answer {
    let stream = &at.stream()?;
    call.need_type("application/json")?;
    let permit = auth::need(&call, stream, Right::Manage).await?;
    let change: SettingsChange = call.json(MAX_JSON_BYTES).await?;
    if change.retention.is_some() && !permit.may_erase() {
        let detail =
            "retention: only the owner of the stream and the operator may set how long payloads are kept";
        return Err(Problem::new(Kind::Forbidden, detail).with("field", "retention"));
    }
    let mut state = call
        .stream(call.short(stream))?
        .call(ChangeSettings { change })
        .await?;
    marks::refresh(&call, &mut state).await;
    json_without_nulls(200, describe(&call, &state))
}

/// The stream as it is shown. `anchoredAs` is there where less goes on chain than the settings ask for.
fn describe(call: &Call, state: &LogState) -> Value {
    let settings = &state.settings;
    let granted = call.config.gas_owners.includes(state.owner);
    let fallback = !granted && settings.by_root() != *settings;
    let followers: Vec<&RelayId> = state.followers().collect();
    json!({
        "id": state.id, "short": state.id.short(), "name": state.name, "owner": state.owner,
        "mode": settings.mode, "read": settings.read, "write": settings.write,
        "p2p": settings.p2p, "prove": settings.prove, "anchor": settings.anchor, "retention": settings.retention,
        "signed": settings.signed, "epoch": state.epoch, "head": state.head, "stored": state.head, "anchored": state.anchored,
        "final": state.finalized, "created": state.created,
        "anchoredAs": fallback.then_some(Mode::Root),
        "relay": state.relay(),
        "leader": state.relay_leader(),
        "followers": (!followers.is_empty()).then_some(followers),
    })
}
