//! Sign-in with Ethereum (EIP-4361): the message that a wallet signs, read strictly and judged.
//!
//! What always holds: a [`SignIn`] is exactly one message of the standard's grammar, from its first to its last
//! character; what it says is judged by [`SignIn::check`] against what the edge expects, before any signature is
//! looked at.

mod delegation;
mod nonce;
mod resource;
mod time;

pub use delegation::Delegation;
pub use nonce::{NONCE_LIFE_S, NonceError, SignInNonce};
use time::parse_date_time;

use crate::ids::{StreamId, StreamName};
use crate::time::UnixMs;
use alloy_primitives::Address;

/// Longest message, bytes: a few hundred are usual, and resources may be many.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4_096;

/// How far a signer's clock may be off from ours, milliseconds.
pub(crate) const CLOCK_SKEW_MS: u64 = 60_000;

const GREETING: &str = " wants you to sign in with your Ethereum account:";

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SiweError {
    /// The text is not of the grammar of EIP-4361.
    #[error("the message is not EIP-4361: {0}")]
    Grammar(&'static str),
    /// The address is not written with its checksum (EIP-55).
    #[error("the address: expected 0x and 40 hexadecimal digits with their EIP-55 checksum")]
    Checksum,
    /// A time is not one of RFC 3339.
    #[error("{0}: expected a time as 2026-01-31T12:00:00Z (RFC 3339)")]
    Time(&'static str),
    /// The message is for another site.
    #[error("the message is for another domain than this service's")]
    Domain,
    /// The message is for another chain.
    #[error("the message is for chain {given}: expected {expected}")]
    Chain {
        /// The message's chain id.
        given: u64,
        /// The edge's chain id.
        expected: u64,
    },
    /// The message's time has passed.
    #[error("the message expired")]
    Expired,
    /// The message's time has not come.
    #[error("the message is not valid yet")]
    NotYetValid,
    /// A resource is at the service's host and not exactly a stream.
    #[error(
        "Resources: expected https://{{host}}/v1/streams/{{stream}}, exactly, or resources of other hosts than this service's"
    )]
    Resource,
    /// A resource begins as one that names a key and names none, or there are several.
    #[error(
        "Resources: expected at most one urn:streamchain:key:p256:{{key}}, a compressed P-256 point in base64url"
    )]
    Key,
    /// The nonce was not given out here, is too old, or was used.
    #[error("the nonce was not given out by this service, has expired, or was used")]
    Nonce,
    /// The account did not sign it.
    #[error("the signature is not the account's")]
    Signature,
}

impl SiweError {
    /// Returns a word for programs, which never changes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Grammar(_) => "grammar",
            Self::Checksum => "checksum",
            Self::Time(_) => "time",
            Self::Domain => "domain",
            Self::Chain { .. } => "chain",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Resource => "resource",
            Self::Key => "key",
            Self::Nonce => "nonce",
            Self::Signature => "signature",
        }
    }

    /// Returns whether the message can't be read at all, so that no service would accept it.
    pub fn is_malformed(self) -> bool {
        matches!(self, Self::Grammar(_) | Self::Checksum | Self::Time(_))
    }
}

/// A message as EIP-4361 writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn<'a> {
    /// The scheme before the domain, such as `https`, if there is one.
    pub scheme: Option<&'a str>,
    /// The site that asks for the signature: an authority (RFC 3986), as `app.example:8080`.
    pub domain: &'a str,
    /// The account that signs.
    pub address: Address,
    /// What the wallet shows.
    pub statement: Option<&'a str>,
    /// What the sign-in is for.
    pub uri: &'a str,
    /// EIP-155.
    pub chain_id: u64,
    /// Against replay.
    pub nonce: &'a str,
    /// When it was made.
    pub issued_at: UnixMs,
    /// From when on it is not good.
    pub expires: Option<UnixMs>,
    /// From when on it is good.
    pub not_before: Option<UnixMs>,
    /// Of the asking system.
    pub request_id: Option<&'a str>,
    /// What else the signer wants resolved.
    pub resources: Vec<&'a str>,
}

/// What this service takes.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The authorities it is reached at.
    pub domains: &'a [String],
    /// Its chain.
    pub chain_id: u64,
}

