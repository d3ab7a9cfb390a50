//! Clients that are slow on purpose, over lines in memory and by a virtual clock.

use super::super::tests::{certificate, shard_address};
use super::*;
use crate::core::stun::{STUN_HEADER_BYTES, STUN_MAGIC_COOKIE};
use crate::transport::connections::{IDLE_MS, WHOLE_PACKET_MS, WRITE_MS};
use crate::transport::packet::MAX_PACKET_BYTES;
use crate::turn::proto::attributes;
use crate::turn::proto::message::{Class, Message, Method};
use crate::turn::proto::writer::{Writer, channel_data};
use crate::turn::server::scene_tests::{REALM, signed_with};
use crate::turn::server::{Settings, TurnServer};
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use streamchain_protocol::webrtc::TurnSecret;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

/// Bytes that a line in memory holds before its writer waits.
const LINE_BYTES: usize = 16 * 1_024;

fn binding() -> Vec<u8> {
    Writer::new(Class::Request, Method::BINDING, [1; 12]).finish()
}

/// ChannelData that takes hours at a byte a second.
fn long_packet() -> Vec<u8> {
    channel_data(0x4000, &[0; 4_000], true)
}

struct Scene {
    hub: Rc<Hub>,
    connections: Connections,
    client: Client,
}

impl Scene {
    fn new() -> Self {
        let settings = Settings {
            realm: REALM.into(),
            secret: TurnSecret::new("secret"),
            peers: vec![shard_address()],
        };
        let server = TurnServer::new(settings, [5; 32], 5);
        Self {
            hub: Rc::new(Hub::new(server, Box::new(|_, _| {}))),
            connections: Connections::new(8),
            client: Client {
                transport: Transport::Tcp,
                address: "198.51.100.7:40000".parse().unwrap(),
                server: "203.0.113.1:3478".parse().unwrap(),
            },
        }
    }

    /// After how many milliseconds the server ends the connection of a client that does this; `None` when the
    /// client is through with it before.
    async fn ends<F>(
        &self,
        tls: Option<TlsAcceptor>,
        line_bytes: usize,
        does: impl FnOnce(DuplexStream) -> F,
    ) -> Option<u64>
    where
        F: Future<Output = ()>,
    {
        let (theirs, ours) = duplex(line_bytes);
        let permit = self.connections.admit(self.client.address.ip()).unwrap();
        let opened = Instant::now();
        let ended = tokio::select! {
            () = converse(self.hub.clone(), ours, self.client, tls, permit) => Some(opened.elapsed()),
            () = does(theirs) => None,
        };
        assert_eq!(self.connections.open(), 0, "its place is free again");
        assert!(self.hub.streams.borrow().is_empty() || ended.is_none());
        ended.map(|elapsed| u64::try_from(elapsed.as_millis()).unwrap())
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test);
}

/// A byte a second, and then nothing more.
async fn trickle(mut line: impl AsyncWrite + Unpin, bytes: Vec<u8>) {
    for byte in bytes {
        // Fails once the server has hung up.
        let _ = line.write_all(&[byte]).await;
        let _ = line.flush().await;
        sleep(Duration::from_secs(1)).await;
    }
    pending().await
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    run(async {
        let ended = Scene::new()
            .ends(None, LINE_BYTES, |line| trickle(line, vec![]))
            .await;
        assert_eq!(ended, Some(FIRST_PACKET_MS));
    });
}

#[test]
fn a_first_packet_of_a_byte_a_second_is_not_waited_for() {
    run(async {
        for packet in [binding(), long_packet()] {
            let ended = Scene::new()
                .ends(None, LINE_BYTES, |line| trickle(line, packet))
                .await;
            assert_eq!(ended, Some(FIRST_PACKET_MS));
        }
    });
}

/// Beginnings of packets that say that more comes than any client sends.
fn lies() -> Vec<Vec<u8>> {
    let stun = |length: u16| [&[0, 1], &length.to_be_bytes()[..], &STUN_MAGIC_COOKIE, &[7; 12]].concat();
    let just_too_long = u16::try_from(MAX_PACKET_BYTES - STUN_HEADER_BYTES + 4).unwrap();
    vec![
        stun(just_too_long),
        stun(0xFFFC),
        stun(0xFFFF),
        b"\x40\x00\x0F\xFD".to_vec(),
        b"\x40\x00\xFF\xFF".to_vec(),
        b"\x80\x00\x00\x00".to_vec(),
    ]
}

#[test]
fn a_packet_announced_as_too_long_or_unknown_closes_at_once() {
    run(async {
        for lie in lies() {
            for before in [vec![], binding()] {
                let bytes = [before, lie.clone()].concat();
                let ended = Scene::new()
                    .ends(None, LINE_BYTES, |mut line| async move {
                        line.write_all(&bytes).await.unwrap();
                        pending().await
                    })
                    .await;
                assert_eq!(ended, Some(0), "{lie:?}");
            }
        }
    });
}

#[test]
fn a_later_packet_of_a_byte_a_second_is_not_waited_for_either() {
    run(async {
        let scene = Scene::new();
        let ended = scene.ends(None, LINE_BYTES, |mut line| async {
            line.write_all(&binding()).await.unwrap();
            trickle(line, long_packet()).await;
        });
        assert_eq!(ended.await, Some(WHOLE_PACKET_MS));
    });
}

