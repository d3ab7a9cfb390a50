//! Problems as responses, and back: what an object answers is read by whoever asked it.

use super::{COMMON_MEMBERS, HEADERS, Kind, Problem};
use serde_json::{Value, json};
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::util::json;
use worker::{Headers, Response, console_error};

impl Problem {
    /// The problem that an object answered with.
    #[cold]
    pub(crate) async fn of_response(mut response: Response) -> worker::Result<Self> {
        let (status, text) = (response.status_code(), response.text().await?);
        let document = json::tree(&text).unwrap_or_default();
        let text_of = |name: &str| document.get(name).and_then(Value::as_str);
        let Some(kind) = text_of("type").and_then(Kind::of_type) else {
            return Ok(Self::internal(format!("an object answered {status}: {text}")));
        };
        let mut problem = Self::new(kind, text_of("detail").unwrap_or_default());
        if let Value::Object(mut members) = document {
            members.retain(|name, _| !COMMON_MEMBERS.contains(&name.as_str()));
            problem.0.members = members;
        }
        for name in HEADERS {
            if let Some(value) = response.headers().get(name)? {
                problem.0.headers.push((name, value));
            }
        }
        Ok(problem)
    }

    /// The document as JSON, for the request with this id. The log hears why, if that is not for the client.
    pub(crate) fn to_json(&self, id: &RequestId) -> Vec<u8> {
        if let Some(reason) = &self.0.reason {
            console_error!("request {id}: internal error: {reason}");
        }
        let mut document = self.document();
        document.insert("requestId".into(), json!(id.as_str()));
        Value::Object(document).to_string().into_bytes()
    }

    /// The response to the request with this id.
    pub(crate) fn into_response(self, id: &RequestId) -> worker::Result<Response> {
        let headers = Headers::new();
        headers.set("content-type", "application/problem+json")?;
        headers.set("cache-control", "no-store")?;
        for (name, value) in &self.0.headers {
            headers.set(name, value)?;
        }
        let response = Response::from_bytes(self.to_json(id))?;
        Ok(response.with_status(self.0.kind.row().1).with_headers(headers))
    }
}
