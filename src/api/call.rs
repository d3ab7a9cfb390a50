//! Typed calls between the Worker and the objects, and between objects.
//!
//! Each file of `api` lists the requests of one kind of object with [`requests`]: one struct for each, and the enum of all of them that
//! the object's shell matches. [`Handle::call`] sends one, [`serve`] receives it, or [`super::by_method`] does; the name of a request is spelled
//! nowhere else. A call carries the id of the request that it is made for.

use crate::counters;
use crate::outbound::fetch::{read_whole, request};
use crate::problem::Problem;
use crate::random;
use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;
use std::marker::PhantomData;
use std::pin::pin;
use std::time::Duration;
use streamchain_edge_core::request_id::{REQUEST_ID_HEADER, RequestId};
use streamchain_protocol::util::json::{self, JsonError};
use worker::js_sys::Uint8Array;
use worker::{Delay, Headers, Method, Request as HttpRequest, Response, Stub};

/// How a request or an answer is written between two parts of this Worker.
pub(crate) trait Wire: Sized {
    /// A number that changes with the fields: what is written without names must not be read under others.
    const SHAPE: u32 = 0;

    /// Writes it.
    fn into_bytes(self) -> Vec<u8>;
    /// Reads it.
    fn from_bytes(bytes: Vec<u8>) -> Result<Self, JsonError>;
}

impl Wire for () {
    fn into_bytes(self) -> Vec<u8> {
        Vec::new()
    }

    fn from_bytes(_: Vec<u8>) -> Result<Self, JsonError> {
        Ok(())
    }
}

impl Wire for Vec<u8> {
    fn into_bytes(self) -> Vec<u8> {
        self
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, JsonError> {
        Ok(bytes)
    }
}

/// Writes a value as JSON. No type of ours fails to be written; should one, its reader refuses the empty text.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_string(value).unwrap_or_default().into_bytes()
}

/// Writes the fields of a struct one after the other, as a list of JSON.
#[derive(Default)]
pub(crate) struct FieldWriter(Vec<u8>);

impl FieldWriter {
    /// Writes the next field.
    pub(crate) fn put<T: Serialize>(&mut self, field: &T) {
        self.push(to_json(field));
    }

    /// One function for fields of all types.
    fn push(&mut self, json: Vec<u8>) {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        self.0.extend(json);
    }

    /// The list.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if !self.0.is_empty() {
            self.0.push(b']');
        }
        self.0
    }

    /// The list with bytes behind it: the length of the list, the list, the bytes.
    pub(crate) fn finish_with(self, bytes: &[u8]) -> Vec<u8> {
        let list = self.finish();
        let length = list.len() as u32; // an instance has 128 MB
        [length.to_be_bytes().as_slice(), &list, bytes].concat()
    }
}

/// Reads what a [`FieldWriter`] wrote.
pub(crate) struct FieldReader(std::vec::IntoIter<Value>);

impl FieldReader {
    /// The fields of a list.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, JsonError> {
        if bytes.is_empty() {
            return Ok(Self(Vec::new().into_iter()));
        }
        match json::tree(&String::from_utf8_lossy(bytes))? {
            Value::Array(fields) => Ok(Self(fields.into_iter())),
            _ => Err(cut_off()),
        }
    }

    /// The fields of a list, and the bytes behind it.
    pub(crate) fn new_with(mut all: Vec<u8>) -> Result<(Self, Vec<u8>), JsonError> {
        let (length, rest) = all.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let length = u32::from_be_bytes(*length) as usize;
        let fields = Self::new(rest.get(..length).ok_or_else(cut_off)?)?;
        Ok((fields, all.split_off(4 + length)))
    }

    /// Reads the next field.
    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<T, JsonError> {
        json::from_value(&self.next()?)
    }

    fn next(&mut self) -> Result<Value, JsonError> {
        self.0.next().ok_or_else(cut_off)
    }
}

#[cold]
fn cut_off() -> JsonError {
    JsonError::custom("a call between objects is cut off")
}

/// Implements [`Wire`] for structs, field by field: a reader that `serde` derives would be compiled for each struct, with
/// the names of its fields and what to do when one is missing, and each call carries its shape, so that nothing is read under other names.
macro_rules! wire_by_field {
    ($($type:ident { $($field:ident),* })*) => {
        $(impl $crate::api::call::Wire for $type {
            const SHAPE: u32 = $crate::api::call::shape_of(stringify!($($field),*));

            fn into_bytes(self) -> Vec<u8> {
                #[allow(unused_mut)]
                let mut fields = $crate::api::call::FieldWriter::default();
                $(fields.put(&self.$field);)*
                fields.finish()
            }

            fn from_bytes(bytes: Vec<u8>) -> Result<Self, streamchain_protocol::util::json::JsonError> {
                #[allow(unused_mut, unused_variables)]
                let mut fields = $crate::api::call::FieldReader::new(&bytes)?;
                Ok(Self { $($field: fields.take()?),* })
            }
        })*
    };
}
pub(crate) use wire_by_field;

