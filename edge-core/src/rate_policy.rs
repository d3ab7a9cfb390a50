//! The edge's rate limits: for each its name, what it counts by, and its quota unless configured.

use std::net::SocketAddr;
use streamchain_protocol::util::{Network, Quota};

/// A minute, milliseconds.
const MINUTE_MS: u32 = 60_000;

/// An hour, milliseconds.
const HOUR_MS: u32 = 60 * MINUTE_MS;

/// One rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Sessions of one client address, in one stream.
    SessionsAddress,
    /// Sessions of one author, in one stream.
    SessionsAuthor,
    /// Sessions of one stream.
    SessionsStream,
    /// Streams that one client address makes.
    StreamsAddress,
    /// Streams that one account makes.
    StreamsAccount,
    /// Messages that one author sends to one stream by HTTP.
    MessagesAuthor,
    /// Messages that one client address sends to one stream by HTTP.
    MessagesAddress,
    /// Messages that one stream takes by HTTP.
    MessagesStream,
    /// Messages that one account erases.
    ErasuresAccount,
    /// Webhooks that one account makes, and their secrets that it changes.
    WebhooksAccount,
    /// Sign-ins, tokens and keys that one client address asks for.
    CredentialsAddress,
    /// Requests to the TURN provider for credentials of one user, which one client address causes.
    TurnAddress,
    /// Requests of one client address, of whatever kind. Counted for each place by the platform, so roughly; its
    /// quota is the platform's, and is only reported from here.
    Requests,
}

impl Policy {
    /// All rate limits.
    pub const ALL: [Self; 13] = [
        Self::SessionsAddress,
        Self::SessionsAuthor,
        Self::SessionsStream,
        Self::StreamsAddress,
        Self::StreamsAccount,
        Self::MessagesAuthor,
        Self::MessagesAddress,
        Self::MessagesStream,
        Self::ErasuresAccount,
        Self::WebhooksAccount,
        Self::CredentialsAddress,
        Self::TurnAddress,
        Self::Requests,
    ];

    /// Returns the rate limit's name in headers and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionsAddress => "sessions-address",
            Self::SessionsAuthor => "sessions-author",
            Self::SessionsStream => "sessions-stream",
            Self::StreamsAddress => "streams-address",
            Self::StreamsAccount => "streams-account",
            Self::MessagesAuthor => "messages-author",
            Self::MessagesAddress => "messages-address",
            Self::MessagesStream => "messages-stream",
            Self::ErasuresAccount => "erasures-account",
            Self::WebhooksAccount => "webhooks-account",
            Self::CredentialsAddress => "credentials-address",
            Self::TurnAddress => "turn-address",
            Self::Requests => "requests",
        }
    }

    /// Returns the quota that holds unless configured.
    const fn default_quota(self) -> Quota {
        match self {
            // An office behind one address opens the same page; each tab comes back now and then.
            Self::SessionsAddress => Quota::new(300, MINUTE_MS),
            // A page that reloads in a loop, and no more.
            Self::SessionsAuthor => Quota::new(60, MINUTE_MS),
            // Above what one relay thread shakes hands with in a minute only when everybody comes back at once.
            Self::SessionsStream => Quota::new(6_000, MINUTE_MS),
            // Each costs rows in the database and a transaction on chain, for good.
            Self::StreamsAddress => Quota::new(60, HOUR_MS),
            Self::StreamsAccount => Quota::new(60, HOUR_MS),
            // HTTP is for those who can do no better: ten a second.
            Self::MessagesAuthor => Quota::new(600, MINUTE_MS),
            Self::MessagesAddress => Quota::new(1_200, MINUTE_MS),
            Self::MessagesStream => Quota::new(6_000, MINUTE_MS),
            // Each may rewrite a pack of 8 MiB.
            Self::ErasuresAccount => Quota::new(600, HOUR_MS),
            // Each costs rows, and sends requests for as long as it is there.
            Self::WebhooksAccount => Quota::new(60, HOUR_MS),
            // Each asks the database, and a contract wallet's sign-in the chain.
            Self::CredentialsAddress => Quota::new(60, MINUTE_MS),
            // Each user of an office once a day. Above it, users go on with the credentials that all share.
            Self::TurnAddress => Quota::new(120, HOUR_MS),
            // As in wrangler.toml.
            Self::Requests => Quota::new(3_000, MINUTE_MS),
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// The quotas in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies([Quota; Policy::ALL.len()]);

impl Default for Policies {
    fn default() -> Self {
        Self(Policy::ALL.map(Policy::default_quota))
    }
}

impl Policies {
    /// No rate limits.
    pub const NONE: Self = Self([Quota::NONE; Policy::ALL.len()]);

    /// Reads a setting: empty, `off`, or `name=amount/seconds` separated by commas, which change single quotas. An
    /// amount of 0 stands for no limit.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "off" {
            return Ok(Self::NONE);
        }
        let mut policies = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || format!("{part}: expected name=amount/seconds, off, or nothing");
            let (name, quota) = part.split_once('=').ok_or_else(wrong)?;
            let (amount, seconds) = quota.split_once('/').ok_or_else(wrong)?;
            let policy = Policy::ALL
                .into_iter()
                .find(|policy| policy.name() == name.trim());
            let policy = policy.ok_or_else(|| format!("{name}: there is no such rate limit"))?;
            let amount = amount.trim().parse().map_err(|_| wrong())?;
            let seconds: u32 = seconds.trim().parse().map_err(|_| wrong())?;
            let window_ms = seconds
                .checked_mul(1_000)
                .filter(|ms| *ms > 0)
                .ok_or_else(wrong)?;
            *policies.quota_mut(policy) = Quota::new(amount, window_ms);
        }
        Ok(policies)
    }

    /// Returns how much of a policy passes.
    #[allow(clippy::indexing_slicing, reason = "the array has a quota for each policy")]
    pub fn quota(&self, policy: Policy) -> Quota {
        self.0[policy.index()]
    }

    #[allow(clippy::indexing_slicing, reason = "the array has a quota for each policy")]
    fn quota_mut(&mut self, policy: Policy) -> &mut Quota {
        &mut self.0[policy.index()]
    }
}

