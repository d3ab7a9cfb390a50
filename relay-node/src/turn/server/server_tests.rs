//! What a client is granted, as transcripts on a virtual clock.

use super::client::Transport;
use super::scene_tests::*;
use super::*;
use crate::transport::packet::is_relayed;
use crate::turn::proto::attributes::{
    ADDITIONAL_ADDRESS_FAMILY, ADDRESS_ERROR_CODE, EVEN_PORT, LIFETIME, REQUESTED_ADDRESS_FAMILY,
    XOR_MAPPED_ADDRESS, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS,
};

fn v4() -> (Attribute, Vec<u8>) {
    (REQUESTED_ADDRESS_FAMILY, vec![1, 0, 0, 0])
}

fn v6() -> (Attribute, Vec<u8>) {
    (REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0])
}

#[test]
fn a_binding_request_gets_its_address() {
    let mut scene = Scene::new();
    let binding = Writer::new(Class::Request, Method::BINDING, [1; 12]).finish();
    for address in ["198.51.100.7:40000", "[2001:db8::7]:40000"] {
        let client = client(Transport::Udp, address.parse().unwrap());
        assert_eq!(
            scene.send(client, &binding).address(XOR_MAPPED_ADDRESS),
            Some(client.address)
        );
    }
}

#[test]
fn an_allocation_needs_a_nonce_and_credentials_and_is_signed() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let answer = scene.allocate(client, "alice");
    assert_eq!(answer.code(), 0);
    assert_eq!(answer.address(XOR_MAPPED_ADDRESS), Some(client.address));
    assert_eq!(answer.attribute(LIFETIME), Some(600u32.to_be_bytes().to_vec()));
    let credentials = scene.credentials("alice");
    let key = long_term_key(&credentials.username, REALM, &credentials.password);
    assert!(Message::read(answer.bytes()).unwrap().is_signed_with(&key));
    assert!(scene.server.has_allocation(&client, scene.now));
}

#[test]
fn two_clients_get_two_relayed_addresses_of_their_own() {
    let mut scene = Scene::new();
    let relayed = |answer: super::scene_tests::Answer| answer.address(XOR_RELAYED_ADDRESS).unwrap();
    let one = relayed(scene.allocate(udp_client(1), "alice"));
    let two = relayed(scene.allocate(udp_client(2), "alice"));
    assert_ne!(one, two);
    assert!(is_relayed(one.ip()) && is_relayed(two.ip()));
    assert!(!is_relayed(relay_v4().ip()));
}

#[test]
fn a_lost_answer_is_given_again_and_a_second_allocation_refused() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let nonce = scene.nonce(client);
    let request = Writer::new(Class::Request, Method::ALLOCATE, [9; 12])
        .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let request = scene.signed(request, "alice", &nonce);
    let first = scene.send(client, &request);
    assert_eq!(scene.send(client, &request), first);
    assert_eq!(scene.server.allocations(), 1);
    assert_eq!(scene.allocate(client, "alice").code(), 437);
}

#[test]
fn packets_pass_both_ways_once_the_relay_is_permitted() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let relayed = scene
        .allocate(client, "alice")
        .address(XOR_RELAYED_ADDRESS)
        .unwrap();
    let indication = send_indication(relay_v4(), b"check");
    assert_eq!(scene.relayed(client, &indication), None, "before the permission");
    assert_eq!(
        scene.after_relay_sends(relay_v4(), relayed, b"answer"),
        None,
        "before the permission"
    );

    assert_eq!(scene.permit(client, relay_v4()).code(), 0);
    assert_eq!(
        scene.relayed(client, &indication),
        Some((relayed, relay_v4(), b"check".to_vec()))
    );
    let (to, packet) = scene.after_relay_sends(relay_v4(), relayed, b"answer").unwrap();
    let indication = Message::read(&packet).unwrap();
    assert_eq!(
        (to, indication.class, indication.method),
        (client, Class::Indication, Method::DATA)
    );
    assert_eq!(indication.attribute(attributes::DATA), Some(&b"answer"[..]));
    assert_eq!(indication.peers().next(), Some(Ok(relay_v4())));
}

#[test]
fn packets_go_both_ways_by_a_channel_padded_on_streams_only() {
    for (transport, padded) in [
        (Transport::Udp, false),
        (Transport::Tcp, true),
        (Transport::Tls, true),
    ] {
        let mut scene = Scene::new();
        let client = client(transport, "198.51.100.7:1".parse().unwrap());
        let relayed = scene
            .allocate(client, "alice")
            .address(XOR_RELAYED_ADDRESS)
            .unwrap();
        assert_eq!(scene.bind(client, 0x4001, relay_v4()).code(), 0);
        let packet = b"\x40\x01\x00\x05hello".to_vec();
        assert_eq!(
            scene.relayed(client, &packet),
            Some((relayed, relay_v4(), b"hello".to_vec()))
        );
        let answer = [&packet[..], if padded { &[0; 3] } else { &[] }].concat();
        assert_eq!(
            scene.after_relay_sends(relay_v4(), relayed, b"hello"),
            Some((client, answer)),
            "{transport:?}"
        );
    }
}