/// Implements [`Wire`] as JSON for types that `serde` knows.
macro_rules! wire_as_json {
    ($($type:ty),* $(,)?) => {
        $(impl $crate::api::call::Wire for $type {
            fn into_bytes(self) -> Vec<u8> {
                $crate::api::call::to_json(&self)
            }

            fn from_bytes(bytes: Vec<u8>) -> Result<Self, streamchain_protocol::util::json::JsonError> {
                streamchain_protocol::util::json::from_bytes(&bytes)
            }
        })*
    };
}
pub(crate) use wire_as_json;

/// JSON of a `T` that is passed on as it is.
pub(crate) struct Encoded<T> {
    /// The text.
    pub json: Vec<u8>,
    of: PhantomData<T>,
}

impl<T: Serialize> Encoded<T> {
    /// Writes it.
    pub(crate) fn of(value: &T) -> Self {
        Self {
            json: to_json(value),
            of: PhantomData,
        }
    }
}

impl<T> Wire for Encoded<T> {
    fn into_bytes(self) -> Vec<u8> {
        self.json
    }

    fn from_bytes(json: Vec<u8>) -> Result<Self, JsonError> {
        Ok(Self {
            json,
            of: PhantomData,
        })
    }
}

/// What an object is asked.
pub(crate) trait Request: Wire {
    /// The enum of all that the object is asked.
    type Api;
    /// What the object answers.
    type Answer: Wire;
    /// Its name between the two.
    const NAME: &'static str;
    /// The shape of both ends. While a new version is rolled out, an object refuses what it would misread.
    const SHAPE: u32 = <Self as Wire>::SHAPE ^ Self::Answer::SHAPE.rotate_left(1);
}

/// All that one kind of object is asked.
pub(crate) trait Requests: Sized {
    /// Reads the request of this name and shape.
    fn read(name: &str, shape: Option<u32>, body: Vec<u8>) -> Result<Self, JsonError>;
}

