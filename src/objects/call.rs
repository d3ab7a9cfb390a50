//! Typed calls between the Worker and the objects, and between objects.
//!
//! Each object's `api.rs` lists its requests with [`requests`]: one struct for each, and the enum of all of them that
//! the object's shell matches. [`Handle::call`] sends one, [`serve`] receives it; the name of a request is spelled
//! nowhere else. A call carries the id of the request that it is made for.

use super::to_error;
use crate::counters;
use crate::outbound::fetch::request;
use crate::problem::Problem;
use crate::random;
use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::pin::pin;
use std::time::Duration;
use streamchain_edge_core::request_id::{REQUEST_ID_HEADER, RequestId};
use streamchain_protocol::util::json;
use worker::js_sys::Uint8Array;
use worker::{Delay, Error, Headers, Method, Request as HttpRequest, Response, Stub};

/// How a request or an answer is written between two parts of this Worker.
pub trait Wire: Sized {
    /// Writes it.
    fn into_bytes(self) -> Result<Vec<u8>, Error>;
    /// Reads it.
    fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error>;
}

impl Wire for () {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn from_bytes(_: Vec<u8>) -> Result<Self, Error> {
        Ok(())
    }
}

impl Wire for Vec<u8> {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        Ok(self)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Ok(bytes)
    }
}

/// Writes a value as JSON.
pub fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    Ok(serde_json::to_string(value)?.into_bytes())
}

/// Reads a value of JSON that another part of this Worker wrote.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    json::from_bytes(bytes).map_err(to_error)
}

/// Writes JSON with bytes behind it: the length of the JSON, the JSON, the bytes.
pub fn to_json_and_bytes<T: Serialize>(value: &T, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let head = to_json(value)?;
    let length = u32::try_from(head.len()).map_err(to_error)?;
    Ok([length.to_be_bytes().as_slice(), &head, bytes].concat())
}

/// Reads what [`to_json_and_bytes`] wrote.
pub fn from_json_and_bytes<T: DeserializeOwned>(mut all: Vec<u8>) -> Result<(T, Vec<u8>), Error> {
    let cut = || Error::RustError("a call between objects is cut off".into());
    let (length, rest) = all.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_be_bytes(*length) as usize;
    let value = from_json(rest.get(..length).ok_or_else(cut)?)?;
    Ok((value, all.split_off(4 + length)))
}

/// Implements [`Wire`] as JSON for types that `serde` knows.
macro_rules! wire_as_json {
    ($($type:ty),* $(,)?) => {
        $(impl $crate::objects::call::Wire for $type {
            fn into_bytes(self) -> Result<Vec<u8>, worker::Error> {
                $crate::objects::call::to_json(&self)
            }

            fn from_bytes(bytes: Vec<u8>) -> Result<Self, worker::Error> {
                $crate::objects::call::from_json(&bytes)
            }
        })*
    };
}
pub(crate) use wire_as_json;

/// JSON of a `T` that is passed on as it is.
pub struct Encoded<T> {
    /// The text.
    pub json: Vec<u8>,
    of: PhantomData<T>,
}

impl<T: Serialize> Encoded<T> {
    /// Writes it.
    pub fn of(value: &T) -> Result<Self, Problem> {
        Ok(Self {
            json: to_json(value)?,
            of: PhantomData,
        })
    }
}

impl<T> Wire for Encoded<T> {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        Ok(self.json)
    }

    fn from_bytes(json: Vec<u8>) -> Result<Self, Error> {
        Ok(Self {
            json,
            of: PhantomData,
        })
    }
}

/// What an object is asked.
pub trait Request: Wire {
    /// The enum of all that the object is asked.
    type Api;
    /// What the object answers.
    type Answer: Wire;
    /// Its name between the two.
    const NAME: &'static str;
}

/// All that one kind of object is asked.
pub trait Requests: Sized {
    /// Reads the request of this name.
    fn read(name: &str, body: Vec<u8>) -> Result<Self, Error>;
}