impl<'a> SignIn<'a> {
    /// Reads a text that came from outside.
    pub fn parse(text: &'a str) -> Result<Self, SiweError> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(SiweError::Grammar("it is longer than 4096 bytes"));
        }
        let mut lines = Lines(text.split('\n').collect::<Vec<_>>().into_iter().peekable());
        let (scheme, domain) = greeting(lines.next("the line with the domain")?)?;
        let address = lines.next("the address")?;
        let address = Address::parse_checksummed(address, None).map_err(|_| SiweError::Checksum)?;
        let statement = statement(&mut lines)?;
        let uri = checked(lines.tagged("URI: ")?, is_uri, "URI: expected a URI (RFC 3986)")?;
        if lines.tagged("Version: ")? != "1" {
            return Err(SiweError::Grammar("Version: expected 1"));
        }
        let chain_id = lines.tagged("Chain ID: ")?;
        let chain_id = checked(chain_id, is_digits, "Chain ID: expected a number")?;
        let chain_id = chain_id
            .parse()
            .map_err(|_| SiweError::Grammar("Chain ID: too large"))?;
        let nonce = "Nonce: expected 8 letters and digits or more";
        let nonce = checked(lines.tagged("Nonce: ")?, is_nonce, nonce)?;
        let issued_at = at("Issued At", lines.tagged("Issued At: ")?)?;
        let optional_time = |name, text: Option<&str>| text.map(|text| at(name, text)).transpose();
        let expires = optional_time("Expiration Time", lines.optional("Expiration Time: "))?;
        let not_before = optional_time("Not Before", lines.optional("Not Before: "))?;
        let request_id = lines.optional("Request ID: ");
        if request_id.is_some_and(|id| !is_of(id, b":@", true)) {
            return Err(SiweError::Grammar(
                "Request ID: has a character that may not be there",
            ));
        }
        let resources = lines.resources()?;
        Ok(Self {
            scheme,
            domain,
            address,
            statement,
            uri,
            chain_id,
            nonce,
            issued_at,
            expires,
            not_before,
            request_id,
            resources,
        })
    }

    /// Checks that the message is for this service and for `now`. Nonce and signature are checked afterwards.
    pub fn check(&self, expected: &Expected<'_>, now: UnixMs) -> Result<(), SiweError> {
        let is_ours = |authority: &str| {
            expected
                .domains
                .iter()
                .any(|domain| domain.eq_ignore_ascii_case(authority))
        };
        if !is_ours(self.domain) || !authority(self.uri).is_some_and(is_ours) {
            return Err(SiweError::Domain);
        }
        if self.chain_id != expected.chain_id {
            let (given, expected) = (self.chain_id, expected.chain_id);
            return Err(SiweError::Chain { given, expected });
        }
        let soonest = now.plus_ms(CLOCK_SKEW_MS);
        if self.issued_at > soonest || self.not_before.is_some_and(|time| time > soonest) {
            return Err(SiweError::NotYetValid);
        }
        if self
            .expires
            .is_some_and(|time| now >= time.plus_ms(CLOCK_SKEW_MS))
        {
            return Err(SiweError::Expired);
        }
        Ok(())
    }

    /// Returns the key that the signer delegates to, if the resources name one.
    pub fn delegation(&self) -> Result<Option<Delegation>, SiweError> {
        let key = resource::one_key(&self.resources).map_err(|resource::NotAKey| SiweError::Key)?;
        let begins = self
            .not_before
            .map_or(self.issued_at, |time| time.max(self.issued_at));
        Ok(key.map(|key| Delegation::new(key, begins, self.expires, CLOCK_SKEW_MS)))
    }

    /// Returns whether the sign-in is for a stream: its resources at its own hosts name that stream, or none. A stream that is
    /// named without an owner is the operator's, whom the caller knows or not.
    pub fn is_for(&self, id: StreamId, name: &StreamName) -> bool {
        let named = self.streams(&self.authorities());
        named.is_ok_and(|named| {
            named.is_empty() || named.into_iter().any(|one| resource::is_stream(one, id, name))
        })
    }

    /// Returns the authorities of the message: its domain's, and its URI's.
    pub fn authorities(&self) -> Vec<&'a str> {
        std::iter::once(self.domain).chain(authority(self.uri)).collect()
    }

    /// Returns the streams that the resources name, as `https://{authority}/v1/streams/{stream}`: the signer wants a token
    /// for these alone. `authorities` are all those that the service is reached at; a resource at the host of one of them
    /// that is not exactly a stream refuses the message.
    pub fn streams(&self, authorities: &[&str]) -> Result<Vec<&'a str>, SiweError> {
        let streams = self
            .resources
            .iter()
            .map(|resource| resource::stream(resource, authorities));
        let named = streams.filter_map(Result::transpose).collect::<Result<_, _>>();
        named.map_err(|resource::NotAStream| SiweError::Resource)
    }
}

