//! Real connections over loopback; the test plays the shard.

use super::*;
use crate::transport::connections::{IDLE_MS, WHOLE_PACKET_MS};
use crate::transport::packet::MAX_PACKET_BYTES;
use crate::turn::proto::message::{Class, Method};
use crate::turn::proto::writer::Writer;
use str0m::net::Protocol;
use tokio::io::AsyncWriteExt;

/// Nothing here waits that long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Scene {
    ice_tcp: IceTcp,
    inbox: mpsc::Receiver<IngressPacket>,
    address: SocketAddr,
}

impl Scene {
    /// A listener that admits so many connections.
    fn start(limit: usize) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (to_shard, inbox) = mpsc::channel(64);
        let ice_tcp = IceTcp::start(vec![listener], &Connections::new(limit), &to_shard).unwrap();
        Self {
            ice_tcp,
            inbox,
            address,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn next(&mut self) -> IngressPacket {
        timeout(PATIENCE, self.inbox.recv())
            .await
            .expect("a packet in time")
            .unwrap()
    }
}

fn run(test: impl Future<Output = ()>) {
    run_on(tokio::runtime::Builder::new_current_thread().enable_all(), test);
}

/// Time passes when nothing else is to do.
fn run_by_a_virtual_clock(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    run_on(runtime.enable_all().start_paused(true), test);
}

fn run_on(runtime: &mut tokio::runtime::Builder, test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().block_on(&runtime.build().unwrap(), test);
}

fn check() -> Vec<u8> {
    Writer::new(Class::Request, Method::BINDING, [1; 12]).finish()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(
        timeout(PATIENCE, stream.read(&mut [0; 1]))
            .await
            .expect("an end in time"),
        Ok(0) | Err(_)
    )
}

#[test]
fn packets_go_both_ways_in_frames() {
    run(async {
        let mut scene = Scene::start(8);
        let mut client = scene.connect().await;
        client
            .write_all(&[count(&check()), count(b"dtls")].concat())
            .await
            .unwrap();
        let IngressPacket { path, packet } = scene.next().await;
        assert_eq!(packet, check());
        assert_eq!((path.protocol, path.local), (Protocol::Tcp, scene.address));
        assert_eq!(path.remote, client.local_addr().unwrap());
        assert_eq!(scene.next().await.packet, b"dtls");
        scene.ice_tcp.send(path.local, path.remote, b"answer");
        let mut framed = [0; 8];
        client.read_exact(&mut framed).await.unwrap();
        assert_eq!(&framed, b"\x00\x06answer");
    });
}

#[test]
fn a_connection_that_begins_with_anything_but_a_check_is_closed() {
    run(async {
        let mut scene = Scene::start(8);
        for first in [&count(b"GET / HTTP/1.1")[..], b"\xFF\xFFxx", &count(b"")] {
            let mut client = scene.connect().await;
            client.write_all(first).await.unwrap();
            assert!(is_closed(&mut client).await, "{first:?}");
        }
        let mut client = scene.connect().await;
        client.write_all(&count(&check())).await.unwrap();
        assert_eq!(scene.next().await.packet, check(), "others are served");
    });
}

#[test]
fn connections_above_the_limit_are_closed_until_others_end() {
    run(async {
        let mut scene = Scene::start(2);
        let mut first = scene.connect().await;
        first.write_all(&count(&check())).await.unwrap();
        scene.next().await;
        let mut second = scene.connect().await;
        second.write_all(&count(&check())).await.unwrap();
        scene.next().await;
        let mut third = scene.connect().await;
        assert!(is_closed(&mut third).await);
        second.write_all(b"\xFF\xFF").await.unwrap();
        assert!(is_closed(&mut second).await, "its stream is broken");
        let mut fourth = scene.connect().await;
        fourth.write_all(&count(&check())).await.unwrap();
        assert_eq!(scene.next().await.path.remote, fourth.local_addr().unwrap());
    });
}

#[test]
fn a_packet_for_a_connection_that_is_gone_is_dropped() {
    run(async {
        let scene = Scene::start(8);
        scene
            .ice_tcp
            .send(scene.address, "127.0.0.1:9".parse().unwrap(), b"late");
    });
}

#[test]
fn a_connection_without_an_answer_of_the_shard_is_closed() {
    run(async {
        let mut scene = Scene::start(8);
        tokio::time::pause();
        let mut client = scene.connect().await;
        client.write_all(&count(&check())).await.unwrap();
        scene.next().await;
        assert!(is_closed(&mut client).await);
    });
}

/// After how many milliseconds of a virtual clock, and why, a connection ends on which these bytes come, one a second
/// behind those of `at_once`, and which the shard has `answered`.
async fn ends(answered: bool, at_once: Vec<u8>, trickle: Vec<u8>) -> (u64, io::ErrorKind) {
    let (mut theirs, ours) = tokio::io::duplex(READ_BYTES);
    let (to_shard, _inbox) = mpsc::channel(64);
    let path = Path::tcp(
        "198.51.100.7:40000".parse().unwrap(),
        "203.0.113.1:7100".parse().unwrap(),
    );
    let opened = Instant::now();
    let client = async {
        theirs.write_all(&at_once).await.unwrap();
        for byte in trickle {
            theirs.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending().await
    };
    let answered = Cell::new(answered);
    let error = tokio::select! {
        result = read_packets(ours, path, &to_shard, &answered) => result.unwrap_err(),
        () = client => unreachable!("it waits for ever"),
    };
    (u64::try_from(opened.elapsed().as_millis()).unwrap(), error.kind())
}

#[test]
fn a_byte_a_second_keeps_no_connection_open() {
    run_by_a_virtual_clock(async {
        let framed = count(&[0; 4_000]);
        let late = |ms| (ms, io::ErrorKind::TimedOut);
        assert_eq!(ends(false, vec![], vec![]).await, late(FIRST_PACKET_MS));
        assert_eq!(ends(false, vec![], framed.clone()).await, late(FIRST_PACKET_MS));
        let unanswered = ends(false, count(&check()), framed.clone()).await;
        assert_eq!(unanswered, late(FIRST_PACKET_MS));
        assert_eq!(ends(true, count(&check()), framed).await, late(WHOLE_PACKET_MS));
        let over = ends(true, count(&check()), vec![]).await;
        assert_eq!(over, late(IDLE_MS), "its session is over");
    });
}

#[test]
fn a_frame_longer_than_a_packet_closes_at_once() {
    run_by_a_virtual_clock(async {
        let largest = u16::try_from(MAX_PACKET_BYTES).unwrap();
        for length in [largest + 1, 0xFFFF] {
            let at_once = [count(&check()), length.to_be_bytes().to_vec()].concat();
            assert_eq!(
                ends(true, at_once, vec![]).await,
                (0, io::ErrorKind::Other),
                "{length}"
            );
        }
    });
}

#[test]
fn the_largest_frame_is_taken() {
    run(async {
        let mut scene = Scene::start(8);
        let mut client = scene.connect().await;
        client.write_all(&count(&check())).await.unwrap();
        scene.next().await;
        client
            .write_all(&count(&vec![7; MAX_PACKET_BYTES]))
            .await
            .unwrap();
        assert_eq!(scene.next().await.packet.len(), MAX_PACKET_BYTES);
    });
}