/// Lists what an object is asked, and what it answers to each.
macro_rules! requests {
    ($(#[$doc:meta])* $api:ident { $($(#[$about:meta])* $name:ident -> $answer:ty),* $(,)? }) => {
        $(#[$doc])*
        pub enum $api {
            $($(#[$about])* $name($name),)*
        }

        $(impl $crate::objects::call::Request for $name {
            type Api = $api;
            type Answer = $answer;
            const NAME: &'static str = stringify!($name);
        })*

        impl $crate::objects::call::Requests for $api {
            fn read(name: &str, body: Vec<u8>) -> Result<Self, worker::Error> {
                match name {
                    $(stringify!($name) => $crate::objects::call::Wire::from_bytes(body).map(Self::$name),)*
                    _ => Err(worker::Error::RustError(format!("the object has no request {name}"))),
                }
            }
        }
    };
}
pub(crate) use requests;

/// An object that can be asked, on behalf of a request.
pub struct Handle<A> {
    stub: Stub,
    request: RequestId,
    api: PhantomData<A>,
}

impl<A> Handle<A> {
    /// The object behind a stub.
    pub fn new(stub: Stub, request: &RequestId) -> Self {
        Self {
            stub,
            request: request.clone(),
            api: PhantomData,
        }
    }

    /// Asks the object. Its refusal is the problem that it answered with.
    pub async fn call<R: Request<Api = A>>(&self, asked: R) -> Result<R::Answer, Problem> {
        let answered = send(&self.stub, &self.request, R::NAME, asked.into_bytes()?).await?;
        Ok(R::Answer::from_bytes(answered)?)
    }
}

/// One function for requests of all types.
async fn send(stub: &Stub, id: &RequestId, name: &str, body: Vec<u8>) -> Result<Vec<u8>, Problem> {
    counters::count_object_call();
    let headers = Headers::new();
    headers.set(REQUEST_ID_HEADER, id.as_str())?;
    let body = Uint8Array::from(body.as_slice()).into();
    let http = request(
        &Method::Post,
        &format!("https://internal/{name}"),
        Some(&headers),
        Some(&body),
    )?;
    let mut answered = stub.fetch_with_request(http).await?;
    match answered.status_code() {
        200 => Ok(answered.bytes().await?),
        _ => Err(Problem::of_response(answered).await?),
    }
}

/// Answers a request to an object with `answer`.
pub async fn serve<A: Requests>(
    mut http: HttpRequest,
    answer: impl AsyncFnOnce(A, &RequestId) -> Result<Vec<u8>, Problem>,
) -> worker::Result<Response> {
    let id = request_id(http.headers());
    let answered = match http.bytes().await {
        Ok(body) => match A::read(http.path().trim_start_matches('/'), body) {
            Ok(asked) => answer(asked, &id).await,
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    };
    match answered {
        Ok(body) => Response::from_bytes(body),
        Err(problem) => problem.into_response(&id),
    }
}

/// Writes the answer to a request of type `R`.
pub fn reply<R: Request>(answer: Result<R::Answer, Problem>) -> Result<Vec<u8>, Problem> {
    Ok(answer?.into_bytes()?)
}

/// The id that a request came with, if it is in shape, or a new one.
pub fn request_id(headers: &Headers) -> RequestId {
    let given = headers.get(REQUEST_ID_HEADER).ok().flatten();
    given
        .and_then(|given| RequestId::given(&given))
        .unwrap_or_else(new_request_id)
}

/// The id of work that no request began.
pub fn new_request_id() -> RequestId {
    RequestId::random(random::bytes().unwrap_or_default())
}

/// What `work` gives, or a problem once `limit` is over.
pub async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    match select(pin!(work), pin!(Delay::from(limit))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(late(limit)),
    }
}

#[cold]
fn late(limit: Duration) -> Problem {
    Problem::internal(format!("no answer within {} ms", limit.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_behind_json_are_read_back_as_they_were() {
        let all = to_json_and_bytes(&7_u64, &[1, 2, 3]).unwrap();
        assert_eq!(
            from_json_and_bytes::<u64>(all.clone()).unwrap(),
            (7, vec![1, 2, 3])
        );
        assert!(from_json_and_bytes::<u64>(all[..4].to_vec()).is_err());
        assert!(from_json_and_bytes::<u64>(Vec::new()).is_err());
    }
}
