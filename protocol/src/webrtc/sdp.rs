//! Session descriptions (RFC 8866, RFC 8829): reads a client's offer, writes the answer for its relay.
//!
//! Only what a data channel needs is read (RFC 8841): one `m=application` section with a mid, a SHA-256
//! fingerprint and a DTLS role. The client's candidates and ICE credentials are
//! not needed: the relay is ice-lite and learns the client from its checks.
//!
//! What always holds: an answer has nothing that its offer had to offer first (a group, an ICE option, a protocol).

use super::candidate::{Candidate, Transport};
use super::fingerprint::parse_fingerprint;
use crate::limits::MAX_OFFER_BYTES;
use std::fmt::Write;

/// What the edge needs of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The data section's `a=mid`, 1 to 32 token characters.
    pub mid: String,
    /// The data section's protocol, which the answer repeats (RFC 8829 §5.3.1).
    pub protocol: DataProtocol,
    /// Whether the client offers the section as part of a `BUNDLE` group (RFC 9143 §7.3.1).
    pub is_bundled: bool,
    /// Whether the client takes candidates one by one, and so understands `a=end-of-candidates` (RFC 8840).
    pub trickles: bool,
    /// SHA-256 fingerprint of the client's DTLS certificate (RFC 8122).
    pub fingerprint: [u8; 32],
    /// Largest message that the client takes, bytes (RFC 8841 §6; 65,536 when absent, 0 for no limit).
    pub max_message_size: u64,
    /// Whether the client leaves it to the relay to begin the DTLS handshake (RFC 8842 §5.3), which the relay then
    /// does together with its answer to the first check: a round trip less than when it waits for the client.
    pub relay_begins: bool,
}

/// What carries the data section's SCTP (RFC 8841 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataProtocol {
    /// `UDP/DTLS/SCTP`.
    Udp,
    /// `TCP/DTLS/SCTP`: the first candidate of the client is one of TCP. It may use UDP all the same.
    Tcp,
}

impl DataProtocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP/DTLS/SCTP",
            Self::Tcp => "TCP/DTLS/SCTP",
        }
    }

    /// Reads `application <port> <protocol> webrtc-datachannel` (RFC 8841 §5).
    fn of_section(media: &str) -> Option<Self> {
        match media.split(' ').collect::<Vec<_>>()[..] {
            ["application", _, "UDP/DTLS/SCTP", "webrtc-datachannel"] => Some(Self::Udp),
            ["application", _, "TCP/DTLS/SCTP", "webrtc-datachannel"] => Some(Self::Tcp),
            _ => None,
        }
    }
}

/// Why an offer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The offer is longer than [`MAX_OFFER_BYTES`].
    #[error("the offer has {0} bytes: expected at most 32768")]
    TooLarge(usize),
    /// The text is not a session description.
    #[error("not SDP: expected a first line \"v=0\"")]
    NotSdp,
    /// A line is not `x=…`.
    #[error("line {0}: expected a letter, \"=\" and a value")]
    Line(usize),
    /// The offer has no section for data channels.
    #[error(
        "no data section: expected a line \"m=application … webrtc-datachannel\" (create a data channel first)"
    )]
    NoDataSection,
    /// The offer has audio, video, or more than one data section.
    #[error("{0} media sections: expected the data section alone")]
    OtherSections(usize),
    /// The client itself closed the data section.
    #[error("the data section is rejected: its port is 0")]
    Rejected,
    /// The data section has no usable `a=mid`.
    #[error("a=mid: expected 1 to 32 token characters in the data section")]
    Mid,
    /// The offer has no SHA-256 fingerprint.
    #[error("a=fingerprint: expected sha-256 and 32 bytes as AB:CD:…")]
    Fingerprint,
    /// The DTLS role is not one for a handshake that begins now.
    #[error("a=setup:{0}: expected actpass, active or passive")]
    Setup(String),
    /// The client's SCTP is on a port that the relay does not send to.
    #[error("a=sctp-port:{0}: expected 5000")]
    SctpPort(String),
}

