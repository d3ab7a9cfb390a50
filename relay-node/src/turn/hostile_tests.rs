//! What strangers try: forged, replayed, oversize, random. Refused, in bounded memory, and the service goes on.

use super::super::client::Transport;
use super::super::limits::{
    ADDRESS_ALLOCATIONS_MAX, CHANNELS_MAX, STRANGER_ANSWERS_PER_SECOND, USER_ALLOCATIONS_MAX,
};
use super::super::scene_tests::*;
use super::*;
use proptest::prelude::*;

/// An Allocate request as a client with these credentials and nonce would send it.
fn allocate(credentials: &streamchain_protocol::turn_credentials::TurnCredentials, nonce: &[u8]) -> Vec<u8> {
    let request = Writer::new(Class::Request, Method::ALLOCATE, [8; 12])
        .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    signed_with(request, credentials, nonce)
}

#[test]
fn every_other_peer_is_forbidden() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    for other in [
        "127.0.0.1:80",
        "10.0.0.1:53",
        "203.0.113.2:7100",
        "192.0.0.8:1024",
        "0.0.0.0:0",
    ] {
        assert_eq!(scene.permit(client, address(other)).code(), 403, "{other}");
        assert_eq!(scene.bind(client, 0x4000, address(other)).code(), 403, "{other}");
    }
    // The right address and another port: a permission has no port, but a packet has.
    let other_port = address("203.0.113.1:22");
    assert_eq!(scene.bind(client, 0x4000, other_port).code(), 403);
    assert_eq!(scene.permit(client, other_port).code(), 0);
    assert_eq!(scene.relayed(client, &send_indication(other_port, b"ssh")), None);
    assert!(
        scene
            .relayed(client, &send_indication(relay_v4(), b"check"))
            .is_some()
    );
}

#[test]
fn a_permission_for_several_peers_is_all_or_nothing() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    let peers = [relay_v4(), address("10.0.0.1:1")];
    assert_eq!(
        scene
            .with_peer(client, Method::CREATE_PERMISSION, &peers, &[])
            .code(),
        403
    );
    assert_eq!(
        scene.relayed(client, &send_indication(relay_v4(), b"check")),
        None
    );
}

#[test]
fn forged_and_expired_credentials_are_refused_and_make_no_state() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let nonce = scene.nonce(client);
    let mut forged = scene.credentials("alice");
    forged.password = "guess".into();
    assert_eq!(scene.send(client, &allocate(&forged, &nonce)).code(), 401);
    let foreign = TurnSecret::new("another secret").issue("alice", START_S + 100);
    assert_eq!(scene.send(client, &allocate(&foreign, &nonce)).code(), 401);
    let expired = scene.secret.issue("alice", START_S - 1);
    assert_eq!(scene.send(client, &allocate(&expired, &nonce)).code(), 401);
    let mut shapeless = scene.credentials("alice");
    shapeless.username = "alice".into();
    shapeless.password = scene.secret.password("alice");
    assert_eq!(scene.send(client, &allocate(&shapeless, &nonce)).code(), 401);
    assert_eq!(scene.server.allocations(), 0);
    assert_eq!(
        scene.allocate(client, "alice").code(),
        0,
        "the right ones still work"
    );
}

#[test]
fn credentials_that_expire_meanwhile_refresh_nothing() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let credentials = scene.secret.issue("alice", START_S + 60);
    let nonce = scene.nonce(client);
    assert_eq!(scene.send(client, &allocate(&credentials, &nonce)).code(), 0);
    scene.pass_seconds(61);
    let refresh = Writer::new(Class::Request, Method::REFRESH, [8; 12]);
    assert_eq!(
        scene
            .send(client, &signed_with(refresh, &credentials, &nonce))
            .code(),
        401
    );
}

