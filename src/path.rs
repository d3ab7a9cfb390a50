//! The parameters in a path, read once into types that can't be wrong.

use crate::problem::{Kind, Problem};
use crate::request::parse_number;
use alloy_primitives::Address;
use streamchain_protocol::ids::{KeyId, ProducerId, RelayId, Seq, SessionRef, StreamRef, WebhookId};

/// What stands in a path where its template has `{name}`.
#[derive(Debug, Default)]
pub(crate) struct PathParameters {
    stream: Option<StreamRef>,
    seq: Option<Seq>,
    member: Option<Address>,
    session: Option<SessionRef>,
    relay: Option<RelayId>,
    producer: Option<ProducerId>,
    key: Option<KeyId>,
    webhook: Option<WebhookId>,
    round: Option<u64>,
    bucket: Option<u8>,
}

impl PathParameters {
    /// The parameters of a path that has the shape of a template: see [`has_shape`].
    pub(crate) fn read(template: &str, path: &str) -> Result<Self, Problem> {
        let mut read = Self::default();
        for (part, text) in template.split('/').zip(path.split('/')) {
            match part {
                "{stream}" => read.stream = Some(text.parse()?),
                "{seq}" => read.seq = Some(Seq(parse_number("seq", text)?)),
                "{member}" => read.member = Some(parse_address(text)?),
                "{session}" => read.session = Some(text.parse()?),
                "{relay}" => read.relay = Some(text.parse()?),
                "{producer}" => read.producer = Some(text.parse()?),
                "{key}" => read.key = Some(text.parse()?),
                "{webhook}" => read.webhook = Some(text.parse()?),
                "{round}" => read.round = Some(parse_number("round", text)?),
                "{bucket}" => read.bucket = Some(parse_bucket(text)?),
                _ => {}
            }
        }
        Ok(read)
    }

    /// `{stream}`
    pub(crate) fn stream(&self) -> Result<StreamRef, Problem> {
        present(self.stream.clone())
    }

    /// `{seq}`
    pub(crate) fn seq(&self) -> Result<Seq, Problem> {
        present(self.seq)
    }

    /// `{member}`
    pub(crate) fn member(&self) -> Result<Address, Problem> {
        present(self.member)
    }

    /// `{session}`
    pub(crate) fn session(&self) -> Result<SessionRef, Problem> {
        present(self.session)
    }

    /// `{relay}`
    pub(crate) fn relay(&self) -> Result<RelayId, Problem> {
        present(self.relay.clone())
    }

    /// `{producer}`
    pub(crate) fn producer(&self) -> Result<ProducerId, Problem> {
        present(self.producer)
    }

    /// `{key}`
    pub(crate) fn key(&self) -> Result<KeyId, Problem> {
        present(self.key)
    }

    /// `{webhook}`
    pub(crate) fn webhook(&self) -> Result<WebhookId, Problem> {
        present(self.webhook)
    }

    /// `{round}`
    pub(crate) fn round(&self) -> Result<u64, Problem> {
        present(self.round)
    }

    /// `{bucket}`
    pub(crate) fn bucket(&self) -> Result<u8, Problem> {
        present(self.bucket)
    }
}

/// Whether a path has as many parts as a template, and its fixed parts.
pub(crate) fn has_shape(template: &str, path: &str) -> bool {
    let (mut expected, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(text)) if part == text || part.starts_with('{') => {}
            _ => return false,
        }
    }
}

fn present<T>(parameter: Option<T>) -> Result<T, Problem> {
    parameter.ok_or_else(|| Problem::internal("the route's path has no such parameter"))
}

fn parse_bucket(text: &str) -> Result<u8, Problem> {
    let bucket = u8::try_from(parse_number("bucket", text)?);
    bucket.map_err(|_| Problem::new(Kind::BadRequest, "bucket: expected a number from 0 to 255"))
}

/// Reads an address of a path or a query.
pub(crate) fn parse_address(text: &str) -> Result<Address, Problem> {
    let address = text.strip_prefix("0x").and_then(|_| text.parse().ok());
    address.ok_or_else(|| Problem::new(Kind::BadId, "expected 0x and 40 hexadecimal digits"))
}
