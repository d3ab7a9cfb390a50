//! Calls of an object's method, in place of HTTP requests to it: for what objects are asked most.
//!
//! A request and its answer are those of [`super::call`]; only the way is another one. Between two of our own parts, a `Request` and
//! a `Response` with headers and bodies cost more than what a small call does.

use super::call::{Handle, Request, Requests, Wire, new_request_id, of_http, unreadable};
use crate::counters;
use crate::problem::Problem;
use streamchain_edge_core::request_id::RequestId;
use wasm_bindgen::prelude::*;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{self, Uint8Array};
use worker::{Error, Stub, web_sys};

#[wasm_bindgen]
extern "C" {
    /// Calls the method `call` of an object: src/entry.mjs. An object of a version without it is asked by HTTP.
    #[wasm_bindgen(js_name = callObject, catch)]
    fn call_object(
        stub: &JsValue,
        name: &str,
        shape: u32,
        id: &str,
        body: Uint8Array,
    ) -> Result<js_sys::Promise, JsValue>;
}

impl<A> Handle<A> {
    /// Asks the object as [`Self::call`] does, by its method [`answer_call`] in place of an HTTP request.
    /// For kinds of objects that have the method.
    pub(crate) fn call_method<R: Request<Api = A>>(
        self,
        asked: R,
    ) -> impl Future<Output = Result<R::Answer, Problem>> {
        let what = (R::NAME, <R as Request>::SHAPE);
        let answered = send_by_method(self.stub, self.request, what, asked.into_bytes());
        async move { R::Answer::from_bytes(answered.await?).map_err(unreadable) }
    }
}

async fn send_by_method(
    stub: Stub,
    id: RequestId,
    (name, shape): (&'static str, u32),
    body: Vec<u8>,
) -> Result<Vec<u8>, Problem> {
    counters::count_object_call();
    let stub: JsValue = stub.into_rpc();
    let answered = call_object(&stub, name, shape, id.as_str(), Uint8Array::from(body.as_slice()));
    let answered = JsFuture::from(answered.map_err(Error::from)?).await;
    match answered.map_err(Error::from)?.dyn_into::<Uint8Array>() {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(other) => of_http(web_sys::Response::unchecked_from_js(other).into()).await,
    }
}

/// Answers a call of an object's method with `answer`: the bytes of the answer, or the response that a problem is.
pub(crate) async fn answer_call<A: Requests>(
    (name, shape): (&str, u32),
    id: &str,
    body: Vec<u8>,
    answer: impl AsyncFnOnce(A, &RequestId) -> Result<Vec<u8>, Problem>,
) -> Result<JsValue, JsValue> {
    let id = RequestId::given(id).unwrap_or_else(new_request_id);
    let answered = match A::read(name, Some(shape), body) {
        Ok(asked) => answer(asked, &id).await,
        Err(error) => Err(unreadable(error)),
    };
    match answered {
        Ok(body) => Ok(Uint8Array::from(body.as_slice()).into()),
        Err(problem) => Ok(web_sys::Response::from(problem.into_response(&id)?).into()),
    }
}
