//! Where clients reach a relay, in the order in which they are to try (RFC 8445 §5.1.2, RFC 8421 §4).
//!
//! What always holds: UDP stands before TCP. Within each, IPv6 and IPv4 take turns, IPv6 first, so that a client
//! in whose network one family is broken loses one check to it. Within a family the operator's order stays: only
//! the operator knows whether most clients come from outside or from within. Nothing is named twice. Where there
//! are more than an answer names, some of TCP's stay: a client whose network lets no UDP through has no other.

use anyhow::{Result, bail};
use std::net::{IpAddr, UdpSocket};
use streamchain_protocol::limits::MAX_SHARD_CANDIDATES;
use streamchain_protocol::webrtc::{Candidate, Transport, can_be_reached};
use tracing::warn;

/// How many of an answer's addresses are TCP's, if there are as many, however many UDP has: one of each family.
const TCP_SHARE: usize = 2;

/// The UDP addresses of a shard's sockets, as clients see them: the advertised ones of the socket's family, else
/// its own. All of them: the listeners at their ports may add others before [`by_preference`] cuts.
pub(crate) fn of_sockets(bound: &[UdpSocket], advertise: &[IpAddr]) -> Result<Vec<Candidate>> {
    if let Some(address) = advertise.iter().find(|address| !can_be_reached(**address)) {
        bail!("--advertise {address}: no client can reach that");
    }
    let mut candidates = Vec::new();
    for socket in bound {
        let local = socket.local_addr()?;
        let of = |address: IpAddr| Candidate {
            transport: Transport::Udp,
            address,
            port: local.port(),
        };
        let same_family = |address: &&IpAddr| address.is_ipv4() == local.is_ipv4();
        let named: Vec<Candidate> = advertise
            .iter()
            .filter(same_family)
            .map(|address| of(*address))
            .collect();
        if named.is_empty() && local.ip().is_unspecified() {
            bail!(
                "--listen {local} is every address of the machine: name with --advertise the one that clients reach"
            );
        }
        if named.is_empty() && !can_be_reached(local.ip()) {
            bail!("--listen {local}: no client can reach that; say with --advertise which address they can");
        }
        if named.is_empty() {
            candidates.push(of(local.ip()));
        }
        candidates.extend(named);
    }
    Ok(candidates)
}

/// The best first, without repetitions (RFC 8445 §5.1.3), and no more than an answer names.
pub(crate) fn by_preference(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut ranked: Vec<(_, &Candidate)> = Vec::new();
    for candidate in candidates {
        if ranked.iter().any(|(_, other)| *other == candidate) {
            continue;
        }
        let is_tcp = candidate.transport == Transport::Tcp;
        let is_ipv4 = candidate.address.is_ipv4();
        let before = ranked
            .iter()
            .filter(|((tcp, _, ipv4), _)| (*tcp, *ipv4) == (is_tcp, is_ipv4));
        ranked.push(((is_tcp, before.count(), is_ipv4), candidate));
    }
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    cut(ranked.into_iter().map(|(_, candidate)| candidate))
}

