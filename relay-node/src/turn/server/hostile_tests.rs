//! What strangers try: forged, replayed, oversize, random. Refused, in bounded memory, and the service goes on.

use super::client::Transport;
use super::limits::{
    MAX_ADDRESS_ALLOCATIONS, MAX_CHANNELS, MAX_USER_ALLOCATIONS, STRANGER_ANSWERS_PER_SECOND,
};
use super::scene_tests::*;
use super::*;
use streamchain_protocol::webrtc::TurnCredentials;

/// An Allocate request as a client with these credentials and nonce would send it.
fn allocate(credentials: &TurnCredentials, nonce: &[u8]) -> Vec<u8> {
    let request = Writer::new(Class::Request, Method::ALLOCATE, [8; 12])
        .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    signed_with(request, credentials, nonce)
}

/// The transports by which a client comes.
const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

#[test]
fn every_other_peer_is_forbidden_by_every_transport() {
    let own = address("198.51.100.7:40000");
    for client in TRANSPORTS.map(|transport| client(transport, own)) {
        let mut scene = Scene::new();
        let both = (attributes::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
        let asked = [udp_transport(), both];
        assert_eq!(scene.request(client, "alice", Method::ALLOCATE, &asked).code(), 0);
        for other in [
            "127.0.0.1:80",
            "10.0.0.1:53",
            "169.254.169.254:80",
            "203.0.113.2:7100",
            "192.0.0.8:1024",
            "0.0.0.0:0",
            "255.255.255.255:9",
            "198.51.100.7:40000",
            "[::1]:80",
            "[::ffff:203.0.113.1]:7100",
            "[2001:db8::2]:7100",
            "[100::8]:1024",
        ] {
            let other = address(other);
            assert_eq!(scene.permit(client, other).code(), 403, "{other}");
            assert_eq!(scene.bind(client, 0x4000, other).code(), 403, "{other}");
            assert_eq!(
                scene.relayed(client, &send_indication(other, b"x")),
                None,
                "{other}"
            );
        }
        let unbound = channel_data(0x4000, b"x", client.transport.is_stream());
        assert_eq!(
            scene.relayed(client, &unbound),
            None,
            "a channel that was refused"
        );
        assert_eq!(scene.server.counts().relayed, 0);
    }
}

#[test]
fn another_port_of_the_relay_is_forbidden() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    // A permission has no port, but a packet has.
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
fn channel_data_with_a_wrong_length_is_dropped() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    scene.bind(client, 0x4000, relay_v4());
    for lie in [
        &b"\x40\x00\x00\x06hello"[..],
        b"\x40\x00\xFF\xFFhello",
        b"\x40\x00\x00",
        b"\x40",
    ] {
        assert_eq!(scene.relayed(client, lie), None, "{lie:?}");
    }
    let mut relayed = |packet: &[u8]| scene.relayed(client, packet).map(|(_, _, payload)| payload);
    // Less than came: the rest is padding (RFC 8656 §12.5), and is not passed on.
    assert_eq!(relayed(b"\x40\x00\x00\x02hello"), Some(b"he".to_vec()));
    assert_eq!(relayed(b"\x40\x00\x00\x05hello"), Some(b"hello".to_vec()));
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

/// Credentials that nobody issued, each with what is wrong with it.
fn forgeries(scene: &Scene) -> Vec<(&'static str, TurnCredentials)> {
    let right = scene.credentials("alice");
    let named = |username: &str, password: &str| TurnCredentials {
        username: username.into(),
        password: password.into(),
    };
    // The edge would never issue these; their passwords are right nevertheless.
    let shapeless = |username: &str| named(username, &scene.secret.password(username));
    let bob = right.username.replace("alice", "bob");
    let later = format!("9{}", right.username);
    vec![
        ("a guessed password", named(&right.username, "guess")),
        ("no password", named(&right.username, "")),
        ("another user's name", named(&bob, &right.password)),
        ("a later expiry", named(&later, &right.password)),
        (
            "another's secret",
            TurnSecret::new("another secret")
                .issue("alice", streamchain_protocol::time::UnixSec(START_S + 100)),
        ),
        (
            "expired",
            scene
                .secret
                .issue("alice", streamchain_protocol::time::UnixSec(START_S - 1)),
        ),
        ("a name alone", shapeless("alice")),
        ("an expiry alone", shapeless("2000000")),
        ("no user", shapeless("2000000:")),
        ("no expiry", shapeless(":alice")),
        ("nothing", shapeless("")),
        ("a signed expiry", shapeless("+2000000:alice")),
        (
            "an expiry beyond all numbers",
            shapeless("99999999999999999999:alice"),
        ),
        ("too long", shapeless(&format!("2000000:{}", "a".repeat(500)))),
    ]
}

#[test]
fn forged_and_expired_credentials_are_refused_and_make_no_state() {
    for transport in TRANSPORTS {
        let mut scene = Scene::new();
        let client = client(transport, address("198.51.100.7:40000"));
        let nonce = scene.nonce(client);
        for (what, forged) in forgeries(&scene) {
            let refused = scene.send(client, &allocate(&forged, &nonce));
            assert_eq!(refused.code(), 401, "{what}");
            assert_eq!(scene.server.allocations(), 0, "{what}");
        }
        assert_eq!(
            scene.allocate(client, "alice").code(),
            0,
            "the right ones still work"
        );
    }
}

#[test]
fn a_name_that_is_no_text_and_a_foreign_realm_are_refused() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let nonce = scene.nonce(client);
    let right = scene.credentials("alice");
    let mut code = |name: &[u8], realm: &[u8]| {
        let key = long_term_key(&right.username, &String::from_utf8_lossy(realm), &right.password);
        let request = Writer::new(Class::Request, Method::ALLOCATE, [8; 12])
            .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
            .attribute(attributes::USERNAME, name)
            .attribute(attributes::REALM, realm)
            .attribute(attributes::NONCE, &nonce);
        scene.send(client, &request.sign(&key).finish()).code()
    };
    assert_eq!(code(b"\xFF\xFE", REALM.as_bytes()), 400);
    assert_eq!(code(right.username.as_bytes(), b"\xFF\xFE"), 400);
    assert_eq!(
        code(right.username.as_bytes(), b"example.org"),
        401,
        "signed for that realm"
    );
    assert_eq!(code(right.username.as_bytes(), b""), 401);
    assert_eq!(code(right.username.as_bytes(), REALM.as_bytes()), 0);
}

