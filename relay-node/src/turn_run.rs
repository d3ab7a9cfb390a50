//! Opens what serves networks without UDP: the ICE-TCP listeners of every shard, and the TURN server's thread.

use crate::addresses::by_preference;
use crate::cli::{TlsHost, TurnArgs};
use crate::connections::share_of_open_files;
use crate::core::Path;
use crate::run::random;
use crate::side::{SidePacket, SideWays};
use crate::turn::server::Settings;
use crate::turn_front::{Front, FrontConfig, RelayPacket, ToShards, TurnReport, server_config};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::limits::RELAY_MAX_TURN_URLS;
use streamchain_protocol::webrtc::{Candidate, Transport};
use streamchain_protocol::wire::Shard;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

/// The usual port of TURN over UDP and TCP (RFC 8656 §4).
const TURN_PORT: u16 = 3478;

/// The usual port of TURN over TLS (RFC 8656 §4).
const TURN_TLS_PORT: u16 = 5349;

/// What credentials are for. Not secret, and the same for all relays.
const REALM: &str = "streamchain";

/// For every shard the ways beside its UDP sockets; its ICE-TCP addresses join its candidates behind those of
/// UDP, and as many stay as an answer names. A TCP port that is taken is no reason not to run.
pub fn side_ways(sockets: &[Vec<UdpSocket>], shards: &mut [Shard], args: &TurnArgs) -> Vec<SideWays> {
    let connections_max = share_of_open_files(sockets.len() + 1);
    let ways = sockets.iter().zip(shards).map(|(bound, shard)| {
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
        SideWays::new(
            open.into_iter().map(|(_, listener)| listener).collect(),
            connections_max,
        )
    });
    ways.collect()
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

/// Starts the TURN server, unless it is not wanted, and joins it with the shards. The URLs to announce, and how it is; none
/// when it runs on the usual port by default and that is taken.
pub fn start(
    args: &TurnArgs,
    listen: &[SocketAddr],
    advertise: &[IpAddr],
    shards: &[Shard],
    key: &RelayKey,
    ways: &mut [SideWays],
) -> Result<(Vec<String>, Option<watch::Receiver<TurnReport>>)> {
    if args.no_turn {
        return Ok((Vec::new(), None));
    }
    let chosen = !args.turn_listen.is_empty();
    let plain = if chosen {
        args.turn_listen.clone()
    } else {
        at_port(listen, TURN_PORT)
    };
    let config = FrontConfig {
        settings: Settings {
            realm: REALM.into(),
            secret: key.turn_secret(),
            peers: udp_candidates(shards).map(|(_, address)| address).collect(),
        },
        listen: plain,
        tls: tls(args, listen)?,
        connections_max: share_of_open_files(shards.len() + 1),
        nonce_key: random()?,
        seed: u64::from_ne_bytes(random()?),
    };
    let (front, inbox) = match Front::bind(config) {
        Ok(bound) => bound,
        Err(error) if !chosen && args.turn_tls_cert.is_none() => {
            warn!(%error, "no TURN: port {TURN_PORT} can't be listened on; choose another with --turn-listen");
            return Ok((Vec::new(), None));
        }
        Err(error) => return Err(error).context("--turn-listen, --turn-tls-listen: can't listen there"),
    };
    let urls = urls(&front, advertise, args.turn_tls_host.as_ref())?;
    ways.iter_mut().for_each(|way| way.set_turn(inbox.clone()));
    let senders: Vec<_> = ways.iter().map(SideWays::sender).collect();
    let to_shards = to_shards(shards, &senders);
    let reports = front.reports();
    std::thread::Builder::new().name("turn".into()).spawn(move || {
        if let Err(error) = front.serve(to_shards) {
            error!(%error, "the TURN server's sockets failed");
        }
    })?;
    Ok((urls, Some(reports)))
}

/// Each shard's UDP addresses, as clients see them.
fn udp_candidates(shards: &[Shard]) -> impl Iterator<Item = (usize, SocketAddr)> {
    let of_shard = |(index, shard): (usize, &Shard)| {
        let udp = shard
            .candidates
            .iter()
            .filter(|candidate| candidate.transport == Transport::Udp);
        udp.map(|candidate| (index, SocketAddr::new(candidate.address, candidate.port)))
            .collect::<Vec<_>>()
    };
    shards.iter().enumerate().flat_map(of_shard)
}

fn to_shards(shards: &[Shard], senders: &[mpsc::Sender<SidePacket>]) -> ToShards {
    let by_address: HashMap<SocketAddr, mpsc::Sender<SidePacket>> = udp_candidates(shards)
        .filter_map(|(index, address)| Some((address, senders.get(index)?.clone())))
        .collect();
    Box::new(
        move |RelayPacket {
                  source,
                  destination,
                  packet,
              }| {
            if let Some(shard) = by_address.get(&destination) {
                // A full inbox drops, as a network would.
                let _ = shard.try_send(SidePacket {
                    path: Path::udp(source, destination),
                    packet,
                });
            }
        },
    )
}

fn at_port(addresses: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses
        .iter()
        .map(|address| SocketAddr::new(address.ip(), port))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Where TLS is listened on, if there is a certificate.
fn tls(
    args: &TurnArgs,
    listen: &[SocketAddr],
) -> Result<Option<(Vec<SocketAddr>, Arc<rustls::ServerConfig>)>> {
    let (Some(certificate), Some(key)) = (&args.turn_tls_cert, &args.turn_tls_key) else {
        return Ok(None);
    };
    let config = server_config(certificate, key).context("--turn-tls-cert, --turn-tls-key")?;
    let addresses = match &args.turn_tls_listen[..] {
        [] => at_port(listen, TURN_TLS_PORT),
        given => given.to_vec(),
    };
    Ok(Some((addresses, config)))
}

/// What clients are told: TLS by the name of its certificate, the rest by address.
fn urls(front: &Front, advertise: &[IpAddr], tls_host: Option<&TlsHost>) -> Result<Vec<String>> {
    let [udp, tcp, tls] = front.addresses()?;
    let mut urls = Vec::new();
    for (addresses, transport) in [(udp, "udp"), (tcp, "tcp")] {
        for local in addresses {
            for ip in reached_at(local.ip(), advertise) {
                urls.push(format!(
                    "turn:{}?transport={transport}",
                    SocketAddr::new(ip, local.port())
                ));
            }
        }
    }
    if let (Some(host), Some(address)) = (tls_host, tls.first()) {
        urls.insert(0, host.url(address.port()));
    }
    urls.truncate(RELAY_MAX_TURN_URLS);
    Ok(urls)
}

fn reached_at(local: IpAddr, advertise: &[IpAddr]) -> Vec<IpAddr> {
    let named: Vec<IpAddr> = advertise
        .iter()
        .copied()
        .filter(|address| address.is_ipv4() == local.is_ipv4())
        .collect();
    if named.is_empty() && !local.is_unspecified() {
        vec![local]
    } else {
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::of_sockets;

    fn args() -> TurnArgs {
        TurnArgs::default()
    }

    fn bound() -> (Vec<Vec<UdpSocket>>, Vec<Shard>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
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
        side_ways(&sockets, &mut shards, &args());
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
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let advertise: Vec<IpAddr> = (1..=9).map(|host| IpAddr::from([192, 0, 2, host])).collect();
        let sockets = vec![vec![socket]];
        let candidates = of_sockets(&sockets[0], &advertise).unwrap();
        let mut shards = vec![Shard { candidates }];
        side_ways(&sockets, &mut shards, &args());
        let transports = shards[0].candidates.iter().map(|candidate| candidate.transport);
        let tcp = transports.filter(|transport| *transport == Transport::Tcp);
        assert_eq!(tcp.count(), 2, "{:?}", shards[0].candidates);
    }

    #[test]
    fn a_taken_tcp_port_or_a_wish_leaves_udp_alone() {
        let (sockets, shards) = bound();
        let _taken = TcpListener::bind(sockets[0][0].local_addr().unwrap()).unwrap();
        let mut without = shards.clone();
        side_ways(&sockets, &mut without, &args());
        assert_eq!(without, shards);
        let (sockets, mut unwanted) = bound();
        let before = unwanted.clone();
        side_ways(
            &sockets,
            &mut unwanted,
            &TurnArgs {
                no_ice_tcp: true,
                ..args()
            },
        );
        assert_eq!(unwanted, before);
    }

    #[test]
    fn turn_is_announced_where_clients_reach_it() {
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let settings = Settings {
            realm: REALM.into(),
            secret: streamchain_protocol::webrtc::TurnSecret::new("x"),
            peers: vec![],
        };
        let config = FrontConfig {
            settings,
            listen,
            tls: None,
            connections_max: 1,
            nonce_key: [0; 32],
            seed: 0,
        };
        let (front, _inbox) = Front::bind(config).unwrap();
        let [udp, tcp, _] = front.addresses().unwrap();
        let advertise = ["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let expected = [
            format!("turn:203.0.113.7:{}?transport=udp", udp[0].port()),
            format!("turn:203.0.113.7:{}?transport=tcp", tcp[0].port()),
        ];
        assert_eq!(urls(&front, &advertise, None).unwrap(), expected);
        assert!(urls(&front, &[], None).unwrap()[0].starts_with("turn:127.0.0.1:"));
    }

    #[test]
    fn no_turn_is_no_turn() {
        let key = RelayKey::from_hex(&"11".repeat(32)).unwrap();
        let none = start(
            &TurnArgs {
                no_turn: true,
                ..args()
            },
            &[],
            &[],
            &[],
            &key,
            &mut [],
        );
        assert!(none.unwrap().0.is_empty());
    }
}
