//! How a relay's links are reached.

use crate::webrtc::{can_be_reached, parse_fingerprint};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Most addresses of a relay's links: an IPv4 and an IPv6 address of two networks.
pub(crate) const MAX_LINK_ADDRESSES: usize = 4;

/// How other relays reach a relay's links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReach {
    /// UDP addresses, the best first: 1 to [`MAX_LINK_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// SHA-256 fingerprint of its link certificate: 32 bytes as `AB:CD:…`.
    pub fingerprint: String,
}

impl LinkReach {
    /// Returns whether it has as many addresses as it may, each of which can be reached, and a fingerprint.
    pub(crate) fn is_valid(&self) -> bool {
        let reachable = |address: &SocketAddr| address.port() != 0 && can_be_reached(address.ip());
        (1..=MAX_LINK_ADDRESSES).contains(&self.addresses.len())
            && self.addresses.iter().all(reachable)
            && parse_fingerprint(&self.fingerprint).is_some()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::wire) fn reach() -> LinkReach {
        LinkReach {
            addresses: vec![
                "192.0.2.1:7443".parse().unwrap(),
                "[2001:db8::1]:7443".parse().unwrap(),
            ],
            fingerprint: ["AB"; 32].join(":"),
        }
    }

    #[test]
    fn a_reach_is_checked_member_by_member() {
        assert!(reach().is_valid());
        let changed = |change: fn(&mut LinkReach)| {
            let mut reach = reach();
            change(&mut reach);
            reach.is_valid()
        };
        assert!(!changed(|reach| reach.addresses.clear()));
        assert!(!changed(
            |reach| reach.addresses = vec!["192.0.2.1:1".parse().unwrap(); 5]
        ));
        assert!(!changed(|reach| reach.addresses[0].set_port(0)));
        assert!(!changed(
            |reach| reach.addresses[1] = "[fe80::1]:7443".parse().unwrap()
        ));
        assert!(!changed(|reach| reach.fingerprint.truncate(5)));
    }
}
