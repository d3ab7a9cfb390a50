//! Where a webhook's deliveries may go.
//!
//! What always holds: only a URL in one plain form is taken, so that whatever sends the request reads the same host out of it
//! as the check did; and no host that is written as an address is a private one. What a name resolves to is not known here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest URL, characters.
const MAX_URL_CHARS: usize = 1_024;

/// Longest host name, characters (RFC 1035 §2.3.4).
const MAX_HOST_CHARS: usize = 253;

/// The first port beside 443 that may be named: below it are other services than HTTP.
const FIRST_FREE_PORT: u16 = 1_024;

/// Endings of names that are of no public host (RFC 6761, RFC 6762, RFC 8375, RFC 9476, and what is usual inside).
const PRIVATE_SUFFIXES: [&str; 14] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "arpa",
    "test",
    "invalid",
    "onion",
    "alt",
];

/// What holds for a deployment's webhooks.
#[derive(Debug, Clone, Copy)]
pub struct TargetRules<'a> {
    /// Whether the chain is one of local development: then plain HTTP and every host are allowed.
    pub is_development: bool,
    /// The deployment's own host, with its port if it has one: a delivery to it could cause the next.
    pub own_host: Option<&'a str>,
}

/// A URL that deliveries may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

/// Why a URL is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It has another form.
    #[error(
        "url: expected https://host/path of at most {MAX_URL_CHARS} characters of ASCII: the host in small letters, without user, \
         fragment, backslash or a dot at its end"
    )]
    Form,
    /// It is plain HTTP.
    #[error("url: expected https")]
    NotHttps,
    /// The port is another service's.
    #[error("url: the port must be 443, or {FIRST_FREE_PORT} and above")]
    Port,
    /// The host is no public one.
    #[error(
        "url: the host must be public: no private, loopback, link-local or reserved address, and no local name"
    )]
    Private,
    /// The host is the deployment itself.
    #[error("url: the host is this deployment's own")]
    Own,
}