#[test]
fn a_nonce_from_before_a_restart_is_stale_and_the_new_one_works() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let nonce = scene.nonce(client);
    let captured = allocate(&scene.credentials("alice"), &nonce);
    scene.restart();
    let stale = scene.send(client, &captured);
    assert_eq!((stale.code(), scene.server.allocations()), (438, 0));
    let new = stale.attribute(attributes::NONCE).unwrap();
    let again = allocate(&scene.credentials("alice"), &new);
    assert_eq!(scene.send(client, &again).code(), 0);
}

#[test]
fn credentials_that_expire_meanwhile_refresh_nothing() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    let credentials = scene
        .secret
        .issue("alice", streamchain_protocol::time::UnixSec(START_S + 60));
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
fn foreign_old_and_invented_nonces_are_stale() {
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
    for index in 0..MAX_USER_ALLOCATIONS {
        assert_eq!(scene.allocate(spread(index), "alice").code(), 0);
    }
    assert_eq!(scene.allocate(spread(MAX_USER_ALLOCATIONS), "alice").code(), 486);
    assert_eq!(
        scene.allocate(spread(MAX_USER_ALLOCATIONS), "bob").code(),
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
    for index in 0..MAX_ADDRESS_ALLOCATIONS {
        // The stranger's budget is for a second.
        scene.now = scene.now.plus_ms(100);
        assert_eq!(scene.allocate(host(index), &format!("user{index}")).code(), 0);
    }
    scene.pass_seconds(1);
    assert_eq!(
        scene.allocate(host(MAX_ADDRESS_ALLOCATIONS), "one more").code(),
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
        let full = usize::from(number - 0x4000) >= MAX_CHANNELS;
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
fn packets_that_nobody_takes_out_are_bounded() {
    let mut scene = Scene::new();
    let client = udp_client(1);
    scene.allocate(client, "alice");
    scene.permit(client, relay_v4());
    for _ in 0..3 * MAX_OUTPUTS {
        scene
            .server
            .handle_client(client, &send_indication(relay_v4(), b"x"), scene.now);
    }
    assert_eq!(
        std::iter::from_fn(|| scene.server.poll_output()).count(),
        MAX_OUTPUTS
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
            .after_relay_sends(relay_v4(), relayed, &[0; MAX_PACKET_BYTES + 1])
            .is_none(),
        "oversize"
    );
}

/// Whatever a stranger asks by UDP, with whatever source: the answer has at most three times the bytes.
#[test]
fn strangers_get_at_most_three_times_what_they_sent() {
    let mut scene = Scene::new();
    let bare = |method| Writer::new(Class::Request, method, [9; 12]);
    let udp = [attributes::TRANSPORT_UDP, 0, 0, 0];
    let browsers = bare(Method::ALLOCATE).attribute(attributes::REQUESTED_TRANSPORT, &udp);
    let requests = [
        browsers.finish_without_fingerprint(),
        bare(Method::ALLOCATE).finish(),
        bare(Method::REFRESH).finish(),
        bare(Method::BINDING).finish(),
        bare(Method::BINDING).attribute(Attribute(0x7000), &[]).finish(),
        bare(Method::CHANNEL_BIND)
            .attribute(attributes::USERNAME, b"x")
            .finish(),
    ];
    let mut answers = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let client = udp_client(40_000 + number as u16);
        scene.server.handle_client(client, request, scene.now);
        let answer = scene.server.poll_output();
        answers.push(answer.is_some());
        if let Some(Output::ToClient { packet, .. }) = answer {
            assert!(
                packet.len() <= 3 * request.len(),
                "{} bytes for {}",
                packet.len(),
                request.len()
            );
        }
    }
    assert!(
        answers[0] && answers[3],
        "a browser's first request is answered: {answers:?}"
    );
}
