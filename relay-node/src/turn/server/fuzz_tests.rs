//! Random bytes, and damaged messages of real clients, for the codec, the framing and the machine: never a panic,
//! bounded memory, nothing but what is permitted comes out, and who was there before is served on.

use super::Output;
use super::client::{Client, Transport};
use super::limits::MAX_USER_ALLOCATIONS;
use super::nonce;
use super::scene_tests::*;
use crate::core::stun::STUN_HEADER_BYTES;
use crate::transport::packet::{MAX_PACKET_BYTES, RELAYED_V4, is_relayed};
use crate::transport::rfc4571::{Framing, StreamReader, count};
use crate::turn::proto::attributes::{self, Attribute};
use crate::turn::proto::message::{Class, Message, Method};
use crate::turn::proto::writer::{Writer, channel_data};
use proptest::prelude::*;
use proptest::sample::Index;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

/// The system's heap, counted for each thread.
struct CountedHeap;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

fn count_bytes(bytes: isize) {
    // A thread that is ending has no counters any more.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
    let _ = TAKEN.try_with(|taken| taken.set(taken.get() + bytes.max(0).unsigned_abs()));
}

// The trait is unsafe to implement; everything is handed to the system's as it comes.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for CountedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_bytes(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count_bytes(-layout.size().cast_signed());
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: CountedHeap = CountedHeap;

/// What `work` took of the heap in all, and what of it is still held afterwards, bytes.
fn heap_of(work: impl FnOnce()) -> (usize, isize) {
    let before = (TAKEN.get(), HELD.get());
    work();
    (TAKEN.get() - before.0, HELD.get() - before.1)
}

/// What may happen to a message on its way, or in the hands of a forger.
#[derive(Debug, Clone)]
enum Damage {
    Change(Index, u8),
    CutOff(Index),
    Append(Vec<u8>),
    /// What stands where a length may stand: STUN's at 2, attributes' behind their types.
    Length(Index, u16),
    Remove(Index, Index),
    Double(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Damage::Change(at, to)),
        any::<Index>().prop_map(Damage::CutOff),
        prop::collection::vec(any::<u8>(), 1..70).prop_map(Damage::Append),
        (any::<Index>(), prop_oneof![0u16..600, any::<u16>()]).prop_map(|(at, to)| Damage::Length(at, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Remove(from, to)),
        any::<Index>().prop_map(Damage::Double),
    ]
}

impl Damage {
    fn done_to(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Change(at, to) => bytes[at.index(length)] = *to,
            Self::CutOff(at) => bytes.truncate(at.index(length)),
            Self::Append(more) => bytes.extend(more),
            Self::Length(at, to) => {
                let at = at.index(length.div_ceil(4)) * 4 + 2;
                if at + 2 <= length {
                    bytes[at..at + 2].copy_from_slice(&to.to_be_bytes());
                }
            }
            Self::Remove(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                bytes.drain(from.min(to)..from.max(to));
            }
            Self::Double(at) => bytes.extend_from_within(at.index(length)..),
        }
    }
}

/// Everything that a client sends in a session's life, by a number below this.
const KINDS: usize = 12;

/// A message as a client with right credentials sends it.
fn message(scene: &Scene, client: Client, kind: usize) -> Vec<u8> {
    let stream = client.transport.is_stream();
    let of = |method| Writer::new(Class::Request, method, [7; 12]);
    let allocate = || of(Method::ALLOCATE).attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let to = |method, peer| of(method).xor_address(attributes::XOR_PEER_ADDRESS, peer);
    let channel = |request: Writer| request.attribute(attributes::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
    let elsewhere = address("10.0.0.1:53");
    let request = match kind {
        0 => return of(Method::BINDING).finish(),
        1 => return allocate().finish(),
        2 => return send_indication(relay_v4(), b"check"),
        3 => return send_indication(elsewhere, b"check"),
        4 => return channel_data(0x4000, b"dtls!", stream),
        5 => allocate(),
        6 => allocate().attribute(attributes::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]),
        7 => of(Method::REFRESH).attribute(attributes::LIFETIME, &[0, 0, 2, 0]),
        8 => to(Method::CREATE_PERMISSION, relay_v4()),
        9 => to(Method::CREATE_PERMISSION, elsewhere),
        10 => channel(to(Method::CHANNEL_BIND, relay_v4())),
        _ => of(Method::REFRESH).attribute(attributes::LIFETIME, &[0; 4]),
    };
    let nonce = nonce::issue(&[5; 32], &client, scene.now.to_sec());
    scene.signed(request, "alice", nonce.as_bytes())
}

/// Whole, or damaged more often than not.
fn any_message() -> impl Strategy<Value = (usize, Option<Damage>)> {
    (0..KINDS, prop::option::weighted(0.6, damage()))
}

fn damaged(scene: &Scene, client: Client, (kind, damage): &(usize, Option<Damage>)) -> Vec<u8> {
    let mut packet = message(scene, client, *kind);
    if let Some(damage) = damage {
        damage.done_to(&mut packet);
    }
    packet
}

