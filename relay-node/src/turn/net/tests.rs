//! The real sockets, over loopback: a client of few lines speaks to the server, a shard answers with an echo.

use super::*;
use crate::transport::connections::MAX_CONNECTIONS_PER_NETWORK;
use crate::transport::rfc4571::{Framing, StreamReader};
use crate::turn::proto::attributes;
use crate::turn::proto::message::{Class, Message, Method};
use crate::turn::proto::writer::{Writer, channel_data};
use crate::turn::server::sign_as;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket as StdUdpSocket};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::webrtc::TurnSecret;

/// Nothing here waits that long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const REALM: &str = "streamchain";

pub(super) fn shard_address() -> SocketAddr {
    "127.0.0.1:7100".parse().unwrap()
}

pub(super) fn certificate() -> (Arc<rustls::ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (Arc::new(config), certificate)
}

pub(super) struct Running {
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub tls: SocketAddr,
    certificate: CertificateDer<'static>,
}

/// A server whose one shard echoes. It ends with the test.
pub(super) fn start() -> Running {
    let (tls, certificate) = certificate();
    let local = vec!["127.0.0.1:0".parse().unwrap()];
    let settings = Settings {
        realm: REALM.into(),
        secret: TurnSecret::new("secret"),
        peers: vec![shard_address()],
    };
    let tls = Some((local.clone(), tls));
    let config = FrontConfig {
        settings,
        listen: local,
        tls,
        connections_max: 4_096,
        nonce_key: [1; 32],
        seed: 1,
    };
    let (front, inbox) = Front::bind(config).unwrap();
    let [udp, tcp, tls] = front.addresses().unwrap();
    let echo = move |packet: RelayPacket, _| {
        let RelayPacket {
            source,
            destination,
            packet,
        } = packet;
        inbox.leave(RelayPacket {
            source: destination,
            destination: source,
            packet,
        });
    };
    std::thread::spawn(move || front.serve(Box::new(echo)));
    Running {
        udp: udp[0],
        tcp: tcp[0],
        tls: tls[0],
        certificate,
    }
}

pub(super) trait Line {
    fn send(&mut self, packet: &[u8]);
    fn receive(&mut self) -> Vec<u8>;
}

impl Line for StdUdpSocket {
    fn send(&mut self, packet: &[u8]) {
        StdUdpSocket::send(self, packet).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut buffer = [0; 2_048];
        let length = self.recv(&mut buffer).expect("an answer in time");
        buffer[..length].to_vec()
    }
}

pub(super) struct Stream<S> {
    pub stream: S,
    packets: StreamReader,
}

impl<S> Stream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            packets: StreamReader::new(Framing::Turn),
        }
    }
}

impl<S: Read + Write> Line for Stream<S> {
    fn send(&mut self, packet: &[u8]) {
        self.stream.write_all(packet).unwrap();
        self.stream.flush().unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(packet) = self.packets.next_packet(0).unwrap() {
                return packet.to_vec();
            }
            let mut buffer = [0; 2_048];
            let length = self.stream.read(&mut buffer).expect("an answer in time");
            assert_ne!(length, 0, "expected an answer, the server hung up");
            self.packets.push(&buffer[..length], 0);
        }
    }
}

pub(super) fn udp_line(server: SocketAddr) -> StdUdpSocket {
    let socket = StdUdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub(super) fn tcp_stream(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(super) fn tls_line(
    running: &Running,
) -> Stream<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(running.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    Stream::new(rustls::StreamOwned::new(connection, tcp_stream(running.tls)))
}

/// Whether the server hangs up before patience ends.
pub(super) fn is_hung_up(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}

/// Sends a request and returns its answer.
pub(super) fn ask(line: &mut dyn Line, request: Writer) -> Vec<u8> {
    line.send(&request.finish());
    line.receive()
}

pub(super) fn signed(request: Writer, nonce: &[u8]) -> Writer {
    let credentials = TurnSecret::new("secret").issue("alice", UnixSec(u64::from(u32::MAX)));
    sign_as(request, &credentials, REALM, nonce)
}

/// Allocates; the nonce for what comes next.
pub(super) fn allocated(line: &mut dyn Line) -> Vec<u8> {
    let allocate = || {
        Writer::new(Class::Request, Method::ALLOCATE, [1; 12])
            .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
    };
    let challenge = ask(line, allocate());
    let nonce = Message::read(&challenge)
        .unwrap()
        .attribute(attributes::NONCE)
        .unwrap()
        .to_vec();
    let allocated = ask(line, signed(allocate(), &nonce));
    assert_eq!(Message::read(&allocated).unwrap().class, Class::Success);
    nonce
}

/// Binds a channel to the shard, and sees an echo come back.
pub(super) fn echoes(line: &mut dyn Line, nonce: &[u8]) {
    let bind = Writer::new(Class::Request, Method::CHANNEL_BIND, [2; 12])
        .xor_address(attributes::XOR_PEER_ADDRESS, shard_address())
        .attribute(attributes::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
    let bound = ask(line, signed(bind, nonce));
    assert_eq!(Message::read(&bound).unwrap().class, Class::Success);
    line.send(&channel_data(0x4000, b"hello", true));
    assert_eq!(line.receive()[..9], *b"\x40\x00\x00\x05hello");
}

pub(super) fn reaches_the_shard(line: &mut dyn Line) {
    let nonce = allocated(line);
    echoes(line, &nonce);
}

#[test]
fn a_client_reaches_the_shard_by_udp_tcp_and_tls() {
    let running = start();
    reaches_the_shard(&mut udp_line(running.udp));
    reaches_the_shard(&mut Stream::new(tcp_stream(running.tcp)));
    reaches_the_shard(&mut tls_line(&running));
}

#[test]
fn a_flood_of_connections_is_closed_and_others_are_served() {
    let running = start();
    let mut flood: Vec<TcpStream> = (0..MAX_CONNECTIONS_PER_NETWORK + 50)
        .map(|_| tcp_stream(running.tcp))
        .collect();
    // Connections are taken in order, so the last ones are those that were closed.
    for stream in &mut flood[MAX_CONNECTIONS_PER_NETWORK..] {
        assert!(is_hung_up(stream), "expected the end of the stream");
    }
    reaches_the_shard(&mut udp_line(running.udp));
    drop(flood);
}

#[test]
fn a_stream_of_something_else_is_closed_at_once() {
    let running = start();
    let mut stream = tcp_stream(running.tcp);
    stream.write_all(b"SSH-2.0-client\r\n").unwrap();
    assert!(is_hung_up(&mut stream));
    reaches_the_shard(&mut Stream::new(tcp_stream(running.tcp)));
}

#[test]
fn a_connection_that_ends_in_the_tls_handshake_harms_nobody() {
    let running = start();
    let mut stream = tcp_stream(running.tls);
    stream.write_all(b"\x16\x03\x01\x02\x00").unwrap();
    drop(stream);
    reaches_the_shard(&mut tls_line(&running));
}