impl Offer {
    /// Reads an offer that came from outside.
    pub fn parse(text: &str) -> Result<Self, OfferError> {
        if text.len() > MAX_OFFER_BYTES {
            return Err(OfferError::TooLarge(text.len()));
        }
        let lines = split_lines(text)?;
        let sections = lines.iter().filter(|(kind, _)| *kind == 'm').count();
        let data = lines.iter().enumerate().find_map(|(index, (kind, value))| {
            let protocol = DataProtocol::of_section(value).filter(|_| *kind == 'm')?;
            Some((index, protocol))
        });
        let (start, protocol) = data.ok_or(OfferError::NoDataSection)?;
        if sections > 1 {
            return Err(OfferError::OtherSections(sections));
        }
        let (session, section) = lines.split_at(start);
        if section.first().and_then(|(_, media)| media.split(' ').nth(1)) == Some("0") {
            return Err(OfferError::Rejected);
        }
        // A media-level attribute stands before one of the whole session (RFC 8829 §5.2.1).
        let attribute = |name: &str| find(section, name).or_else(|| find(session, name));
        let mid = find(section, "mid")
            .filter(|mid| is_token(mid))
            .ok_or(OfferError::Mid)?;
        if let Some(port) = find(section, "sctp-port").filter(|port| *port != SCTP_PORT) {
            return Err(OfferError::SctpPort(shortened(port)));
        }
        Ok(Self {
            mid: mid.to_owned(),
            protocol,
            is_bundled: attributes(session, "group").any(|group| is_bundle_of(group, mid)),
            trickles: attribute("ice-options")
                .is_some_and(|options| options.split(' ').any(|one| one == "trickle")),
            fingerprint: sha256_fingerprint(section)
                .or_else(|| sha256_fingerprint(session))
                .ok_or(OfferError::Fingerprint)?,
            max_message_size: attribute("max-message-size")
                .and_then(|size| size.parse().ok())
                .unwrap_or(65_536),
            relay_begins: relay_begins(attribute("setup"))?,
        })
    }
}

/// The port that SCTP has in DTLS on both sides (RFC 8831 §6.2 has any; all browsers have this one).
const SCTP_PORT: &str = "5000";

/// Returns whether the relay may begin the DTLS handshake with a client of this `a=setup`.
///
/// An offer should have it (RFC 8842 §5.2). One that has not is an active one (RFC 4145 §4.1), and the answer that fits
/// that, `passive`, also fits a client that meant `actpass`.
fn relay_begins(setup: Option<&str>) -> Result<bool, OfferError> {
    match setup.unwrap_or("active") {
        "actpass" | "passive" => Ok(true),
        "active" => Ok(false),
        other => Err(OfferError::Setup(shortened(other))),
    }
}

/// Returns as much of a client's text as an error shows.
fn shortened(text: &str) -> String {
    text.chars().take(16).collect()
}

/// Returns whether an `a=group:` is the `BUNDLE` that this mid is in.
fn is_bundle_of(group: &str, mid: &str) -> bool {
    let mut words = group.split(' ');
    words.next() == Some("BUNDLE") && words.any(|word| word == mid)
}

/// Returns the letter and value of every line.
fn split_lines(text: &str) -> Result<Vec<(char, &str)>, OfferError> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().map(str::trim_end).enumerate() {
        if line.is_empty() {
            continue;
        }
        let mut characters = line.chars();
        match (characters.next(), characters.next()) {
            (Some(kind), Some('=')) if kind.is_ascii_lowercase() => lines.push((kind, characters.as_str())),
            _ if index == 0 => return Err(OfferError::NotSdp),
            _ => return Err(OfferError::Line(index + 1)),
        }
    }
    match lines.first() {
        Some(('v', "0")) => Ok(lines),
        _ => Err(OfferError::NotSdp),
    }
}

/// Returns the first `a=<name>:` of some lines.
fn find<'a>(lines: &[(char, &'a str)], name: &str) -> Option<&'a str> {
    attributes(lines, name).next()
}

