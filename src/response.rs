//! Responses of the HTTP API and of the objects.

use crate::problem::Problem;
use serde::Serialize;
use serde_json::Value;
use worker::{Headers, Response};

/// A response, or the problem that becomes one.
pub(crate) type Answer = Result<Response, Problem>;

/// A response of bytes.
pub(crate) fn respond(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let all = Headers::new();
    headers
        .iter()
        .try_for_each(|(name, value)| all.append(name, value))?;
    Ok(Response::from_bytes(body)?.with_status(status).with_headers(all))
}

/// A JSON response.
pub(crate) fn json<T: Serialize>(status: u16, body: &T) -> Answer {
    let text = serde_json::to_string(body).map_err(Problem::internal)?;
    encoded(status, text.into_bytes())
}

/// A JSON response whose text is written already.
pub(crate) fn encoded(status: u16, json: Vec<u8>) -> Answer {
    respond(status, &[("content-type", "application/json")], json)
}

/// A JSON response without members.
pub(crate) fn done(status: u16) -> Answer {
    encoded(status, b"{}".to_vec())
}

/// Adds a member to an object.
pub(crate) fn put_member<T: Serialize>(object: &mut Value, name: &str, member: &T) {
    if let (Value::Object(members), Ok(member)) = (object, serde_json::to_value(member)) {
        members.insert(name.to_owned(), member);
    }
}

/// A JSON response of an object whose absent members are left out.
pub(crate) fn json_without_nulls(status: u16, mut body: Value) -> Answer {
    if let Value::Object(members) = &mut body {
        members.retain(|_, value| !value.is_null());
    }
    json(status, &body)
}
