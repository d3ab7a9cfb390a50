//! URLs of nodes, with the credentials that some providers put in front of the host.

use alloy_primitives::hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A node's URL. Credentials are in `authorization` alone: neither a request's URL nor a log shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeUrl {
    url: String,
    authorization: Option<String>,
}

impl NodeUrl {
    /// Reads an `http://` or `https://` URL; `None` for anything else, and for credentials that cannot be sent.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !matches!(scheme, "http" | "https") || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (host, authorization) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (host, Some(basic(credentials)?)),
            None => (authority, None),
        };
        (!host.is_empty()).then(|| Self {
            url: format!("{scheme}://{host}{path}"),
            authorization,
        })
    }

    /// The URL without credentials.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The value of the header `authorization` (RFC 7617), if there are credentials.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// `user:password`, where either may be percent-encoded, as Basic credentials.
fn basic(credentials: &str) -> Option<String> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let user = percent_decoded(user).filter(|user| !user.contains(&b':'))?;
    let pair = [&user, &b":"[..], &percent_decoded(password)?].concat();
    Some(format!("Basic {}", STANDARD.encode(pair)))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (byte, rest) = part.split_at_checked(2)?;
        bytes.extend(hex::decode(byte).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url_for_the_header() {
        for (text, url, pair) in [
            (
                "https://u:p@node.example/v1?x=a@b",
                "https://node.example/v1?x=a@b",
                Some("u:p"),
            ),
            (
                "http://u:p%40ss%3a@127.0.0.1:8545",
                "http://127.0.0.1:8545",
                Some("u:p@ss:"),
            ),
            ("https://key@node.example", "https://node.example", Some("key:")),
            (
                "https://u:p@q@node.example/",
                "https://node.example/",
                Some("u:p@q"),
            ),
            (
                "https://node.example/v2/a:b@c",
                "https://node.example/v2/a:b@c",
                None,
            ),
        ] {
            let parsed = NodeUrl::parse(text).unwrap();
            let header = pair.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
            assert_eq!(
                (parsed.as_str(), parsed.authorization()),
                (url, header.as_deref())
            );
            assert_eq!(
                format!("{parsed} {parsed:?}"),
                format!("{url} {url}"),
                "no log shows them"
            );
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in [
            "",
            "node.example",
            "ws://node.example",
            "https://",
            "https://u:p@",
            "https://u:%zz@node.example",
            "https://a%3ab:p@node.example",
            "https://node.example/a b",
        ] {
            assert_eq!(NodeUrl::parse(text), None, "{text}");
        }
    }
}