/// The lines of a message, one after the other.
struct Lines<'a>(std::iter::Peekable<std::vec::IntoIter<&'a str>>);

impl<'a> Lines<'a> {
    fn next(&mut self, what: &'static str) -> Result<&'a str, SiweError> {
        self.0.next().ok_or(SiweError::Grammar(what))
    }

    /// Returns what stands behind `tag` in the next line.
    fn tagged(&mut self, tag: &'static str) -> Result<&'a str, SiweError> {
        self.0
            .next()
            .and_then(|line| line.strip_prefix(tag))
            .ok_or(SiweError::Grammar(tag))
    }

    /// As [`Lines::tagged`], if the next line has the tag.
    fn optional(&mut self, tag: &str) -> Option<&'a str> {
        self.0.next_if(|line| line.starts_with(tag))?.strip_prefix(tag)
    }

    /// Returns the list at the end, and checks that nothing stands behind it.
    fn resources(&mut self) -> Result<Vec<&'a str>, SiweError> {
        let mut resources = Vec::new();
        if self.0.next_if_eq(&"Resources:").is_some() {
            while let Some(resource) = self.optional("- ") {
                let expected = "Resources: expected URIs (RFC 3986)";
                resources.push(checked(resource, is_uri, expected)?);
            }
        }
        match self.0.next() {
            None => Ok(resources),
            Some(_) => Err(SiweError::Grammar(
                "there is more behind its end, or out of order",
            )),
        }
    }
}

fn greeting(line: &str) -> Result<(Option<&str>, &str), SiweError> {
    let site = line.strip_suffix(GREETING);
    let site = site.ok_or(SiweError::Grammar("the first line is not the greeting"))?;
    let (scheme, domain) = match site.split_once("://") {
        Some((scheme, domain)) => (Some(scheme), domain),
        None => (None, site),
    };
    if scheme.is_some_and(|scheme| !is_scheme(scheme)) {
        return Err(SiweError::Grammar("scheme: expected letters and digits"));
    }
    let domain = checked(
        domain,
        |text| is_of(text, b":@[]", true),
        "domain: expected a host and a port",
    )?;
    if domain.is_empty() {
        return Err(SiweError::Grammar("domain: is empty"));
    }
    Ok((scheme, domain))
}

/// Reads an empty line, the statement and an empty line, or else two empty lines.
fn statement<'a>(lines: &mut Lines<'a>) -> Result<Option<&'a str>, SiweError> {
    let empty = SiweError::Grammar("expected an empty line around the statement");
    if !lines.next("an empty line")?.is_empty() {
        return Err(empty);
    }
    let statement = lines.next("the statement")?;
    if statement.is_empty() {
        return Ok(None);
    }
    if !lines.next("an empty line")?.is_empty() {
        return Err(empty);
    }
    let is_statement = |text: &str| is_of(text, b":/?#[]@ ", false);
    checked(
        statement,
        is_statement,
        "statement: has a character that may not be there",
    )
    .map(Some)
}

fn checked<'a>(
    text: &'a str,
    is_right: impl Fn(&str) -> bool,
    expected: &'static str,
) -> Result<&'a str, SiweError> {
    match is_right(text) {
        true => Ok(text),
        false => Err(SiweError::Grammar(expected)),
    }
}

fn at(name: &'static str, text: &str) -> Result<UnixMs, SiweError> {
    parse_date_time(text).ok_or(SiweError::Time(name))
}

/// Returns whether all is unreserved, a sub-delimiter (RFC 3986 §2) or one of `more`; and `%XX`, where that may be.
fn is_of(text: &str, more: &[u8], may_escape: bool) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(index, byte)| match byte {
        b'%' => {
            let digits = bytes.get(index + 1..index + 3);
            may_escape && digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) || more.contains(byte),
    })
}

fn is_scheme(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) && text.bytes().all(rest)
}

fn is_uri(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(scheme, rest)| is_scheme(scheme) && is_of(rest, b":/?#[]@", true))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_nonce(text: &str) -> bool {
    text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns the authority of an `http` or `https` URI; a scheme has no case (RFC 3986 §3.1).
fn authority(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    rest.split(['/', '?', '#']).next().filter(|_| is_web)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod delegation_tests;