impl Target {
    /// Reads a URL that these rules allow.
    pub fn parse(text: &str, rules: TargetRules<'_>) -> Result<Self, TargetError> {
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>' | b'`');
        if text.len() > MAX_URL_CHARS || !text.bytes().all(is_plain) {
            return Err(TargetError::Form);
        }
        let (is_https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(TargetError::Form),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if rules.own_host == Some(authority) {
            return Err(TargetError::Own);
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host)?;
        if rules.is_development {
            return Ok(Self(text.to_owned()));
        }
        if !is_https {
            return Err(TargetError::NotHttps);
        }
        if port.is_some_and(|port| port != 443 && port < FIRST_FREE_PORT) {
            return Err(TargetError::Port);
        }
        match host.is_public() {
            true => Ok(Self(text.to_owned())),
            false => Err(TargetError::Private),
        }
    }

    /// Returns the URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The host of an authority, and its port. A user before the host is refused with the host.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), TargetError> {
    let end_of_host = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, after) = authority.split_at(end_of_host);
    let (host, port) = match (host.is_empty(), after.split_once(':')) {
        (true, Some((host, port))) => (host, Some(port)),
        (true, None) => (after, None),
        (false, Some(("", port))) => (host, Some(port)),
        (false, None) if after.is_empty() => (host, None),
        (false, _) => return Err(TargetError::Form),
    };
    let Some(port) = port else {
        return Ok((host, None));
    };
    let is_number = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if is_number => Ok((host, Some(port))),
        _ => Err(TargetError::Form),
    }
}

/// A host of a URL.
enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Result<Self, TargetError> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address = inner.parse::<Ipv6Addr>().map_err(|_| TargetError::Form)?;
            return Ok(Self::Address(address.into()));
        }
        let is_label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(plain)
        };
        if text.len() > MAX_HOST_CHARS || !text.split('.').all(is_label) {
            return Err(TargetError::Form);
        }
        // A host whose last label is a number, in whatever base, is read as an IPv4 address (WHATWG URL §3.5).
        let last = text.rsplit('.').next().unwrap_or_default();
        match last.starts_with(|first: char| first.is_ascii_digit()) {
            true => {
                let address = text.parse::<Ipv4Addr>().map_err(|_| TargetError::Form)?;
                Ok(Self::Address(address.into()))
            }
            false => Ok(Self::Name(text)),
        }
    }

    fn is_public(&self) -> bool {
        match self {
            Self::Address(IpAddr::V4(address)) => is_public_v4(*address),
            Self::Address(IpAddr::V6(address)) => is_public_v6(*address),
            Self::Name(name) => {
                let last = name.rsplit('.').next().unwrap_or_default();
                name.contains('.') && !PRIVATE_SUFFIXES.contains(&last)
            }
        }
    }
}

/// Whether an address is in none of IANA's special-purpose ranges (RFC 6890 and what was added since).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127, ..] | [224..=255, ..] => true,
        [100, second, ..] => (64..128).contains(&second),
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => (16..32).contains(&second),
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
        [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !special
}

/// Whether an address is global unicast (2000::/3) and in none of its special-purpose ranges: those that carry an IPv4
/// address (Teredo, 6to4), ORCHIDs and documentation. IPv4-mapped and translated ones are outside of 2000::/3.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let special = match segments {
        [0x2001, second, ..] => second < 0x200 || second == 0xdb8,
        [0x2002, ..] => true,
        [0x3fff, second, ..] => second < 0x1000,
        _ => false,
    };
    segments[0] & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTION: TargetRules<'_> = TargetRules {
        is_development: false,
        own_host: Some("streams.example.com"),
    };

    fn refusal(url: &str) -> Option<TargetError> {
        Target::parse(url, PRODUCTION).err()
    }

    #[test]
    fn public_hosts_are_taken_as_they_are_written() {
        for url in [
            "https://example.com",
            "https://example.com/hook?x=1&y=%20",
            "https://xn--bcher-kva.example/a/b",
            "https://a-b.example.co:8443/",
            "https://93.184.216.34/hook",
            "https://[2606:2800:220:1::1]:4430/hook",
        ] {
            assert_eq!(Target::parse(url, PRODUCTION).unwrap().as_str(), url);
        }
    }

    #[test]
    fn no_private_address_is_taken_in_any_notation() {
        for host in [
            "10.0.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.88.99.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[2001::1]",
            "[2001:10::1]",
            "[2002:7f00:1::]",
            "[3fff::1]",
            "[100::1]",
            "[::7f00:1]",
            "[5f00::1]",
            "[fec0::1]",
        ] {
            assert_eq!(
                refusal(&format!("https://{host}/")),
                Some(TargetError::Private),
                "{host}"
            );
        }
        for address in [
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "192.0.1.1",
        ] {
            assert_eq!(refusal(&format!("https://{address}/")), None, "{address}");
        }
    }

    #[test]
    fn hosts_that_readers_may_differ_on_are_refused() {
        for host in [
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "127.1",
            "0177.0.0.1",
            "127.0.0.01",
            "1.2.3.4.",
            "example.com.",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "a..b",
            ".example.com",
            "user@example.com",
            "user:pass@127.0.0.1",
            "example.com:443:80",
            "example.com:",
            "example.com:0443",
            "example.com:+443",
            "example.com:99999",
            "[::1",
            "::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "EXAMPLE.com",
            "ex_ample.com",
            "b\u{fc}cher.example",
            "example.com\\@127.0.0.1",
            "exa%6dple.com",
            "",
        ] {
            assert_eq!(
                refusal(&format!("https://{host}/")),
                Some(TargetError::Form),
                "{host}"
            );
        }
        for url in [
            "https:/example.com",
            "https:example.com",
            "ftp://example.com",
            "//example.com",
            "HTTPS://example.com",
            "https://example.com/#x",
            "https://example.com/\n",
            "https://example.com/ x",
        ] {
            assert_eq!(refusal(url), Some(TargetError::Form), "{url:?}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS));
        assert_eq!(refusal(&long), Some(TargetError::Form));
    }

    #[test]
    fn names_that_are_local_and_ports_of_others_are_refused() {
        for host in [
            "localhost",
            "a.localhost",
            "router",
            "printer.local",
            "db.internal",
            "x.home.arpa",
            "a.test",
        ] {
            assert_eq!(
                refusal(&format!("https://{host}/")),
                Some(TargetError::Private),
                "{host}"
            );
        }
        for port in [22, 25, 80, 442, 1_023] {
            assert_eq!(
                refusal(&format!("https://example.com:{port}/")),
                Some(TargetError::Port)
            );
        }
        assert_eq!(refusal("http://example.com/"), Some(TargetError::NotHttps));
        assert_eq!(
            refusal("https://streams.example.com/v1/x"),
            Some(TargetError::Own)
        );
    }

    #[test]
    fn development_allows_a_local_receiver_but_not_itself() {
        let rules = TargetRules {
            is_development: true,
            own_host: Some("127.0.0.1:8787"),
        };
        let parse = |url| Target::parse(url, rules).map(drop);
        assert_eq!(parse("http://127.0.0.1:9000/hook"), Ok(()));
        assert_eq!(parse("http://localhost:9000"), Ok(()));
        assert_eq!(
            parse("http://127.0.0.1:8787/v1/streams/a/messages"),
            Err(TargetError::Own)
        );
        assert_eq!(parse("http://127.1/"), Err(TargetError::Form));
    }
}