fn clients() -> [Client; 3] {
    let at = address("198.51.100.7:40000");
    [Transport::Udp, Transport::Tcp, Transport::Tls].map(|transport| client(transport, at))
}

/// A client that has a channel to the relay, beside all that goes on.
fn bystander(scene: &mut Scene) -> Client {
    let client = client(Transport::Tcp, address("192.0.2.9:9"));
    scene.allocate(client, "alice");
    assert_eq!(scene.bind(client, 0x4001, relay_v4()).code(), 0);
    client
}

/// Takes out what the machine has to say, which is allowed to it.
fn outputs_are_allowed(scene: &mut Scene, clients: &[Client]) {
    while let Some(output) = scene.server.poll_output() {
        match output {
            Output::ToRelay {
                source, destination, ..
            } => {
                assert!(is_relayed(source.ip()));
                assert!([relay_v4(), relay_v6()].contains(&destination), "{destination}");
            }
            Output::ToClient { client, packet } => {
                assert!(clients.contains(&client), "{client:?}");
                assert!(packet.len() <= MAX_PACKET_BYTES + STUN_HEADER_BYTES + 64);
            }
        }
    }
}

#[test]
fn a_flood_of_strangers_leaves_nothing_on_the_heap() {
    let mut scene = Scene::new();
    let first = udp_client(1);
    let refused = [
        message(&scene, first, 1),
        message(&scene, first, 0),
        vec![0xFF; 4_097],
    ];
    let mut flood = |hosts: std::ops::Range<u32>| {
        for host in hosts {
            let from = SocketAddr::new(std::net::IpAddr::from(host.to_be_bytes()), 9);
            for packet in &refused {
                scene
                    .server
                    .handle_client(client(Transport::Udp, from), packet, scene.now);
                while scene.server.poll_output().is_some() {}
            }
        }
    };
    flood(0..1); // what is made once
    let (_, held) = heap_of(|| flood(1..10_000));
    assert_eq!(held, 0);
}

#[test]
fn a_full_allocation_costs_two_kibibytes_at_most() {
    let peers: Vec<SocketAddr> = (0..16)
        .map(|port| SocketAddr::new(relay_v4().ip(), 7_100 + port))
        .collect();
    let mut scene = Scene::with_peers(&peers);
    scene.allocate(udp_client(1), "alice"); // what is made once
    let (_, held) = heap_of(|| {
        for port in 2..2 + u16::try_from(MAX_USER_ALLOCATIONS - 1).unwrap() {
            assert_eq!(scene.allocate(udp_client(port), "alice").code(), 0);
            for (number, peer) in (0x4000..).zip(&peers) {
                scene.now = scene.now.plus_ms(20); // strangers' answers are counted by the second
                assert_eq!(scene.bind(udp_client(port), number, *peer).code(), 0);
            }
        }
    });
    let each = held.unsigned_abs() / (MAX_USER_ALLOCATIONS - 1);
    assert!(each <= 2_048, "{each} bytes");
}

#[derive(Debug, Clone)]
enum Act {
    Raw(Vec<u8>),
    StunLike(u16, Vec<u8>),
    Signed(u8, Vec<(u16, Vec<u8>)>),
    Peer(u8, SocketAddr),
    FromRelay(u16, Vec<u8>),
    Wait(u16),
    Close,
}

fn acts() -> impl Strategy<Value = Act> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    let kind = prop_oneof![0u16..0x30, any::<u16>()];
    prop_oneof![
        bytes().prop_map(Act::Raw),
        (any::<u16>(), bytes()).prop_map(|(kind, body)| Act::StunLike(kind, body)),
        (0u8..5, prop::collection::vec((kind, bytes()), 0..5))
            .prop_map(|(method, of)| Act::Signed(method, of)),
        (0u8..3, any::<SocketAddr>()).prop_map(|(method, peer)| Act::Peer(method, peer)),
        (any::<u16>(), bytes()).prop_map(|(port, packet)| Act::FromRelay(port, packet)),
        any::<u16>().prop_map(Act::Wait),
        Just(Act::Close),
    ]
}