/// Returns what a client address is counted by: its network. All texts that are not addresses count as one.
///
/// Of several addresses with commas between, as proxies write them, it is the last: the nearest proxy wrote that one, and
/// the sender may have written the others. An address may have a port behind it.
pub fn client_key(address: &str) -> String {
    let nearest = address.rsplit(',').next().unwrap_or_default().trim();
    let with_port = || nearest.parse::<SocketAddr>().map(|address| address.ip());
    match nearest.parse().or_else(|_| with_port()) {
        Ok(address) => Network::of(address).to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_the_usual_limits_and_off_is_none() {
        assert_eq!(Policies::parse(""), Ok(Policies::default()));
        let off = Policies::parse("off").unwrap();
        assert!(Policy::ALL.iter().all(|policy| !off.quota(*policy).limits()));
    }

    #[test]
    fn one_limit_is_changed_by_its_name() {
        let policies = Policies::parse(" sessions-address=5/10, streams-address=0/60").unwrap();
        assert_eq!(policies.quota(Policy::SessionsAddress), Quota::new(5, 10_000));
        assert!(!policies.quota(Policy::StreamsAddress).limits());
        assert_eq!(
            policies.quota(Policy::SessionsStream),
            Policies::default().quota(Policy::SessionsStream)
        );
    }

    #[test]
    fn what_is_no_limit_is_named() {
        for wrong in [
            "sessions=1",
            "sessions=5/10",
            "sessions-address",
            "sessions-address=5",
            "sessions-address=x/1",
            "sessions-address=5/0",
            "sessions-address=5/5000000",
        ] {
            assert!(Policies::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_different_and_in_place() {
        for (index, policy) in Policy::ALL.into_iter().enumerate() {
            assert_eq!(policy.index(), index);
            let same = Policy::ALL.iter().filter(|other| other.name() == policy.name());
            assert_eq!(same.count(), 1);
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(client_key("192.0.2.7"), "192.0.2.7");
        assert_eq!(client_key("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(client_key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(client_key("2001:db8:1:2::9"), client_key("2001:db8:1:2:ffff::"));
        assert_ne!(client_key("2001:db8:1:3::9"), client_key("2001:db8:1:2::9"));
        assert_eq!(client_key("no address"), "unknown");
        assert_eq!(
            client_key("198.51.100.1, 192.0.2.7"),
            "192.0.2.7",
            "the nearest proxy's"
        );
        assert_eq!(client_key("192.0.2.7:443"), "192.0.2.7");
        assert_eq!(client_key("[2001:db8:1:2::9]:443"), "2001:db8:1:2::/64");
    }
}
