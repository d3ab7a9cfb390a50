//! Opens the ICE-TCP listeners of every shard, at the ports of its UDP sockets.

use crate::relay::addresses::by_preference;
use crate::transport::connections::share_of_open_files;
use crate::transport::tcp_ingress::TcpIngressSetup;
use crate::turn::options::TurnArgs;
use std::net::{TcpListener, UdpSocket};
use streamchain_protocol::webrtc::{Candidate, Transport};
use streamchain_protocol::wire::Shard;
use tracing::warn;

/// The TCP ingress of every shard. Its ICE-TCP addresses join the shard's candidates behind those of UDP, and as many
/// stay as an answer names. A TCP port that is in use is logged, and the shard runs without it.
pub(super) fn open_ice_tcp(
    sockets: &[Vec<UdpSocket>],
    shards: &mut [Shard],
    args: &TurnArgs,
) -> Vec<TcpIngressSetup> {
    let connections_max = share_of_open_files(sockets.len() + 1);
    let ingresses = sockets.iter().zip(shards).map(|(bound, shard)| {
        let open: Vec<(u16, TcpListener)> = bound
            .iter()
            .filter(|_| !args.no_ice_tcp)
            .filter_map(listen)
            .collect();
        let udp = shard.candidates.clone();
        let tcp = udp
            .into_iter()
            .filter(|candidate| open.iter().any(|(port, _)| *port == candidate.port));
        let tcp = tcp.map(|candidate| Candidate {
            transport: Transport::Tcp,
            ..candidate
        });
        shard.candidates.extend(tcp);
        shard.candidates = by_preference(&shard.candidates);
        TcpIngressSetup::new(
            open.into_iter().map(|(_, listener)| listener).collect(),
            connections_max,
        )
    });
    ingresses.collect()
}

/// A TCP listener on a UDP socket's address.
fn listen(socket: &UdpSocket) -> Option<(u16, TcpListener)> {
    let address = socket.local_addr().ok()?;
    match TcpListener::bind(address) {
        Ok(listener) => Some((address.port(), listener)),
        Err(error) => {
            warn!(%address, %error, "no ICE-TCP: the TCP port can't be listened on");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::addresses::of_sockets;
    use std::net::IpAddr;

    fn args() -> TurnArgs {
        TurnArgs::default()
    }

    /// A UDP socket at a port whose TCP port nobody has: neither another test nor a connection that was closed just now.
    fn udp_socket() -> UdpSocket {
        let sockets = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").unwrap());
        let is_free = |socket: &UdpSocket| TcpListener::bind(socket.local_addr().unwrap()).is_ok();
        // As many as that are not all taken.
        sockets.take(100).find(is_free).unwrap()
    }

    fn bound() -> (Vec<Vec<UdpSocket>>, Vec<Shard>) {
        let socket = udp_socket();
        let port = socket.local_addr().unwrap().port();
        let of = |address: [u8; 4]| Candidate {
            transport: Transport::Udp,
            address: IpAddr::from(address),
            port,
        };
        // As with --advertise: one socket is reached at two addresses.
        let shard = Shard {
            candidates: vec![of([192, 0, 2, 1]), of([192, 0, 2, 2])],
        };
        (vec![vec![socket]], vec![shard])
    }

    #[test]
    fn tcp_candidates_stand_behind_those_of_udp_at_the_same_ports() {
        let (sockets, mut shards) = bound();
        open_ice_tcp(&sockets, &mut shards, &args());
        let candidates = &shards[0].candidates;
        let transports: Vec<_> = candidates.iter().map(|candidate| candidate.transport).collect();
        assert_eq!(
            transports,
            [Transport::Udp, Transport::Udp, Transport::Tcp, Transport::Tcp]
        );
        assert!(
            candidates
                .iter()
                .all(|candidate| candidate.port == candidates[0].port)
        );
        assert_eq!(candidates[3].address, IpAddr::from([192, 0, 2, 2]));
    }

    #[test]
    fn a_relay_of_many_addresses_announces_tcp_too() {
        let socket = udp_socket();
        let advertise: Vec<IpAddr> = (1..=9).map(|host| IpAddr::from([192, 0, 2, host])).collect();
        let sockets = vec![vec![socket]];
        let candidates = of_sockets(&sockets[0], &advertise).unwrap();
        let mut shards = vec![Shard { candidates }];
        open_ice_tcp(&sockets, &mut shards, &args());
        let transports = shards[0].candidates.iter().map(|candidate| candidate.transport);
        let tcp = transports.filter(|transport| *transport == Transport::Tcp);
        assert_eq!(tcp.count(), 2, "{:?}", shards[0].candidates);
    }

    #[test]
    fn a_taken_tcp_port_or_a_wish_leaves_udp_alone() {
        let (sockets, shards) = bound();
        let _taken = TcpListener::bind(sockets[0][0].local_addr().unwrap()).unwrap();
        let mut without = shards.clone();
        open_ice_tcp(&sockets, &mut without, &args());
        assert_eq!(without, shards);
        let (sockets, mut unwanted) = bound();
        let before = unwanted.clone();
        open_ice_tcp(
            &sockets,
            &mut unwanted,
            &TurnArgs {
                no_ice_tcp: true,
                ..args()
            },
        );
        assert_eq!(unwanted, before);
    }
}