impl Scene {
    /// Does it, and checks that whatever comes out is allowed.
    fn act(&mut self, client: Client, act: Act) {
        let methods = [
            Method::ALLOCATE,
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::SEND,
        ];
        let nonce = nonce::issue(&[5; 32], &client, self.now.to_sec());
        match act {
            Act::Raw(bytes) => self.server.handle_client(client, &bytes, self.now),
            Act::StunLike(kind, mut body) => {
                body.truncate(body.len() / 4 * 4);
                let length = u16::try_from(body.len()).unwrap().to_be_bytes();
                let head = [
                    &(kind & 0x3FFF).to_be_bytes()[..],
                    &length,
                    &[0x21, 0x12, 0xA4, 0x42],
                    &[0; 12],
                ];
                let bytes = [head.concat(), body].concat();
                self.server.handle_client(client, &bytes, self.now);
            }
            Act::Signed(method, of) => {
                let mut request = Writer::new(Class::Request, methods[usize::from(method)], [1; 12])
                    .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                for (kind, value) in of {
                    request = request.attribute(Attribute(kind), &value);
                }
                let bytes = self.signed(request, "alice", nonce.as_bytes());
                self.server.handle_client(client, &bytes, self.now);
            }
            Act::Peer(method, peer) => {
                let peer = if peer.port() % 2 == 0 { relay_v4() } else { peer };
                let request = Writer::new(Class::Request, methods[usize::from(method) + 2], [1; 12])
                    .xor_address(attributes::XOR_PEER_ADDRESS, peer)
                    .attribute(attributes::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
                let bytes = self.signed(request, "alice", nonce.as_bytes());
                self.server.handle_client(client, &bytes, self.now);
            }
            Act::FromRelay(port, packet) => {
                let to = SocketAddr::new(RELAYED_V4, 1_020 + port % 8);
                self.server.handle_relay(relay_v4(), to, &packet, self.now);
            }
            Act::Wait(ms) => self.now = self.now.plus_ms(u64::from(ms) * 20),
            Act::Close => self.server.handle_closed(&client),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn a_message_is_read_without_a_byte_of_heap(
        random in prop::collection::vec(any::<u8>(), 0..200),
        real in any_message(),
        more in prop::collection::vec(damage(), 0..3),
    ) {
        let scene = Scene::new();
        let mut real = damaged(&scene, udp_client(1), &real);
        more.iter().for_each(|damage| damage.done_to(&mut real));
        for bytes in [random, real] {
            let (taken, _) = heap_of(|| {
                let Ok(message) = Message::read(&bytes) else { return };
                // Every value lies in the message, one behind the other.
                let mut end = STUN_HEADER_BYTES;
                for (_, value) in message.attributes() {
                    let at = value.as_ptr().addr() - bytes.as_ptr().addr();
                    assert!(at >= end + 4 && at + value.len() <= bytes.len());
                    end = at + value.len();
                }
                message.peers().for_each(drop);
                let _ = message.text(attributes::USERNAME);
                assert!(!message.is_signed_with(b"a guess"));
            });
            prop_assert_eq!(taken, 0);
        }
    }

    #[test]
    fn damaged_messages_are_survived_and_harm_no_other_client(
        acts in prop::collection::vec((0usize..3, any_message()), 1..40),
    ) {
        let mut scene = Scene::new();
        let bystander = bystander(&mut scene);
        for (who, act) in acts {
            let client = clients()[who];
            let packet = damaged(&scene, client, &act);
            scene.server.handle_client(client, &packet, scene.now);
            outputs_are_allowed(&mut scene, &clients());
            prop_assert!(scene.server.allocations() <= 4, "one for each client");
        }
        let packet = channel_data(0x4001, b"still here", true);
        let relayed = scene.relayed(bystander, &packet).map(|(_, _, packet)| packet);
        prop_assert_eq!(relayed, Some(b"still here".to_vec()));
    }

    #[test]
    fn damaged_streams_are_survived_in_bounded_memory(
        acts in prop::collection::vec(any_message(), 1..30),
        pieces in prop::collection::vec(1usize..300, 1..8),
        counted: bool,
    ) {
        let mut scene = Scene::new();
        let bystander = bystander(&mut scene);
        let client = clients()[1];
        let framing = if counted { Framing::Counted } else { Framing::Turn };
        let stream: Vec<u8> = acts
            .iter()
            .flat_map(|act| {
                let packet = damaged(&scene, client, act);
                if counted { count(&packet) } else { packet }
            })
            .collect();
        let mut reader = StreamReader::new(framing);
        let (mut rest, mut sizes) = (&stream[..], pieces.iter().cycle());
        'stream: while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            rest = more;
            reader.push(piece, 0);
            loop {
                match reader.next_packet(0) {
                    Ok(Some(packet)) => scene.server.handle_client(client, packet, scene.now),
                    Ok(None) => break,
                    Err(_) => break 'stream, // the connection is closed
                }
                outputs_are_allowed(&mut scene, &[client]);
            }
            prop_assert!(reader.buffered() <= MAX_PACKET_BYTES + 4 + 300);
        }
        scene.server.handle_closed(&client);
        prop_assert_eq!(scene.server.allocations(), 1, "the bystander's");
        prop_assert!(scene.relayed(bystander, &channel_data(0x4001, b"x", true)).is_some());
    }

    #[test]
    fn any_packets_are_survived_and_reach_only_the_relay(
        sequence in prop::collection::vec((0u16..4, acts()), 0..60),
    ) {
        let mut scene = Scene::new();
        for (port, act) in sequence {
            scene.act(udp_client(1 + port), act);
            prop_assert!(scene.server.allocations() <= 4, "one per client");
            while let Some(output) = scene.server.poll_output() {
                if let Output::ToRelay { source, destination, .. } = output {
                    prop_assert!(is_relayed(source.ip()));
                    prop_assert!([relay_v4(), relay_v6()].contains(&destination));
                }
            }
        }
        // The service goes on.
        scene.pass_seconds(4_000);
        prop_assert_eq!(scene.allocate(udp_client(9), "bob").code(), 0);
        prop_assert_eq!(scene.server.allocations(), 1);
    }
}