#[test]
fn a_permission_ends_after_five_minutes_and_a_channel_after_ten() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let relayed = scene.request(
        client,
        "alice",
        Method::ALLOCATE,
        &[udp_transport(), lifetime(3_600)],
    );
    let relayed = relayed.address(XOR_RELAYED_ADDRESS).unwrap();
    scene.bind(client, 0x4001, relay_v4());
    scene.pass_seconds(299);
    assert!(scene.after_relay_sends(relay_v4(), relayed, b"x").is_some());
    scene.pass_seconds(1);
    assert!(
        scene.after_relay_sends(relay_v4(), relayed, b"x").is_none(),
        "the permission is over"
    );
    scene.permit(client, relay_v4());
    let (_, packet) = scene.after_relay_sends(relay_v4(), relayed, b"x").unwrap();
    assert_eq!(packet[0], 0x40, "still by the channel");
    scene.pass_seconds(299);
    scene.permit(client, relay_v4());
    scene.pass_seconds(1);
    let (_, packet) = scene.after_relay_sends(relay_v4(), relayed, b"x").unwrap();
    assert_eq!(packet[0], 0x00, "the channel is over: an indication");
}

#[test]
fn a_channel_number_has_one_peer_and_a_peer_one_number() {
    let other = address("203.0.113.1:7101");
    let mut scene = Scene::with_peers(&[relay_v4(), other]);
    let client = udp_client(1);
    scene.allocate(client, "alice");
    assert_eq!(scene.bind(client, 0x4001, relay_v4()).code(), 0);
    assert_eq!(scene.bind(client, 0x4001, relay_v4()).code(), 0, "bound again");
    assert_eq!(scene.bind(client, 0x4001, other).code(), 400);
    assert_eq!(scene.bind(client, 0x4002, relay_v4()).code(), 400);
    assert_eq!(scene.bind(client, 0x4002, other).code(), 0);
    for number in [0x0000, 0x3FFF, 0x8000, 0xFFFF] {
        assert_eq!(scene.bind(client, number, other).code(), 400, "{number:#x}");
    }
}

#[test]
fn an_allocation_ends_unless_it_is_refreshed() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    scene.pass_seconds(599);
    let answer = scene.request(client, "alice", Method::REFRESH, &[lifetime(100_000)]);
    assert_eq!(
        answer.attribute(LIFETIME),
        Some(3_600u32.to_be_bytes().to_vec()),
        "an hour at most"
    );
    scene.pass_seconds(3_599);
    assert!(scene.server.has_allocation(&client, scene.now));
    scene.pass_seconds(1);
    assert!(!scene.server.has_allocation(&client, scene.now));
    assert_eq!(scene.request(client, "alice", Method::REFRESH, &[]).code(), 437);
    scene.pass_seconds(10);
    scene.nonce(client);
    assert_eq!(scene.server.allocations(), 0, "and its memory is free");
}

#[test]
fn a_refresh_with_lifetime_zero_ends_the_allocation() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    assert_eq!(
        scene
            .request(client, "alice", Method::REFRESH, &[lifetime(0)])
            .code(),
        0
    );
    assert_eq!(scene.server.allocations(), 0);
    assert_eq!(
        scene.allocate(client, "alice").code(),
        0,
        "the client may make another"
    );
}

#[test]
fn a_closed_connection_takes_its_allocation_with_it() {
    let mut scene = Scene::new();
    let client = client(Transport::Tcp, "198.51.100.7:1".parse().unwrap());
    scene.allocate(client, "alice");
    scene.server.handle_closed(&client);
    assert_eq!(scene.server.allocations(), 0);
}

#[test]
fn another_user_can_not_touch_an_allocation() {
    let mut scene = Scene::new();
    scene.allocate(udp_client(1), "alice");
    assert_eq!(
        scene
            .request(udp_client(1), "mallory", Method::REFRESH, &[lifetime(0)])
            .code(),
        441
    );
    assert_eq!(scene.server.allocations(), 1);
}

#[test]
fn families_are_granted_as_the_relay_has_them() {
    let relayed = |peers: &[SocketAddr], of: &[(Attribute, Vec<u8>)]| {
        let mut scene = Scene::with_peers(peers);
        let all: Vec<_> = [&[udp_transport()], of].concat();
        let answer = scene.request(udp_client(1), "alice", Method::ALLOCATE, &all);
        (
            answer.code(),
            answer
                .code()
                .eq(&0)
                .then(|| answer.address(XOR_RELAYED_ADDRESS).unwrap().ip()),
        )
    };
    let both = [relay_v4(), relay_v6()];
    assert_eq!(relayed(&both, &[]), (0, Some(RELAYED_V4)));
    assert_eq!(relayed(&both, &[v4()]), (0, Some(RELAYED_V4)));
    assert_eq!(relayed(&both, &[v6()]), (0, Some(RELAYED_V6)));
    assert_eq!(relayed(&both[..1], &[v6()]), (440, None));
    assert_eq!(relayed(&both[1..], &[v4()]), (440, None));
    assert_eq!(
        relayed(&both[1..], &[]),
        (0, Some(RELAYED_V6)),
        "IPv4 could reach nothing"
    );
    assert_eq!(
        relayed(&both, &[(REQUESTED_ADDRESS_FAMILY, vec![3, 0, 0, 0])]),
        (440, None)
    );
}

