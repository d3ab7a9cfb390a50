//! The resources of a sign-in: which streams it is for, and to which key it delegates.
//!
//! What always holds: a resource at one of our hosts, however it is written, is exactly one stream or refuses the
//! message. Were it passed over, a signer who meant one stream would give a token for all.

use crate::ids::StreamRef;
use crate::signed::{PublicKey, key_of_resource};

/// A resource at one of our hosts that is not exactly a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAStream;

/// A resource of our own that is not exactly a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAKey;

/// What our own resources begin with, in small letters: scheme and namespace of a URN have none of their own (RFC 8141).
const OUR_URN: &str = "urn:streamchain:";

/// Returns the key that `resource` names as `urn:streamchain:key:p256:{base64url}`; `None` for a resource of another kind. Were a
/// misspelt one passed over, a signer who meant to delegate would sign unsigned messages.
pub(super) fn key(resource: &str) -> Result<Option<PublicKey>, NotAKey> {
    let is_ours = resource
        .get(..OUR_URN.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(OUR_URN));
    match key_of_resource(resource) {
        Some(Ok(key)) => Ok(Some(key)),
        None if !is_ours => Ok(None),
        _ => Err(NotAKey),
    }
}

/// Schemes after whose colon the WHATWG URL standard takes any number of slashes, none included, before the host.
const SPECIAL_SCHEMES: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];

/// How often a host is unescaped: deeper ones name no host anywhere.
const MAX_UNESCAPES: usize = 4;

/// Returns the stream that `resource` names as `https://{authority}/v1/streams/{stream}`, for one of our `authorities`;
/// `None` for a resource of another host.
pub(super) fn stream<'a>(resource: &'a str, authorities: &[&str]) -> Result<Option<&'a str>, NotAStream> {
    let (scheme, rest) = resource.split_once(':').ok_or(NotAStream)?;
    let Some(host) = host(scheme, rest) else {
        return Ok(None);
    };
    // Of a host that is not plain ASCII it can't be said here what it becomes (RFC 3987, UTS #46).
    let is_ours = !host.is_ascii() || authorities.iter().any(|ours| plain_host(ours) == host);
    if !is_ours {
        return Ok(None);
    }
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let named = rest.strip_prefix("//").and_then(|rest| rest.split_once('/'));
    let stream = named
        .filter(|(given, _)| is_web && authorities.iter().any(|ours| ours.eq_ignore_ascii_case(given)))
        .and_then(|(_, path)| path.strip_prefix("v1/streams/"))
        .filter(|stream| stream.parse::<StreamRef>().is_ok());
    stream.map(Some).ok_or(NotAStream)
}

/// Returns the host that any reader may find in a URI, in small letters; `None` where there is none.
fn host(scheme: &str, rest: &str) -> Option<String> {
    let is_special = SPECIAL_SCHEMES
        .iter()
        .any(|special| scheme.eq_ignore_ascii_case(special));
    let authority = match is_special {
        true => rest.trim_start_matches('/'),
        false => rest.strip_prefix("//")?,
    };
    Some(plain_host(authority.split(['/', '?', '#']).next()?))
}