#[test]
fn small_packets_do_not_keep_a_packet_that_never_ends_alive() {
    run(async {
        let scene = Scene::new();
        let ended = scene.ends(None, LINE_BYTES, |mut line| async {
            for _ in 0..5 {
                line.write_all(&binding()).await.unwrap();
                sleep(Duration::from_secs(5)).await;
            }
            trickle(line, long_packet()).await;
        });
        assert_eq!(ended.await, Some(25_000 + WHOLE_PACKET_MS));
    });
}

#[test]
fn an_idle_client_is_closed_unless_it_has_an_allocation() {
    run(async {
        let scene = Scene::new();
        let idle = |mut line: DuplexStream| async move {
            line.write_all(&binding()).await.unwrap();
            pending().await
        };
        assert_eq!(scene.ends(None, LINE_BYTES, idle).await, Some(IDLE_MS));
        let in_use = |line| async {
            let _line = allocate(line).await;
            sleep(Duration::from_millis(3 * IDLE_MS)).await;
        };
        assert_eq!(
            scene.ends(None, LINE_BYTES, in_use).await,
            None,
            "it is still there"
        );
    });
}

/// Makes an allocation; the line, and its relayed address.
async fn allocate(mut line: DuplexStream) -> (DuplexStream, SocketAddr) {
    let request = || {
        Writer::new(Class::Request, Method::ALLOCATE, [8; 12])
            .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
    };
    line.write_all(&request().finish()).await.unwrap();
    let challenge = next_message(&mut line).await;
    let nonce = Message::read(&challenge)
        .unwrap()
        .attribute(attributes::NONCE)
        .unwrap()
        .to_vec();
    let credentials =
        TurnSecret::new("secret").issue("alice", streamchain_protocol::time::UnixSec(u64::from(u32::MAX)));
    line.write_all(&signed_with(request(), &credentials, &nonce))
        .await
        .unwrap();
    let granted = next_message(&mut line).await;
    let granted = Message::read(&granted).unwrap();
    assert_eq!(granted.class, Class::Success);
    let permit = Writer::new(Class::Request, Method::CREATE_PERMISSION, [9; 12])
        .xor_address(attributes::XOR_PEER_ADDRESS, shard_address());
    line.write_all(&signed_with(permit, &credentials, &nonce))
        .await
        .unwrap();
    next_message(&mut line).await;
    let relayed = granted.attribute(attributes::XOR_RELAYED_ADDRESS).unwrap();
    let relayed = crate::turn::proto::message::read_xor_address(relayed, &granted.transaction).unwrap();
    (line, relayed)
}

async fn next_message(line: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    line.read_exact(&mut bytes).await.unwrap();
    let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    bytes.resize(20 + length, 0);
    line.read_exact(&mut bytes[20..]).await.unwrap();
    bytes
}

#[test]
fn a_client_that_reads_nothing_is_bounded_and_closed() {
    run(async {
        let scene = Scene::new();
        let flooded = RefCell::new(None);
        let ended = scene.ends(None, 1_024, |line| async {
            let (_line, relayed) = allocate(line).await;
            for _ in 0..10 * MAX_QUEUE {
                let now = scene.hub.now();
                let mut server = scene.hub.server.borrow_mut();
                server.handle_relay(shard_address(), relayed, &[0; 1_200], now);
                drop(server);
                scene.hub.do_outputs();
            }
            let free = scene.hub.streams.borrow()[&scene.client].capacity();
            assert_eq!(free, 0, "the queue is full, and no longer than that");
            *flooded.borrow_mut() = Some(Instant::now());
            pending().await
        });
        assert!(ended.await.is_some());
        let flooded = flooded.into_inner().unwrap();
        assert_eq!(flooded.elapsed(), Duration::from_millis(WRITE_MS));
        assert_eq!(scene.hub.server.borrow().allocations(), 0);
    });
}

#[test]
fn a_tls_handshake_that_never_ends_is_closed() {
    run(async {
        let (config, _) = certificate();
        let acceptor = || Some(TlsAcceptor::from(config.clone()));
        // A record of 512 bytes that holds a ClientHello.
        let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03"[..], &[0; 500]].concat();
        for bytes in [vec![], hello] {
            let ended = Scene::new()
                .ends(acceptor(), LINE_BYTES, |line| trickle(line, bytes))
                .await;
            assert_eq!(ended, Some(FIRST_PACKET_MS));
        }
    });
}

#[test]
fn a_tls_handshake_counts_to_the_first_packets_time() {
    run(async {
        let (config, certificate) = certificate();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let scene = Scene::new();
        let ended = scene.ends(Some(config.into()), LINE_BYTES, |line| async {
            sleep(Duration::from_millis(FIRST_PACKET_MS - 3_000)).await;
            let name = ServerName::try_from("localhost").unwrap();
            let line = connector.connect(name, line).await.unwrap();
            trickle(line, binding()).await;
        });
        assert_eq!(ended.await, Some(FIRST_PACKET_MS));
    });
}
