//! Bad input over the real sockets, by every transport.

use super::tests::*;
use crate::transport::packet::MAX_PACKET_BYTES;
use crate::turn::proto::attributes;
use crate::turn::proto::message::{Class, Message, Method};
use crate::turn::proto::writer::{Writer, channel_data};
use std::io::Write;
use std::net::SocketAddr;

fn lines(running: &Running) -> [Box<dyn Line>; 3] {
    [
        Box::new(udp_line(running.udp)),
        Box::new(Stream::new(tcp_stream(running.tcp))),
        Box::new(tls_line(running)),
    ]
}

fn code(answer: &[u8]) -> u16 {
    let message = Message::read(answer).unwrap();
    message
        .attribute(attributes::ERROR_CODE)
        .map_or(0, |value| u16::from(value[2]) * 100 + u16::from(value[3]))
}

#[test]
fn peers_other_than_the_relay_are_refused_by_udp_tcp_and_tls() {
    let running = start();
    for mut line in lines(&running) {
        let line = line.as_mut();
        let nonce = allocated(line);
        let other = |address: &str, method| {
            let peer: SocketAddr = address.parse().unwrap();
            Writer::new(Class::Request, method, [3; 12])
                .xor_address(attributes::XOR_PEER_ADDRESS, peer)
                .attribute(attributes::CHANNEL_NUMBER, &[0x40, 1, 0, 0])
        };
        for peer in ["10.0.0.1:53", "127.0.0.2:7100"] {
            let permission = other(peer, Method::CREATE_PERMISSION);
            assert_eq!(code(&ask(line, signed(permission, &nonce))), 403, "{peer}");
        }
        for peer in ["10.0.0.1:53", "127.0.0.2:7100", "127.0.0.1:22"] {
            let bind = other(peer, Method::CHANNEL_BIND);
            assert_eq!(code(&ask(line, signed(bind, &nonce))), 403, "{peer}");
            let send = Writer::new(Class::Indication, Method::SEND, [4; 12])
                .xor_address(attributes::XOR_PEER_ADDRESS, peer.parse().unwrap())
                .attribute(attributes::DATA, b"for somebody else");
            line.send(&send.finish());
        }
        line.send(&channel_data(0x4001, b"for nobody", true));
        // Nothing of it comes back: the next to come is the answer to the next request, and one echo.
        echoes(line, &nonce);
    }
}

/// Writes what it can; the server may hang up before all of it is written.
fn write(stream: &mut impl Write, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}

#[test]
fn a_stream_that_announces_more_than_a_packet_is_closed() {
    let running = start();
    // The first four bytes are what says how much comes; all of it, or nothing more.
    let whole = [&b"\x40\x00\xFF\xFF"[..], &[0; 0xFFFF + 1]].concat();
    for lie in [&whole[..], &whole[..4]] {
        let (mut tcp, mut tls) = (tcp_stream(running.tcp), tls_line(&running).stream);
        write(&mut tcp, lie);
        write(&mut tls, lie);
        assert!(
            is_hung_up(&mut tcp) && is_hung_up(&mut tls),
            "{} bytes",
            lie.len()
        );
    }
    lines(&running)
        .iter_mut()
        .for_each(|line| reaches_the_shard(line.as_mut()));
}

#[test]
fn datagrams_of_every_size_are_survived() {
    let running = start();
    let mut line = udp_line(running.udp);
    for size in [0, 1, 3, 19, 20, MAX_PACKET_BYTES, MAX_PACKET_BYTES + 1, 65_507] {
        for first in [0x00, 0x40, 0xFF] {
            let mut datagram = vec![0; size];
            datagram.iter_mut().take(1).for_each(|byte| *byte = first);
            line.send(&datagram).unwrap();
        }
    }
    reaches_the_shard(&mut line);
}

#[test]
fn a_request_recorded_on_another_line_is_stale_there() {
    let running = start();
    let [mut udp, mut tcp, mut tls] = lines(&running);
    let nonce = allocated(udp.as_mut());
    let recorded = || {
        let allocate = Writer::new(Class::Request, Method::ALLOCATE, [1; 12])
            .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        signed(allocate, &nonce)
    };
    for line in [&mut tcp, &mut tls] {
        let stale = ask(line.as_mut(), recorded());
        let new = Message::read(&stale)
            .unwrap()
            .attribute(attributes::NONCE)
            .map(<[u8]>::to_vec);
        assert_eq!(code(&stale), 438);
        assert!(new.is_some_and(|new| new != nonce), "with a nonce of its own");
        reaches_the_shard(line.as_mut());
    }
    echoes(udp.as_mut(), &nonce);
}