fn attributes<'a>(lines: &[(char, &'a str)], name: &str) -> impl Iterator<Item = &'a str> {
    lines
        .iter()
        .filter(|(kind, _)| *kind == 'a')
        .filter_map(move |(_, value)| {
            let rest = value.strip_prefix(name)?;
            rest.strip_prefix(':').map(str::trim)
        })
}

fn sha256_fingerprint(lines: &[(char, &str)]) -> Option<[u8; 32]> {
    attributes(lines, "fingerprint").find_map(|value| {
        let (hash, fingerprint) = value.split_once(' ')?;
        hash.eq_ignore_ascii_case("sha-256")
            .then(|| parse_fingerprint(fingerprint))?
    })
}

/// RFC 8866 token characters, so that the mid can be written back safely.
fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    (1..=32).contains(&text.len()) && text.bytes().all(token)
}

/// What an answer is written from.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The offer that is answered.
    pub offer: &'a Offer,
    /// The session token.
    pub ice_ufrag: &'a str,
    /// The password that belongs to it.
    pub ice_pwd: &'a str,
    /// The relay's certificate fingerprint, `AB:CD:…`, SHA-256.
    pub fingerprint: &'a str,
    /// Where the stream's relay shard is reached, best first.
    pub candidates: &'a [Candidate],
    /// The session id in `o=`: any number that is new for every answer (RFC 8866 §5.2).
    pub origin: u64,
}

impl Answer<'_> {
    /// Returns the answer's text: ice-lite, one data section, all candidates.
    pub fn write(&self) -> String {
        let Self {
            offer,
            ice_ufrag,
            ice_pwd,
            fingerprint,
            candidates,
            origin,
        } = *self;
        let mid = &offer.mid;
        let group = match offer.is_bundled {
            true => format!("a=group:BUNDLE {mid}\r\n"),
            false => String::new(),
        };
        let protocol = offer.protocol.as_str();
        let setup = if offer.relay_begins { "active" } else { "passive" };
        let mut sdp = format!(
            "v=0\r\no=- {origin} 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{group}a=ice-lite\r\n\
             m=application 9 {protocol} webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n\
             a=ice-ufrag:{ice_ufrag}\r\na=ice-pwd:{ice_pwd}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
             a=setup:{setup}\r\na=sctp-port:{SCTP_PORT}\r\na=max-message-size:{}\r\n",
            crate::limits::MAX_CHANNEL_MESSAGE_BYTES
        );
        for (index, candidate) in candidates.iter().enumerate() {
            let Candidate {
                transport,
                address,
                port,
            } = candidate;
            let priority = host_priority(*transport, index);
            let (name, suffix) = match transport {
                Transport::Udp => ("udp", ""),
                Transport::Tcp => ("tcp", " tcptype passive"),
            };
            // RFC 8445 §5.1.1.3: the same for candidates that differ in their port alone.
            let same = |other: &Candidate| other.transport == *transport && other.address == *address;
            let foundation = candidates.iter().position(same).unwrap_or(index) + 1;
            // Writing to a String can't fail.
            let _ = write!(
                sdp,
                "a=candidate:{foundation} 1 {name} {priority} {address} {port} typ host{suffix}\r\n"
            );
        }
        if offer.trickles {
            sdp.push_str("a=end-of-candidates\r\n");
        }
        sdp
    }
}

/// RFC 8445 §5.1.2.1 for a host candidate of component 1. Its local preference is its own: the place in the list.
///
/// TCP has a type preference below that of UDP, so that every UDP candidate stands above it, and its local preference
/// is made as RFC 6544 §4.2 has it.
fn host_priority(transport: Transport, index: usize) -> u32 {
    const HOST: u32 = 126;
    const HOST_TCP: u32 = 90;
    // Direction preference of a passive host candidate, in the upper three bits.
    const PASSIVE: u32 = 4 << 13;
    const COMPONENT: u32 = 1;
    let behind = u32::try_from(index).unwrap_or(u32::MAX).min(8_191);
    let (kind, local) = match transport {
        Transport::Udp => (HOST, 65_535 - behind),
        Transport::Tcp => (HOST_TCP, PASSIVE + 8_191 - behind),
    };
    (kind << 24) + (local << 8) + 256 - COMPONENT
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
mod tests;