/// Returns an authority's host without what may be around it: escapes, capitals, a user, a port, dots at the end.
fn plain_host(authority: &str) -> String {
    let mut text = authority.to_owned();
    for _ in 0..MAX_UNESCAPES {
        text = unescaped(&text);
    }
    let text = text.to_lowercase();
    let text = text.rsplit('@').next().unwrap_or_default();
    // Whatever stands behind the colon, a port or none: an address of IPv6 has its colons in brackets.
    let host = match text.starts_with('[') {
        true => text.split_inclusive(']').next(),
        false => text.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host.trim_end_matches('.').to_owned()
}

/// Returns a text with its `%41` read; what does not give UTF-8 becomes a character that is not ASCII.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        match behind.split_first_chunk::<2>().filter(|_| *first == b'%') {
            Some((digits, after)) if digits.iter().all(u8::is_ascii_hexdigit) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
                let [high, low] = digits.map(digit);
                bytes.push(u8::try_from(16 * high + low).unwrap_or_default());
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: [&str; 3] = ["example.com", "localhost:8787", "[2001:db8::1]:8787"];

    fn judged(resource: &str) -> Result<Option<&str>, NotAStream> {
        stream(resource, &OURS)
    }

    #[test]
    fn exactly_a_stream_of_ours_is_named() {
        for (resource, stream) in [
            ("https://example.com/v1/streams/demo", "demo"),
            ("HTTPS://EXAMPLE.com/v1/streams/demo", "demo"),
            ("http://localhost:8787/v1/streams/demo", "demo"),
            ("http://[2001:db8::1]:8787/v1/streams/demo", "demo"),
        ] {
            assert_eq!(judged(resource), Ok(Some(stream)), "{resource}");
        }
    }

    #[test]
    fn another_host_is_none_of_ours() {
        for resource in [
            "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
            "https://other.example/v1/streams/demo",
            "https://notexample.com/v1/streams/demo",
            "https://example.com.evil/v1/streams/demo",
            "https://other.example/?https://example.com/v1/streams/demo",
            "https://other.example/#@example.com",
            "urn:example.com:v1",
            "mailto:someone@example.com",
        ] {
            assert_eq!(judged(resource), Ok(None), "{resource}");
        }
    }

    #[test]
    fn all_else_at_our_host_refuses_the_message() {
        for resource in [
            "https://example.com",
            "https://example.com/",
            "https://example.com/terms",
            "https://example.com/v1/streams",
            "https://example.com/v1/streams/",
            "https://example.com/v1/streams/demo/",
            "https://example.com/v1/streams/demo/messages",
            "https://example.com/v1/streams/demo?x=1",
            "https://example.com/v1/streams/demo#x",
            "https://example.com/v1/streams/de%6do",
            "https://example.com/V1/streams/demo",
            "https://example.com//v1/streams/demo",
            "https://example.com/./v1/streams/demo",
            "https://example.com/v1/streams/demo!x",
            "https://example.com:443/v1/streams/demo",
            "https://example.com:/v1/streams/demo",
            "https://example.com:443./v1/streams/demo",
            "https://example.com:any/v1/streams/demo",
            "https://example.com./v1/streams/demo",
            "https://example.com../v1/streams/demo",
            "https://user@example.com/v1/streams/demo",
            "https://user:word@example.com/v1/streams/demo",
            "https://user%40example.com/v1/streams/demo",
            "https://EXAMPLE.com:8443/v1/streams/demo",
            "https://ex%61mple.com/v1/streams/demo",
            "https://ex%2561mple.com/v1/streams/demo",
            "https://example%2Ecom/v1/streams/demo",
            "https://example.com%2E/v1/streams/demo",
            "https://example.com%3A8443/v1/streams/demo",
            "https://%EF%BD%85xample.com/v1/streams/demo",
            "https://example%E3%80%82com/v1/streams/demo",
            "https://%ff/v1/streams/demo",
            "https:example.com/v1/streams/demo",
            "https:/example.com/v1/streams/demo",
            "https:///example.com/v1/streams/demo",
            "wss://example.com/v1/streams/demo",
            "streamchain://example.com/v1/streams/demo",
            "http://localhost/v1/streams/demo",
            "http://localhost:8788/v1/streams/demo",
            "http://[2001:DB8::1]/v1/streams/demo",
        ] {
            assert_eq!(judged(resource), Err(NotAStream), "{resource}");
        }
    }

    proptest! {
        /// However our host is written, and whatever stands behind it: the message is refused, or names the stream.
        #[test]
        fn no_spelling_of_our_host_is_passed_over(
            scheme in "(?i)(https?|wss?|ftp|x-any)",
            user in "([a-z]{1,3}(:[a-z]{0,3})?@)?",
            letters in prop::collection::vec(0..3u8, "example.com".len()),
            dots in "\\.{0,2}",
            port in "(:[0-9]{0,5})?",
            path in "(/v1/streams/demo)?[a-z/?#.]{0,6}",
        ) {
            let spelled = |(letter, how): (char, &u8)| match how {
                0 => letter.to_string(),
                1 => letter.to_uppercase().to_string(),
                _ => format!("%{:02x}", letter as u32),
            };
            let host: String = "example.com".chars().zip(&letters).map(spelled).collect();
            let path = match path.is_empty() || path.starts_with(['/', '?', '#']) {
                true => path,
                false => format!("/{path}"),
            };
            let resource = format!("{scheme}://{user}{host}{dots}{port}{path}");
            prop_assert_ne!(judged(&resource), Ok(None), "{}", resource);
        }

        #[test]
        fn any_text_is_survived(text in ".{0,60}") {
            let _ = judged(&text);
        }
    }
}