#[test]
fn an_additional_family_gives_two_addresses_or_says_why_not() {
    let additional = (ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let asked = [udp_transport(), additional.clone()];
    let mut scene = Scene::new();
    let answer = scene.request(udp_client(1), "alice", Method::ALLOCATE, &asked);
    let message = Message::read(answer.bytes()).unwrap();
    let count = message
        .attributes()
        .filter(|(kind, _)| *kind == XOR_RELAYED_ADDRESS)
        .count();
    assert_eq!((count, answer.attribute(ADDRESS_ERROR_CODE)), (2, None));
    assert_eq!(scene.permit(udp_client(1), relay_v4()).code(), 0);
    assert_eq!(scene.permit(udp_client(1), relay_v6()).code(), 0);
    let end_v4 = [v4(), lifetime(0)];
    assert_eq!(
        scene
            .request(udp_client(1), "alice", Method::REFRESH, &end_v4)
            .code(),
        0
    );
    assert_eq!(
        scene.permit(udp_client(1), relay_v4()).code(),
        443,
        "IPv4 was given up"
    );
    assert_eq!(scene.permit(udp_client(1), relay_v6()).code(), 0);

    let mut scene = Scene::with_peers(&[relay_v4()]);
    let answer = scene.request(udp_client(1), "alice", Method::ALLOCATE, &asked);
    assert_eq!(&answer.attribute(ADDRESS_ERROR_CODE).unwrap()[..4], [2, 0, 4, 40]);
    let wrong = [udp_transport(), v4(), additional];
    assert_eq!(
        scene
            .request(udp_client(2), "alice", Method::ALLOCATE, &wrong)
            .code(),
        400
    );
}

#[test]
fn a_peer_of_another_family_is_refused_with_443() {
    let mut scene = Scene::new();
    scene.allocate(udp_client(1), "alice");
    assert_eq!(scene.permit(udp_client(1), relay_v6()).code(), 443);
    assert_eq!(scene.bind(udp_client(1), 0x4000, relay_v6()).code(), 443);
    assert_eq!(
        scene
            .request(udp_client(1), "alice", Method::REFRESH, &[v6()])
            .code(),
        443
    );
    let mixed = scene.with_peer(
        udp_client(1),
        Method::CREATE_PERMISSION,
        &[relay_v4(), relay_v6()],
        &[],
    );
    assert_eq!(mixed.code(), 443);
}

#[test]
fn what_is_not_had_is_refused_by_its_own_code() {
    let mut scene = Scene::new();
    let mut code =
        |of: &[(Attribute, Vec<u8>)]| scene.request(udp_client(1), "alice", Method::ALLOCATE, of).code();
    assert_eq!(code(&[]), 400, "no transport");
    assert_eq!(
        code(&[(attributes::REQUESTED_TRANSPORT, vec![6, 0, 0, 0])]),
        442,
        "TCP"
    );
    assert_eq!(
        code(&[udp_transport(), (EVEN_PORT, vec![0x80])]),
        508,
        "a reserved pair"
    );
    assert_eq!(
        code(&[udp_transport(), (attributes::RESERVATION_TOKEN, vec![0; 8])]),
        508
    );
    assert_eq!(
        code(&[udp_transport(), (Attribute(0x001A), vec![])]),
        420,
        "DONT-FRAGMENT"
    );
    assert_eq!(
        code(&[udp_transport(), lifetime(0).clone()]),
        0,
        "at least the default lifetime"
    );
}

#[test]
fn an_unknown_attribute_is_named() {
    let mut scene = Scene::new();
    let of = [
        udp_transport(),
        (Attribute(0x7FFF), vec![1]),
        (Attribute(0x9999), vec![1]),
    ];
    let answer = scene.request(udp_client(1), "alice", Method::ALLOCATE, &of);
    assert_eq!(answer.code(), 420);
    assert_eq!(
        answer.attribute(attributes::UNKNOWN_ATTRIBUTES),
        Some(vec![0x7F, 0xFF])
    );
}

#[test]
fn an_even_port_is_even() {
    let mut scene = Scene::new();
    for client in 1..6 {
        let of = [udp_transport(), (EVEN_PORT, vec![0])];
        let answer = scene.request(udp_client(client), "alice", Method::ALLOCATE, &of);
        assert_eq!(answer.address(XOR_RELAYED_ADDRESS).unwrap().port() % 2, 0);
    }
}

#[test]
fn a_request_without_peers_is_no_permission() {
    let mut scene = Scene::new();
    scene.allocate(udp_client(1), "alice");
    assert_eq!(
        scene
            .with_peer(udp_client(1), Method::CREATE_PERMISSION, &[], &[])
            .code(),
        400
    );
    let broken = (XOR_PEER_ADDRESS, vec![0, 1, 0]);
    assert_eq!(
        scene
            .with_peer(udp_client(1), Method::CREATE_PERMISSION, &[], &[broken])
            .code(),
        400
    );
}