#[test]
fn a_nonce_of_another_client_an_old_one_and_a_made_up_one_are_stale() {
    let mut scene = Scene::new();
    let credentials = scene.credentials("alice");
    let (victim, thief) = (udp_client(1), udp_client(2));
    let nonce = scene.nonce(victim);
    let captured = allocate(&credentials, &nonce);
    let stale = scene.send(thief, &captured);
    assert_eq!(stale.code(), 438, "replayed from another address");
    assert!(stale.attribute(attributes::NONCE).is_some(), "with a new nonce");
    let by_tcp = client(Transport::Tcp, victim.address);
    assert_eq!(
        scene.send(by_tcp, &captured).code(),
        438,
        "replayed by another transport"
    );
    let mut changed = nonce.clone();
    changed[0] ^= 1;
    for nonce in [
        &changed[..],
        b"",
        b"ffffffffffffffffffffffffffffffff",
        "ä".repeat(16).as_bytes(),
    ] {
        assert_eq!(
            scene.send(victim, &allocate(&credentials, nonce)).code(),
            438,
            "{nonce:?}"
        );
    }
    scene.pass_seconds(601);
    assert_eq!(scene.send(victim, &captured).code(), 438, "replayed later");
    assert_eq!(scene.server.allocations(), 0);
}

#[test]
fn a_request_without_all_of_user_realm_and_nonce_is_bad() {
    let mut scene = Scene::new();
    let signed = Writer::new(Class::Request, Method::ALLOCATE, [8; 12])
        .sign(b"key")
        .finish();
    assert_eq!(scene.send(udp_client(1), &signed).code(), 400);
}

#[test]
fn a_user_has_so_many_allocations_and_no_more() {
    let mut scene = Scene::new();
    let spread = |index: usize| {
        let address = format!("198.51.{}.{}:9", index / 200, index % 200);
        client(Transport::Udp, address.parse().unwrap())
    };
    for index in 0..USER_ALLOCATIONS_MAX {
        assert_eq!(scene.allocate(spread(index), "alice").code(), 0);
    }
    assert_eq!(scene.allocate(spread(USER_ALLOCATIONS_MAX), "alice").code(), 486);
    assert_eq!(
        scene.allocate(spread(USER_ALLOCATIONS_MAX), "bob").code(),
        0,
        "another user may"
    );
    scene.request(spread(0), "alice", Method::REFRESH, &[lifetime(0)]);
    assert_eq!(
        scene.allocate(spread(0), "alice").code(),
        0,
        "what is given back counts no more"
    );
}

#[test]
fn an_address_has_so_many_allocations_and_no_more() {
    let mut scene = Scene::new();
    // One IPv6 host has a whole /64.
    let host = |index: usize| {
        let address = format!("[2001:db8:0:1:{:x}::7]:9", index + 1);
        client(Transport::Udp, address.parse().unwrap())
    };
    for index in 0..ADDRESS_ALLOCATIONS_MAX {
        // The stranger's budget is for a second.
        scene.now_ms += 100;
        assert_eq!(scene.allocate(host(index), &format!("user{index}")).code(), 0);
    }
    scene.pass_seconds(1);
    assert_eq!(
        scene.allocate(host(ADDRESS_ALLOCATIONS_MAX), "one more").code(),
        486
    );
    assert_eq!(scene.allocate(udp_client(1), "elsewhere").code(), 0);
}

#[test]
fn an_allocation_has_so_many_channels_and_no_more() {
    let peers: Vec<SocketAddr> = (0..20)
        .map(|port| SocketAddr::new(relay_v4().ip(), 7_100 + port))
        .collect();
    let mut scene = Scene::with_peers(&peers);
    scene.allocate(udp_client(1), "alice");
    for (number, peer) in (0x4000u16..).zip(&peers) {
        let full = usize::from(number - 0x4000) >= CHANNELS_MAX;
        let expected = if full { 508 } else { 0 };
        assert_eq!(scene.bind(udp_client(1), number, *peer).code(), expected);
    }
}

#[test]
fn a_flood_without_credentials_is_answered_so_often_and_no_more() {
    let mut scene = Scene::new();
    let binding = Writer::new(Class::Request, Method::BINDING, [1; 12]).finish();
    let answered = (0..10_000)
        .filter(|_| scene.send(udp_client(1), &binding) != Answer::Silence)
        .count();
    assert_eq!(answered, usize::from(STRANGER_ANSWERS_PER_SECOND));
    let elsewhere = client(Transport::Udp, "192.0.2.9:9".parse().unwrap());
    assert_ne!(
        scene.send(elsewhere, &binding),
        Answer::Silence,
        "others are served"
    );
    scene.pass_seconds(1);
    assert_ne!(
        scene.send(udp_client(1), &binding),
        Answer::Silence,
        "and so is it, a second later"
    );
}

