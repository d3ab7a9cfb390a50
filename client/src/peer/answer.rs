//! The candidates of an SDP answer. They are taken out of it and handed to ICE one by one, as sockets for them open.

use std::net::{IpAddr, SocketAddr};

/// Most candidates that are looked at: a shard announces at most eight.
const MAX_CANDIDATES: usize = 16;

/// Where a relay can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RelayAddresses {
    /// By UDP.
    pub(crate) udp: Vec<SocketAddr>,
    /// By ICE-TCP.
    pub(crate) tcp: Vec<SocketAddr>,
}

/// Reads the candidates of an answer; also returns the answer without them.
pub(crate) fn relay_addresses(answer: &str) -> (RelayAddresses, String) {
    let mut addresses = RelayAddresses::default();
    let mut rest = String::with_capacity(answer.len());
    for line in answer.lines() {
        match line.strip_prefix("a=candidate:") {
            Some(candidate) => addresses.add(candidate),
            None if line == "a=end-of-candidates" => {}
            None => {
                rest.push_str(line);
                rest.push_str("\r\n");
            }
        }
    }
    (addresses, rest)
}

impl RelayAddresses {
    /// Adds `foundation component transport priority address port typ host …`.
    fn add(&mut self, candidate: &str) {
        let mut words = candidate.split_whitespace().skip(2);
        let Some(transport) = words.next() else { return };
        let mut words = words.skip(1);
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        let port = words.next().and_then(|word| word.parse().ok());
        let (Some(address), Some(port)) = (address, port) else {
            return;
        };
        let list = match transport.to_ascii_lowercase().as_str() {
            "udp" => &mut self.udp,
            "tcp" => &mut self.tcp,
            _ => return,
        };
        if list.len() < MAX_CANDIDATES {
            list.push(SocketAddr::new(address, port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_taken_out_of_the_answer() {
        let answer = "v=0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 7100 typ host\r\n\
                      a=candidate:2 1 TCP 1 ::1 7101 typ host tcptype passive\r\na=candidate:3 1 udp x\r\n\
                      a=end-of-candidates\r\na=mid:0\r\n";
        let (addresses, rest) = relay_addresses(answer);
        assert_eq!(addresses.udp, ["127.0.0.1:7100".parse().unwrap()]);
        assert_eq!(addresses.tcp, ["[::1]:7101".parse().unwrap()]);
        assert_eq!(rest, "v=0\r\na=mid:0\r\n");
    }
}