/// Lists what an object is asked, and what it answers to each.
macro_rules! requests {
    ($(#[$doc:meta])* $api:ident { $($(#[$about:meta])* $name:ident -> $answer:ty),* $(,)? }) => {
        $(#[$doc])*
        pub(crate) enum $api {
            $($(#[$about])* $name($name),)*
        }

        $(impl $crate::api::call::Request for $name {
            type Api = $api;
            type Answer = $answer;
            const NAME: &'static str = stringify!($name);
        })*

        impl $crate::api::call::Requests for $api {
            fn read(
                name: &str,
                shape: Option<u32>,
                body: Vec<u8>,
            ) -> Result<Self, streamchain_protocol::util::json::JsonError> {
                let is = |other: u32| shape.is_none_or(|shape| shape == other);
                match name {
                    $(stringify!($name) if is(<$name as $crate::api::call::Request>::SHAPE) => {
                        $crate::api::call::Wire::from_bytes(body).map(Self::$name)
                    })*
                    _ => Err($crate::api::call::unknown(name)),
                }
            }
        }
    };
}
pub(crate) use requests;

/// The error of a request that an object does not have.
#[cold]
pub(crate) fn unknown(name: &str) -> JsonError {
    JsonError::custom(format_args!("the object has no request {name} of this shape"))
}

#[cold]
pub(super) fn unreadable(error: JsonError) -> Problem {
    Problem::internal(error)
}

/// FNV-1a of a list of fields.
pub(crate) const fn shape_of(fields: &str) -> u32 {
    let (bytes, mut hash, mut at) = (fields.as_bytes(), 0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        #[expect(clippy::indexing_slicing, reason = "the loop ends with the text")]
        let byte = bytes[at];
        hash = (hash ^ byte as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// An object that can be asked, on behalf of a request.
pub(crate) struct Handle<A> {
    pub(super) stub: Stub,
    pub(super) request: RequestId,
    api: PhantomData<A>,
}

impl<A> Handle<A> {
    /// The object behind a stub.
    pub(crate) fn new(stub: Stub, request: &RequestId) -> Self {
        Self {
            stub,
            request: request.clone(),
            api: PhantomData,
        }
    }

    /// Asks the object. Its refusal is the problem that it answered with.
    pub(crate) fn call<R: Request<Api = A>>(
        self,
        asked: R,
    ) -> impl Future<Output = Result<R::Answer, Problem>> {
        let answered = send(
            self.stub,
            self.request,
            (R::NAME, <R as Request>::SHAPE),
            asked.into_bytes(),
        );
        async move { R::Answer::from_bytes(answered.await?).map_err(unreadable) }
    }
}

/// One function for requests of all types.
async fn send(
    stub: Stub,
    id: RequestId,
    (name, shape): (&'static str, u32),
    body: Vec<u8>,
) -> Result<Vec<u8>, Problem> {
    counters::count_object_call();
    let headers = Headers::new();
    headers.set(REQUEST_ID_HEADER, id.as_str())?;
    let body = Uint8Array::from(body.as_slice()).into();
    let http = request(
        &Method::Post,
        &format!("https://internal/{name}/{shape}"),
        Some(&headers),
        Some(&body),
    )?;
    of_http(stub.fetch_with_request(http).await?).await
}

/// What an object answered by HTTP.
pub(super) async fn of_http(answered: Response) -> Result<Vec<u8>, Problem> {
    match answered.status_code() {
        200 => Ok(read_whole(answered).await?),
        _ => Err(Problem::of_response(answered).await?),
    }
}

/// Answers a request to an object with `answer`.
pub(crate) async fn serve<A: Requests>(
    mut http: HttpRequest,
    answer: impl AsyncFnOnce(A, &RequestId) -> Result<Vec<u8>, Problem>,
) -> worker::Result<Response> {
    let id = request_id(http.headers());
    let answered = match http.bytes().await {
        Ok(body) => match read::<A>(&http.path(), body) {
            Ok(asked) => answer(asked, &id).await,
            Err(error) => Err(unreadable(error)),
        },
        Err(error) => Err(error.into()),
    };
    match answered {
        Ok(body) => Response::from_bytes(body),
        Err(problem) => problem.into_response(&id),
    }
}

/// Reads the request that a path `/{name}/{shape}` names; a tool that asks by hand may leave the shape out.
fn read<A: Requests>(path: &str, body: Vec<u8>) -> Result<A, JsonError> {
    let path = path.trim_start_matches('/');
    match path.split_once('/') {
        Some((name, shape)) => A::read(name, Some(shape.parse().map_err(JsonError::custom)?), body),
        None => A::read(path, None, body),
    }
}

/// Writes the answer to a request of type `R`.
pub(crate) fn reply<R: Request>(answer: Result<R::Answer, Problem>) -> Result<Vec<u8>, Problem> {
    answer.map(Wire::into_bytes)
}

/// The id that a request came with, if it is in shape, or a new one.
pub(crate) fn request_id(headers: &Headers) -> RequestId {
    let given = headers.get(REQUEST_ID_HEADER).ok().flatten();
    given
        .and_then(|given| RequestId::given(&given))
        .unwrap_or_else(new_request_id)
}

/// The id of work that no request began.
pub(crate) fn new_request_id() -> RequestId {
    RequestId::random(random::bytes().unwrap_or_default())
}

/// What `work` gives, or a problem once `limit` is over.
pub(crate) async fn within<T>(
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
    fn fields_and_bytes_behind_them_are_read_back() {
        let mut writer = FieldWriter::default();
        writer.put(&7_u64);
        writer.put(&Some("a\n"));
        let all = writer.finish_with(&[1, 2, 3]);
        let (mut fields, bytes) = FieldReader::new_with(all.clone()).unwrap();
        assert_eq!(fields.take::<u64>().unwrap(), 7);
        assert_eq!(fields.take::<Option<String>>().unwrap().as_deref(), Some("a\n"));
        assert!(fields.take::<u64>().is_err());
        assert_eq!(bytes, [1, 2, 3]);
        for cut in [0, 3, 4, 8] {
            assert!(FieldReader::new_with(all[..cut].to_vec()).is_err(), "{cut}");
        }
    }

    pub(crate) struct Added {
        first: u64,
        count: u64,
    }

    wire_by_field! {
        Added { first, count }
    }

    requests! {
        /// What the object of this test is asked.
        TestRequest {
            /// Adds a run.
            Added -> (),
        }
    }

    #[test]
    fn what_another_version_wrote_is_refused_not_misread() {
        let body = || Added { first: 1, count: 2 }.into_bytes();
        let path = format!("/Added/{}", <Added as Request>::SHAPE);
        let Ok(TestRequest::Added(read_back)) = read::<TestRequest>(&path, body()) else {
            panic!("the own shape is read");
        };
        assert_eq!((read_back.first, read_back.count), (1, 2));
        let swapped = shape_of(stringify!(count, first));
        assert_ne!(swapped, <Added as Request>::SHAPE);
        assert!(read::<TestRequest>(&format!("/Added/{swapped}"), body()).is_err());
        assert!(read::<TestRequest>("/Added/x", body()).is_err());
        assert!(read::<TestRequest>("/Removed", body()).is_err());
        assert!(read::<TestRequest>("/Added", body()).is_ok());
    }
}
