//! Starts the TURN server's thread, and joins it with the shards.

use crate::core::Path;
use crate::random::random;
use crate::transport::connections::share_of_open_files;
use crate::transport::packet::{IngressPacket, RelayPacket};
use crate::transport::tcp_ingress::TcpIngressSetup;
use crate::turn::net::{Front, FrontConfig, ToShards, TurnReport, server_config};
use crate::turn::options::{TlsHost, TurnArgs};
use crate::turn::server::Settings;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::limits::MAX_RELAY_TURN_URLS;
use streamchain_protocol::webrtc::Transport;
use streamchain_protocol::wire::Shard;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

/// The usual port of TURN over UDP and TCP (RFC 8656 §4).
const TURN_PORT: u16 = 3478;

/// The usual port of TURN over TLS (RFC 8656 §4).
const TURN_TLS_PORT: u16 = 5349;

/// The realm of the credentials (RFC 8489 §9.2). Not secret, and the same for all relays.
const REALM: &str = "streamchain";

/// Starts the TURN server, unless it is not wanted, and joins it with the shards. The URLs to announce, and how it is; none
/// when it runs on the usual port by default and that is taken.
pub(crate) fn start(
    args: &TurnArgs,
    listen: &[SocketAddr],
    advertise: &[IpAddr],
    shards: &[Shard],
    key: &RelayKey,
    ingresses: &mut [TcpIngressSetup],
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
    ingresses
        .iter_mut()
        .for_each(|ingress| ingress.set_turn(inbox.clone()));
    let senders: Vec<_> = ingresses.iter().map(TcpIngressSetup::sender).collect();
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

fn to_shards(shards: &[Shard], senders: &[mpsc::Sender<IngressPacket>]) -> ToShards {
    let by_address: HashMap<SocketAddr, mpsc::Sender<IngressPacket>> = udp_candidates(shards)
        .filter_map(|(index, address)| Some((address, senders.get(index)?.clone())))
        .collect();
    Box::new(
        move |RelayPacket {
                  source,
                  destination,
                  packet,
              },
              network| {
            if let Some(shard) = by_address.get(&destination) {
                // A full inbox drops, as a network would.
                let _ = shard.try_send(IngressPacket {
                    path: Path::relayed(source, destination, network),
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

/// The URLs that clients get: TLS by the name of its certificate, the rest by address.
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
    urls.truncate(MAX_RELAY_TURN_URLS);
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

    fn args() -> TurnArgs {
        TurnArgs::default()
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