/// As many as an answer names, of those in order.
fn cut<'a>(ranked: impl Iterator<Item = &'a Candidate>) -> Vec<Candidate> {
    let (tcp, udp): (Vec<_>, Vec<_>) = ranked.partition(|candidate| candidate.transport == Transport::Tcp);
    let of_udp = udp.len().min(MAX_SHARD_CANDIDATES - tcp.len().min(TCP_SHARE));
    let of_tcp = MAX_SHARD_CANDIDATES - of_udp;
    for left_out in udp.iter().skip(of_udp).chain(tcp.iter().skip(of_tcp)) {
        let Candidate {
            transport, address, ..
        } = left_out;
        warn!(?transport, %address, "not announced: an answer names {MAX_SHARD_CANDIDATES} addresses at most");
    }
    let best = udp.into_iter().take(of_udp).chain(tcp.into_iter().take(of_tcp));
    best.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(of: &[&str]) -> Vec<UdpSocket> {
        of.iter()
            .map(|address| UdpSocket::bind(address).unwrap())
            .collect()
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn candidate(transport: Transport, address: &str) -> Candidate {
        Candidate {
            transport,
            address: address.parse().unwrap(),
            port: 7_100,
        }
    }

    fn order_of(given: &[(Transport, &str)]) -> Vec<(Transport, String)> {
        let given: Vec<Candidate> = given.iter().map(|(how, at)| candidate(*how, at)).collect();
        let ordered = by_preference(&given);
        ordered
            .iter()
            .map(|found| (found.transport, found.address.to_string()))
            .collect()
    }

    #[test]
    fn udp_stands_before_tcp_and_the_families_take_turns() {
        use Transport::{Tcp, Udp};
        let ordered = order_of(&[
            (Tcp, "203.0.113.7"),
            (Udp, "203.0.113.7"),
            (Udp, "10.0.0.7"),
            (Tcp, "2001:db8::7"),
            (Udp, "192.168.0.7"),
            (Udp, "2001:db8::7"),
            (Udp, "fd00::7"),
        ]);
        let expected = [
            (Udp, "2001:db8::7"),
            (Udp, "203.0.113.7"),
            (Udp, "fd00::7"),
            (Udp, "10.0.0.7"),
            (Udp, "192.168.0.7"),
            (Tcp, "2001:db8::7"),
            (Tcp, "203.0.113.7"),
        ];
        assert_eq!(ordered, expected.map(|(how, at)| (how, at.to_owned())));
    }

    #[test]
    fn nothing_is_named_twice_and_no_more_than_an_answer_takes() {
        let twice = order_of(&[(Transport::Udp, "10.0.0.7"), (Transport::Udp, "10.0.0.7")]);
        assert_eq!(twice.len(), 1);
        let many: Vec<String> = (0..20).map(|host| format!("10.0.0.{host}")).collect();
        let mut given: Vec<_> = many.iter().map(|at| (Transport::Udp, at.as_str())).collect();
        given.push((Transport::Udp, "2001:db8::7"));
        let ordered = order_of(&given);
        assert_eq!(ordered.len(), MAX_SHARD_CANDIDATES);
        assert_eq!(
            ordered[0].1, "2001:db8::7",
            "the other family is not what is left out"
        );
    }

    #[test]
    fn tcp_addresses_stay_however_many_udp_addresses_there_are() {
        let ipv4: Vec<String> = (1..=8).map(|host| format!("10.0.0.{host}")).collect();
        let ipv6: Vec<String> = (1..=2).map(|host| format!("2001:db8::{host}")).collect();
        let named = |transport, texts: &[String]| -> Vec<Candidate> {
            texts.iter().map(|text| candidate(transport, text)).collect()
        };
        let both = |texts: &[String]| [named(Transport::Udp, texts), named(Transport::Tcp, texts)].concat();
        let tcp_of = |given: &[Candidate]| -> Vec<String> {
            let kept = by_preference(given);
            assert_eq!(kept.len(), MAX_SHARD_CANDIDATES);
            assert!(
                kept.is_sorted_by_key(|one| one.transport == Transport::Tcp),
                "UDP first"
            );
            let tcp = kept.iter().filter(|one| one.transport == Transport::Tcp);
            tcp.map(|one| one.address.to_string()).collect()
        };
        assert_eq!(tcp_of(&both(&ipv4)), ["10.0.0.1", "10.0.0.2"]);
        let families = [ipv4.clone(), ipv6].concat();
        assert_eq!(
            tcp_of(&both(&families)),
            ["2001:db8::1", "10.0.0.1"],
            "one of each family"
        );
        assert_eq!(
            tcp_of(&both(&ipv4[..5])),
            ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
            "what UDP leaves"
        );
        let one = [named(Transport::Udp, &ipv4), named(Transport::Tcp, &ipv4[..1])].concat();
        assert_eq!(tcp_of(&one), ["10.0.0.1"], "UDP has what TCP does not need");
    }

    #[test]
    fn a_socket_is_announced_by_its_familys_advertised_addresses() {
        let bound = sockets(&["127.0.0.1:0"]);
        let announced = |advertise: &[&str]| -> Vec<String> {
            let found = of_sockets(&bound, &addresses(advertise)).unwrap();
            let port = bound[0].local_addr().unwrap().port();
            assert!(
                found
                    .iter()
                    .all(|one| one.port == port && one.transport == Transport::Udp)
            );
            found.iter().map(|one| one.address.to_string()).collect()
        };
        assert_eq!(announced(&[]), ["127.0.0.1"]);
        assert_eq!(announced(&["2001:db8::7"]), ["127.0.0.1"]);
        assert_eq!(
            announced(&["203.0.113.7", "10.0.0.7"]),
            ["203.0.113.7", "10.0.0.7"]
        );
    }

    #[test]
    fn an_address_that_no_client_can_reach_is_refused_at_the_start() {
        let every = sockets(&["0.0.0.0:0"]);
        assert!(of_sockets(&every, &[]).is_err());
        assert!(of_sockets(&every, &addresses(&["0.0.0.0"])).is_err());
        assert!(of_sockets(&every, &addresses(&["fe80::1"])).is_err());
        assert!(of_sockets(&every, &addresses(&["203.0.113.7"])).is_ok());
    }
}
