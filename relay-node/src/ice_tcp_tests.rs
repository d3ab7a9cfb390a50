//! Real connections over loopback; the test plays the shard.

use super::*;
use crate::turn::message::{Class, Method};
use crate::turn::writer::Writer;
use tokio::io::AsyncWriteExt;

/// Nothing here waits that long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Scene {
    ice_tcp: IceTcp,
    inbox: mpsc::Receiver<SidePacket>,
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

    async fn next(&mut self) -> SidePacket {
        timeout(PATIENCE, self.inbox.recv())
            .await
            .expect("a packet in time")
            .unwrap()
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
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
        let SidePacket { path, packet } = scene.next().await;
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
fn connections_above_the_limit_are_closed_and_room_is_given_back() {
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
fn a_connection_that_the_shard_does_not_answer_is_closed_in_time() {
    run(async {
        let mut scene = Scene::start(8);
        tokio::time::pause();
        let mut client = scene.connect().await;
        client.write_all(&count(&check())).await.unwrap();
        scene.next().await;
        assert!(is_closed(&mut client).await);
    });
}
