//! `DELETE /v1/streams/{stream}/messages/{seq}`: the payload goes, its size and its hash stay.

use crate::api::archiver::{Erase, archiver_object};
use crate::api::limits;
use crate::api::stream::{FlushTo, ForgetErased};
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, json};
use serde_json::json;
use streamchain_edge_core::rate_policy::Policy;
use streamchain_protocol::auth::Right;

/// `DELETE /v1/streams/{stream}/messages/{seq}`: for the stream's owner and the operator. Asked again, the answer is the
/// same.
pub(crate) async fn erase(call: Call, at: PathParameters) -> Answer {
    let (call, seq) = (&call, at.seq()?);
    let stream = &at.stream()?;
    let permit = auth::need(call, stream, Right::Manage).await?;
    if !permit.may_erase() {
        let detail = "only the owner of the stream and the operator may erase messages";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let account = permit.principal.map(|one| one.account.to_string());
    let account = account.unwrap_or_default();
    limits::take(
        &call.env,
        &call.id,
        &call.config,
        Policy::ErasuresAccount,
        &account,
    )
    .await?;
    let short = call.short(stream);
    let state = call.stream(short)?.call(FlushTo { seq }).await?;
    if state.name.is_system() {
        let detail = "nothing is erased from the system's own streams";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let asked = Erase {
        stream: state.id,
        seq,
    };
    let erased = archiver_object(&call.env, &call.id)?.call(asked).await?;
    call.stream(short)?.call(ForgetErased { seq }).await?;
    json(200, &json!({ "stream": state.id, "seq": seq, "erased": erased }))
}