#[test]
fn a_refusal_is_hardly_larger_than_a_request() {
    let mut scene = Scene::new();
    let bare = Writer::new(Class::Request, Method::ALLOCATE, [1; 12]).finish();
    let answer = scene.send(udp_client(1), &bare);
    assert!(
        answer.bytes().len() <= 4 * bare.len(),
        "{} bytes for {}",
        answer.bytes().len(),
        bare.len()
    );
}

#[test]
fn packets_that_nobody_takes_out_are_bounded() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    scene.permit(client, relay_v4());
    for _ in 0..3 * OUTPUTS_MAX {
        scene
            .server
            .handle_client(client, &send_indication(relay_v4(), b"x"), scene.now_ms);
    }
    assert_eq!(
        std::iter::from_fn(|| scene.server.poll_output()).count(),
        OUTPUTS_MAX
    );
}

#[test]
fn the_relay_reaches_no_client_by_another_address_than_its_own() {
    let mut scene = Scene::new();
    let relayed = scene.allocate(udp_client(1), "alice");
    let relayed = relayed.address(attributes::XOR_RELAYED_ADDRESS).unwrap();
    scene.permit(udp_client(1), relay_v4());
    assert!(scene.after_relay_sends(relay_v4(), relayed, b"x").is_some());
    let next = SocketAddr::new(relayed.ip(), relayed.port() + 1);
    assert!(
        scene.after_relay_sends(relay_v4(), next, b"x").is_none(),
        "nobody's port"
    );
    let not_relayed = SocketAddr::new("198.51.100.7".parse().unwrap(), relayed.port());
    assert!(
        scene.after_relay_sends(relay_v4(), not_relayed, b"x").is_none(),
        "not a relayed address"
    );
    assert!(
        scene.after_relay_sends(relay_v6(), relayed, b"x").is_none(),
        "not a permitted source"
    );
    assert!(
        scene
            .after_relay_sends(relay_v4(), relayed, &[0; PACKET_MAX_BYTES + 1])
            .is_none(),
        "oversize"
    );
}

/// What a fuzzed client does.
#[derive(Debug, Clone)]
enum Act {
    Raw(Vec<u8>),
    StunLike(u16, Vec<u8>),
    Signed(u8, Vec<(u16, Vec<u8>)>),
    Peer(u8, std::net::SocketAddr),
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
        (0u8..3, any::<std::net::SocketAddr>()).prop_map(|(method, peer)| Act::Peer(method, peer)),
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
        let nonce = nonce::issue(&[5; 32], &client, self.now_ms / 1_000);
        match act {
            Act::Raw(bytes) => self.server.handle_client(client, &bytes, self.now_ms),
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
                self.server.handle_client(client, &bytes, self.now_ms);
            }
            Act::Signed(method, of) => {
                let mut request = Writer::new(Class::Request, methods[usize::from(method)], [1; 12])
                    .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                for (kind, value) in of {
                    request = request.attribute(Attribute(kind), &value);
                }
                let bytes = self.signed(request, "alice", nonce.as_bytes());
                self.server.handle_client(client, &bytes, self.now_ms);
            }
            Act::Peer(method, peer) => {
                let peer = if peer.port() % 2 == 0 { relay_v4() } else { peer };
                let request = Writer::new(Class::Request, methods[usize::from(method) + 2], [1; 12])
                    .xor_address(attributes::XOR_PEER_ADDRESS, peer)
                    .attribute(attributes::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
                let bytes = self.signed(request, "alice", nonce.as_bytes());
                self.server.handle_client(client, &bytes, self.now_ms);
            }
            Act::FromRelay(port, packet) => {
                let to = SocketAddr::new(RELAYED_V4, 1_020 + port % 8);
                self.server.handle_relay(relay_v4(), to, &packet, self.now_ms);
            }
            Act::Wait(ms) => self.now_ms += u64::from(ms) * 20,
            Act::Close => self.server.handle_closed(&client),
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_packets_is_survived_and_reaches_the_relay_alone(
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
